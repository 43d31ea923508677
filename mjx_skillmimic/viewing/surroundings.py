"""What is in a picture besides person and ball: fixed geoms of the scene, and the goal of a high-level task."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.shapes import KINDS, kind_of

if TYPE_CHECKING:
    import mujoco

LEAST_REACH = 0.12  # m: a goal that must be reached exactly is still to be seen
_LINE = 0.02  # m, radius of a goal's lines
_SEGMENTS = 48  # of a circle
_CAPSULE, _SPHERE = KINDS.index("capsule"), KINDS.index("sphere")
_ONE = np.array([1.0, 0.0, 0.0, 0.0])
_LYING = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0])  # turns z to x


class Parts(NamedTuple):
    """P primitives in the world: kind (P,) index into `shapes.KINDS`, size (P, 3) m, pos (P, 3) m, quat (P, 4) wxyz."""

    kind: np.ndarray
    size: np.ndarray
    pos: np.ndarray
    quat: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scenery:
    """S primitives that never move: the fields of `Parts`, and rgba (S, 4) in [0, 1]."""

    kind: np.ndarray
    size: np.ndarray
    pos: np.ndarray
    quat: np.ndarray
    rgba: np.ndarray


@dataclasses.dataclass(frozen=True)
class GoalTrack:
    """The place that a task wants in T frames: pos (T, 3) m, reach (T,) m around it, and radius (T,) m of the circle on
    the floor around it that is wanted instead where it is not 0."""

    pos: np.ndarray
    reach: np.ndarray
    radius: np.ndarray

    def cut(self, frames: int) -> GoalTrack:
        """The first frames."""
        return GoalTrack(self.pos[:frames], self.reach[:frames], self.radius[:frames])


def scenery_from_model(model: mujoco.MjModel) -> Scenery | None:
    """The fixed geoms of a compiled model, such as a basket's; None if it has only a floor.

    Raises ValueError for a geom that is none of `shapes.KINDS`.
    """
    still = still_geoms(model)
    if not still:
        return None
    return Scenery(
        kind=np.array([kind_of(model, g) for g in still], np.int32),
        size=model.geom_size[still].astype(np.float32),
        pos=model.geom_pos[still].astype(np.float32),
        quat=model.geom_quat[still].astype(np.float32),
        rgba=model.geom_rgba[still].astype(np.float32),
    )


def still_geoms(model: mujoco.MjModel) -> list[int]:
    """Ids of the geoms that belong to the world itself, but for floors."""
    import mujoco

    floor = int(mujoco.mjtGeom.mjGEOM_PLANE)
    return [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) == 0 and int(model.geom_type[g]) != floor]


def goal_lines(goal: GoalTrack, frame: int) -> Parts:
    """What of a goal is opaque: its circle, or the ring under a point and the stick that holds it."""
    pos, radius = goal.pos[frame].astype(np.float64), float(goal.radius[frame])
    if radius > 0.0:
        return circle(pos[:2], radius)
    height = max(float(pos[2]), 2.0 * _LINE)
    stick = Parts(
        np.array([_CAPSULE]),
        np.array([[_LINE, 0.5 * height, 0.0]]),
        np.array([[pos[0], pos[1], 0.5 * height]]),
        _ONE[None],
    )
    ring = circle(pos[:2], max(float(goal.reach[frame]), LEAST_REACH))
    return Parts(*(np.concatenate(parts) for parts in zip(stick, ring, strict=True)))


def goal_ball(goal: GoalTrack, frame: int) -> Parts | None:
    """What of a goal is translucent: the sphere in which a point counts as reached; None where a circle is wanted."""
    if goal.radius[frame] > 0.0:
        return None
    reach = max(float(goal.reach[frame]), LEAST_REACH)
    return Parts(np.array([_SPHERE]), np.array([[reach, 0.0, 0.0]]), goal.pos[[frame]], _ONE[None])


def circle(centre: np.ndarray, radius: float) -> Parts:
    """A circle on the floor around a point (2,) m, of straight pieces."""
    angle = (np.arange(_SEGMENTS) + 0.5) * 2.0 * np.pi / _SEGMENTS
    half = radius * np.tan(np.pi / _SEGMENTS)
    pos = np.column_stack(
        [centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), np.full(_SEGMENTS, 0.5 * _LINE)]
    )
    quat = rotations.multiply(rotations.about_z(angle + 0.5 * np.pi), np.tile(_LYING, (_SEGMENTS, 1)))
    size = np.tile([_LINE, half, 0.0], (_SEGMENTS, 1))
    return Parts(np.full(_SEGMENTS, _CAPSULE), size, pos, quat)
