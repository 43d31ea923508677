"""Courses that begin on frames of clips, and those of a policy; and the choice of groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.parity.scenarios import MADE_UP, Courses, joined, one_group
from mjx_skillmimic.evaluation.policy_courses import policy_courses
from mjx_skillmimic.model.depenetrate import depenetrate
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.library import load_clips

REFERENCE, HOLDING, POLICY = "reference states", "ball in hand", "policy"
GROUPS = (*MADE_UP, HOLDING, REFERENCE, POLICY)
_STEPS = 60
# How many courses a group has at the usual size; the rest of them are fixed by what they are.
_COUNTS = {"free fall": 4, "tumbling": 4, "ball drop": 16, "ball slide": 8, "hand–ball": 16, "standing": 8,
           HOLDING: 16, REFERENCE: 48, POLICY: 24}  # fmt: skip


def courses(
    scene: Scene,
    groups: Sequence[str] = GROUPS,
    motion: str = "shipped",
    policy: str = "shipped-six",
    share: float = 1.0,
    seed: int = 0,
) -> Courses:
    """The courses of some groups.

    Args:
        motion: clips as `load_clips` takes them. policy: a policy as `evaluate.py` takes it.
        share: of the usual number of courses; at least two a group.

    Raises ValueError for an unknown group, FileNotFoundError for clips or a policy that are not there.
    """
    if unknown := [group for group in groups if group not in GROUPS]:
        raise ValueError(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    parts = []
    for group in (group for group in GROUPS if group in groups):
        count = max(2, round(share * _COUNTS.get(group, 0)))
        rng = np.random.default_rng([seed, GROUPS.index(group)])
        if group in MADE_UP:
            parts.append(MADE_UP[group](scene, count, rng))
        elif group == POLICY:
            parts.append(_policy(scene, policy, motion, count, seed))
        else:
            parts.append(clip_courses(scene, group, load_clips(motion), count, rng, holding=group == HOLDING))
    return joined(parts)


def clip_courses(
    scene: Scene, group: str, clips: Sequence[MotionClip], count: int, rng: np.random.Generator, holding: bool
) -> Courses:
    """Frames of the clips, followed by the poses of the next 60 frames as PD targets.

    holding: only frames that are labelled as contact of hand and ball, and begin 20 frames before the clip's end. The
    ball is moved out of the hands as an environment's start states do (`depenetrate`). Positions of root and ball get
    2 mm and joints 0.005 rad of noise: where soles and fingers touch exactly, rounding would decide whether they do.
    """
    parts, frames = [], []
    for clip in clips:
        found = derive(clip, dtype=np.float64)
        chosen = np.arange(1, max(2, clip.num_frames - 20))
        if holding:
            chosen = chosen[np.asarray(clip.contact)[chosen] > 0.5]
        parts.append(found)
        frames += [(len(parts) - 1, int(frame)) for frame in chosen]
    if not frames:
        raise ValueError(f"the clips have no frame for the group {group!r}")
    rows = [frames[i] for i in np.sort(rng.choice(len(frames), count, replace=count > len(frames)))]

    def at(name: str) -> np.ndarray:
        return np.stack([getattr(parts[clip], name)[frame] for clip, frame in rows])

    noise = lambda shape, size: size * rng.normal(size=shape)  # noqa: E731
    root, joints, ball = at("root_pos"), at("joint_quat"), at("object_pos")
    qpos, qvel = scene.pack(
        root + noise(root.shape, 0.002),
        at("root_quat"),
        rotations.multiply(joints, rotations.exp(noise((*joints.shape[:-1], 3), 0.005))),
        at("root_lin_vel"),
        at("root_ang_vel"),
        np.clip(at("joint_vel"), -20.0, 20.0),
        ball + noise(ball.shape, 0.002),
        at("object_quat"),
        at("object_lin_vel"),
        at("object_ang_vel"),
    )
    qpos = depenetrate(scene, qpos).qpos
    targets = []
    for clip, frame in rows:
        following = np.minimum(frame + 1 + np.arange(_STEPS), len(parts[clip].dof_pos) - 1)
        # the short way round, whatever branch the clip's rotation vector is on
        targets.append(rotations.log(parts[clip].joint_quat[following]).reshape(_STEPS, -1))
    names = [f"{clips[clip].name} {frame}" for clip, frame in rows]
    return one_group(scene, group, names, scene.unpack(qpos, qvel), np.stack(targets), _STEPS)


def _policy(scene: Scene, policy: str, motion: str, count: int, seed: int) -> Courses:
    """What a policy with its exploration noise did in MuJoCo C, as open-loop targets."""
    found = policy_courses(policy, motion, scene, count, _STEPS, seed)
    names = [f"{i:02d}" for i in range(count)]
    start = scene.unpack(found.qpos, found.qvel)
    return one_group(scene, POLICY, names, start, np.swapaxes(found.targets, 0, 1), _STEPS)
