"""Samples of the self-supervised task: a window, the frame after it, and the one after that (skillmimic_v2.md §4.3)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.history import window
from mjx_skillmimic.history.frames import OBJECT
from mjx_skillmimic.history.options import PretrainOptions
from mjx_skillmimic.motion.table import MotionTable
from mjx_skillmimic.rotations import Array


@struct.dataclass
class Samples:
    """S samples by the place of their current frame; the frames themselves (F, D) are kept once.

    first (S,) int32: row of frame 0 of the sample's clip. frame (S,) int32: the current frame within it. label (S,).
    """

    frames: Array
    first: Array
    frame: Array
    label: Array

    @property
    def count(self) -> int:
        return int(self.first.shape[0])


@struct.dataclass
class Batch:
    """window (B, T, D), current and target (B, D), label (B,) int32, distractor (B,) bool: the object is one."""

    window: Array
    current: Array
    target: Array
    label: Array
    distractor: Array


def make_samples(motions: MotionTable, frames: Array, options: PretrainOptions) -> tuple[Samples, Samples]:
    """The samples to learn from and those held out: one for each frame (F, D) of a clip but its last.

    Held out is the last part of each clip: neighbouring samples share almost everything, so samples drawn at random
    would show nothing.

    Raises ValueError where nothing is left to learn from.
    """
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for clip, length in enumerate(np.asarray(motions.lengths)):
        places = np.arange(length - 1)
        split = round(len(places) * (1.0 - options.held_out))
        for part, chosen in zip(parts, np.split(places, [split]), strict=True):
            part.append(np.stack([np.full_like(chosen, clip), chosen]))
    learned, held = (_at(motions, frames, *np.concatenate(part, axis=1)) for part in parts)
    if not learned.count:
        raise ValueError(f"{motions.num_clips} clips with held_out {options.held_out} leave no samples to learn from")
    return learned, held


def _at(motions: MotionTable, frames: Array, clip: np.ndarray, frame: np.ndarray) -> Samples:
    return Samples(frames, motions.starts[clip], jnp.asarray(frame, jnp.int32), motions.skills[clip])


def gather(samples: Samples, index: Array, rng: Array, options: PretrainOptions) -> Batch:
    """The samples at `index` (B,), their distractors drawn afresh (§4.3): current, target, and by option the window."""
    first, frame, label = samples.first[index], samples.frame[index], samples.label[index]
    past = window.fill(samples.frames, first, frame, options.length)
    distractor = jnp.isin(label, jnp.asarray(options.distractor_labels, jnp.int32))
    drawn = jax.random.uniform(
        rng, (3, len(index), 3), jnp.float32, -options.distractor_range, options.distractor_range
    )
    current, target = (
        x.at[:, OBJECT].set(jnp.where(distractor[:, None], place, x[:, OBJECT]))
        for x, place in zip((samples.frames[first + frame], samples.frames[first + frame + 1]), drawn, strict=False)
    )
    if options.distractor_history == "drawn":
        there = distractor[:, None] & jnp.any(past != 0.0, axis=-1)
        past = past.at[..., OBJECT].set(jnp.where(there[..., None], drawn[2][:, None], past[..., OBJECT]))
    return Batch(past, current, target, label, distractor)
