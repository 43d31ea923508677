"""Success without a reference: what a skill must have done in a stretch of free play (docs/evaluation.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.free_play import FreePlay
from mjx_skillmimic.evaluation.success import (
    CATCH,
    DRIBBLE,
    DRIBBLE_RIGHT,
    HELD_REACH,
    PICK_UP,
    PICK_UP_HEIGHT,
    TARGET_RADIUS,
    UPRIGHT,
    SuccessRule,
    rule_for,
)

HELD_STEPS = 30  # half a second
DRIBBLE_STEPS = 90  # 1.5 s
DRIBBLE_SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class FreeRule:
    """`reached(play, apex)` (N,) bool: whether a stretch of free play did what the skill is for. apex: m, height of the
    reference ball's highest point; rules that need none ignore it."""

    name: str
    text: str
    reached: Callable[[FreePlay, float], np.ndarray]


def held(play: FreePlay, steps: int = HELD_STEPS) -> np.ndarray:
    """(N,) bool: the ball is above 1.0 m with a hand touching it, for `steps` valid steps in a row."""
    up = (play.object_pos[..., 2] > PICK_UP_HEIGHT) & play.hands_object & play.valid
    return longest_run(up) >= steps


def longest_run(hits: np.ndarray) -> np.ndarray:
    """(N,) int: the most steps in a row that are true, of (N, T)."""
    run, best = np.zeros(len(hits), int), np.zeros(len(hits), int)
    for column in hits.T:
        run = np.where(column, run + 1, 0)
        best = np.maximum(best, run)
    return best


def _picked_up(play: FreePlay, apex: float) -> np.ndarray:
    return ((play.object_pos[..., 2] > PICK_UP_HEIGHT) & play.hands_object & play.valid).any(axis=1)


def _dribbled(rule: SuccessRule) -> Callable[[FreePlay, float], np.ndarray]:
    def reached(play: FreePlay, apex: float) -> np.ndarray:
        first = np.full(len(play), play.valid.shape[1] - DRIBBLE_STEPS)
        if first[0] < 0:
            raise ValueError(f"the dribble rule needs {DRIBBLE_STEPS} steps, got {play.valid.shape[1]}")
        end = play.window(first, DRIBBLE_STEPS)
        hits: Any = rule.hit(end) & end.valid
        return (hits.mean(axis=1) >= DRIBBLE_SHARE) & ~play.fell

    return reached


def _thrown(play: FreePlay, apex: float) -> np.ndarray:
    near = np.linalg.norm(play.object_pos[..., None, :] - play.wrist_pos, axis=-1).min(axis=-1) <= HELD_REACH
    had = np.logical_or.accumulate(near & play.valid, axis=1)
    released = np.logical_or.accumulate(had & ~near & play.valid, axis=1)
    high = play.object_pos[..., 2] >= apex - TARGET_RADIUS
    return (released & high & (play.root_pos[..., 2] > UPRIGHT) & play.valid).any(axis=1)


def _caught(play: FreePlay, apex: float) -> np.ndarray:
    return CATCH.values(play).astype(bool)


_DRIBBLE_TEXT = (
    f"no fall, and in the last {DRIBBLE_STEPS} steps at least {DRIBBLE_SHARE:.0%} with root > 0.5 m and (ball within "
    "0.3 m of the {} or its vertical speed > 2 m/s)"
)
FREE_RULES: dict[str, FreeRule] = {
    PICK_UP.name: FreeRule(
        "free pick up", "ball centre higher than 1.0 m with a hand touching it, at any step", _picked_up
    ),
    DRIBBLE_RIGHT.name: FreeRule(
        "free dribble (right hand)", _DRIBBLE_TEXT.format("right wrist"), _dribbled(DRIBBLE_RIGHT)
    ),
    DRIBBLE.name: FreeRule("free dribble", _DRIBBLE_TEXT.format("nearer wrist"), _dribbled(DRIBBLE)),
    "shot": FreeRule(
        "free throw",
        "the ball, having been within 0.35 m of a wrist, is farther than that from both, and then or later not lower "
        "than 0.5 m below the highest point of the skill's clips, root > 0.5 m",
        _thrown,
    ),
    CATCH.name: FreeRule("free catch", CATCH.text, _caught),
}


def free_rule_for(skill: int) -> FreeRule | None:
    """The rule of a skill label, None if success cannot be judged without a reference."""
    return FREE_RULES.get(rule_for(skill).name)
