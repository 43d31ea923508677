"""How an engine's servo measures the way from a ball joint's pose to its target, found from one course."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.interop.trace import Trace
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene

JOINT = "L_Wrist"  # light: nearly all of its inertia is its armature
_STEPS = 20
_SUBSTEPS = (2, 8)  # implicit steps of a control step: MuJoCo's two, PhysX's two with four sweeps each
_Error = Callable[[np.ndarray, np.ndarray], np.ndarray]

# The servo's error in the child's axes from the pose's quaternion (4,) and the target's rotation vector (3,).
LAWS: dict[str, _Error] = {
    "difference of rotation vectors": lambda quat, target: target - rotations.log(quat),
    "rotation between": lambda quat, target: rotations.log(
        rotations.multiply(rotations.conjugate(quat), rotations.exp(target))
    ),
}


def drive_laws(scene: Scene, trace: Trace, row: int) -> dict[str, float]:
    """By law: the greatest distance in rad of the joint's rotation vector from what one joint alone would do by it.

    row: a course that steps the wrists. The joint alone has its armature and no other inertia; of one and four implicit
    steps a physics step the nearer counts.
    """
    joint = BODIES.index(JOINT) - 1
    columns = slice(3 * joint, 3 * joint + 3)
    seen = np.asarray(trace.dof_pos[row, : _STEPS + 1, columns], np.float64)
    target = np.asarray(trace.target[row, 0, columns], np.float64)
    servo = int(np.flatnonzero(scene.servos.joint == joint)[0])
    kp, kd, dt = float(scene.servos.kp[servo]), float(scene.servos.kd[servo]), scene.timestep
    armature = float(scene.model.dof_armature[scene.servos.dof[servo]]) - dt * kd - dt * dt * kp
    return {
        name: min(
            float(np.abs(_alone(law, seen[0], target, kp, kd, armature, scene.control_dt, n) - seen).max())
            for n in _SUBSTEPS
        )
        for name, law in LAWS.items()
    }


def _alone(
    law: _Error, start: np.ndarray, target: np.ndarray, kp: float, kd: float, inertia: float, seconds: float, count: int
) -> np.ndarray:
    """Rotation vectors (T + 1, 3) of one driven joint, `count` implicit steps a control step of `seconds`."""
    quat, rate, h = rotations.exp(start), np.zeros(3), seconds / count
    course = [start]
    for _ in range(_STEPS):
        for _ in range(count):
            rate = (inertia * rate + h * kp * law(quat, target)) / (inertia + h * kd + h * h * kp)
            quat = rotations.multiply(quat, rotations.exp(h * rate))
        course.append(rotations.log(quat))
    return np.array(course)
