"""Scoring: throw the ball into a basket, fetch it, again (published as HRLScoringLayup, skillmimic.md §10).

The published basket is a point in the air; the other one has a board and a ring (`physical_basket`). `Scoring.scored`
is the one place that says when the ball is in.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, ClassVar, Literal

import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level import physical_basket
from mjx_skillmimic.envs.high_level.task import Goal, Outcome, direction, length, on_ring, root_lin_vel
from mjx_skillmimic.imitation.options import check_choices, check_positive
from mjx_skillmimic.physics.base import EDGES, BodyState
from mjx_skillmimic.rotations import Array

_HANDS_OBJECT = EDGES.index("hands_object")


@dataclasses.dataclass(frozen=True)
class ScoringOptions:
    """Choices of the task; `reference` is as published, `default` as we would defend it."""

    # Skill label of each choice: lay-up, pick up, shot, dribble right, forward, left. reference: (31, 1, 2, 12, 13,
    # 11, 31), with the lay-up twice, and label 2, whose published clips are rebounds [11, 46]. default: each once, and
    # the shot's label 5.
    labels: tuple[int, ...] = (31, 1, 5, 12, 13, 11)
    # Both: "virtual", a point. "physical": board and ring in the scene, rim at `ring`; a ball must fall through.
    basket: Literal["virtual", "physical"] = "virtual"
    # Degrees by which the person starts at most off the straight line before the board; "physical" only.
    side: float = 60.0
    # Frame of the basket's bearing in the observation. reference: "world" [33]. default: "heading".
    bearing: Literal["heading", "world"] = "heading"
    # Distances in m of baskets, in any direction. Both: 2 to 8.
    nearest: float = 2.0
    farthest: float = 8.0
    # Height in m of the point that the ball should come near, of the ring through which it falls, and how near to its
    # middle. Both: 2.5, 2.0, 0.3.
    height: float = 2.5
    ring: float = 2.0
    reach: float = 0.3
    # Where a flying ball comes down. reference: "published", with the wrong sign of the vertical velocity and 9.8 m/s²
    # [34]: a rising ball counts where it was before. default: "ballistic".
    landing: Literal["ballistic", "published"] = "ballistic"
    # After the ball is in. reference: "stay", with 1 more a control step for the rest of the episode [35]. default: a
    # "new" basket, or where it is of matter the same, once more.
    on_reach: Literal["new", "stay"] = "new"
    # Reward for each basket. reference: 0. default: 600, what "stay" pays in ten seconds.
    bonus: float = 600.0
    # Reward for a throw that will come down in the middle of the ring, once a flight; `miss` m beside it an e-th of it.
    # reference: 0. default: 150: baskets by chance are too rare to learn from, and a ball that is dribbled about below
    # the basket earns more than most throws.
    aim: float = 150.0
    miss: float = 2.0
    # Below this speed of the root in m/s only a tenth of the reward is paid. Both: 0.5.
    slow: float = 0.5
    # Largest component of the force on the ball in N that counts as none. Both: 0.1.
    free_force: float = 0.1

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "nearest", "farthest", "height", "ring", "reach", "miss", "slow", "free_force")
        if not 0.0 <= self.side <= 180.0:
            raise ValueError(f"side = {self.side!r}; expected 0 to 180 degrees")
        if self.basket == "physical" and self.nearest < physical_basket.CLEAR:
            least = physical_basket.CLEAR
            raise ValueError(f"nearest = {self.nearest!r}; expected at least {least} m of a physical basket")

    @classmethod
    def reference(cls) -> ScoringOptions:
        labels = (31, 1, 2, 12, 13, 11, 31)
        return cls(labels=labels, bearing="world", landing="published", on_reach="stay", bonus=0.0, aim=0.0)

    @classmethod
    def default(cls) -> ScoringOptions:
        return cls()


class Scoring:
    """exp(−d/2) + exp(−|z − 2.5|)/5 a control step, d the ball's distance in m from the basket's point, z its height,
    and what a basket pays; a tenth of it all, but for the bonus and the aim, while the person stands."""

    name: ClassVar[str] = "Scoring"
    Options: ClassVar[type] = ScoringOptions
    parts = (("goal_pos", 2), ("goal_bearing", 2), ("goal_reached", 1))

    def __init__(self, options: ScoringOptions) -> None:
        self.options = options
        self.labels = tuple(options.labels)
        self.physical = options.basket == "physical"
        self.scene: dict[str, Any] = {}
        self.arrange: Any = None
        if self.physical:
            self.scene = {"basket": True, "basket_height": options.ring}
            self.arrange = functools.partial(physical_basket.arrange, side=math.radians(options.side))

    def draw(self, rng: Array, body: BodyState) -> Goal:
        """New baskets around the person."""
        root = body.root_pos[:, :2]
        position = on_ring(rng, root, self.options.nearest, self.options.farthest)
        never = jnp.zeros(len(root), bool)
        # with a point in the air, too: `thrown` is asked for with both baskets
        goal = physical_basket.BasketGoal(position, jnp.zeros(len(root), jnp.float32), never, body.object_pos, never)
        return physical_basket.draw(goal, body) if self.physical else goal

    def observe(self, body: BodyState, goal: Goal) -> Array:
        """(N, 5): where the basket is, and whether it has been reached."""
        seen = direction(body, goal.position, self.options.bearing)
        xp = rotations.namespace(seen)
        return xp.concatenate([seen, goal.reached[..., None].astype(seen.dtype)], axis=-1)

    def outcome(self, body: BodyState, goal: Any) -> Outcome:
        """Reward of the state after a control step."""
        chosen, z = self.options, body.object_pos[..., 2]
        xp = rotations.namespace(goal.position, body.object_pos)
        reached = self.scored(body, goal) & ~goal.reached
        stays = chosen.on_reach == "stay"
        after = dataclasses.replace(goal, reached=goal.reached | reached)
        if self.physical:  # the same basket counts again
            after = dataclasses.replace(goal, reached=goal.reached | (reached & stays), ball=body.object_pos)
        aimed, after = self._aimed(body, goal, after)
        height = xp.full_like(goal.position[..., :1], chosen.height)
        distance = length(body.object_pos - xp.concatenate([goal.position, height], axis=-1))
        paid = after.reached if stays else xp.zeros_like(reached)
        reward = xp.exp(-0.5 * distance) + paid + 0.2 * xp.exp(-xp.abs(z - chosen.height))
        reward = reward * xp.where(length(root_lin_vel(body)) < chosen.slow, 0.1, 1.0) + aimed + chosen.bonus * reached
        renew = xp.zeros_like(reached) if stays or self.physical else reached
        return Outcome(reward, after, reached, renew, {"distance_m": distance, "ball_height_m": z})

    def _aimed(self, body: BodyState, goal: Any, after: Any) -> tuple[Array, Any]:
        """What a throw is paid (N,) in the step in which it first flies free above the ring, and the goal after it."""
        chosen, z = self.options, body.object_pos[..., 2]
        xp = rotations.namespace(goal.position, z)
        if chosen.aim == 0.0:
            return xp.zeros_like(z), after
        hands = body.edges[..., _HANDS_OBJECT] > 0
        thrown = self._free(body) & (z > chosen.ring) & ~goal.thrown
        miss = length(landing(body.object_pos, body.object_lin_vel, chosen.ring) - goal.position)
        paid = chosen.aim * xp.where(thrown, xp.exp(-miss / chosen.miss), 0.0)
        return paid, dataclasses.replace(after, thrown=(goal.thrown | thrown) & ~hands)

    def _free(self, body: BodyState) -> Array:
        """(N,) bool: nothing touches the ball."""
        return rotations.namespace(body.object_force).all(abs(body.object_force) <= self.options.free_force, axis=-1)

    def scored(self, body: BodyState, goal: Any) -> Array:
        """(N,) bool: the ball flies free above the ring and will come down through it; it fell through the physical
        one in this very control step."""
        chosen = self.options
        if self.physical:
            return physical_basket.scored(body.object_pos, goal, chosen.ring)
        place = landing(body.object_pos, body.object_lin_vel, chosen.ring, chosen.landing)
        high = body.object_pos[..., 2] > chosen.ring
        return self._free(body) & high & (length(place - goal.position) < chosen.reach)


def landing(position: Array, velocity: Array, height: float, law: str = "ballistic") -> Array:
    """Where on the floor (N, 2) a free ball at position (N, 3) m with velocity (N, 3) m/s comes down to `height` m; to
    height 0 where it never rises so high. law: as `ScoringOptions.landing`.
    """
    gravity, sign = (9.81, 1.0) if law == "ballistic" else (9.8, -1.0)
    xp = rotations.namespace(position, velocity)
    z, rise = position[..., 2], velocity[..., 2]
    comes_so_high = rise**2 + 2.0 * gravity * (z - height) >= 0.0
    if law == "ballistic":
        comes_so_high = comes_so_high & ((z >= height) | (rise > 0.0))
    squared = rise**2 + 2.0 * gravity * (z - xp.where(comes_so_high, height, 0.0))
    time = (xp.sqrt(xp.maximum(squared, 0.0)) + sign * rise) / gravity
    return position[..., :2] + velocity[..., :2] * time[..., None]
