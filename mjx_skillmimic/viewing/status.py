"""What a viewer shows beside the picture."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class TaskStatus:
    """A high-level task after a step.

    name: of the task. auto: its policy chooses, not a person. chances: skill label → probability of the last choice.
    goal: (3,) m, the point wanted, world; None for a task without a place. reach: m around it. radius: m of the circle
    on the floor around it, 0 without one. reached: how often since the reset.
    """

    name: str
    auto: bool
    chances: dict[int, float]
    goal: np.ndarray | None
    reach: float
    radius: float
    reached: int


@dataclasses.dataclass(frozen=True)
class Status:
    """The world after a step; a new one every time, never changed.

    step: control steps since the last reset; time: s. clip: index into `Session.clips`; frame: of that clip, held at
    its last one. skill: the label that the policy is told. fallen: the root was below 0.3 m since the reset. Heights
    in m, world; ball_distance: m from the root to the ball as seen from above. rewards: each factor and "total", with
    those of somebody's own task. contacts: (position (3,) m, |force| N) of whatever touches anything. reference_qpos
    (nq of the environment's scene,) for the ghost. hands_touch_ball: in playback the clip's label. reference_contact:
    the clip's label. joint_error_m: mean distance of root and key bodies from the reference; in playback that of the
    stored body positions from the stored joint angles.

    Behind the clip's end, in a start state, and once another skill than the clip's was told, there is no reference:
    `rewards` is empty, the last three of these (but for playback) are None. In a high-level task, `task`, there is
    never a reference, and the "total" of `rewards` is the task's.
    """

    step: int
    time: float
    clip: int
    frame: int
    skill: int
    policy: str
    fallen: bool
    root_height: float
    ball_height: float
    ball_distance: float
    rewards: dict[str, float]
    contacts: list[tuple[np.ndarray, float]]
    reference_qpos: np.ndarray | None
    hands_touch_ball: bool
    reference_contact: bool | None
    joint_error_m: float | None
    task: TaskStatus | None = None


def heights(qpos: np.ndarray, ball: np.ndarray) -> dict[str, float]:
    """The fields of `Status` that say where root and ball are; ball (3,) m."""
    away = float(np.linalg.norm(ball[:2] - qpos[:2]))
    return {"root_height": float(qpos[2]), "ball_height": float(ball[2]), "ball_distance": away}
