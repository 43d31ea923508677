"""What the session adds to MuJoCo's own picture: the reference as a ghost, a held ball in red, contact points."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.viewing.figures import GHOST_RECEDE, PALETTE
from mjx_skillmimic.viewing.status import Status

_OVER = 1.02  # how much larger the red ball is than the one it hides
_POINT = 0.012  # m, radius of a contact point
_POINT_COLOUR = (0.98, 0.82, 0.18, 0.9)
_LEAST_GOAL = 0.12  # m, of the sphere around a task's goal
_GOAL_COLOUR = (0.18, 0.55, 0.34, 0.35)
_EYE = np.eye(3).flatten()


class Marks:
    """Draws into an `MjvScene` with free room for geoms, such as the `user_scn` of MuJoCo's passive viewer."""

    def __init__(self, scene: Scene) -> None:
        """scene: the environment's, whose coordinates `Status.reference_qpos` has."""
        self._model, self._data, self._radius = scene.model, mujoco.MjData(scene.model), scene.object_radius
        bodies = [scene.model.body(name).id for name in (*BODIES, OBJECT)]
        self._geoms = [g for g in range(scene.model.ngeom) if scene.model.geom_bodyid[g] in bodies]
        self._ball = scene.model.geom(OBJECT).id

    def draw(
        self, to: mujoco.MjvScene, status: Status, ball_pos: np.ndarray, eye: np.ndarray | None, ghost: bool = True
    ) -> int:
        """Replaces the geoms of `to`; returns how many fitted.

        ball_pos: (3,) m. eye: (3,) m, the camera; the ghost recedes a little from it, so as not to flicker where it
        coincides with the person. ghost: whether to draw it where there is one.
        """
        to.ngeom = 0
        sphere = mujoco.mjtGeom.mjGEOM_SPHERE
        if status.hands_touch_ball:
            _add(to, sphere, np.full(3, _OVER * self._radius), ball_pos, _EYE, PALETTE["ball_held"])
        for pos, _ in status.contacts:
            _add(to, sphere, np.full(3, _POINT), pos, _EYE, _POINT_COLOUR)
        if status.task is not None and status.task.goal is not None:
            size = np.full(3, max(status.task.reach, _LEAST_GOAL))
            _add(to, sphere, size, status.task.goal, _EYE, _GOAL_COLOUR)
        if ghost and status.reference_qpos is not None:
            self._draw_ghost(to, status.reference_qpos, bool(status.reference_contact), eye)
        return int(to.ngeom)

    def _draw_ghost(self, to: mujoco.MjvScene, qpos: np.ndarray, held: bool, eye: np.ndarray | None) -> None:
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        for g in self._geoms:
            colour = PALETTE["ghost"]
            if g == self._ball:
                colour = PALETTE["ghost_ball_held" if held else "ghost_ball"]
            size, pos = self._model.geom_size[g], self._data.geom_xpos[g]
            if eye is not None:
                size, pos = GHOST_RECEDE * size, eye + GHOST_RECEDE * (pos - eye)
            _add(to, int(self._model.geom_type[g]), size, pos, self._data.geom_xmat[g], colour)


def camera_eye(camera: mujoco.MjvCamera) -> np.ndarray:
    """Position (3,) m of a free or tracking camera."""
    azimuth, elevation = np.radians(camera.azimuth), np.radians(camera.elevation)
    flat = np.cos(elevation)
    forward = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    return np.asarray(camera.lookat) - camera.distance * forward


def _add(
    to: mujoco.MjvScene,
    kind: int,
    size: np.ndarray,
    pos: np.ndarray,
    matrix: np.ndarray,
    colour: tuple[float, float, float, float],
) -> None:
    if to.ngeom < to.maxgeom:
        rgba = np.array(colour, np.float32)
        mujoco.mjv_initGeom(to.geoms[to.ngeom], kind, np.asarray(size, float), np.asarray(pos, float), matrix, rgba)
        to.ngeom += 1
