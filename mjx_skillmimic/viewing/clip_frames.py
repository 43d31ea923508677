"""The clips' frames as coordinates of the scene: what the dataset player shows and the ghost follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.table import build_table


@dataclasses.dataclass(frozen=True)
class ClipFrames:
    """C clips of N frames in all, concatenated.

    qpos (N, nq); contact (N,) bool, the clips' hand–ball label; joint_error (N,) m, the mean distance of the 53 stored
    body positions from those that the stored joint angles give (skillmimic.md §3.4). first (C,) row of each clip,
    lengths (C,), skills (C,) int; names.
    """

    qpos: np.ndarray
    contact: np.ndarray
    joint_error: np.ndarray
    first: np.ndarray
    lengths: np.ndarray
    skills: np.ndarray
    names: tuple[str, ...]

    def row(self, clip: int, frame: int) -> int:
        """Row of a frame, held inside its clip."""
        return int(self.first[clip] + np.clip(frame, 0, self.lengths[clip] - 1))


def clip_frames(clips: Sequence[MotionClip], scene: Scene) -> ClipFrames:
    """The frames of clips for a scene. Raises ValueError for no clips, or clips of different frame rates."""
    table = jax.device_get(build_table(clips, scene.skeleton))
    c = table.state
    stored = forward_kinematics(scene.skeleton, c.root_pos, c.root_quat, c.joint_quat)
    return ClipFrames(
        qpos=np.asarray(scene.pack(*c)[0], np.float64),
        contact=np.asarray(table.reference.contact) > 0.5,
        joint_error=np.linalg.norm(stored.pos - table.body_pos, axis=-1).mean(axis=-1),
        first=np.asarray(table.starts),
        lengths=np.asarray(table.lengths),
        skills=np.asarray(table.skills),
        names=table.names,
    )
