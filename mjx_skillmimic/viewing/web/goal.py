"""The goal of a high-level task in the 3-D scene: a sphere in the air, a circle on the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import trimesh

if TYPE_CHECKING:
    import viser

    from mjx_skillmimic.viewing.status import TaskStatus

COLOUR = (46, 139, 87)
_OPACITY = 0.35
_LEAST = 0.12  # m, what is reached exactly is still to be seen
_WIDTH, _HEIGHT = 0.04, 0.01  # m, of the circle's line


class GoalMark:
    """point: a sphere of the size in which the goal counts as reached, with a stick down to the floor. circle: the
    radius that is wanted around it."""

    def __init__(self, server: viser.ViserServer) -> None:
        self._scene = server.scene
        self._reach = self._radius = self._height = -1.0
        self.point: Any = None
        self._stick: Any = None
        self.circle: Any = None

    def draw(self, task: TaskStatus | None) -> None:
        """Shows the goal of a status; nothing for None, or a task without a place."""
        if task is None or task.goal is None:
            for handle in (self.point, self._stick, self.circle):
                if handle is not None:
                    handle.visible = False
            return
        self._make(max(task.reach, _LEAST), task.radius, float(task.goal[2]))
        floor = np.append(task.goal[:2], 0.0)
        self.point.position = task.goal
        self._stick.position, self.circle.position = floor, floor
        self.point.visible = self._stick.visible = task.radius == 0.0
        self.circle.visible = task.radius > 0.0

    def _make(self, reach: float, radius: float, height: float) -> None:
        """Meshes of other sizes than those there are."""
        if reach != self._reach:
            self._reach = reach
            sphere = trimesh.creation.icosphere(subdivisions=3, radius=reach)
            self.point = self._add("point", sphere, _OPACITY)
        if height != self._height:
            self._height = height
            top = [0.0, 0.0, max(height, _WIDTH)]
            self._stick = self._add("stick", trimesh.creation.cylinder(0.02, segment=[[0.0, 0.0, 0.0], top]), 1.0)
        if radius != self._radius or self.circle is None:
            self._radius = radius
            inner = max(radius, 2.0 * _WIDTH)
            self.circle = self._add("circle", trimesh.creation.annulus(inner, inner + _WIDTH, _HEIGHT), 1.0)

    def _add(self, name: str, mesh: trimesh.Trimesh, opacity: float) -> Any:
        return self._scene.add_mesh_simple(
            f"/world/goal/{name}",
            np.asarray(mesh.vertices),
            np.asarray(mesh.faces),
            color=COLOUR,
            opacity=None if opacity == 1.0 else opacity,
            cast_shadow=False,
            visible=False,
        )
