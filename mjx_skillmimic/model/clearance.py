"""How deep a sphere is inside the humanoid's geoms, and these in the floor: exact and vectorised. NumPy only."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene


def geom_poses(scene: Scene, qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, 53, 3) and quaternions (T, 53, 4) of the geoms named like the bodies, at qpos (T, nq)."""
    c = scene.unpack(qpos, np.zeros((*qpos.shape[:-1], scene.model.nv)))
    bodies = forward_kinematics(scene.skeleton, c.root_pos, c.root_quat, c.joint_quat)
    ids = [scene.model.geom(name).id for name in BODIES]
    pos = bodies.pos + rotations.rotate(bodies.quat, scene.model.geom_pos[ids])
    return pos, rotations.multiply(bodies.quat, np.broadcast_to(scene.model.geom_quat[ids], bodies.quat.shape))


def lowest_points(model: mujoco.MjModel, pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
    """Height (T, 53) m of the lowest point of each geom at world positions (T, 53, 3) and quaternions (T, 53, 4)."""
    # third row of each rotation: by how much a geom's own axes point upwards
    up = rotations.rotate_inverse(quat, np.broadcast_to([0.0, 0.0, 1.0], pos.shape))
    extent = np.empty(pos.shape[:-1])
    for i, name in enumerate(BODIES):
        geom = model.geom(name)
        kind, size = int(geom.type[0]), np.array(geom.size)
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            extent[:, i] = np.abs(up[:, i]) @ size
        else:
            half = size[1] if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
            extent[:, i] = size[0] + half * np.abs(up[:, i, 2])
    return pos[..., 2] - extent


def sphere_depths(
    scene: Scene, centre: np.ndarray, radius: float, pos: np.ndarray, quat: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth (T, 53) m, negative if apart, of a sphere at `centre` (T, 3) in every geom at `geom_poses`, and the world
    direction (T, 53, 3) in which the sphere leaves it fastest."""
    local = rotations.rotate_inverse(quat, centre[:, None, :] - pos)
    distance, normal = np.empty(local.shape[:2]), np.empty(local.shape)
    for i, name in enumerate(BODIES):
        geom = scene.model.geom(name)
        kind, size = int(geom.type[0]), np.array(geom.size)
        if kind == mujoco.mjtGeom.mjGEOM_BOX:
            distance[:, i], normal[:, i] = _from_box(local[:, i], size)
        else:
            half = size[1] if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
            distance[:, i], normal[:, i] = _from_capsule(local[:, i], size[0], half)
    return radius - distance, rotations.rotate(quat, normal)


def _from_capsule(point: np.ndarray, radius: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance and outward direction of points (T, 3) from a capsule along z; half = 0 is a sphere."""
    away = point.copy()
    away[:, 2] -= np.clip(point[:, 2], -half, half)
    length = np.linalg.norm(away, axis=-1)
    # on the axis any direction across it will do
    direction = np.where(length[:, None] > 1e-9, away / np.maximum(length, 1e-9)[:, None], [1.0, 0.0, 0.0])
    return length - radius, direction


def _from_box(point: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance and outward direction of points (T, 3) from a box with half sizes (3,)."""
    excess = np.abs(point) - half
    outside = np.maximum(excess, 0.0)
    length = np.linalg.norm(outside, axis=-1)
    face = np.eye(3)[np.argmax(excess, axis=-1)]
    is_out = length > 1e-9
    direction = np.where(is_out[:, None], outside / np.maximum(length, 1e-9)[:, None], face)
    return np.where(is_out, length, excess.max(axis=-1)), direction * np.where(point < 0.0, -1.0, 1.0)
