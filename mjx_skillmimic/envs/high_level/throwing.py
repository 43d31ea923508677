"""Throwing: throw the ball up and catch it, again and again (published as HRLThrowing, skillmimic.md §10)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.task import Goal, Outcome, no_goal
from mjx_skillmimic.imitation.options import check_positive
from mjx_skillmimic.physics.base import EDGES, BodyState
from mjx_skillmimic.rotations import Array

_HANDS_OBJECT = EDGES.index("hands_object")


@dataclasses.dataclass(frozen=True)
class ThrowingOptions:
    """Choices of the task; `reference` is as published, `default` as we would defend it."""

    # Skill label of each choice: turnaround lay-up, pick up, dribble forward. Both.
    labels: tuple[int, ...] = (34, 1, 13)
    # Height in m that the ball should have. Both: 2.5.
    height: float = 2.5
    # A catch: the ball flew above `thrown` m, and then a hand touches it for `held` control steps on end.
    thrown: float = 2.2
    held: int = 6
    # Reward for a catch. reference: 0, which pays one long flight as much as many throws. default: 150.
    bonus: float = 150.0

    def __post_init__(self) -> None:
        check_positive(self, "height", "thrown", "held")

    @classmethod
    def reference(cls) -> ThrowingOptions:
        return cls(bonus=0.0)

    @classmethod
    def default(cls) -> ThrowingOptions:
        return cls()


@struct.dataclass
class Flight(Goal):
    """up (N,) bool: the ball flew above `thrown` and was not caught since. held (N,) int32: control steps for which a
    hand has touched it after that."""

    up: Array
    held: Array


class Throwing:
    """exp(−|z − 2.5|) a control step, z the ball's height in m, and a bonus a catch; no place is wanted."""

    name: ClassVar[str] = "Throwing"
    Options: ClassVar[type] = ThrowingOptions
    parts: tuple[tuple[str, int], ...] = ()

    def __init__(self, options: ThrowingOptions) -> None:
        self.options = options
        self.labels = tuple(options.labels)

    def draw(self, rng: Array, body: BodyState) -> Flight:
        """Nothing has been thrown."""
        count = len(body.root_pos)
        goal = no_goal(count)
        return Flight(goal.position, goal.radius, goal.reached, jnp.zeros(count, bool), jnp.zeros(count, jnp.int32))

    def observe(self, body: BodyState, goal: Goal) -> Array:
        """(N, 0)."""
        return goal.position[..., :0]

    def outcome(self, body: BodyState, goal: Flight) -> Outcome:
        """Reward of the state after a control step. A catch counts as reached, again and again."""
        chosen, height = self.options, body.object_pos[..., 2]
        xp = rotations.namespace(height)
        paid = xp.exp(-xp.abs(height - chosen.height))
        metrics = {"ball_height_m": height}
        if chosen.bonus == 0.0:
            never = xp.zeros_like(goal.reached)
            return Outcome(paid, goal, never, never, metrics)
        hands = body.edges[..., _HANDS_OBJECT] > 0
        up = goal.up | (~hands & (height > chosen.thrown))
        held = xp.where(up & hands, goal.held + 1, 0)
        caught = held >= chosen.held
        after = dataclasses.replace(goal, up=up & ~caught, held=xp.where(caught, 0, held))
        return Outcome(paid + chosen.bonus * caught, after, caught, xp.zeros_like(caught), metrics)
