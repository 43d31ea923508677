"""Pictures of worlds that are stepped from NumPy, drawn without OpenGL."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from mjx_skillmimic.physics.base import PhysicsState
from mjx_skillmimic.viewing.camera import CameraPath, follow
from mjx_skillmimic.viewing.figures import figures
from mjx_skillmimic.viewing.raster import Rasteriser
from mjx_skillmimic.viewing.shapes import shapes_from_model
from mjx_skillmimic.viewing.surroundings import scenery_from_model
from mjx_skillmimic.viewing.trajectory import Trajectory


class Painter:
    """Draws worlds of an environment; each world's camera keeps its direction until `forget`."""

    def __init__(self, env: Any, width: int, height: int) -> None:
        self._env, self._rasteriser = env, Rasteriser(width, height)
        self._shapes = shapes_from_model(env.scene.model, env.scene.skeleton.names)
        self._scenery = scenery_from_model(env.scene.model)
        self._poses = jax.jit(env.body_state)
        self._cameras: dict[int, CameraPath] = {}

    def forget(self, done: np.ndarray) -> None:
        """Lets the cameras of the worlds of the mask `done` (N,) look anew: their episodes are new."""
        for world in np.flatnonzero(done):
            self._cameras.pop(int(world), None)

    def paint(self, data: PhysicsState) -> tuple[np.ndarray, ...]:
        """One picture (height, width, 3) uint8 a world."""
        body = jax.tree.map(np.asarray, self._poses(data))
        return tuple(self._picture(world, body) for world in range(len(body.object_pos)))

    def _picture(self, world: int, body: Any) -> np.ndarray:
        only = slice(world, world + 1)
        frame = Trajectory(
            body_pos=body.body_pos[only],
            body_quat=body.body_quat[only],
            object_pos=body.object_pos[only],
            object_quat=body.object_quat[only],
            shapes=self._shapes,
            fps=1.0 / self._env.scene.control_dt,
            object_radius=self._env.scene.object_radius,
            scenery=self._scenery,
        )
        now = follow(frame)
        first = self._cameras.setdefault(world, now)
        camera = dataclasses.replace(first, lookat=now.lookat)
        return self._rasteriser.render(figures(frame, 0, camera.eye(0)), camera, 0)
