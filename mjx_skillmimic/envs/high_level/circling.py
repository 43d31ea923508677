"""Circling: dribble along a circle (published as HRLCircling, skillmimic.md §10)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.task import Goal, Outcome, direction, length, uniform
from mjx_skillmimic.imitation.options import check_choices, check_positive
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


@dataclasses.dataclass(frozen=True)
class CirclingOptions:
    """Choices of the task; `reference` is as published, `default` as we would defend it."""

    # Skill label of each choice: dribble right, forward, left. Both.
    labels: tuple[int, ...] = (12, 13, 11)
    # Frame of the centre's bearing in the observation. reference: "world" [33]. default: "heading".
    bearing: Literal["heading", "world"] = "heading"
    # Radii in m of the circles, whose centre is where the person stands. Both: 2 to 5.
    smallest: float = 2.0
    largest: float = 5.0
    # What counts as reached; neither rewarded nor seen. reference: a ball within `near` of the "centre", where nobody
    # wants it. default: of the "circle".
    reached: Literal["circle", "centre"] = "circle"
    near: float = 0.5
    # Below this speed of the ball in m/s only a tenth of the reward is paid. Both: 0.5.
    slow: float = 0.5

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "smallest", "largest", "near", "slow")

    @classmethod
    def reference(cls) -> CirclingOptions:
        return cls(bearing="world", reached="centre", near=0.3)

    @classmethod
    def default(cls) -> CirclingOptions:
        return cls()


class Circling:
    """exp(−e) a control step, e how far in m the ball is from the circle as seen from above; a tenth if it rests."""

    name: ClassVar[str] = "Circling"
    Options: ClassVar[type] = CirclingOptions
    parts = (("goal_pos", 2), ("goal_bearing", 2), ("goal_radius", 1))

    def __init__(self, options: CirclingOptions) -> None:
        self.options = options
        self.labels = tuple(options.labels)

    def draw(self, rng: Array, body: BodyState) -> Goal:
        """Circles around the place where the person stands."""
        chosen, root = self.options, body.root_pos[:, :2]
        radius = uniform(rng, chosen.smallest, chosen.largest, 1)[:, 0]
        return Goal(root, radius, jnp.zeros(len(root), bool))

    def observe(self, body: BodyState, goal: Goal) -> Array:
        """(N, 5): where the centre lies, and the radius."""
        xp = rotations.namespace(goal.radius, body.root_quat)
        seen = direction(body, goal.position, self.options.bearing)
        return xp.concatenate([seen, goal.radius[..., None]], axis=-1)

    def outcome(self, body: BodyState, goal: Goal) -> Outcome:
        """Reward of the state after a control step."""
        chosen = self.options
        xp = rotations.namespace(goal.position, body.object_pos)
        from_centre = length(body.object_pos[..., :2] - goal.position)
        error, speed = xp.abs(from_centre - goal.radius), length(body.object_lin_vel)
        near = (error if chosen.reached == "circle" else from_centre) < chosen.near
        after = dataclasses.replace(goal, reached=goal.reached | near)
        reward = xp.exp(-error) * xp.where(speed < chosen.slow, 0.1, 1.0)
        metrics = {"radius_error_m": error, "ball_speed": speed}
        return Outcome(reward, after, near & ~goal.reached, xp.zeros_like(near), metrics)
