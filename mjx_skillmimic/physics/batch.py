"""What all engines do alike with a batch of worlds."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from mjx_skillmimic.model.humanoid import NUM_BODIES
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.rotations import Array

T = TypeVar("T")


def new_state(qpos: Array, qvel: Array, engine: Any) -> PhysicsState:
    """A state at qpos (N, nq), qvel (N, nv) with no forces, edges or overflow."""
    n = jnp.shape(qpos)[0]
    return PhysicsState(
        qpos=jnp.asarray(qpos, jnp.float32),
        qvel=jnp.asarray(qvel, jnp.float32),
        body_force=jnp.zeros((n, NUM_BODIES, 3), jnp.float32),
        object_force=jnp.zeros((n, 3), jnp.float32),
        edges=jnp.zeros((n, len(EDGES)), jnp.bool_),
        overflow=jnp.zeros((n,), jnp.int32),
        engine=engine,
    )


def select(mask: Array, first: T, second: T) -> T:
    """Per world, `first` where mask (N,) is true, else `second`; every leaf has N leading rows."""

    def one(a: Array, b: Array) -> Array:
        return jnp.where(jnp.reshape(mask, (-1, *[1] * (a.ndim - 1))), a, b)

    return jax.tree.map(one, first, second)


def show_nonfinite(state: PhysicsState, target: Array, stepped: PhysicsState) -> PhysicsState:
    """`stepped`, with NaN coordinates in worlds that were not finite before: an engine may normalise a NaN away."""
    watched = (state.qpos, state.qvel, *jax.tree.leaves(state.engine), target)
    finite = [jnp.all(jnp.isfinite(x), axis=-1) for x in watched]
    ok = jnp.all(jnp.stack(finite), axis=0)[:, None]
    return dataclasses.replace(
        stepped, qpos=jnp.where(ok, stepped.qpos, jnp.nan), qvel=jnp.where(ok, stepped.qvel, jnp.nan)
    )
