"""Scoring's second variant: a basket of matter (`model.basket`) that the ball must fall through.

All worlds have it in the same place, so a goal in another direction and distance is reached by moving and turning the
person and the ball instead; from then on it stays, and a basket is followed by a rebound to the same one.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.task import Goal, length, uniform
from mjx_skillmimic.model import basket
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array

# A ball that starts nearer to the middle of the ring than this might begin inside the board: m.
CLEAR = 1.2


@struct.dataclass
class BasketGoal(Goal):
    """A `Goal`; ball (N, 3) m, where the ball was at the end of the control step before; thrown (N,) bool: it flew free
    above the ring, and no hand has touched it since."""

    ball: Array
    thrown: Array


def draw(goal: BasketGoal, body: BodyState) -> BasketGoal:
    """The same goals, on the person's other side where the ball would begin in the basket (nearest ≥ `CLEAR`)."""
    root, ball = body.root_pos[:, :2], body.object_pos
    inside = length(goal.position - ball[:, :2]) < CLEAR
    position = jnp.where(inside[:, None], 2 * root - goal.position, goal.position)
    return dataclasses.replace(goal, position=position)


def arrange(rng: Array, qpos: Array, qvel: Array, goal: BasketGoal, side: float) -> tuple[Array, Array, BasketGoal]:
    """Moves and turns worlds, keys (N,), qpos (N, nq) and qvel (N, nv), so that goals come to lie at the basket.

    Where the basket is as the person sees it stays as it was; the person then stands at most `side` rad off the
    straight line before the board, uniformly.
    """
    angle = uniform(rng, -side, side, 1)[:, 0]
    offset = qpos[:, :2] - goal.position
    turn = rotations.about_z(angle - jnp.arctan2(offset[:, 1], offset[:, 0]))
    origin = jnp.concatenate([goal.position, jnp.zeros_like(goal.position[:, :1])], axis=-1)
    last = qpos.shape[-1] - 7
    placed, moving = [], []
    for at in (0, last):
        placed += [rotations.rotate(turn, qpos[:, at : at + 3] - origin)]
        placed += [rotations.multiply(turn, qpos[:, at + 3 : at + 7])]
    for at in (0, qvel.shape[-1] - 6):
        # Angular velocities of free joints are in the body's own frame.
        moving += [rotations.rotate(turn, qvel[:, at : at + 3])]
    qpos = jnp.concatenate([*placed[:2], qpos[:, 7:last], *placed[2:]], axis=-1)
    qvel = jnp.concatenate([moving[0], qvel[:, 3:-6], moving[1], qvel[:, -3:]], axis=-1)
    there = dataclasses.replace(goal, position=jnp.zeros_like(goal.position), ball=placed[2])
    return qpos, qvel, there


def scored(ball: Array, goal: BasketGoal, height: float) -> Array:
    """(N,) bool: the ball, now at (N, 3), fell through the ring in this control step."""
    xp = rotations.namespace(goal.position, ball)
    middle = xp.concatenate([goal.position, xp.zeros_like(goal.position[..., :1])], axis=-1)
    return basket.falls_through(goal.ball - middle, ball - middle, height)
