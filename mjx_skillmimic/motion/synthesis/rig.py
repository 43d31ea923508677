"""The humanoid as the choreography needs it: compiled models, hand sides and a frame to write motions in.

Motions are written in metres **forward, left, up** of the character, which faces world −y (heading 0: its left is
world +x, skillmimic.md §4.1).
"""

from __future__ import annotations

import functools

import mujoco
import numpy as np

from mjx_skillmimic.kinematics import Skeleton, skeleton_from_model
from mjx_skillmimic.model.assets import assets_dir
from mjx_skillmimic.model.humanoid import BODIES, HANDS

FPS = 60.0
GRAVITY = np.array([0.0, 0.0, -9.81])
BALL_RADIUS = 0.12
SIDES = ("L", "R")

# The fingers follow the grip, not the inverse kinematics.
FINGER_BODIES = tuple(name for name in HANDS if not name.endswith("Wrist"))
IK_BODIES = tuple(name for name in BODIES if name not in FINGER_BODIES)

# Ankle height over the floor with a flat foot, and the stance's half width (m).
ANKLE_HEIGHT = 0.0986496 + 0.02
STANCE_HALF_WIDTH = 0.135

# Columns: the root frame's x (left), y (up) and z (forward) axes in the world when the character stands.
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def humanoid_spec() -> mujoco.MjSpec:
    """A fresh specification of the whole humanoid."""
    return mujoco.MjSpec.from_file(str(assets_dir() / "humanoid.xml"))


@functools.cache
def full_model() -> mujoco.MjModel:
    """The humanoid with fingers, alone in the world."""
    return humanoid_spec().compile()


@functools.cache
def full_skeleton() -> Skeleton:
    """The tree of all 53 bodies."""
    return skeleton_from_model(full_model())


@functools.cache
def arm_model() -> mujoco.MjModel:
    """The humanoid without fingers (23 bodies), which is what the inverse kinematics solves for."""
    spec = humanoid_spec()
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for name in FINGER_BODIES:
        if name.endswith("1"):
            spec.delete(spec.body(name))
    return spec.compile()


def at(forward: float, left: float, up: float) -> np.ndarray:
    """World point or direction (3,) from metres forward, left and up of the character's start."""
    return np.array([left, -forward, up], float)


def unit(v: np.ndarray) -> np.ndarray:
    """v (..., 3) with norm 1."""
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def lean(pitch: float, yaw: float = 0.0) -> np.ndarray:
    """World rotation (3, 3) of an upright segment pitched forward and turned to its left (rad)."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("ZX", [yaw, pitch]).as_matrix()
    return turn @ UPRIGHT
