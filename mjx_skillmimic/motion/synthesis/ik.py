"""Whole-body inverse kinematics with mink: the joint angles that follow a plan.

One weighted least-squares problem a frame, started from the frame before and iterated to its optimum, so that the
solution depends on the targets alone and is as smooth as they are. Hands and feet weigh most; what they leave open is
decided by the pelvis, chest, balance and a natural posture; the head then turns to the ball.
"""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from mjx_skillmimic.motion.synthesis import plan as plans
from mjx_skillmimic.motion.synthesis.rig import IK_BODIES, SIDES, UPRIGHT, arm_model

# Cost of each component of the rotation vector, relative to the natural posture. Knees and elbows are hinges: about x
# and about y; the forearm turns about x.
POSTURE_COST = {
    "Hip": (0.2, 0.6, 0.4),
    "Knee": (0.1, 3.0, 3.0),
    "Ankle": (0.2, 0.6, 0.6),
    "Toe": (3.0, 3.0, 3.0),
    "Torso": (0.8, 0.8, 0.8),
    "Spine": (0.8, 0.8, 0.8),
    "Spine2": (0.8, 0.8, 0.8),
    "Chest": (0.8, 0.8, 0.8),
    "Neck": (0.5, 0.5, 0.5),
    "Head": (0.5, 0.5, 0.5),
    "Thorax": (1.5, 1.0, 1.0),
    "Shoulder": (0.3, 0.3, 0.3),
    "Elbow": (0.3, 0.1, 2.0),
    "Wrist": (0.7, 0.5, 0.25),
}
POSTURE_SCALE = 0.05
FIRST_ITERATIONS = 120
MAX_ITERATIONS = 25
# The longest step of a coordinate in one iteration (rad or m): near a stretched arm the full one overshoots.
MAX_STEP = 0.2
# Converged when no coordinate moves more than this in one iteration (rad or m).
TOLERANCE = 2e-6


@dataclasses.dataclass(frozen=True)
class Solution:
    """Root position (T, 3) m, root quaternion (T, 4) wxyz and joint quaternions (T, 22, 4) of IK_BODIES[1:]."""

    root_pos: np.ndarray
    root_quat: np.ndarray
    joint_quat: np.ndarray


def natural_posture() -> np.ndarray:
    """Coordinates of a relaxed stance: arms down, elbows bent, knees soft; what redundancy falls back to."""
    model = arm_model()
    q = model.qpos0.copy()
    q[:3] = [0.0, 0.0, 0.95]
    q[3:7] = Rotation.from_matrix(UPRIGHT).as_quat(scalar_first=True)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        # hanging arm: first the elbow turned slightly outwards, then the upper arm brought down
        shoulder = Rotation.from_rotvec([0, 0, -sign * 1.25]) * Rotation.from_rotvec([0.3, 0, 0])
        _set(model, q, f"{side}_Shoulder", shoulder)
        _set(model, q, f"{side}_Elbow", Rotation.from_rotvec([0.0, -sign * 1.5, 0.0]))
        _set(model, q, f"{side}_Hip", Rotation.from_rotvec([-0.35, 0, 0]))
        _set(model, q, f"{side}_Knee", Rotation.from_rotvec([0.6, 0, 0]))
        _set(model, q, f"{side}_Ankle", Rotation.from_rotvec([-0.25, 0, 0]))
    return q


def _set(model: mujoco.MjModel, q: np.ndarray, joint: str, rotation: Rotation) -> None:
    first = model.joint(joint).qposadr[0]
    q[first : first + 4] = rotation.as_quat(scalar_first=True)


class Solver:
    """The tasks of one humanoid; `frame` moves it to a frame of a plan. Raises ImportError without mink."""

    def __init__(self) -> None:
        import mink

        self.mink = mink
        model = arm_model()
        self.configuration = mink.Configuration(model, natural_posture())
        self.wrists = {s: mink.FrameTask(f"{s}_Wrist", "body", 30.0, 4.0) for s in SIDES}
        self.feet = {s: mink.FrameTask(f"{s}_Ankle", "body", 60.0, 15.0) for s in SIDES}
        # the pelvis' own y axis is up: its height is a target, its place follows from the balance
        self.pelvis = mink.FrameTask("Pelvis", "body", [0.0, 6.0, 0.0], 1.0)
        self.chest = mink.FrameTask("Chest", "body", 0.0, 1.0)
        self.balance = mink.ComTask([4.0, 4.0, 0.0])
        posture = mink.PostureTask(model, _posture_cost(model))
        posture.set_target(natural_posture())
        self.tasks = [*self.wrists.values(), *self.feet.values(), self.pelvis, self.chest, self.balance, posture]

    def frame(self, plan: plans.Plan, i: int, iterations: int) -> None:
        """Move to frame i of `plan`."""
        for side in SIDES:
            self.wrists[side].set_target(self._pose(plan.wrists[side].pos[i], plan.wrists[side].rot[i]))
            self.feet[side].set_target(self._pose(plan.feet[side].pos[i], plan.feet[side].rot[i]))
        height = np.array([0.0, 0.0, plan.pelvis_height[i]])
        height[:2] = self.configuration.q[:2]
        self.pelvis.set_target(self._pose(height, plan.pelvis[i]))
        self.chest.set_target(self._pose(np.zeros(3), plan.chest[i]))
        self.balance.set_target(np.append(plan.balance[i], 0.0))
        for _ in range(iterations):
            step = self.mink.solve_ik(self.configuration, self.tasks, 1.0, "daqp", damping=1e-6, limits=[])
            self.configuration.integrate_inplace(step * min(1.0, MAX_STEP / np.abs(step).max()), 1.0)
            if np.abs(step).max() < TOLERANCE:
                return

    def _pose(self, position: np.ndarray, rotation: np.ndarray):
        return self.mink.SE3.from_rotation_and_translation(self.mink.SO3.from_matrix(rotation), position)


def _posture_cost(model: mujoco.MjModel) -> np.ndarray:
    cost = np.zeros(model.nv)
    for name in IK_BODIES[1:]:
        first = model.joint(name).dofadr[0]
        cost[first : first + 3] = POSTURE_COST[name.removeprefix("L_").removeprefix("R_")]
    return POSTURE_SCALE * cost


def solve(plan: plans.Plan) -> Solution:
    """Joint angles for every frame: the body first, then the head follows the ball."""
    solver = Solver()
    model = arm_model()
    head = model.body("Head").id
    chest = model.body("Chest").id
    roots, joints = [], []
    eyes, trunk = np.zeros((plan.num_frames, 3)), np.zeros((plan.num_frames, 3, 3))
    for i in range(plan.num_frames):
        solver.frame(plan, i, FIRST_ITERATIONS if i == 0 else MAX_ITERATIONS)
        eyes[i] = solver.configuration.data.xpos[head]
        trunk[i] = solver.configuration.data.xmat[chest].reshape(3, 3)
        q = solver.configuration.q
        roots.append(q[:7].copy())
        joints.append(q[7:].reshape(-1, 4).copy())
    looking = plans.gaze(eyes, plan.ball.pos, trunk)
    root, joint = np.array(roots), np.array(joints)
    joint = _turn_head(joint, trunk, looking)
    return Solution(root[:, :3], root[:, 3:], joint)


def _turn_head(joint: np.ndarray, trunk: np.ndarray, looking: np.ndarray) -> np.ndarray:
    """Share the turn from trunk to gaze evenly between neck and head; nothing else depends on them but balance."""
    half = Rotation.from_rotvec(0.5 * Rotation.from_matrix(np.swapaxes(trunk, 1, 2) @ looking).as_rotvec())
    for name in ("Neck", "Head"):
        joint[:, IK_BODIES.index(name) - 1] = half.as_quat(scalar_first=True)
    return joint
