"""The clips' frames as coordinates of the scene: what the dataset player shows and the ghost follows.

A start state of a policy's own making counts as a clip of one frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.table import build_table
from mjx_skillmimic.pretrained.starts import Starts


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

    def checked(self, clip: int, frame: int | None, default: int) -> int:
        """The frame, for None the default or the clip's last one if that is before it. Raises ValueError for a clip or
        a frame that is not there."""
        if not 0 <= clip < len(self.names):
            raise ValueError(f"clip {clip}: there are {len(self.names)}, from 0")
        last = int(self.lengths[clip]) - 1
        frame = min(default, last) if frame is None else frame
        if not 0 <= frame <= last:
            raise ValueError(f"frame {frame} of {self.names[clip]}: expected 0 to {last}")
        return frame

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


def with_starts(frames: ClipFrames, starts: Starts | None) -> ClipFrames:
    """The frames with start states before them, each a clip of one frame without a label. Raises ValueError for states
    of another scene."""
    if starts is None:
        return frames
    count = len(starts)
    if starts.qpos.shape[1] != frames.qpos.shape[1]:
        raise ValueError(
            f"start states have {starts.qpos.shape[1]} coordinates, the scene has {frames.qpos.shape[1]}: "
            "they were recorded in another scene"
        )
    return ClipFrames(
        qpos=np.concatenate([starts.qpos.astype(np.float64), frames.qpos]),
        contact=np.concatenate([np.zeros(count, bool), frames.contact]),
        joint_error=np.concatenate([np.zeros(count), frames.joint_error]),
        first=np.concatenate([np.arange(count), frames.first + count]),
        lengths=np.concatenate([np.ones(count, int), frames.lengths]),
        skills=np.concatenate([starts.skill, frames.skills]),
        names=(*(f"start: {name}" for name in starts.name), *frames.names),
    )
