"""A camera that follows: one smooth path for all renderers."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.trajectory import Trajectory

FOV_Y = 40.0  # degrees
_SMOOTHING_SECONDS = 0.5
_GOAL_SMOOTHING_SECONDS = 1.0  # a new goal is elsewhere at once
_FARTHEST_GOAL = 6.0  # m from the person that a picture makes room for
_UP = np.array([0.0, 0.0, 1.0])


@dataclasses.dataclass(frozen=True)
class CameraPath:
    """lookat (T, 3) m; distance m, azimuth and elevation in degrees as MuJoCo's free camera defines them."""

    lookat: np.ndarray
    distance: float
    azimuth: float
    elevation: float = -12.0

    @property
    def forward(self) -> np.ndarray:
        """Unit viewing direction (3,)."""
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        flat = np.cos(elevation)
        return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])

    @property
    def axes(self) -> np.ndarray:
        """Rows right, up, forward (3, 3) of the view, in the world."""
        right = np.cross(self.forward, _UP)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(right, self.forward), self.forward])

    @property
    def light(self) -> np.ndarray:
        """Unit direction (3,) in which light travels: over the viewer's left shoulder, steeply down."""
        right, _, forward = self.axes
        flat = forward * (1.0, 1.0, 0.0)
        direction = 0.42 * flat / np.linalg.norm(flat) + 0.38 * right - 0.82 * _UP
        return direction / np.linalg.norm(direction)

    def eye(self, frame: int) -> np.ndarray:
        """Position (3,) m of the camera at a frame."""
        return self.lookat[frame] - self.distance * self.forward


def _smooth(track: np.ndarray, frames: int) -> np.ndarray:
    """Moving average over a window of about ±`frames`, the ends held."""
    width = 2 * max(frames, 0) + 1
    padded = np.pad(track, ((width // 2, width // 2), (0, 0)), mode="edge")
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    return np.stack([np.convolve(padded[:, i], kernel, mode="valid") for i in range(track.shape[1])], axis=1)


def follow(trajectory: Trajectory) -> CameraPath:
    """Looks at the person from ahead and a little to the side, far enough that the ball stays in the picture; where a
    task has a goal, from behind and beside the way to it, and far enough for both."""
    if trajectory.goal is not None:
        return _towards_goal(trajectory)
    root = trajectory.body_pos[:, 0].astype(np.float64)
    ball = np.asarray(trajectory.object_pos, np.float64)
    # the root's +z is the character's front
    front = rotations.rotate(trajectory.body_quat[:, 0].astype(np.float64), np.array([0.0, 0.0, 1.0]))
    front = front[:, :2].sum(axis=0)
    facing = np.degrees(np.arctan2(front[1], front[0])) if np.linalg.norm(front) > 1e-6 else 0.0
    # a ball that has flown far away must not make the person a dot
    reach = np.clip(ball - root, -1.5, 1.5)
    centre = root + 0.25 * reach
    centre[:, 2] = np.clip(0.95 + 0.25 * (ball[:, 2] - 1.2), 0.85, 1.4)
    lookat = _smooth(centre, round(_SMOOTHING_SECONDS * trajectory.fps))
    spread = np.abs(np.clip(ball - lookat, -2.5, 2.5)).max(axis=1)
    distance = float(np.clip(2.7 + 0.8 * np.quantile(spread, 0.99), 3.2, 5.0))
    return CameraPath(lookat, distance, azimuth=(facing + 180.0 + 38.0) % 360.0)


def wanted_point(trajectory: Trajectory) -> np.ndarray:
    """The goal (T, 3) m, of a circle its nearest point to the person, at most `_FARTHEST_GOAL` away from it. Raises
    ValueError for a trajectory without a goal."""
    if trajectory.goal is None:
        raise ValueError("expected a trajectory with a goal, got one without")
    root, goal = trajectory.body_pos[:, 0].astype(np.float64), trajectory.goal.pos.astype(np.float64)
    radius = trajectory.goal.radius.astype(np.float64)[:, None]
    outward = root[:, :2] - goal[:, :2]
    length = np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    point = np.concatenate([goal[:, :2] + radius * outward / length, goal[:, 2:] * (radius == 0.0)], axis=1)
    way = point[:, :2] - root[:, :2]
    length = np.linalg.norm(way, axis=1, keepdims=True)
    point[:, :2] = root[:, :2] + way * np.minimum(1.0, _FARTHEST_GOAL / np.maximum(length, 1e-6))
    return point


def _towards_goal(trajectory: Trajectory) -> CameraPath:
    root, point = trajectory.body_pos[:, 0].astype(np.float64), wanted_point(trajectory)
    way = point[:, :2] - root[:, :2]
    bearing = np.degrees(np.arctan2(way[0, 1], way[0, 0]))
    lookat = np.column_stack([0.6 * root[:, :2] + 0.4 * point[:, :2], np.full(len(root), 0.9)])
    far = float(np.quantile(np.linalg.norm(way, axis=1), 0.9))
    distance = float(np.clip(3.2 + 0.6 * far, 4.0, 7.0))
    lookat = _smooth(lookat, round(_GOAL_SMOOTHING_SECONDS * trajectory.fps))
    return CameraPath(lookat, distance, azimuth=(bearing + 25.0) % 360.0, elevation=-18.0)
