"""When a skill of SkillMimic-V2 counts as performed, whatever the reference (skillmimic_v2.md §10.2).

Every rule has two equal forms: over a recorded course (T, N), and step by step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from flax import struct

from mjx_skillmimic.evaluation.v2.folds import Fold, Memory, Share
from mjx_skillmimic.rotations import Array

AFTER_SWITCH = 150  # steps that a switch to running is allowed


@struct.dataclass
class Seen:
    """What the rules read, (..., 3) with any leading axes, world frame, m and m/s; None where a rule needs it not.

    wrist_pos (..., 2, 3): left and right. second_pos: the second object of tasks that have two.
    """

    root_pos: Array
    root_lin_vel: Array = None
    object_pos: Array = None
    object_lin_vel: Array = None
    wrist_pos: Array = None
    second_pos: Array = None


Condition = Callable[[Seen, Array], Array]


@dataclasses.dataclass(frozen=True)
class SkillMetric:
    """hit, keep: conditions (...) bool of what is seen and of the target (3,) m, the place of the ball's highest point
    in the skill's first clip. fold: what they must add up to. text: the rule in words."""

    name: str
    text: str
    hit: Condition
    fold: Fold
    keep: Condition | None = None

    def conditions(self, seen: Seen, target: Array, counts: Array | bool = True) -> tuple[Array, Array]:
        """hit and keep (...); where `counts` (...) is false, neither holds."""
        hit = self.hit(seen, target) & counts
        return hit, hit if self.keep is None else self.keep(seen, target) & counts

    def reached(self, seen: Seen, target: Array, counts: Array | bool = True) -> Array:
        """(T, N) bool after each step of courses whose arrays are (T, N, ...). counts: (T, N) bool, as `conditions`."""
        return self.fold.over(*self.conditions(seen, target, counts))

    def begin(self, worlds: int, xp: Any) -> Memory:
        """The stepwise form before the first step. xp: NumPy or `jax.numpy`."""
        return Memory(xp.zeros(worlds, bool), xp.zeros(worlds, xp.int32))

    def update(self, memory: Memory, seen: Seen, target: Array, step: Array, counts: Array | bool = True) -> Memory:
        """After step `step` () int, from 0, with arrays (N, ...); `reached` of the answer is the outcome so far."""
        return self.fold.update(memory, *self.conditions(seen, target, counts), step)


def adapted(metric: SkillMetric, switched: bool = False, published: bool = False) -> SkillMetric:
    """The metric for start states of another skill, and as the released code counts.

    switched: what asks for a share of the steps (running) is judged behind step 150. published: without a switch that
    share is of the steps before the present one, one too few.
    """
    if not isinstance(metric.fold, Share):
        return metric
    after, missing = (AFTER_SWITCH, 0) if switched else (-1, int(published))
    return dataclasses.replace(metric, fold=Share(metric.fold.more, after, missing))
