"""Everything that a clip's columns imply: quaternions, velocities, key bodies (skillmimic.md §3.3)."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Skeleton, forward_kinematics
from mjx_skillmimic.model.humanoid import KEY_BODIES, NUM_JOINTS, indices
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.motion.missing import Missing, bridged, held

KeyBodies = Literal["stored", "fk"]
ObjectRotation = Literal["negated", "stored"]


@dataclasses.dataclass(frozen=True, eq=False)
class MotionFrames:
    """One clip's quantities, a row a frame; NumPy, metres, radians, seconds, world frame z up, quaternions wxyz.

    Every velocity is a backward difference, v[t] = (x[t] − x[t−1])·fps with v[0] = 0.
    root_pos, root_rotvec (T, 3); root_quat (T, 4), sign-continuous; root_lin_vel (T, 3) world; root_ang_vel (T, 3) in
    the **root's own frame**; dof_pos (T, 156); dof_vel (T, 156) differences of the rotation vectors, not wrapped, as
    published; joint_quat (T, 52, 4) child in parent; joint_vel (T, 52, 3) the relative angular velocity in the child's
    frame, from quaternion differences, which is what a ball joint's velocity is; object_pos (T, 3); object_quat (T, 4);
    object_lin_vel (T, 3); object_rot_rate (T, 3) differences of the signed rotation vectors, as published;
    object_ang_vel (T, 3) world; key_body_pos (T, 17, 3); body_pos (T, 53, 3) stored; contact (T,); valid (T,) bool, the
    frames that are not missing.
    """

    root_pos: np.ndarray
    root_rotvec: np.ndarray
    root_quat: np.ndarray
    root_lin_vel: np.ndarray
    root_ang_vel: np.ndarray
    dof_pos: np.ndarray
    dof_vel: np.ndarray
    joint_quat: np.ndarray
    joint_vel: np.ndarray
    object_pos: np.ndarray
    object_quat: np.ndarray
    object_lin_vel: np.ndarray
    object_rot_rate: np.ndarray
    object_ang_vel: np.ndarray
    key_body_pos: np.ndarray
    body_pos: np.ndarray
    contact: np.ndarray
    valid: np.ndarray

    def features(self) -> Features:
        """The reference rows of §3.4: (T, …) arrays; `.to_row()` gives the published (T, 380) matrix."""
        return Features(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Features)})


def backward_difference(track: np.ndarray, fps: float) -> np.ndarray:
    """(x[t] − x[t−1])·fps along the first axis, with a zero first row."""
    velocity = np.zeros_like(track)
    velocity[1:] = (track[1:] - track[:-1]) * fps
    return velocity


def body_angular_velocity(quat: np.ndarray, fps: float) -> np.ndarray:
    """log(q[t−1]⁻¹ q[t])·fps of (T, ..., 4), zero first row: constant turning between frames, in the body's frame."""
    velocity = np.zeros_like(quat[..., 1:])
    velocity[1:] = rotations.log(rotations.multiply(rotations.conjugate(quat[:-1]), quat[1:])) * fps
    return velocity


def published_angular_velocity(quat: np.ndarray, fps: float) -> np.ndarray:
    """The same with the published logarithm, which answers 0 below 2e-5 rad a frame (§3.3). quat (T, 4)."""
    velocity = np.zeros_like(quat[..., 1:])
    step = rotations.multiply(rotations.conjugate(quat[:-1]), quat[1:])
    velocity[1:] = rotations.reference_log(step) * fps
    return velocity


def derive(
    clip: MotionClip,
    skeleton: Skeleton | None = None,
    key_bodies: KeyBodies = "stored",
    *,
    object_rotation: ObjectRotation = "negated",
    init_vel: bool = False,
    missing: Missing = "bridged",
    dtype: np.dtype | type = np.float32,
) -> MotionFrames:
    """All quantities of one clip. Computed in float64 and rounded once, to `dtype`.

    Args:
        skeleton: needed for key_bodies="fk".
        key_bodies: "stored" takes the clip's own body positions (published); "fk" the forward kinematics of its joints,
            from which the stored ones differ by 26–40 mm in the published clips (§3.4).
        object_rotation: "negated" reads the object's orientation as exp(−object_rotvec) (published, §12.9); "stored" as
            exp(+object_rotvec).
        init_vel: copies the object's velocity of frame 1 into frame 0 (published option).
        missing: what stands for missing frames, which `valid` names either way: "bridged" poses between those of the
            neighbours; "published" zeros (the rotations identities), with the last velocity before the gap on it and on
            the frame behind it (skillmimic_v2.md §1.7).

    Raises:
        ValueError: an unknown option, or "fk" without a skeleton.
    """
    chosen = (("key_bodies", key_bodies, KeyBodies), ("object_rotation", object_rotation, ObjectRotation))
    for name, value, choices in (*chosen, ("missing", missing, Missing)):
        if value not in get_args(choices):
            raise ValueError(f"{name} is one of {get_args(choices)}; got {value!r}")
    x = {name: array.astype(np.float64) for name, array in clip.arrays().items()}
    valid = clip.valid
    if missing == "bridged":
        x = bridged(x, valid)
    frames = clip.num_frames
    root_quat = rotations.continuous_signs(rotations.reference_exp(x["root_rotvec"]))
    joint_quat = rotations.exp(x["dof_pos"].reshape(frames, NUM_JOINTS, 3))
    object_rotvec = -x["object_rotvec"] if object_rotation == "negated" else x["object_rotvec"]
    object_quat = rotations.continuous_signs(rotations.reference_exp(object_rotvec))
    settle = (lambda velocity: held(velocity, valid)) if missing == "published" else (lambda velocity: velocity)
    object_lin_vel = settle(backward_difference(x["object_pos"], clip.fps))
    if init_vel:
        object_lin_vel[0] = object_lin_vel[1]
    derived = {
        "root_quat": root_quat,
        "root_lin_vel": settle(backward_difference(x["root_pos"], clip.fps)),
        "root_ang_vel": settle(published_angular_velocity(root_quat, clip.fps)),
        "dof_vel": settle(backward_difference(x["dof_pos"], clip.fps)),
        "joint_quat": joint_quat,
        "joint_vel": settle(body_angular_velocity(joint_quat, clip.fps)),
        "object_quat": object_quat,
        "object_lin_vel": object_lin_vel,
        "object_rot_rate": settle(backward_difference(object_rotvec, clip.fps)),
        "object_ang_vel": settle(rotations.rotate(object_quat, body_angular_velocity(object_quat, clip.fps))),
        "key_body_pos": _key_body_pos(x, root_quat, joint_quat, skeleton, key_bodies),
    }
    fields = {f.name for f in dataclasses.fields(MotionFrames)}
    return MotionFrames(valid=valid, **{k: v.astype(dtype) for k, v in (x | derived).items() if k in fields})


def _key_body_pos(
    x: dict[str, np.ndarray],
    root_quat: np.ndarray,
    joint_quat: np.ndarray,
    skeleton: Skeleton | None,
    key_bodies: KeyBodies,
) -> np.ndarray:
    """(T, 17, 3) m."""
    if key_bodies == "stored":
        return x["body_pos"][:, list(indices(KEY_BODIES))]
    if skeleton is None:
        raise ValueError('key_bodies="fk" needs the skeleton (mjx_skillmimic.model.assets.humanoid_skeleton())')
    pos = forward_kinematics(skeleton, x["root_pos"], root_quat, joint_quat).pos
    return pos[:, [skeleton.index(name) for name in KEY_BODIES]]
