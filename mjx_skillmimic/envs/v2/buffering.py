"""Steps whose reward is that of others: after a start that resembles no frame of the clip, and on missing frames.

The reference stands still while an episode is buffered and then goes on from where it stood, so that its last rows are
never reached (skillmimic_v2.md §2.6).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mjx_skillmimic.rotations import Array


def held(progress: Array, buffer: Array) -> Array:
    """Reference rows since an episode's start at `progress` (...), of episodes buffered for `buffer` (...) steps."""
    return jnp.maximum(progress - buffer, 0)


def substitute(reward: Array, clip: Array, valid: Array, num_clips: int, axis_name: str | None = None) -> Array:
    """Rewards (N,) in which worlds that are not `valid` (N,) bool have the mean of the valid ones on the same clip.

    clip: (N,) int below `num_clips`. Without a valid one on the clip: the mean of all valid ones; without any: 0. The
    means are over all members of a mapped axis.
    """
    # A reduction over a mask: additions at indices would come in another order each time on a GPU.
    counted = valid & (clip == jnp.arange(num_clips)[:, None])
    sums = jnp.stack([jnp.sum(jnp.where(counted, x, 0.0), axis=1) for x in (reward, jnp.ones_like(reward))], axis=-1)
    if axis_name is not None:
        sums = jax.lax.psum(sums, axis_name)
    every = jnp.sum(sums, axis=0)
    general = every[0] / jnp.maximum(every[1], 1.0)
    mean = jnp.where(sums[:, 1] > 0, sums[:, 0] / jnp.maximum(sums[:, 1], 1.0), general)
    return jnp.where(valid, reward, mean[clip])
