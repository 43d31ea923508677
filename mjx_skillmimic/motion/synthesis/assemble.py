"""From a plan to a `MotionClip`: inverse kinematics, fingers, forward kinematics and the contact label."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.humanoid import NUM_JOINTS, indices
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.synthesis import ik
from mjx_skillmimic.motion.synthesis.hands import FINGERS, grip
from mjx_skillmimic.motion.synthesis.plan import Plan
from mjx_skillmimic.motion.synthesis.rig import FPS, IK_BODIES, SIDES, full_skeleton

SOURCE = "mjx_skillmimic scripts/make_clips.py"
LICENCE = "Apache-2.0"


def make_clip(plan: Plan) -> MotionClip:
    """Solve `plan` and return the clip; needs mink and daqp (extra `clips`)."""
    solution = ik.solve(plan)
    dof = np.zeros((plan.num_frames, NUM_JOINTS, 3))
    dof[:, np.array(indices(IK_BODIES[1:])) - 1] = rotations.log(solution.joint_quat)
    for side in SIDES:
        names = tuple(f"{side}_{finger}{i}" for finger in FINGERS for i in (1, 2, 3))
        dof[:, np.array(indices(names)) - 1] = grip(side).fingers(plan.closure[side])
    dof = dof.astype(np.float32)
    root_pos = solution.root_pos.astype(np.float32)
    root_rotvec = rotations.log(solution.root_quat).astype(np.float32)
    # from the stored (rounded) angles, so that the stored positions are their forward kinematics
    poses = forward_kinematics(
        full_skeleton(),
        root_pos.astype(np.float64),
        rotations.exp(root_rotvec.astype(np.float64)),
        rotations.exp(dof.astype(np.float64)),
    )
    return MotionClip(
        name=plan.name,
        skill=plan.skill,
        fps=FPS,
        source=SOURCE,
        licence=LICENCE,
        root_pos=root_pos,
        root_rotvec=root_rotvec,
        dof_pos=dof.reshape(plan.num_frames, -1),
        body_pos=poses.pos.astype(np.float32),
        object_pos=plan.ball.pos.astype(np.float32),
        object_rotvec=np.zeros((plan.num_frames, 3), np.float32),
        contact=plan.ball.held.astype(np.float32),
    )
