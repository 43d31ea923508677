"""Smooth triangle meshes of a model's geoms, grouped into batches that a browser draws as instances."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import trimesh

from mjx_skillmimic import rotations

if TYPE_CHECKING:
    import mujoco

_SEGMENTS = 32  # around an axis
_RINGS = 12  # from the pole to the equator
_ROUNDING = 0.4  # of a box's shortest half side
_HALF_TURN_X = np.array([0.0, 1.0, 0.0, 0.0])
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


@dataclasses.dataclass(frozen=True)
class Batch:
    """N instances of one mesh, each fixed to a body.

    vertices (V, 3) m, faces (F, 3); for each instance geom (N,) and body (N,) ids, pos (N, 3) m and quat (N, 4) wxyz
    in the body's frame, scale (N, 3) along the mesh's own axes.
    """

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    geom: np.ndarray
    body: np.ndarray
    pos: np.ndarray
    quat: np.ndarray
    scale: np.ndarray

    def poses(self, body_pos: np.ndarray, body_quat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World positions (N, 3) m and quaternions (N, 4) for body poses (nbody, 3) and (nbody, 4), as float32."""
        parent = body_quat[self.body]
        pos = body_pos[self.body] + rotations.rotate(parent, self.pos)
        return pos.astype(np.float32), rotations.multiply(parent, self.quat).astype(np.float32)


def cap() -> tuple[np.ndarray, np.ndarray]:
    """The upper half of the unit sphere: vertices (V, 3), faces (F, 3).

    It goes one ring below the equator, into whatever it closes, so that normals at the rim are those of the sphere.
    """
    polar = np.linspace(0.0, np.pi / 2, _RINGS + 1)
    polar = np.append(polar[1:], polar[-1] + polar[1])
    around = np.arange(_SEGMENTS) * (2 * np.pi / _SEGMENTS)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    sides = [np.column_stack([np.sin(p) * ring, np.full(_SEGMENTS, np.cos(p))]) for p in polar]
    vertices = np.concatenate([[[0.0, 0.0, 1.0]], *sides])
    index = np.arange(_SEGMENTS)
    following = (index + 1) % _SEGMENTS
    faces = [np.column_stack([np.zeros_like(index), 1 + index, 1 + following])]
    for i in range(len(polar) - 1):
        faces.append(_strip(1 + i * _SEGMENTS, 1 + (i + 1) * _SEGMENTS))
    return vertices, np.concatenate(faces)


def tube() -> tuple[np.ndarray, np.ndarray]:
    """An open cylinder of radius 1 from z = −1 to 1: vertices (V, 3), faces (F, 3)."""
    around = np.arange(_SEGMENTS) * (2 * np.pi / _SEGMENTS)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    ends = [np.column_stack([ring, np.full(_SEGMENTS, z)]) for z in (1.0, -1.0)]
    return np.concatenate(ends), _strip(0, _SEGMENTS)


def _strip(upper: int, lower: int) -> np.ndarray:
    """Faces (2 S, 3) between two rings that begin at these vertices, seen from outside."""
    index = np.arange(_SEGMENTS)
    following = (index + 1) % _SEGMENTS
    first = np.column_stack([upper + index, lower + index, lower + following])
    return np.concatenate([first, np.column_stack([upper + index, lower + following, upper + following])])


def rounded_box(half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box of half sides (3,) m with rounded edges: vertices (V, 3), faces (F, 3); its extent is that of the box."""
    radius = _ROUNDING * float(np.min(half))
    sphere = trimesh.creation.icosphere(subdivisions=3)
    directions = np.asarray(sphere.vertices)
    corners = np.where(directions >= 0.0, 1.0, -1.0) * (np.asarray(half) - radius)
    vertices = corners + radius * directions
    # pulling the octants apart leaves the topmost ring a little low on the negative side
    return vertices * (np.asarray(half) / np.abs(vertices).max(axis=0)), np.asarray(sphere.faces)


def batches(model: mujoco.MjModel, geoms: Iterable[int]) -> list[Batch]:
    """The batches of these geoms (ids): capsules as tubes and caps, spheres, and one batch for each other shape.

    Raises ValueError for a geom that is neither sphere, capsule, box, ellipsoid, cylinder nor mesh.
    """
    import mujoco

    kind = mujoco.mjtGeom
    parts: dict[str, list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]] = {}
    meshes: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(name: str, geom: int, offset: np.ndarray, turn: np.ndarray, scale: np.ndarray) -> None:
        parts.setdefault(name, []).append((geom, offset, turn, scale))

    ones, origin = np.ones(3), np.zeros(3)
    for geom in geoms:
        shape, size = int(model.geom_type[geom]), np.array(model.geom_size[geom])
        if shape == kind.mjGEOM_SPHERE:
            add("sphere", geom, origin, _IDENTITY, ones * size[0])
        elif shape == kind.mjGEOM_ELLIPSOID:
            add("sphere", geom, origin, _IDENTITY, size)
        elif shape == kind.mjGEOM_CAPSULE:
            end = np.array([0.0, 0.0, size[1]])
            add("tube", geom, origin, _IDENTITY, np.array([size[0], size[0], size[1]]))
            add("cap", geom, end, _IDENTITY, ones * size[0])
            add("cap", geom, -end, _HALF_TURN_X, ones * size[0])
        else:
            name, mesh = _own_mesh(model, geom, shape, size)
            meshes[name] = mesh
            add(name, geom, origin, _IDENTITY, ones)
    return [_batch(model, name, meshes.get(name), found) for name, found in parts.items()]


def _own_mesh(
    model: mujoco.MjModel, geom: int, shape: int, size: np.ndarray
) -> tuple[str, tuple[np.ndarray, np.ndarray]]:
    """A name that equal shapes share, and the mesh in metres."""
    import mujoco

    kind = mujoco.mjtGeom
    if shape == kind.mjGEOM_BOX:
        return "box_" + "_".join(f"{1e4 * s:.0f}" for s in size), rounded_box(size)
    if shape == kind.mjGEOM_CYLINDER:
        solid = trimesh.creation.cylinder(radius=size[0], height=2 * size[1], sections=_SEGMENTS)
        # every triangle its own vertices: the rim stays sharp
        return f"cylinder_{geom}", (
            np.asarray(solid.triangles).reshape(-1, 3),
            np.arange(3 * len(solid.faces)).reshape(-1, 3),
        )
    if shape == kind.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        face, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
        vertices = np.array(model.mesh_vert[first : first + count])
        return f"mesh_{mesh}", (vertices, np.array(model.mesh_face[face : face + faces]))
    name = kind(shape).name
    raise ValueError(
        f"geom {model.geom(geom).name!r}: expected sphere, capsule, box, ellipsoid, cylinder or mesh, got {name}"
    )


def _batch(
    model: mujoco.MjModel,
    name: str,
    mesh: tuple[np.ndarray, np.ndarray] | None,
    found: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]],
) -> Batch:
    if mesh is None:
        sphere = trimesh.creation.icosphere(subdivisions=3)
        shared = {"cap": cap, "tube": tube, "sphere": lambda: (np.asarray(sphere.vertices), np.asarray(sphere.faces))}
        mesh = shared[name]()
    geom = np.array([part[0] for part in found])
    offset, turn, scale = (np.array([part[i] for part in found]) for i in (1, 2, 3))
    quat = np.array(model.geom_quat[geom])
    return Batch(
        name=name,
        vertices=mesh[0].astype(np.float32),
        faces=mesh[1].astype(np.uint32),
        geom=geom,
        body=np.array(model.geom_bodyid[geom]),
        pos=model.geom_pos[geom] + rotations.rotate(quat, offset),
        quat=rotations.multiply(quat, turn),
        scale=scale.astype(np.float32),
    )
