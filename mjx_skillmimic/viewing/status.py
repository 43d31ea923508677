"""What a viewer shows beside the picture."""

from __future__ import annotations

import dataclasses

import numpy as np


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
    `rewards` is empty, the last three of these (but for playback) are None.
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
