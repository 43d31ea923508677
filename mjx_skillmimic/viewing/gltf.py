"""A trajectory as an animated scene in one binary glTF 2.0 file (.glb), for Blender and any other glTF viewer.

    skillmimic (turns MuJoCo's z-up world into glTF's y-up one)
    ├── Pelvis ─ … one node a body, in the skeleton's tree, named as in the model, each with its mesh
    ├── ball, floor, sun (KHR_lights_punctual), camera
    └── reference ─ reference_Pelvis …, reference_ball: the translucent clip, where there is one

Below `skillmimic` all is in MuJoCo's coordinates (m, z up). Every frame is a key, and keys are interpolated linearly.
Bodies turn about joints, so only the root, the ball and the camera have keyed translations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing import gltf_meshes
from mjx_skillmimic.viewing.camera import FOV_Y, CameraPath, follow
from mjx_skillmimic.viewing.export_poses import Poses, continuous
from mjx_skillmimic.viewing.figures import PALETTE
from mjx_skillmimic.viewing.gltf_buffer import Document
from mjx_skillmimic.viewing.trajectory import Trajectory

ROOT, REFERENCE = "skillmimic", "reference"
_Z_UP_TO_Y_UP = [-(0.5**0.5), 0.0, 0.0, 0.5**0.5]  # xyzw: −90° about x
_SUN = 3.0 * 683.0  # lux; Blender takes 683 of them for 1 W/m²
_ASPECT = 16.0 / 9.0
_FLOOR = 20.0  # m, half width
_STILL = 1e-5  # m; a translation that moves less has no keys
_INSIDE = 0.002  # m that a ghost is thinner: where it agrees with the person it is inside and does not flicker
_WHITE = (1.0, 1.0, 1.0, 1.0)


def write_glb(t: Trajectory, p: Poses, path: str | Path, ghost: bool = True) -> Path:
    """Writes `t`, whose arrays are `p` (`export_poses.poses`); ghost: the reference too, where there is one.

    Raises ExportError without pygltflib (extra `export`).
    """
    doc = Document(np.arange(t.num_frames) / t.fps, t.title or "motion")
    skin = doc.material("body", PALETTE["body"])
    meshes = [gltf_meshes.body_mesh(t.shapes, body) for body in range(len(p.names))]
    bodies = [None if mesh is None else doc.primitive(mesh, skin) for mesh in meshes]
    leather = doc.material("ball", _WHITE, doc.texture(gltf_meshes.basketball(PALETTE["ball"]), "ball"), 0.8)
    ball = doc.primitive(gltf_meshes.sphere(t.object_radius, 48, 24), leather)
    top = [*_figure(doc, p, p.body_pos, p.body_quat, bodies), _ball(doc, p.ball_pos, p.ball_quat, ball)]
    top += _stage(doc, follow(t))
    if ghost and p.reference_body_pos is not None and p.reference_body_quat is not None:
        pale = doc.material("ghost", PALETTE["ghost"])
        bodies = [None if mesh is None else doc.primitive(mesh.shrunk(_INSIDE), pale) for mesh in meshes]
        pale_ball = doc.material("ghost_ball", PALETTE["ghost_ball"])
        ball = doc.primitive(gltf_meshes.sphere(t.object_radius).shrunk(_INSIDE), pale_ball)
        below = _figure(doc, p, p.reference_body_pos, p.reference_body_quat, bodies, f"{REFERENCE}_")
        below.append(_ball(doc, p.reference_ball_pos, p.reference_ball_quat, ball, f"{REFERENCE}_"))
        top.append(doc.node(REFERENCE, below))
    return doc.save(path, doc.node(ROOT, top, rotation=_Z_UP_TO_Y_UP))


def local_poses(parents: np.ndarray, pos: np.ndarray, quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, B, 3) m and rotations (T, B, 4) wxyz in each body's parent, from those in the world; float32."""
    pos, quat = pos.astype(np.float64), rotations.normalize(quat.astype(np.float64))
    inverse = rotations.conjugate(quat[:, parents])
    moved, turned = rotations.rotate(inverse, pos - pos[:, parents]), rotations.multiply(inverse, quat)
    root = (parents < 0)[:, None]
    return np.where(root, pos, moved).astype(np.float32), continuous(np.where(root, quat, turned))


def _figure(
    doc: Document, p: Poses, pos: np.ndarray, quat: np.ndarray, primitives: list[Any], prefix: str = ""
) -> list[int]:
    """The nodes of one person; answers the roots."""
    pos, quat = local_poses(p.parents, pos, quat)
    children: list[list[int]] = [[] for _ in p.names]
    roots: list[int] = []
    # children first, for a node names its children when it is made
    for body in reversed(range(len(p.names))):
        name, primitive = f"{prefix}{p.names[body]}", primitives[body]
        mesh = None if primitive is None else doc.mesh(name, primitive)
        node = _moving(doc, name, pos[:, body], quat[:, body], mesh, children[body][::-1])
        (children[p.parents[body]] if p.parents[body] >= 0 else roots).append(node)
    return roots


def _ball(doc: Document, pos: Any, quat: Any, primitive: Any, prefix: str = "") -> int:
    return _moving(doc, f"{prefix}ball", pos, quat, doc.mesh(f"{prefix}ball", primitive))


def _moving(
    doc: Document, name: str, pos: np.ndarray, quat: np.ndarray, mesh: int | None, children: list[int] | None = None
) -> int:
    """A node at its first pose, with keys for what moves: pos (T, 3), quat (T, 4) wxyz."""
    turned = rotations.xyzw_from_wxyz(quat)
    start = {"translation": pos[0].tolist(), "rotation": turned[0].tolist()}
    node = doc.node(name, children, mesh=mesh, **start)
    if np.ptp(pos, axis=0).max() > _STILL:
        doc.animate(node, "translation", pos)
    doc.animate(node, "rotation", turned)
    return node


def _stage(doc: Document, view: CameraPath) -> list[int]:
    """Floor, sun over the viewer's shoulder, and the camera that follows, as in the videos."""
    paint = doc.material("floor", _WHITE, doc.texture(gltf_meshes.tiles(), "floor", smooth=False), roughness=0.9)
    floor = doc.node("floor", mesh=doc.mesh("floor", doc.primitive(gltf_meshes.floor(_FLOOR), paint)))
    sun = doc.node("sun", rotation=_looking(view.light), extensions=doc.sun("sun", _SUN))
    eyes = np.stack([view.eye(frame) for frame in range(len(view.lookat))]).astype(np.float32)
    lens = doc.camera("camera", FOV_Y, _ASPECT)
    camera = doc.node("camera", camera=lens, translation=eyes[0].tolist(), rotation=_looking(view.forward))
    doc.animate(camera, "translation", eyes)
    return [floor, sun, camera]


def _looking(forward: np.ndarray) -> list[float]:
    """Rotation xyzw that takes −z to a direction (3,) that is not vertical, and keeps +y upwards."""
    import mujoco

    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(right, forward), -forward], axis=1).ravel())
    return rotations.xyzw_from_wxyz(quat).tolist()
