"""A ray caster in NumPy, so that a video exists on a machine without any OpenGL.

Each primitive is intersected exactly with the rays of the pixels it can cover; rays are (x, y, 1) in camera axes, so
that the ray parameter is the depth. Lengths in m, colours float32 in [0, 1].
"""

from __future__ import annotations

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.camera import FOV_Y, CameraPath
from mjx_skillmimic.viewing.figures import PALETTE, Figures
from mjx_skillmimic.viewing.shapes import KINDS

_SHADOW, _AMBIENT, _NEAR = 0.80, 0.52, 0.05
_MIN_SHADOW_RADIUS = 0.02  # fingers cast none: it would be a pixel
_MAX_SHADOW_RADIUS = 0.6  # boards cast none: theirs is not that of the sphere around them
_MISS = np.float32(np.inf)


class Rasteriser:
    """Renders frames of one size. Not for threads: buffers are reused."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.focal = 0.5 * height / np.tan(np.radians(FOV_Y) / 2)
        self._x = ((np.arange(width) + 0.5 - width / 2) / self.focal).astype(np.float32)
        self._y = ((height / 2 - np.arange(height) - 0.5) / self.focal).astype(np.float32)

    def render(self, figures: Figures, camera: CameraPath, frame: int) -> np.ndarray:
        """(height, width, 3) uint8."""
        axes, eye, light = camera.axes, camera.eye(frame), camera.light
        colour, depth, floor = self._floor(axes, eye)
        solid = figures.rgba[:, 3] >= 1.0
        self._shadows(colour, floor, figures, np.flatnonzero(solid), axes, eye, light)
        self._draw(colour, depth, figures, np.flatnonzero(solid), axes, eye, light)
        ghost = np.flatnonzero(~solid)
        if len(ghost):
            # nearest ghost surface first, one blend after: limbs that overlap do not darken each other
            over, over_depth = np.zeros_like(colour), np.full_like(depth, _MISS)
            self._draw(over, over_depth, figures, ghost, axes, eye, light)
            visible = (over_depth < depth)[..., None] * np.float32(figures.rgba[ghost, 3].mean() + 0.1)
            colour += visible * (over - colour)
        return (np.clip(colour, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)

    def _floor(self, axes: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture, depth, and the floor point (height, width, 2) that each pixel sees (nan above the horizon)."""
        right, up, forward = axes.astype(np.float32)
        slope = self._x[None] * right[2] + self._y[:, None] * up[2] + forward[2]
        depth = np.where(slope < -1e-3, -np.float32(eye[2]) / np.minimum(slope, -1e-3), _MISS).astype(np.float32)
        point = np.empty((self.height, self.width, 2), np.float32)
        with np.errstate(invalid="ignore"):
            for i in range(2):
                ray = self._x[None] * right[i] + self._y[:, None] * up[i] + forward[i]
                point[..., i] = np.float32(eye[i]) + depth * ray
            seen = np.isfinite(depth)
            cell = np.floor(np.where(seen[..., None], point, 0.0))
            dark = (cell[..., 0] + cell[..., 1]) % 2 * seen
        fade = np.exp(-np.where(seen, depth, 1e3) / 14.0).astype(np.float32)[..., None]
        sky, base, line = (np.array(PALETTE[name][:3], np.float32) for name in ("sky", "floor", "floor_line"))
        tile = base + (0.45 * dark[..., None]).astype(np.float32) * (line - base)
        return sky + fade * (tile - sky), depth, point

    def _window(self, centre: np.ndarray, radius: float) -> tuple[slice, slice] | None:
        """Pixels that spheres of `radius` around camera-space points (n, 3) may cover, or None if none."""
        near = centre[:, 2] - radius
        if near.min() < _NEAR:
            return None
        half = radius / near
        x, y = centre[:, 0] / centre[:, 2], centre[:, 1] / centre[:, 2]
        # half a tangent more for points off the axis, where a sphere projects to an ellipse
        half = half * (1.0 + np.maximum(np.abs(x), np.abs(y)))
        left = int(self.focal * (x - half).min() + self.width / 2)
        right = int(self.focal * (x + half).max() + self.width / 2) + 2
        top = int(self.height / 2 - self.focal * (y + half).max())
        bottom = int(self.height / 2 - self.focal * (y - half).min()) + 2
        rows = slice(max(top, 0), min(bottom, self.height))
        columns = slice(max(left, 0), min(right, self.width))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def _draw(
        self,
        colour: np.ndarray,
        depth: np.ndarray,
        figures: Figures,
        which: np.ndarray,
        axes: np.ndarray,
        eye: np.ndarray,
        light: np.ndarray,
    ) -> None:
        light = (axes @ -light).astype(np.float32)
        centres = ((figures.pos - eye) @ axes.T).astype(np.float32)
        # rows of `frames[p]` are the primitive's own axes in camera coordinates
        frames = np.stack(
            [rotations.rotate(figures.quat, e) @ axes.T for e in np.eye(3, dtype=np.float32)], axis=1
        ).astype(np.float32)
        for p in which:
            kind, size, centre, frame = KINDS[figures.kind[p]], figures.size[p], centres[p], frames[p]
            if kind == "box":
                window = self._window(centre[None], float(np.linalg.norm(size)))
            else:
                arm = frame[2] * (size[1] if kind == "capsule" else 0.0)
                window = self._window(np.stack([centre - arm, centre + arm]), float(size[0]))
            if window is None:
                continue
            x, y = np.meshgrid(self._x[window[1]], self._y[window[0]])
            if kind == "box":
                t, normal = _hit_box(x, y, centre, frame, size)
            else:
                t, normal = _hit_capsule(x, y, centre - arm, centre + arm, float(size[0]))
            nearer = (t < depth[window]) & (t > _NEAR)
            shade = _AMBIENT + (1.0 - _AMBIENT) * np.maximum(normal[nearer] @ light, 0.0)
            depth[window][nearer] = t[nearer]
            colour[window][nearer] = shade[:, None] * figures.rgba[p, :3]

    def _shadows(
        self,
        colour: np.ndarray,
        floor: np.ndarray,
        figures: Figures,
        which: np.ndarray,
        axes: np.ndarray,
        eye: np.ndarray,
        light: np.ndarray,
    ) -> None:
        """Darkens the floor under each primitive, taken as a capsule and projected along the light."""
        shaded = np.zeros(colour.shape[:2], bool)
        arms = rotations.rotate(figures.quat, np.array([0.0, 0.0, 1.0], np.float32)) * figures.size[:, 1:2]
        for p in which:
            radius = float(figures.size[p].max() if KINDS[figures.kind[p]] == "box" else figures.size[p, 0])
            if radius < _MIN_SHADOW_RADIUS or radius > _MAX_SHADOW_RADIUS:
                continue
            arm = arms[p] if KINDS[figures.kind[p]] == "capsule" else np.zeros(3)
            ends = np.stack([figures.pos[p] - arm, figures.pos[p] + arm])
            ends = ends - ends[:, 2:] / light[2] * light
            window = self._window((ends - eye) @ axes.T, 1.1 * radius)
            if window is None:
                continue
            a, b = (ends[:, :2]).astype(np.float32)
            offset, along = floor[window] - a, b - a
            length = float(along @ along)
            s = (
                np.clip((offset @ along) / length, 0.0, 1.0)
                if length > 1e-8
                else np.zeros(offset.shape[:2], np.float32)
            )
            gap = offset - s[..., None] * along
            with np.errstate(invalid="ignore"):
                shaded[window] |= np.einsum("...i,...i", gap, gap) < radius * radius
        colour[shaded] *= _SHADOW


def _hit_capsule(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """First hit t and unit normal of rays t·(x, y, 1) with the capsule from a to b; t = inf for a miss."""
    ray = np.stack([x, y, np.ones_like(x)], axis=-1)
    norm2, axis = np.einsum("...i,...i", ray, ray), b - a
    length2 = float(axis @ axis)
    t = np.full(x.shape, _MISS)
    if length2 > 1e-10:
        slant, height = ray @ axis, ray @ a
        start = -float(axis @ a)  # the axis coordinate of the eye
        qa = length2 * norm2 - slant * slant
        qb = -length2 * height - start * slant
        qc = length2 * (float(a @ a) - radius * radius) - start * start
        h = qb * qb - qa * qc
        side = (-qb - np.sqrt(np.maximum(h, 0.0))) / np.maximum(qa, 1e-12)
        along = start + side * slant
        t = np.where((h > 0) & (along > 0) & (along < length2), side, _MISS)
    for end in (a, b) if length2 > 1e-10 else (a,):
        qb = ray @ end
        h = qb * qb - norm2 * (float(end @ end) - radius * radius)
        t = np.minimum(t, np.where(h > 0, (qb - np.sqrt(np.maximum(h, 0.0))) / norm2, _MISS))
    point = ray * np.where(np.isfinite(t), t, 0.0)[..., None]
    s = np.clip((point - a) @ axis / length2, 0.0, 1.0) if length2 > 1e-10 else np.zeros_like(x)
    return t, (point - a - s[..., None] * axis) / radius


def _hit_box(
    x: np.ndarray, y: np.ndarray, centre: np.ndarray, frame: np.ndarray, half: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First hit t and unit normal of rays t·(x, y, 1) with an oriented box (slabs); t = inf for a miss."""
    ray = np.stack([x, y, np.ones_like(x)], axis=-1) @ frame.T
    ray = np.where(np.abs(ray) < 1e-9, 1e-9, ray)
    middle, reach = (frame @ centre) / ray, half / np.abs(ray)
    enter, leave = middle - reach, middle + reach
    face = enter.argmax(axis=-1)
    first = enter.max(axis=-1)
    t = np.where(first < leave.min(axis=-1), first, _MISS)
    sign = -np.sign(np.take_along_axis(ray, face[..., None], axis=-1))
    return t, frame[face] * sign
