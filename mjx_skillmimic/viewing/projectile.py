"""The box that is thrown at the person to see whether it keeps its feet (skillmimic.md §2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from mjx_skillmimic.model.humanoid import BODIES

PROJECTILE = "projectile"
SIDE = 0.3  # m
DENSITY = 200.0  # kg/m³
PARKED = (200.0, 0.0, 1.0)  # m
HAND_SPEED = 25.0  # m/s, of a box thrown by a viewer
_DISTANCE, _HEIGHT, _SPEED = (4.0, 5.0), (0.25, 2.0), (30.0, 40.0)  # m, m, m/s: ranges of the automatic law
_SPREAD = 0.1  # m, of the aim


class Throw(NamedTuple):
    """pos (3,) m and lin_vel (3,) m/s in the world's frame."""

    pos: np.ndarray
    lin_vel: np.ndarray


def add_projectile(spec: mujoco.MjSpec) -> None:
    """Appends the box, parked, as the last body of a scene; it touches whatever there is.

    The published dampings of 0.01 1/s are left out: they take 0.2 % of the speed in a flight of 0.2 s.
    """
    pelvis = spec.geom(BODIES[0])
    body = spec.worldbody.add_body(name=PROJECTILE, pos=list(PARKED))
    body.add_freejoint(name=PROJECTILE)
    box = body.add_geom(
        name=PROJECTILE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[SIDE / 2.0] * 3,
        density=DENSITY,
        condim=3,
        contype=pelvis.contype,
        conaffinity=int(np.bitwise_or.reduce([geom.contype for geom in spec.geoms])),
        friction=list(pelvis.friction),
        rgba=[0.36, 0.30, 0.52, 1.0],
    )
    box.solref, box.solimp = list(pelvis.solref), list(pelvis.solimp)


def automatic_throw(
    rng: np.random.Generator, root_pos: np.ndarray, target_pos: np.ndarray, target_lin_vel: np.ndarray
) -> Throw:
    """The published law `Auto`: from 4–5 m around the root (3,) m, at the target (3,) m with 30–40 m/s.

    The target is the body L_Hip; its horizontal velocity (3,) m/s is added.
    """
    bearing, distance, height, speed = (
        rng.uniform(*bounds) for bounds in ((-np.pi, np.pi), _DISTANCE, _HEIGHT, _SPEED)
    )
    pos = np.array([*(root_pos[:2] + distance * np.array([np.cos(bearing), np.sin(bearing)])), height])
    aim = target_pos - pos + rng.normal(0.0, _SPREAD, 3)
    return Throw(pos, speed * aim / np.linalg.norm(aim) + np.array([*target_lin_vel[:2], 0.0]))


def aimed_throw(origin: Sequence[float] | np.ndarray, direction: Sequence[float] | np.ndarray) -> Throw:
    """The published law `Mouse`: from `origin` (3,) m along `direction` (3,), of any length, with 25 m/s.

    Raises ValueError for other shapes or a direction without length.
    """
    start, aim = np.asarray(origin, float), np.asarray(direction, float)
    if start.shape != (3,) or aim.shape != (3,) or not np.linalg.norm(aim) > 0:
        raise ValueError(f"a throw needs an origin (3,) and a direction (3,), got {origin} and {direction}")
    return Throw(start, HAND_SPEED * aim / np.linalg.norm(aim))


def throw(
    rng: np.random.Generator,
    root: np.ndarray,
    target: tuple[np.ndarray, np.ndarray],
    origin: Sequence[float] | None = None,
    direction: Sequence[float] | None = None,
) -> Throw:
    """`aimed_throw` where origin and direction are given, else `automatic_throw` at a target's position and velocity.

    Raises ValueError for only one of the two.
    """
    if (origin is None) != (direction is None):
        raise ValueError("a throw needs both origin and direction, or neither")
    if origin is None or direction is None:
        return automatic_throw(rng, root, *target)
    return aimed_throw(origin, direction)
