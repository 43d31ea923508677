"""Throwing: throw the ball up and catch it, again and again (published as HRLThrowing, skillmimic.md §10)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level.task import Goal, Outcome, no_goal
from mjx_skillmimic.imitation.options import check_positive
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


@dataclasses.dataclass(frozen=True)
class ThrowingOptions:
    """Choices of the task; its presets are the same, for nothing about it is odd."""

    # Skill label of each choice: turnaround lay-up, pick up, dribble forward. Both.
    labels: tuple[int, ...] = (34, 1, 13)
    # Height in m that the ball should have. Both: 2.5.
    height: float = 2.5

    def __post_init__(self) -> None:
        check_positive(self, "height")

    @classmethod
    def reference(cls) -> ThrowingOptions:
        return cls()

    @classmethod
    def default(cls) -> ThrowingOptions:
        return cls()


class Throwing:
    """exp(−|z − 2.5|) a control step, z the ball's height in m; no place is wanted, and nothing is reached."""

    name: ClassVar[str] = "Throwing"
    Options: ClassVar[type] = ThrowingOptions
    parts: tuple[tuple[str, int], ...] = ()

    def __init__(self, options: ThrowingOptions) -> None:
        self.options = options
        self.labels = tuple(options.labels)

    def draw(self, rng: Array, body: BodyState) -> Goal:
        """Goals that say nothing."""
        return no_goal(len(body.root_pos))

    def observe(self, body: BodyState, goal: Goal) -> Array:
        """(N, 0)."""
        return goal.position[..., :0]

    def outcome(self, body: BodyState, goal: Goal) -> Outcome:
        """Reward of the state after a control step."""
        height = body.object_pos[..., 2]
        xp = rotations.namespace(height)
        never = xp.zeros_like(goal.reached)
        reward = xp.exp(-xp.abs(height - self.options.height))
        return Outcome(reward, goal, never, never, {"ball_height_m": height})
