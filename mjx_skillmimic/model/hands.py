"""Light hands: two hinges a finger instead of three ball joints, for quick experiments (docs/light_hands.md).

Every finger keeps its three bodies and geoms. Joints 1 and 2 bend about one axis each; segment 3 is rigidly on segment
2. `scripts/light_hands.py` measures the axes and what they cost on clips.
"""

from __future__ import annotations

import mujoco
import numpy as np

FINGERS = ("Index", "Middle", "Pinky", "Ring", "Thumb")
# Rotation vectors of a left hand are those of its mirror image with these signs (the mirror is the plane x = 0).
MIRROR = np.array([1.0, -1.0, -1.0])

# Left hinge axes in the joint's frame, at right angles to the finger; positive angles bend towards the palm. The axes
# of largest rotation over published and own clips, rounded; the thumb's are the own clips', for the published thumbs
# turn about all axes alike.
_FLEXION = (0.0, 0.0, -1.0)
_LEFT_AXES = {"Thumb1": (0.30, -0.45, -0.85), "Thumb2": (0.0, 0.50, -0.85)}


def is_finger(name: str) -> bool:
    """Whether a body, or the joint of that name, belongs to a finger."""
    return name[:2] in ("L_", "R_") and name[2:-1] in FINGERS


def hinge_axis(name: str) -> np.ndarray:
    """Unit axis (3,) of a finger's hinge, such as "L_Index1", in the joint's frame.

    Raises KeyError for a joint that has none.
    """
    if not is_finger(name) or name[-1] not in "12":
        raise KeyError(f"no hinge {name!r}: segments 1 and 2 of {', '.join(FINGERS)} with L_ or R_ have one")
    axis = np.array(_LEFT_AXES.get(name[2:], _FLEXION))
    return axis / np.linalg.norm(axis) * (1.0 if name[0] == "L" else MIRROR)


def set_hinges(spec: mujoco.MjSpec) -> None:
    """Turns the ball joints of the fingers' segments 1 and 2 into hinges with one servo, and removes those of 3."""
    for actuator in list(spec.actuators):
        name = actuator.target
        if not is_finger(name):
            continue
        if name.endswith("3") or not actuator.name.endswith("_x"):
            spec.delete(actuator)
        else:
            actuator.gear = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    for joint in list(spec.joints):
        if not is_finger(joint.name):
            continue
        if joint.name.endswith("3"):
            spec.delete(joint)
        else:
            joint.type = mujoco.mjtJoint.mjJNT_HINGE
            joint.axis = hinge_axis(joint.name)
