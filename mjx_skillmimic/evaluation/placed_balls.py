"""Balls on the floor around a standing person, still or rolling, as in the paper's Fig. 8."""

from __future__ import annotations

from typing import Any

import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.free_play import Ball
from mjx_skillmimic.motion import table

MOTIONS = ("still", "rolling")
NEAREST, FARTHEST = 1.0, 5.0  # m, as in the paper
MAX_SPEED = 1.0  # m/s


@struct.dataclass
class Placement:
    """N balls and the people they belong to. clip, frame (N,) int: where the person stands. distance (N,) m from the
    root, horizontal. direction (N,) rad in [−π, π): 0 is where the person faces, positive to the left. ball: the
    state, world frame."""

    clip: np.ndarray
    frame: np.ndarray
    distance: np.ndarray
    direction: np.ndarray
    ball: Ball

    @property
    def seen_from_above(self) -> np.ndarray:
        """(N, 2) m where the ball lies for the person: to the right, ahead."""
        ahead, left = np.cos(self.direction), np.sin(self.direction)
        return self.distance[:, None] * np.stack([-left, ahead], axis=-1)


def facing(root_quat: np.ndarray) -> np.ndarray:
    """Yaw (...) in rad of where people with root orientations (..., 4) face: a quarter turn right of the root's +x."""
    return rotations.heading(root_quat) - 0.5 * np.pi


def rolling_spin(lin_vel: np.ndarray, radius: float) -> np.ndarray:
    """Angular velocity (..., 3) rad/s with which a ball of horizontal velocity (..., 3) m/s rolls: ẑ × v / radius."""
    x, y, zero = lin_vel[..., 0], lin_vel[..., 1], np.zeros_like(lin_vel[..., 0])
    return np.stack([-y, x, zero], axis=-1) / radius


def place_balls(
    env: Any,
    clips: np.ndarray,
    count: int,
    motion: str = "still",
    seed: int = 0,
    nearest: float = NEAREST,
    farthest: float = FARTHEST,
    max_speed: float = MAX_SPEED,
) -> Placement:
    """Draws `count` people on frame 2 of the clips (C,) and a ball on the floor around each.

    Uniform are the clip, the distance on [nearest, farthest] m (so that every distance is tried as often), the
    direction, and for "rolling" the speed on [0, max_speed] m/s and its horizontal direction. The draws depend on
    nothing but the arguments. Raises ValueError for no clips, an unknown motion or distances that do not increase.
    """
    clips = np.asarray(clips)
    if motion not in MOTIONS:
        raise ValueError(f"motion: expected one of {', '.join(MOTIONS)}, got {motion!r}")
    if not 0.0 < nearest <= farthest:
        raise ValueError(f"expected 0 < nearest <= farthest, got {nearest} and {farthest} m")
    if not len(clips) or count < 1:
        raise ValueError(f"expected at least one clip and one ball, got {len(clips)} and {count}")
    rng = np.random.default_rng((seed, MOTIONS.index(motion)))
    clip = rng.choice(clips, count).astype(np.int32)
    frame = np.full(count, table.FIRST_START, np.int32)
    distance = rng.uniform(nearest, farthest, count)
    direction = rng.uniform(-np.pi, np.pi, count)
    speed = rng.uniform(0.0, max_speed, count) * (motion == "rolling")
    course = rng.uniform(-np.pi, np.pi, count)

    tables, radius = env.tables, env.scene.object_radius
    row = np.asarray(table.rows(tables.motions, clip, frame))
    body = tables.starts.body
    root = np.asarray(body.body_pos[:, 0], np.float64)[row]
    yaw = facing(np.asarray(body.body_quat[:, 0], np.float64)[row]) + direction
    still = np.zeros(count)
    pos = np.stack([root[:, 0] + distance * np.cos(yaw), root[:, 1] + distance * np.sin(yaw), still + radius], axis=-1)
    velocity = np.stack([speed * np.cos(course), speed * np.sin(course), still], axis=-1)
    return Placement(clip, frame, distance, direction, Ball(pos, velocity, rolling_spin(velocity, radius)))
