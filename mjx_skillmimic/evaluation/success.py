"""Did the skill succeed: a rule per skill label, the published ones as skillmimic.md §9.5 has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mjx_skillmimic.evaluation.episodes import Episodes

if TYPE_CHECKING:
    from mjx_skillmimic.evaluation.free_play import FreePlay

PICK_UP_HEIGHT = 1.0  # m
UPRIGHT = 0.5  # m, root height of somebody who has not fallen
TARGET_RADIUS = 0.5  # m
DRIBBLE_REACH = 0.3  # m, wrist to ball centre
DRIBBLE_SPEED = 2.0  # m/s, vertical
HELD_REACH = 0.35  # m: palm and ball radius are about 0.2, bent wrists up to 0.3
HELD_STEPS = 10  # of the catch


@dataclasses.dataclass(frozen=True)
class SuccessRule:
    """`hit(episodes)` (N, T) bool says at which steps the skill's goal holds. reduce "any": an episode succeeds if it
    holds once. "fraction": its value is the number of such steps ÷ steps possible, so that a fall costs the rest.
    Pick up, both dribbles and catch read nothing of the reference and judge `FreePlay` as well."""

    name: str
    text: str
    hit: Callable[[Any], np.ndarray]
    reduce: Literal["any", "fraction"] = "any"

    def values(self, episodes: Episodes | FreePlay) -> np.ndarray:
        """(N,) in [0, 1]; only valid steps count."""
        hits = self.hit(episodes) & episodes.valid
        if self.reduce == "any":
            return hits.any(axis=1).astype(np.float64)
        return hits.sum(axis=1) / np.maximum(episodes.possible, 1)


def _upright(e: Episodes) -> np.ndarray:
    return e.root_pos[..., 2] > UPRIGHT


def _wrist_distance(e: Episodes) -> np.ndarray:
    """(N, T, 2) m from the ball's centre to the left and the right wrist."""
    return np.linalg.norm(e.object_pos[..., None, :] - e.wrist_pos, axis=-1)


def _near(e: Episodes, target: np.ndarray) -> np.ndarray:
    return np.linalg.norm(e.object_pos - target[:, None], axis=-1) < TARGET_RADIUS


def _pick_up(e: Episodes) -> np.ndarray:
    return e.object_pos[..., 2] > PICK_UP_HEIGHT


def _bouncing(e: Episodes) -> np.ndarray:
    return np.abs(e.object_lin_vel[..., 2]) > DRIBBLE_SPEED


def _dribble_right(e: Episodes) -> np.ndarray:
    return _upright(e) & ((_wrist_distance(e)[..., 1] < DRIBBLE_REACH) | _bouncing(e))


def _dribble(e: Episodes) -> np.ndarray:
    return _upright(e) & ((_wrist_distance(e).min(axis=-1) < DRIBBLE_REACH) | _bouncing(e))


def _peak(e: Episodes) -> np.ndarray:
    return _upright(e) & _near(e, e.peak_target)


def _away_before(e: Episodes) -> np.ndarray:
    """(N, T) the ball has been out of reach at this or an earlier valid step."""
    away = (_wrist_distance(e).min(axis=-1) > HELD_REACH) & e.valid
    return np.maximum.accumulate(away, axis=1)


def _delivered(e: Episodes) -> np.ndarray:
    return _upright(e) & _away_before(e) & _near(e, e.final_target)


def _caught(e: Episodes) -> np.ndarray:
    reach = _wrist_distance(e).min(axis=-1) < HELD_REACH
    held = reach & (e.object_pos[..., 2] > UPRIGHT) & _upright(e) & _away_before(e)
    run, touched = np.zeros(held.shape, int), np.zeros(held.shape, bool)
    for k in range(held.shape[1]):
        before, felt = (run[:, k - 1], touched[:, k - 1]) if k else (0, False)
        run[:, k] = np.where(held[:, k], before + 1, 0)
        touched[:, k] = held[:, k] & (e.hands_object[:, k] | felt)
    return (run >= HELD_STEPS) & touched


def _finished(e: Episodes) -> np.ndarray:
    last = np.arange(e.valid.shape[1]) == e.possible[:, None] - 1
    return last & _upright(e) & (e.object_error < 1000.0 * TARGET_RADIUS)


PICK_UP = SuccessRule("pick up", "ball centre higher than 1.0 m at any step", _pick_up)
DRIBBLE_RIGHT = SuccessRule(
    "dribble (right hand)",
    "share of steps with root > 0.5 m and (ball within 0.3 m of the right wrist or its vertical speed > 2 m/s)",
    _dribble_right,
    "fraction",
)
DRIBBLE = SuccessRule(
    "dribble", "share of steps as for the right hand, but with the nearer of the two wrists", _dribble, "fraction"
)
SHOT = SuccessRule("shot", "ball within 0.5 m of the reference ball's highest point, root > 0.5 m, any step", _peak)
CATCH = SuccessRule(
    "catch",
    "after the ball was farther than 0.35 m from both wrists, it stays for 10 steps in a row within that of one and "
    "above 0.5 m, root > 0.5 m, with a hand touching it at least once",
    _caught,
)
PASS = SuccessRule(
    "pass",
    "after the ball was farther than 0.35 m from both wrists, it comes within 0.5 m of the reference ball's last "
    "position, root > 0.5 m",
    _delivered,
)
FINISHED = SuccessRule(
    "finished", "at the clip's last frame root > 0.5 m and ball within 0.5 m of the reference ball", _finished
)

# Labels of the published clips (skillmimic.md §3.2); from 50 on, those of our own that have no counterpart there.
RULES: dict[int, SuccessRule] = {
    1: PICK_UP,
    2: CATCH,
    3: CATCH,
    4: PASS,
    **dict.fromkeys((5, 6, 7, 23, 31, 34), SHOT),
    **dict.fromkeys((11, 12, 13), DRIBBLE_RIGHT),
    **dict.fromkeys((40, 41, 42, 43, 44, 45), DRIBBLE),
    50: CATCH,
    51: DRIBBLE,
}


def rule_for(skill: int) -> SuccessRule:
    """The rule of a skill label; labels without one are asked to finish their clip."""
    return RULES.get(int(skill), FINISHED)


def register(skill: int, rule: SuccessRule) -> None:
    """Sets the rule of a label, for skills that are not in the table."""
    RULES[int(skill)] = rule
