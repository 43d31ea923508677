"""Heading: bring the ball to a place (published as HRLHeadingEasy, skillmimic.md §10)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.task import Goal, Outcome, direction, length, on_ring, uniform
from mjx_skillmimic.imitation.options import check_choices, check_positive
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


@dataclasses.dataclass(frozen=True)
class HeadingOptions:
    """Choices of the task; `reference` is as published, `default` as we would defend it."""

    # Skill label of each choice: dribble right, forward, left. Both.
    labels: tuple[int, ...] = (12, 13, 11)
    # Frame of the goal's bearing in the observation. reference: "world" [33], which says nothing to who does not know
    # which way he faces. default: "heading".
    bearing: Literal["heading", "world"] = "heading"
    # Where goals lie. reference: "quadrant", root xy + (U, U), always towards +x and +y. default: "ring", in any
    # direction. Both with U in [nearest, farthest).
    area: Literal["ring", "quadrant"] = "ring"
    nearest: float = 2.0
    farthest: float = 8.0
    # Height in m of the point that the ball has to come to, and how near. Both: 1.0, 0.5.
    height: float = 1.0
    reach: float = 0.5
    # After a goal is reached. reference: "stay", for the rest of the episode. default: "new" goal.
    on_reach: Literal["new", "stay"] = "new"
    # Reward for reaching a goal. reference: 0. default: 60, 20 a decision: without it a ball kept just outside the
    # reach would earn more than the way to the next goal.
    bonus: float = 60.0

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "nearest", "farthest", "reach")

    @classmethod
    def reference(cls) -> HeadingOptions:
        return cls(bearing="world", area="quadrant", on_reach="stay", bonus=0.0)

    @classmethod
    def default(cls) -> HeadingOptions:
        return cls()


class Heading:
    """exp(−d) a control step, d the distance in m of ball and goal; choices are ways to dribble."""

    name: ClassVar[str] = "Heading"
    Options: ClassVar[type] = HeadingOptions
    parts = (("goal_pos", 2), ("goal_bearing", 2))

    def __init__(self, options: HeadingOptions) -> None:
        self.options = options
        self.labels = tuple(options.labels)

    def draw(self, rng: Array, body: BodyState) -> Goal:
        """New goals around the person."""
        chosen, root = self.options, body.root_pos[:, :2]
        if chosen.area == "quadrant":
            position = root + uniform(rng, chosen.nearest, chosen.farthest, 2)
        else:
            position = on_ring(rng, root, chosen.nearest, chosen.farthest)
        return Goal(position, jnp.zeros(len(root), jnp.float32), jnp.zeros(len(root), bool))

    def observe(self, body: BodyState, goal: Goal) -> Array:
        """(N, 4): where the goal lies."""
        return direction(body, goal.position, self.options.bearing)

    def outcome(self, body: BodyState, goal: Goal) -> Outcome:
        """Reward of the state after a control step."""
        chosen, distance = self.options, self.distance(body, goal)
        xp = rotations.namespace(distance)
        reached = (distance < chosen.reach) & ~goal.reached
        renew = reached if chosen.on_reach == "new" else xp.zeros_like(reached)
        after = dataclasses.replace(goal, reached=goal.reached | reached)
        reward = xp.exp(-distance) + chosen.bonus * reached
        return Outcome(reward, after, reached, renew, {"distance_m": distance})

    def distance(self, body: BodyState, goal: Goal) -> Array:
        """Distance (N,) in m of the ball and the point above the goal."""
        xp = rotations.namespace(goal.position, body.object_pos)
        height = xp.full_like(goal.position[..., :1], self.options.height)
        return length(body.object_pos - xp.concatenate([goal.position, height], axis=-1))
