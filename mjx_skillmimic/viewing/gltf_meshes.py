"""Triangles of the primitives, with normals and texture coordinates, and the two textures: basketball and floor."""

from __future__ import annotations

import dataclasses
import io

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.figures import PALETTE
from mjx_skillmimic.viewing.shapes import KINDS, Shapes

_ROUND, _RINGS = 24, 12  # faces around and along a sphere; rings are even, so that one lies on the equator
_SEAM = 0.035  # half width of a basketball's lines, in radii
_LOOP = 0.62  # distance of its two side loops from the centre, in radii


@dataclasses.dataclass(frozen=True)
class Mesh:
    """V vertices (V, 3) m float32, unit normals (V, 3), texture coordinates (V, 2), and (F, 3) uint32 faces that turn
    anticlockwise seen from outside."""

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray

    def shrunk(self, by: float) -> Mesh:
        """Every surface `by` m further in."""
        return dataclasses.replace(self, vertices=self.vertices - np.float32(by) * self.normals)


def sphere(radius: float, around: int = _ROUND, rings: int = _RINGS) -> Mesh:
    """About the origin; texture u runs around z from +x, v from +z to −z."""
    return capsule(radius, 0.0, around, rings)


def capsule(radius: float, half: float, around: int = _ROUND, rings: int = _RINGS) -> Mesh:
    """Along z, `half` (m) from its centre to the centres of its caps; 0 is a sphere."""
    cap = np.linspace(0.0, np.pi / 2.0, rings // 2 + 1)
    # the equator twice, with the cylinder between; a sphere needs it once
    lower = np.pi - (cap[::-1] if half > 0.0 else cap[-2::-1])
    polar = np.concatenate([cap, lower])
    shift = np.where(np.arange(len(polar)) < len(cap), half, -half)
    turn = np.linspace(0.0, 2.0 * np.pi, around + 1)
    p, a = np.meshgrid(polar, turn, indexing="ij")
    normals = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], axis=-1)
    vertices = radius * normals
    vertices[..., 2] += shift[:, None]
    uv = np.stack([a / (2.0 * np.pi), p / np.pi], axis=-1)
    row, column = np.meshgrid(np.arange(len(polar) - 1), np.arange(around), indexing="ij")
    corner = (row * (around + 1) + column).ravel()
    below = corner + around + 1
    first = np.stack([corner, below, below + 1], axis=1)[row.ravel() < len(polar) - 2]
    second = np.stack([corner, below + 1, corner + 1], axis=1)[row.ravel() > 0]
    faces = np.concatenate([first, second])
    return _mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), uv.reshape(-1, 2), faces)


def box(half: np.ndarray) -> Mesh:
    """About the origin, with half sides (3,) m; each side has corners of its own, for it is flat."""
    vertices, normals = [], []
    for axis in range(3):
        for sign in (1.0, -1.0):
            normal, u = sign * np.eye(3)[axis], np.eye(3)[(axis + 1) % 3]
            v = np.cross(normal, u)
            vertices.append(np.array([normal - u - v, normal + u - v, normal + u + v, normal - u + v]) * half)
            normals.append(np.tile(normal, (4, 1)))
    uv = np.tile([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], (6, 1))
    faces = (np.array([[0, 1, 2], [0, 2, 3]]) + 4 * np.arange(6)[:, None, None]).reshape(-1, 3)
    return _mesh(np.concatenate(vertices), np.concatenate(normals), uv, faces)


def body_mesh(shapes: Shapes, body: int) -> Mesh | None:
    """All primitives of one body in its own frame; None for a body without any."""
    parts = []
    for s in np.flatnonzero(shapes.body == body):
        kind, size = KINDS[shapes.kind[s]], shapes.size[s].astype(np.float64)
        mesh = box(size) if kind == "box" else capsule(size[0], size[1] if kind == "capsule" else 0.0)
        pos, quat = shapes.pos[s].astype(np.float64), shapes.quat[s].astype(np.float64)
        vertices = pos + rotations.rotate(quat, mesh.vertices.astype(np.float64))
        normals = rotations.rotate(quat, mesh.normals.astype(np.float64))
        parts.append(_mesh(vertices, normals, mesh.uv, mesh.faces))
    if not parts:
        return None
    before = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, before, strict=True)])
    vertices, normals, uv = (
        np.concatenate([getattr(part, n) for part in parts]) for n in ("vertices", "normals", "uv")
    )
    return _mesh(vertices, normals, uv, faces)


def floor(half: float) -> Mesh:
    """A horizontal square at z = 0, 2·`half` m wide; one texture to each 2 m, so that its tiles are 1 m."""
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * half
    vertices, normals = np.column_stack([corners, np.zeros(4)]), np.tile([0.0, 0.0, 1.0], (4, 1))
    return _mesh(vertices, normals, corners / 2.0, np.array([[0, 1, 2], [0, 2, 3]]))


def basketball(colour: tuple[float, ...], width: int = 512) -> bytes:
    """PNG (width/2 × width) of a ball of an sRGB `colour` with dark lines, for the texture coordinates of `sphere`."""
    turn = (np.arange(width) + 0.5) / width * 2.0 * np.pi
    polar = (np.arange(width // 2) + 0.5) / (width // 2) * np.pi
    p, a = np.meshgrid(polar, turn, indexing="ij")
    x, y, z = np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)
    distance = np.minimum.reduce([np.abs(x), np.abs(z), np.abs(np.abs(y) - _LOOP)])
    ink = np.clip((_SEAM - distance) / 0.012 + 0.5, 0.0, 1.0)[..., None]
    return _png((1.0 - ink) * np.array(colour[:3]) + ink * np.array([0.13, 0.10, 0.09]))


def tiles() -> bytes:
    """PNG (2 × 2) of the floor's two greys, to be repeated."""
    light, line = (np.array(PALETTE[name][:3]) for name in ("floor", "floor_line"))
    dark = 0.55 * light + 0.45 * line
    return _png(np.array([[light, dark], [dark, light]]))


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((picture * 255.0 + 0.5).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _mesh(vertices: np.ndarray, normals: np.ndarray, uv: np.ndarray, faces: np.ndarray) -> Mesh:
    vertices, normals, uv = (x.astype(np.float32) for x in (vertices, normals, uv))
    return Mesh(vertices, normals, uv, faces.astype(np.uint32))
