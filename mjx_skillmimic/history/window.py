"""The last sixty frames of every world, oldest first (skillmimic_v2.md §4.5)."""

from __future__ import annotations

import jax.numpy as jnp

from mjx_skillmimic.rotations import Array

WINDOW = 60  # frames, one second


def fill(frames: Array, first: Array, frame: Array, length: int = WINDOW) -> Array:
    """Windows (N, length, D) of episodes that start on `frame` of a clip: the frames before it, zeros before frame 0.

    Args:
        frames: (F, D), of all clips. first: (N,) int, row of frame 0 of each world's clip. frame: (N,) int.
    """
    before = frame[..., None] + jnp.arange(-length, 0)
    rows = jnp.clip(first[..., None] + before, 0, frames.shape[0] - 1)
    return jnp.where((before >= 0)[..., None], frames[rows], 0.0)


def push(window: Array, frame: Array) -> Array:
    """Windows (N, T, D) with the oldest frame gone and `frame` (N, D) at the end.

    The policy of that instant sees the window from before: encode first, then push.
    """
    return jnp.concatenate([window[..., 1:, :], frame[..., None, :]], axis=-2)
