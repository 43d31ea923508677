"""What light hands lose on clips: the axes that fingers turn about, and how far fingertips end from the clip's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.imitation.reward import RewardWeights, body_factors
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.hands import FINGERS, MIRROR, hinge_axis
from mjx_skillmimic.model.humanoid import BODIES, FINGERTIPS, KEY_BODIES, indices
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import derive

_MM = 1000.0
_SEGMENTS = tuple(f"{finger}{i}" for finger in FINGERS for i in (1, 2, 3))


def finger_axes(clips: Sequence[MotionClip]) -> dict[str, dict[str, Any]]:
    """How each finger segment turns, both hands together, right ones mirrored, in the left joint's frame.

    Of the rotation vectors (frames, 3): rms_rad, the root mean square angle; axis, the leading eigenvector of the
    second moment, bending towards the palm; share, its part of the second moment; hinge_share, the part of the hinge's
    axis (0 for segment 3, which has none).
    """
    dof_pos = np.concatenate([clip.dof_pos.astype(np.float64) for clip in clips]).reshape(-1, len(BODIES) - 1, 3)
    vectors = rotations.log(rotations.exp(dof_pos))
    found = {}
    for segment in _SEGMENTS:
        left, right = (vectors[:, BODIES.index(f"{side}_{segment}") - 1] for side in "LR")
        both = np.concatenate([left, right * MIRROR])
        moment = both.T @ both / len(both)
        values, axes = np.linalg.eigh(moment)
        total = max(float(np.trace(moment)), 1e-12)
        hinge = hinge_axis(f"L_{segment}") if segment[-1] != "3" else np.zeros(3)
        axis = axes[:, -1] * (-1.0 if axes[2, -1] > 0.0 else 1.0)
        found[segment] = {
            "rms_rad": round(float(np.sqrt(total)), 3),
            "axis": [round(float(x), 2) for x in axis],
            "share": round(float(values[-1]) / total, 3),
            "hinge_share": round(float(hinge @ moment @ hinge) / total, 3),
        }
    return found


def projected(scene: Scene, clip: MotionClip) -> tuple[np.ndarray, np.ndarray]:
    """What is left of a clip's joints in a scene: quaternions (T, 52, 4) and velocities (T, 52, 3), float64."""
    frames = derive(clip, dtype=np.float64)
    still = np.zeros((clip.num_frames, 3))
    qpos, qvel = scene.pack(
        frames.root_pos,
        frames.root_quat,
        frames.joint_quat,
        still,
        still,
        frames.joint_vel,
        frames.object_pos,
        frames.object_quat,
        still,
        still,
    )
    c = scene.unpack(qpos, qvel)
    return c.joint_quat, c.joint_vel


def displacement(scene: Scene, clips: Sequence[MotionClip]) -> dict[str, Any]:
    """How far a scene's hands are from the clips' in every frame, the rest of the body being where it was.

    key_body_mm: of the ten key bodies of the fingers (origins of segment 3); tip_mm: of the ends of segment 3; each
    mean, 95th percentile and maximum over frames and fingers, and the mean of every finger. p, r: mean over frames of
    the reward's factors for positions and rotations of a perfect imitation, `default` preset.
    """
    key_body, tip, factors = [], [], []
    ends = np.array([_tip(scene, name) for name in FINGERTIPS])
    fingers, keys = list(indices(FINGERTIPS)), list(indices(KEY_BODIES))
    for clip in clips:
        frames = derive(clip, scene.skeleton, "fk", dtype=np.float64)
        kept, _ = projected(scene, clip)
        wanted, found = (
            forward_kinematics(scene.skeleton, frames.root_pos, frames.root_quat, joints)
            for joints in (frames.joint_quat, kept)
        )
        apart = found.pos[:, fingers] - wanted.pos[:, fingers]
        turned = [rotations.rotate(x.quat[:, fingers], ends) for x in (found, wanted)]
        key_body.append(np.linalg.norm(apart, axis=-1))
        tip.append(np.linalg.norm(apart + turned[0] - turned[1], axis=-1))
        reference = frames.features()
        dof_pos = rotations.log(kept).reshape(len(kept), -1)
        imitation = dataclasses.replace(reference, dof_pos=dof_pos, key_body_pos=found.pos[:, keys])
        judged = body_factors(imitation, reference, reference.dof_vel, RewardWeights(), RewardOptions.default())
        factors.append(np.stack([np.asarray(judged[name]) for name in ("p", "r")], axis=-1))
    p, r = np.concatenate(factors).mean(axis=0)
    return {
        "clips": len(clips),
        "frames": sum(clip.num_frames for clip in clips),
        "key_body_mm": _summary(np.concatenate(key_body)),
        "tip_mm": _summary(np.concatenate(tip)),
        "p": round(float(p), 4),
        "r": round(float(r), 4),
    }


def hand_report(scene: Scene, collections: Mapping[str, Sequence[MotionClip]]) -> dict[str, Any]:
    """`finger_axes` and `displacement` of each collection, and displacement of each skill in it."""
    result = {}
    for name, clips in collections.items():
        skills = sorted({clip.skill for clip in clips})
        result[name] = {
            "axes": finger_axes(clips),
            "total": displacement(scene, clips),
            "skills": {str(s): displacement(scene, [clip for clip in clips if clip.skill == s]) for s in skills},
        }
    return result


def _tip(scene: Scene, name: str) -> np.ndarray:
    """The far end (3,) m of a finger's last capsule in its body's frame."""
    geom = scene.model.geom(name)
    half = rotations.rotate(np.array(geom.quat), np.array([0.0, 0.0, geom.size[1]]))
    ends = np.array([geom.pos - half, geom.pos + half])
    return ends[np.linalg.norm(ends, axis=-1).argmax()]


def _summary(distance: np.ndarray) -> dict[str, Any]:
    """mean, p95, max in mm of (frames, 10) m, and the mean of every finger, left and right together."""
    by_finger = {f: distance[:, [i for i, n in enumerate(FINGERTIPS) if f in n]].mean() for f in FINGERS}
    numbers = {"mean": distance.mean(), "p95": np.percentile(distance, 95), "max": distance.max(), **by_finger}
    return {name: round(_MM * float(value), 2) for name, value in numbers.items()}
