"""One frame as a list of coloured primitives: the same for every renderer, the reference as a translucent ghost."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.shapes import Shapes
from mjx_skillmimic.viewing.surroundings import Parts, goal_ball, goal_lines
from mjx_skillmimic.viewing.trajectory import Trajectory

# How far the ghost moves away from the eye, as a factor of its distance: about 15 cm at 4 m.
GHOST_RECEDE = 1.04

# RGBA in [0, 1]. The page's script reads the same table.
PALETTE = {
    "body": (0.42, 0.52, 0.66, 1.0),
    "touching": (0.86, 0.66, 0.36, 1.0),
    "ball": (0.95, 0.50, 0.13, 1.0),
    "ball_held": (0.80, 0.13, 0.20, 1.0),
    "ghost": (0.22, 0.66, 0.62, 0.32),
    "ghost_ball": (0.22, 0.66, 0.62, 0.36),
    "ghost_ball_held": (0.62, 0.28, 0.66, 0.42),
    "goal": (0.18, 0.55, 0.34, 1.0),
    "goal_ball": (0.18, 0.55, 0.34, 0.30),
    "sky": (0.955, 0.965, 0.975, 1.0),
    "floor": (0.905, 0.915, 0.925, 1.0),
    "floor_line": (0.79, 0.81, 0.83, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Figures:
    """P posed primitives in the world: kind (P,), size (P, 3) m, pos (P, 3) m, quat (P, 4) wxyz, rgba (P, 4).

    Opaque ones come first, so that a renderer that blends in order draws the ghost last.
    """

    kind: np.ndarray
    size: np.ndarray
    pos: np.ndarray
    quat: np.ndarray
    rgba: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


def _pose(shapes: Shapes, body_pos: np.ndarray, body_quat: np.ndarray, rgba: np.ndarray) -> Figures:
    parent = body_quat[shapes.body]
    return Figures(
        shapes.kind,
        shapes.size,
        body_pos[shapes.body] + rotations.rotate(parent, shapes.pos),
        rotations.multiply(parent, shapes.quat),
        rgba,
    )


def _ball(radius: float, pos: np.ndarray, colour: str) -> Figures:
    return Figures(
        np.zeros(1, np.int32),
        np.array([[radius, 0.0, 0.0]], np.float32),
        pos[None],
        np.array([[1.0, 0.0, 0.0, 0.0]], np.float32),
        np.array([PALETTE[colour]], np.float32),
    )


def _coloured(parts: Parts, colour: str) -> Figures:
    size, pos, quat = (x.astype(np.float32) for x in (parts.size, parts.pos, parts.quat))
    rgba = np.tile(np.array(PALETTE[colour], np.float32), (len(parts.kind), 1))
    return Figures(parts.kind.astype(np.int32), size, pos, quat, rgba)


def _recede(figures: Figures, eye: np.ndarray) -> Figures:
    """Scaled about the eye: the same picture, but behind whatever it coincides with.

    A ghost that overlaps the figure it belongs to would flicker in front of it; so it shows where the two differ.
    """
    return dataclasses.replace(
        figures,
        size=(figures.size * GHOST_RECEDE).astype(np.float32),
        pos=(eye + GHOST_RECEDE * (figures.pos - eye)).astype(np.float32),
    )


def figures(trajectory: Trajectory, frame: int, eye: np.ndarray | None = None, ghost: bool = True) -> Figures:
    """The primitives of one frame: scenery, goal and ball included, and with `ghost` the reference if there is one.

    With the camera's position `eye` (3,) the ghost recedes a little from it.
    """
    t = trajectory
    colours = np.tile(np.array(PALETTE["body"], np.float32), (len(t.shapes), 1))
    if t.body_contact is not None:
        colours[t.body_contact[frame][t.shapes.body]] = PALETTE["touching"]
    held = "_held" if t.label("contact")[frame] > 0.5 else ""
    solid = [
        _pose(t.shapes, t.body_pos[frame], t.body_quat[frame], colours),
        _ball(t.object_radius, t.object_pos[frame], f"ball{held}"),
    ]
    if t.scenery is not None:
        still = t.scenery
        solid.append(Figures(still.kind, still.size, still.pos, still.quat, still.rgba))
    if t.goal is not None:
        solid.append(_coloured(goal_lines(t.goal, frame), "goal"))
    wanted = None if t.goal is None else goal_ball(t.goal, frame)
    ghosts: list[Figures] = []
    if ghost and t.reference_body_pos is not None and t.reference_body_quat is not None:
        colours = np.tile(np.array(PALETTE["ghost"], np.float32), (len(t.shapes), 1))
        ghosts.append(_pose(t.shapes, t.reference_body_pos[frame], t.reference_body_quat[frame], colours))
    if ghost and t.reference_object_pos is not None:
        held = "_held" if t.label("reference_contact")[frame] > 0.5 else ""
        ghosts.append(_ball(t.object_radius, t.reference_object_pos[frame], f"ghost_ball{held}"))
    parts = solid + (ghosts if eye is None else [_recede(g, eye) for g in ghosts])
    parts += [] if wanted is None else [_coloured(wanted, "goal_ball")]
    return Figures(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in dataclasses.fields(Figures)))
