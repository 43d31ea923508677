"""The humanoid's 52 joints as rotations, and as the coordinates and servos that a compiled model has for them.

A model's joint is a ball, a hinge about an axis of its own, or missing (a body rigidly on its parent). Everything above
the physics speaks of 52 quaternions and 156 rotation-vector components whatever the model has. Functions take NumPy or
JAX arrays and answer in kind.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model.humanoid import BODIES, NUM_DOFS, NUM_JOINTS
from mjx_skillmimic.rotations import Array


class Servos(NamedTuple):
    """The S actuated dofs of a model, in the order of its actuators, which is that of its dofs.

    joint (S,) int: which of the 52 joints, `BODIES[1 + joint]`. axis (S, 3): unit axis in the joint's (the child's)
    frame; a ball joint has three rows, x, y and z. The dof's PD target is axis · target[3 joint : 3 joint + 3].
    kp (S,) N·m/rad and kd (S,) N·m·s/rad: published gains, before folding. dof (S,) int: its place in qvel.
    is_hinge (S,) bool: the position is an angle, qpos[qpos_address], and its error is not wrapped; else it is a
    component of the rotation vector of the quaternion at qpos[qpos_address : qpos_address + 4], and its error is
    wrapped into [−π, π]. qpos_address (S,) int.
    """

    joint: np.ndarray
    axis: np.ndarray
    kp: np.ndarray
    kd: np.ndarray
    dof: np.ndarray
    is_hinge: np.ndarray
    qpos_address: np.ndarray


def servos_from_model(model: mujoco.MjModel, kp: np.ndarray, kd: np.ndarray) -> Servos:
    """The servos of a compiled scene; kp, kd (S,) in the order of its actuators.

    Raises ValueError if an actuator does not turn a joint of the humanoid about an axis of its own.
    """
    rows: dict[str, list] = {name: [] for name in ("joint", "axis", "dof", "is_hinge", "qpos_address")}
    for i in range(model.nu):
        joint = model.joint(int(model.actuator_trnid[i, 0]))
        gear = model.actuator_gear[i, :3]
        is_hinge = int(joint.type[0]) == mujoco.mjtJoint.mjJNT_HINGE
        if joint.name not in BODIES or not np.isclose(gear.sum(), 1.0) or gear.max() != 1.0:
            raise ValueError(f"actuator {model.actuator(i).name!r}: expected gear 1 on one axis of a humanoid's joint")
        rows["joint"].append(BODIES.index(joint.name) - 1)
        rows["axis"].append(np.array(joint.axis) if is_hinge else gear.copy())
        rows["dof"].append(int(joint.dofadr[0]) + int(gear.argmax()))
        rows["is_hinge"].append(is_hinge)
        rows["qpos_address"].append(int(joint.qposadr[0]))
    if np.any(np.diff(rows["dof"]) != 1):
        raise ValueError(f"the actuators turn dofs {rows['dof']}; expected one for each, in order")
    arrays = {name: np.array(values) for name, values in rows.items()}
    return Servos(kp=np.asarray(kp, float), kd=np.asarray(kd, float), **arrays)


@dataclasses.dataclass(frozen=True, eq=False)
class JointMap:
    """Between 52 rotations and a model's joint coordinates.

    ball (B,) and hinge (H,) int: which joints are what; axis (H, 3), unit. to_q, to_v: where in [all balls, all hinges]
    each of the model's joint coordinates comes from; servo_joint, servo_axis: as in `Servos`.
    """

    ball: np.ndarray
    hinge: np.ndarray
    axis: np.ndarray
    to_q: np.ndarray
    to_v: np.ndarray
    servo_joint: np.ndarray
    servo_axis: np.ndarray

    @classmethod
    def of(cls, servos: Servos) -> JointMap:
        """The map of a model with these servos."""
        hinge_rows = np.flatnonzero(servos.is_hinge)
        ball = np.unique(servos.joint[~servos.is_hinge])
        hinge = servos.joint[hinge_rows]
        q_address = {int(j): int(a) for j, a in zip(servos.joint, servos.qpos_address, strict=True)}
        v_address = {int(j): int(d) for j, d in reversed(list(zip(servos.joint, servos.dof, strict=True)))}
        return cls(
            ball=ball,
            hinge=hinge,
            axis=servos.axis[hinge_rows],
            to_q=np.argsort([q_address[j] + k for j in ball for k in range(4)] + [q_address[j] for j in hinge]),
            to_v=np.argsort([v_address[j] + k for j in ball for k in range(3)] + [v_address[j] for j in hinge]),
            servo_joint=servos.joint,
            servo_axis=servos.axis,
        )

    @property
    def all_balls(self) -> bool:
        return len(self.ball) == NUM_JOINTS

    @property
    def num_positions(self) -> int:
        return len(self.to_q)

    @property
    def num_velocities(self) -> int:
        return len(self.to_v)

    def pack(self, joint_quat: Array, joint_vel: Array) -> tuple[Array, Array]:
        """Joint coordinates (..., 4 B + H), (..., 3 B + H) of quaternions (..., 52, 4) and velocities (..., 52, 3).

        A hinge gets its joint's twist about its axis, and the rate of that twist; what else the joint does is lost.
        """
        xp = rotations.namespace(joint_quat, joint_vel)
        lead = joint_quat.shape[:-2]
        if self.all_balls:
            return joint_quat.reshape(*lead, -1), joint_vel.reshape(*lead, -1)
        angle, rate = twist(joint_quat[..., self.hinge, :], joint_vel[..., self.hinge, :], self.axis)
        q = [joint_quat[..., self.ball, :].reshape(*lead, -1), angle]
        v = [joint_vel[..., self.ball, :].reshape(*lead, -1), rate]
        return xp.concatenate(q, axis=-1)[..., self.to_q], xp.concatenate(v, axis=-1)[..., self.to_v]

    def unpack(self, positions: Array, velocities: Array) -> tuple[Array, Array]:
        """Quaternions (..., 52, 4) and velocities (..., 52, 3) of joint coordinates; a missing joint rests at one."""
        xp = rotations.namespace(positions, velocities)
        lead = positions.shape[:-1]
        if self.all_balls:
            return positions.reshape(*lead, NUM_JOINTS, 4), velocities.reshape(*lead, NUM_JOINTS, 3)
        axis = self.axis.astype(positions.dtype)
        q, v = positions[..., np.argsort(self.to_q)], velocities[..., np.argsort(self.to_v)]
        count, missing = len(self.ball), np.setdiff1d(np.arange(NUM_JOINTS), np.concatenate([self.ball, self.hinge]))
        rest = xp.zeros((*lead, len(missing), 3), positions.dtype)
        quats = [
            q[..., : 4 * count].reshape(*lead, count, 4),
            rotations.exp(q[..., 4 * count :, None] * axis),
            rotations.exp(rest),
        ]
        turning = [v[..., : 3 * count].reshape(*lead, count, 3), v[..., 3 * count :, None] * axis, rest]
        order = np.argsort(np.concatenate([self.ball, self.hinge, missing]))
        return xp.concatenate(quats, axis=-2)[..., order, :], xp.concatenate(turning, axis=-2)[..., order, :]

    def servo_positions(self, positions: Array) -> Array:
        """Positions (..., S) rad that the servos see: rotation-vector components and hinge angles."""
        xp = rotations.namespace(positions)
        lead, count = positions.shape[:-1], len(self.ball)
        if self.all_balls:
            return rotations.log(positions.reshape(*lead, NUM_JOINTS, 4)).reshape(*lead, -1)
        q = positions[..., np.argsort(self.to_q)]
        vectors = rotations.log(q[..., : 4 * count].reshape(*lead, count, 4)).reshape(*lead, -1)
        return xp.concatenate([vectors, q[..., 4 * count :]], axis=-1)[..., self.to_v]

    def servo_targets(self, target: Array) -> Array:
        """The servos' PD targets (..., S) rad of 52 rotation vectors (..., 156): the component along each axis."""
        if self.all_balls:
            return target
        vectors = target.reshape(*target.shape[:-1], NUM_DOFS // 3, 3)[..., self.servo_joint, :]
        along = vectors * self.servo_axis.astype(target.dtype)
        return along[..., 0] + along[..., 1] + along[..., 2]


def twist(quat: Array, velocity: Array, axis: np.ndarray) -> tuple[Array, Array]:
    """Angle (...) rad in (−π, π] of a rotation (..., 4) about a unit axis (..., 3) in the child's frame, and its rate.

    quat = swing ⊗ twist, the swing's axis at right angles to `axis`. velocity: (..., 3) rad/s in the child's frame. The
    rate is the angle's exact time derivative; at a swing of half a turn, where the angle jumps, it is 0.
    """
    xp = rotations.namespace(quat, velocity)
    axis = axis.astype(quat.dtype)
    quat = xp.where(quat[..., :1] < 0.0, -quat, quat)
    real, vector = quat[..., 0], quat[..., 1:]
    dot = lambda a, b: xp.sum(a * b, axis=-1)  # noqa: E731
    along = dot(vector, axis)
    squared = real * real + along * along
    slope = real * real * dot(velocity, axis) + real * dot(rotations.cross(vector, velocity), axis)
    slope = slope + along * dot(vector, velocity)
    usable = squared > 1e-6
    return 2.0 * xp.arctan2(along, real), xp.where(usable, slope / xp.where(usable, squared, 1.0), 0.0)
