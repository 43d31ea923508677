"""Contact forces and edges of MuJoCo C as sensors, so that a whole control step stays inside C threads."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES, NUM_BODIES
from mjx_skillmimic.model.scene import Scene

_FOUND, _FORCE = 1 << 0, 1 << 1  # bits of a contact sensor's data specification
_REDUCE_NONE, _REDUCE_NET = 0, 3
_LEFT, _RIGHT, _ROOT = "L_Wrist", "R_Wrist", "Pelvis"

# How many contacts lie between two subtrees. Humanoid pairs include those inside a hand, which are subtracted.
_COUNTS = {
    "left_object": (_LEFT, OBJECT),
    "right_object": (_RIGHT, OBJECT),
    "all_object": (_ROOT, OBJECT),
    "left_all": (_LEFT, _ROOT),
    "right_all": (_RIGHT, _ROOT),
    "left_left": (_LEFT, _LEFT),
    "left_right": (_LEFT, _RIGHT),
    "right_right": (_RIGHT, _RIGHT),
}
# What to add up of these counts for each edge of `EDGES`.
_EDGE_WEIGHTS = (
    {"left_object": 1, "right_object": 1},
    {"all_object": 1, "left_object": -1, "right_object": -1},
    {"left_all": 1, "right_all": 1, "left_left": -1, "right_right": -1, "left_right": -2},
)
_EDGE_COUNTS = np.array([[weights.get(name, 0) for weights in _EDGE_WEIGHTS] for name in _COUNTS], float)


def with_contact_sensors(scene: Scene) -> mujoco.MjModel:
    """The scene's model with the sensors that `read` understands, and no others."""
    spec = scene.spec.copy()
    # A world that blew up must be seen, not silently sent to the zero pose.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    for name in (*BODIES, OBJECT):
        spec.add_sensor(
            name=f"force_{name}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_BODY,
            objname=name,
            intprm=[_FORCE, _REDUCE_NET, 1],
        )
    for name, (first, second) in _COUNTS.items():
        spec.add_sensor(
            name=f"count_{name}",
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=mujoco.mjtObj.mjOBJ_XBODY,
            objname=first,
            reftype=mujoco.mjtObj.mjOBJ_XBODY,
            refname=second,
            intprm=[_FOUND, _REDUCE_NONE, 1],
        )
    return spec.compile()


def read(sensordata: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Splits sensor values (..., 170) of one physics step, or means of several.

    Returns:
        body_force (..., 53, 3) and object_force (..., 3), the world-frame net contact force **on** the body in N, and
        edges (..., 3) bool in the order of `EDGES`.
    """
    count = 3 * (NUM_BODIES + 1)
    # MuJoCo reports the force that the first side of the sensor exerts.
    force = -sensordata[..., :count].reshape(*sensordata.shape[:-1], NUM_BODIES + 1, 3)
    # a mean of counts is above zero where one of them was; rounding stays far below the least mean of whole numbers
    edges = sensordata[..., count:] @ _EDGE_COUNTS > 1e-6
    return force[..., :NUM_BODIES, :], force[..., NUM_BODIES, :], edges
