"""Between the coordinates of a scene and PhysX's: other quaternions, other orders, rotation vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.pd import wrap
from mjx_skillmimic.physics.physx.joints import joint_name

_WXYZ, _XYZW = [3, 0, 1, 2], [1, 2, 3, 0]


def dof_columns(scene: Scene, dof_names: Sequence[str]) -> np.ndarray:
    """Which of the scene's S servos each of PhysX's dofs is, (S,) int.

    PhysX numbers the dofs of a joint behind a colon, unless there is one.
    """
    servos = scene.servos
    first = np.searchsorted(servos.joint, servos.joint)
    place = {
        (joint_name(BODIES[1 + joint]), i - start): i
        for i, (joint, start) in enumerate(zip(servos.joint, first, strict=True))
    }
    split = [name.partition(":") for name in dof_names]
    return np.array([place[joint, int(component or 0)] for joint, _, component in split])


def to_raw(scene: Scene, qpos: np.ndarray, qvel: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    """The state of N worlds as `World` has it, six arrays (N, ·) float32, of qpos (N, nq) and qvel (N, nv).

    Spherical joints have the rotation vector as position and the relative angular velocity in the child's frame as
    velocity, like the published system's. Root and ball turn about their centres of mass, so velocities of origin and
    centre of mass are the same.
    """
    q, v = qpos.astype(np.float64), qvel.astype(np.float64)
    parts = [
        *_free_to_raw(q[:, :7], v[:, :6]),
        scene.servo_positions(q)[:, columns],
        v[:, 6:-6][:, columns],
        *_free_to_raw(q[:, -7:], v[:, -6:]),
    ]
    return [np.ascontiguousarray(part, np.float32) for part in parts]


def from_raw(scene: Scene, raw: list[np.ndarray], columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """qpos (N, nq) and qvel (N, nv) float32 of six arrays (N, ·) as `World` has them."""
    root_pose, root_vel, dof, rate, ball_pose, ball_vel = (x.astype(np.float64) for x in raw)
    order = np.argsort(columns)
    servo, joints = scene.servos, scene.joints
    position = dof[:, order]
    quats = rotations.exp(position[:, ~servo.is_hinge].reshape(len(dof), -1, 3)).reshape(len(dof), -1)
    joint_q = np.concatenate([quats, position[:, servo.is_hinge]], axis=-1)[:, joints.to_q]
    root_q, root_v = _free_from_raw(root_pose, root_vel)
    ball_q, ball_v = _free_from_raw(ball_pose, ball_vel)
    qpos = np.concatenate([root_q, joint_q, ball_q], axis=-1)
    return qpos.astype(np.float32), np.concatenate([root_v, rate[:, order], ball_v], axis=-1).astype(np.float32)


def component_target(scene: Scene, dof: np.ndarray, goal: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Targets (N, S) that give PhysX's drives the error of our other engines at positions dof (N, S) and goal (N, S).

    PhysX's error of a spherical joint is 2 v of the quaternion (w, v) from the present turn to the target, theirs the
    difference of the rotation vectors, wrapped by components. An error above 2 rad is beyond PhysX's and cut there.
    """
    ball = ~scene.servos.is_hinge[columns]
    position, aim = (x[:, ball].astype(np.float64) for x in (dof, goal))
    vector = 0.5 * wrap(aim - position).reshape(-1, 3)
    vector *= np.minimum(1.0, (1.0 - 1e-6) / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12))
    real = np.sqrt(1.0 - np.sum(vector * vector, axis=-1, keepdims=True))
    turn = rotations.multiply(rotations.exp(position.reshape(-1, 3)), np.concatenate([real, vector], axis=-1))
    found = goal.astype(np.float32)
    found[:, ball] = rotations.log(turn).reshape(len(goal), -1)
    return found


def _free_to_raw(q: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pose with xyzw, velocity with the angular part in the world frame, of a free joint's coordinates."""
    quat = q[:, 3:] / np.linalg.norm(q[:, 3:], axis=-1, keepdims=True)
    spin = rotations.rotate(quat, v[:, 3:])
    return np.concatenate([q[:, :3], quat[:, _XYZW]], axis=-1), np.concatenate([v[:, :3], spin], axis=-1)


def _free_from_raw(pose: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    quat = pose[:, 3:][:, _WXYZ]
    spin = rotations.rotate_inverse(quat, velocity[:, 3:])
    return np.concatenate([pose[:, :3], quat], axis=-1), np.concatenate([velocity[:, :3], spin], axis=-1)
