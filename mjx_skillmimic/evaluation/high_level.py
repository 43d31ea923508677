"""What a high-level task has achieved in recorded courses: success by definitions of ours, and what goes with it.

The published code has no success rule that could be used (skillmimic.md §10.2), and the paper's stand in an appendix
that is not at hand; docs/high_level.md gives the reasons for these.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.intervals import bootstrap_ratio, wilson
from mjx_skillmimic.motion.skill_names import skill_name

CONTROL_RATE = 60.0  # Hz
HEADING_DISTANCE, HEADING_HEIGHT = 0.5, 1.0  # m
CIRCLE_ERROR, CIRCLE_SPEED = 0.5, 0.5  # m, m/s
THROW_HEIGHT, THROWS, CATCH_STEPS = 2.2, 3, 6  # m, times, control steps


@dataclasses.dataclass(frozen=True)
class Courses:
    """N episodes over T control steps, NumPy. Step k (0-based) is the state after k + 1 control steps.

    valid (N, T) bool: the episode has not ended before this step. fell (N,) bool: it ended with a fall or a world that
    broke. label (N, T) int: the skill played, −1 where a policy
    moved the joints itself. root_pos, object_pos, object_lin_vel (N, T, 3): m and m/s, world frame.
    hands_object (N, T) bool: a hand touches the ball. goal (N, T, 2) m and radius (N, T) m: what was wanted in the
    step. reached (N, T) bool: by the task's own rule, in this step. reward (N, T).
    """

    valid: np.ndarray
    fell: np.ndarray
    label: np.ndarray
    root_pos: np.ndarray
    object_pos: np.ndarray
    object_lin_vel: np.ndarray
    hands_object: np.ndarray
    goal: np.ndarray
    radius: np.ndarray
    reached: np.ndarray
    reward: np.ndarray

    def __len__(self) -> int:
        return len(self.valid)

    def select(self, which: np.ndarray) -> Courses:
        """The episodes of a mask or index array (N,)."""
        return Courses(**{f.name: getattr(self, f.name)[which] for f in dataclasses.fields(self)})


def heading(courses: Courses) -> np.ndarray:
    """(N,) bool: at some time the ball is within 0.5 m of the point 1 m above its goal."""
    goal = np.concatenate([courses.goal, np.full((*courses.goal.shape[:2], 1), HEADING_HEIGHT)], axis=-1)
    near = np.linalg.norm(courses.object_pos - goal, axis=-1) < HEADING_DISTANCE
    return np.any(near & courses.valid, axis=1)


def circling(courses: Courses) -> np.ndarray:
    """(N,) bool: no fall, and over the last half of the time the ball is off the circle by less than 0.5 m and moves by
    more than 0.5 m/s, both on average."""
    last = slice(courses.valid.shape[1] // 2, None)
    from_centre = np.linalg.norm(courses.object_pos[..., :2] - courses.goal, axis=-1)
    error = np.mean(np.abs(from_centre - courses.radius)[:, last], axis=1)
    speed = np.mean(np.linalg.norm(courses.object_lin_vel, axis=-1)[:, last], axis=1)
    return courses.valid.all(axis=1) & ~courses.fell & (error < CIRCLE_ERROR) & (speed > CIRCLE_SPEED)


def catches(courses: Courses) -> np.ndarray:
    """(N,) int: how often the ball flew above 2.2 m and a hand then touched it for 0.1 s on end.

    It may bounce in between, as it does in a rebound.
    """
    up = np.zeros(len(courses), bool)
    touched, count = np.zeros(len(courses), int), np.zeros(len(courses), int)
    for k in range(courses.valid.shape[1]):
        valid, hands = courses.valid[:, k], courses.hands_object[:, k]
        up |= valid & ~hands & (courses.object_pos[:, k, 2] > THROW_HEIGHT)
        touched = np.where(up & valid & hands, touched + 1, 0)
        caught = touched >= CATCH_STEPS
        count += caught
        up, touched = up & ~caught, np.where(caught, 0, touched)
    return count


def throwing(courses: Courses) -> np.ndarray:
    """(N,) bool: at least three times the ball passes 2.2 m and is caught again (`catches`)."""
    return catches(courses) >= THROWS


def scoring(courses: Courses) -> np.ndarray:
    """(N,) bool: the ball is in a basket at least once, by the task's own rule."""
    return np.any(courses.reached & courses.valid, axis=1)


SUCCESS: dict[str, Callable[[Courses], np.ndarray]] = {
    "Heading": heading,
    "Circling": circling,
    "Throwing": throwing,
    "Scoring": scoring,
}


# The same in words, for pages.
DEFINITIONS: dict[str, str] = {
    "Heading": f"at some time before the end the ball is within {HEADING_DISTANCE:g} m of the point "
    f"{HEADING_HEIGHT:g} m above the goal",
    "Circling": f"no fall in the whole time, and over its last half the ball is off the circle by less than "
    f"{CIRCLE_ERROR:g} m and moves faster than {CIRCLE_SPEED:g} m/s, both on average",
    "Throwing": f"at least {THROWS} times the ball flies above {THROW_HEIGHT:g} m and a hand then touches it for "
    f"{CATCH_STEPS / CONTROL_RATE:g} s on end; it may bounce before",
    "Scoring": "the ball is in at least one basket: it flies free above the ring and will come down through it",
}


def success(task: str, courses: Courses) -> np.ndarray:
    """(N,) bool by the rule of a task. Raises KeyError that lists the tasks that have one."""
    if task not in SUCCESS:
        raise KeyError(f"no success rule for {task!r}, there are {', '.join(SUCCESS)}")
    return SUCCESS[task](courses)


def report(task: str, courses: Courses, seed: int = 0, steps_each: int = 3) -> dict[str, Any]:
    """JSON-able: numbers with 95 % intervals. steps_each: control steps of a choice.

    success, fell: shares of episodes; success only for a task that has a rule. reached_per_minute: goals or baskets in
    a minute played. reward: mean of a control step. return: sum over an episode of what choices were paid, as training
    counts it; of a policy that moves the joints itself what they would have been paid. seconds, catches: of an episode,
    means. labels: share of the time that each skill was played, empty where none was.
    """
    valid, ones = courses.valid, np.ones(len(courses))
    steps = valid.sum(axis=1)
    played = courses.label[valid]
    minutes = steps / (60.0 * CONTROL_RATE)
    paid = np.where(valid, courses.reward, 0.0).sum(axis=1)
    judged = {"success": _share(success(task, courses))} if task in SUCCESS else {}
    return {
        "task": task,
        "episodes": len(courses),
        **judged,
        "fell": _share(courses.fell),
        "reached_per_minute": _ratio((courses.reached & valid).sum(axis=1), minutes, seed),
        "reward": _ratio(paid, steps, seed),
        "return": _ratio(paid / steps_each, ones, seed),
        "seconds": _ratio(steps / CONTROL_RATE, ones, seed),
        "catches": _ratio(catches(courses), ones, seed),
        "labels": {
            skill_name(label): round(float(np.mean(played == label)), 4) for label in np.unique(played[played >= 0])
        },
    }


def distinct(courses: Courses) -> np.ndarray:
    """Index (M,) of one of each course among N.

    A policy without chance on a deterministic engine repeats itself exactly where start and goal are the same, and in
    Throwing there is no goal: repeats only make intervals look narrower than they are.
    """
    seen = (courses.valid, courses.label, courses.root_pos, courses.object_pos, courses.goal, courses.radius)
    first: dict[bytes, int] = {}
    for i in range(len(courses)):
        row = b"".join(np.ascontiguousarray(x[i]).tobytes() for x in seen)
        first.setdefault(hashlib.sha256(row).digest(), i)
    return np.array(list(first.values()), int)


def concatenate(parts: Sequence[Courses]) -> Courses:
    """The episodes of several recordings of equally many steps."""
    names = [field.name for field in dataclasses.fields(Courses)]
    return Courses(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _share(hits: np.ndarray) -> dict[str, float]:
    low, high = wilson(int(hits.sum()), len(hits))
    return _rounded(float(np.mean(hits)), low, high)


def _ratio(sums: np.ndarray, counts: np.ndarray, seed: int) -> dict[str, float]:
    return _rounded(float(np.sum(sums) / np.sum(counts)), *bootstrap_ratio(sums, counts, seed))


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {name: round(x, 6) for name, x in (("value", value), ("low", low), ("high", high))}
