"""What all worlds of a task after clips share: made once, on the host, before any world begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import struct

from mjx_skillmimic.envs import starts
from mjx_skillmimic.envs.options import EnvironmentOptions
from mjx_skillmimic.imitation import actions
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.start_frames import check_start


@struct.dataclass
class Tables:
    """What all worlds share: the reference of every frame, and the state to start from on it; where they are used,
    `sampling.Bins` of start frames, `transitions.Pairs` between skills, `placement.Approach` and
    `seams.Seams`, else None. own: what a task's own law of episodes needs beside these.
    """

    motions: table.MotionTable
    starts: starts.Starts
    bins: Any = None
    pairs: Any = None
    approach: Any = None
    seams: Any = None
    own: Any = None


def build_tables(clips: Sequence[MotionClip], scene: Scene, chosen: EnvironmentOptions) -> Tables:
    """Motion table and start states of the clips.

    Raises ValueError for a frame rate that is not the control rate, or a fixed start frame that a clip misses.
    """
    rate = 1.0 / scene.control_dt
    if slow := [clip for clip in clips if abs(clip.fps - rate) > 1e-3 * rate]:
        raise ValueError(
            f"clip {slow[0].name} has {slow[0].fps:g} fps, but the environment acts at {rate:g} Hz "
            "(1 / (scene.timestep × scene.substeps)): resample the clip or change these"
        )
    motions = table.build_table(
        clips,
        scene.skeleton,
        key_bodies=chosen.motion.key_bodies,
        pick_weight=chosen.motion.pick_weight,
        missing=chosen.motion.missing,
    )
    if chosen.start.frame is not None:
        check_start(motions, chosen.start.frame)
    # A start must not kick the ball whether the policy begins with the zero action or near the clips' pose.
    initial = actions.initial_action(np.asarray(motions.reference.dof_pos), chosen.action)
    targets = actions.pd_targets(np.stack([np.zeros_like(initial), initial]), chosen.action)
    return Tables(motions, starts.build_starts(scene, motions, chosen.start, targets))
