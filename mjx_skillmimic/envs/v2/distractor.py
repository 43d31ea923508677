"""The ball of labels whose clips show none: anywhere, in motion, of no concern to the reward (§1.6)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2.options import DistractorOptions
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


class Ball(NamedTuple):
    """World frame: pos (N, 3) m, quat (N, 4) wxyz, lin_vel (N, 3) m/s, ang_vel (N, 3) rad/s."""

    pos: Array
    quat: Array
    lin_vel: Array
    ang_vel: Array


def has_distractor(label: Array, options: DistractorOptions) -> Array:
    """(N,) bool: the label is one of `options.labels`."""
    return jnp.isin(label, jnp.asarray(options.labels, jnp.int32))


def scattered(rng: Array, options: DistractorOptions, root_pos: Array | None = None) -> Ball:
    """Balls for keys (N,), uniform in a cube about the world's origin, not about the person.

    Their velocities have no negative component, as published. root_pos: (N, 3) m, the pelves that `clearance` keeps
    them away from; absent: it keeps them from nothing.
    """
    u = jax.vmap(lambda key: jax.random.uniform(key, (13,)))(rng)
    pos, quat = options.reach * (2.0 * u[:, 0:3] - 1.0), u[:, 6:10]
    if options.normalize:
        quat = rotations.normalize(quat)
    if options.clearance is not None and root_pos is not None:
        pos = _moved_away(pos, root_pos, options.clearance)
    if options.lowest is not None:
        pos = pos.at[:, 2].max(options.lowest)
    return Ball(pos, quat, options.speed * u[:, 3:6], options.spin * u[:, 10:13])


def ball_of(body: BodyState) -> Ball:
    """The ball of body states (N, …)."""
    return Ball(body.object_pos, body.object_quat, body.object_lin_vel, body.object_ang_vel)


def placed(ball: Ball, qpos: Array, qvel: Array, body: BodyState) -> tuple[Array, Array, BodyState]:
    """Start states (N, nq), (N, nv) and their body states with these balls; the person stays."""
    # the coordinates have the spin in the ball's own frame
    spin = rotations.rotate_inverse(rotations.normalize(ball.quat), ball.ang_vel)
    return (
        jnp.concatenate([qpos[:, :-7], ball.pos, ball.quat], axis=-1),
        jnp.concatenate([qvel[:, :-6], ball.lin_vel, spin], axis=-1),
        body.replace(  # type: ignore[attr-defined]
            object_pos=ball.pos, object_quat=ball.quat, object_lin_vel=ball.lin_vel, object_ang_vel=ball.ang_vel
        ),
    )


def _moved_away(pos: Array, root_pos: Array, clearance: float) -> Array:
    """Positions (N, 3) at least `clearance` m from the roots as seen from above, in the direction they lie in."""
    away = pos[:, :2] - root_pos[:, :2]
    distance = jnp.sqrt(jnp.sum(away**2, axis=-1, keepdims=True))
    direction = jnp.where(distance > 1e-6, away / jnp.maximum(distance, 1e-6), jnp.array([1.0, 0.0]))
    return pos.at[:, :2].set(root_pos[:, :2] + jnp.maximum(distance, clearance) * direction)
