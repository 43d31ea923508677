"""What the history remembers of an instant: 316 numbers in the frame of the root's heading (skillmimic_v2.md §4.2)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.options import check_choices
from mjx_skillmimic.kinematics import Skeleton, forward_kinematics
from mjx_skillmimic.model.humanoid import NUM_BODIES, NUM_DOFS
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    from mjx_skillmimic.motion.table import MotionTable
    from mjx_skillmimic.physics.base import BodyState

OBJECT = slice(1 + 3 * (NUM_BODIES - 1) + NUM_DOFS, 1 + 3 * (NUM_BODIES - 1) + NUM_DOFS + 3)
FRAME_SIZE = OBJECT.stop  # root height 1 | bodies 1…52 156 | joints 156 | object 3


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """How the frames of clips are made; those of simulated worlds are the same in both presets."""

    # Which heading turns a clip's frames. reference: "rotvec_as_quaternion", the published slip [12]: the root's
    # rotation vector is read as a quaternion. default: "root", the heading that simulated worlds are turned by.
    heading: Literal["root", "rotvec_as_quaternion"] = "root"
    # Where a clip's bodies and joints come from. reference: "stored", the columns of the file. default: "kinematics",
    # what the simulator shows in the same pose; the stored bodies are 26–40 mm from it.
    bodies: Literal["kinematics", "stored"] = "kinematics"

    def __post_init__(self) -> None:
        check_choices(self)

    @classmethod
    def reference(cls) -> FrameOptions:
        return cls(heading="rotvec_as_quaternion", bodies="stored")

    @classmethod
    def default(cls) -> FrameOptions:
        return cls()


def reference_frames(
    motions: MotionTable, options: FrameOptions | None = None, skeleton: Skeleton | None = None
) -> Array:
    """Frames (F, 316) of all rows of a motion table; rows of zeros (missing frames, as published) stay zeros.

    Args:
        skeleton: the humanoid's tree for bodies="kinematics"; default: that of `assets_mjcf/humanoid.xml`.
    """
    options = options or FrameOptions()
    stored, state = motions.reference, motions.state
    published = options.heading == "rotvec_as_quaternion"
    heading = slipped_heading(stored.root_rotvec) if published else rotations.heading(state.root_quat)
    body_pos, dof_pos = motions.body_pos, stored.dof_pos
    if options.bodies == "kinematics":
        body_pos = forward_kinematics(skeleton or _skeleton(), state.root_pos, state.root_quat, state.joint_quat).pos
        dof_pos = rotations.log(state.joint_quat).reshape(dof_pos.shape)
    frames = _frame(heading, stored.root_pos, body_pos, dof_pos, stored.object_pos)
    present = jnp.any(motions.body_pos != 0.0, axis=(-2, -1)) | jnp.any(stored.dof_pos != 0.0, axis=-1)
    return jnp.where(present[:, None], frames, 0.0)


def live_frame(body: BodyState) -> Array:
    """Frames (N, 316) of simulated worlds."""
    return _frame(rotations.heading(body.root_quat), body.root_pos, body.body_pos, body.dof_pos, body.object_pos)


def slipped_heading(rotvec: Array) -> Array:
    """The angle (...) that the published code takes for a clip's heading: of (x, y, z) as (w = z, x, y, z) (§4.2)."""
    xp = rotations.namespace(rotvec)
    x, y, z = rotvec[..., 0], rotvec[..., 1], rotvec[..., 2]
    return xp.arctan2(2.0 * (z * z + x * y), 2.0 * (z * z + x * x) - 1.0)


def _frame(heading: Array, root_pos: Array, body_pos: Array, dof_pos: Array, object_pos: Array) -> Array:
    """(..., 316): positions relative to the root and turned by −heading, the object's height absolute."""
    xp = rotations.namespace(root_pos, body_pos)
    turn = rotations.about_z(-heading)
    bodies = rotations.rotate(turn[..., None, :], body_pos[..., 1:, :] - root_pos[..., None, :])
    flat = rotations.rotate(turn, object_pos - root_pos)[..., :2]
    parts = (root_pos[..., 2:], bodies.reshape(*bodies.shape[:-2], -1), dof_pos, flat, object_pos[..., 2:])
    return xp.concatenate(parts, axis=-1)


def _skeleton() -> Skeleton:
    from mjx_skillmimic.model.assets import humanoid_skeleton

    return humanoid_skeleton()
