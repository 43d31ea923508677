"""A camera that follows: one smooth path for all renderers."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.trajectory import Trajectory

FOV_Y = 40.0  # degrees
_SMOOTHING_SECONDS = 0.5
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
    """Looks at the person from ahead and a little to the side, far enough that the ball stays in the picture."""
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
