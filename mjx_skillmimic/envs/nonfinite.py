"""What an environment keeps of a step that made a world non-finite, so that the step can be replayed."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from mjx_skillmimic.rotations import Array


@struct.dataclass
class NonfiniteRecord:
    """The step of each of N worlds that last made it non-finite.

    qpos (N, nq), qvel (N, nv): before that step; zeros in worlds that never failed. target (N, nu): its PD targets,
    rad. count (N,) int32: episodes that ended so.
    """

    qpos: Array
    qvel: Array
    target: Array
    count: Array


def start_record(qpos: Array, qvel: Array, num_targets: int) -> NonfiniteRecord:
    """An empty record for the worlds of qpos (N, nq), qvel (N, nv)."""
    return NonfiniteRecord(
        qpos=jnp.zeros_like(qpos),
        qvel=jnp.zeros_like(qvel),
        target=jnp.zeros((*qpos.shape[:-1], num_targets), qpos.dtype),
        count=jnp.zeros(qpos.shape[:-1], jnp.int32),
    )


def record_nonfinite(
    record: NonfiniteRecord, nonfinite: Array, qpos: Array, qvel: Array, target: Array
) -> NonfiniteRecord:
    """The record after a step from (qpos, qvel) with `target` that left the worlds of the mask (N,) non-finite."""
    mask = nonfinite.astype(bool)
    chosen = mask[..., None]
    return NonfiniteRecord(
        qpos=jnp.where(chosen, qpos, record.qpos),
        qvel=jnp.where(chosen, qvel, record.qvel),
        target=jnp.where(chosen, target, record.target),
        count=record.count + mask.astype(jnp.int32),
    )


def finite_worlds(*arrays: Array) -> Array:
    """(N,) bool: every number of the world is finite."""
    return jnp.stack([jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=-1) for x in arrays]).all(axis=0)
