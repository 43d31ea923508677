"""The simulated state as the named features that the reward compares with the reference (skillmimic.md §6.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    from mjx_skillmimic.physics.base import BodyState

_KEY_BODIES = humanoid.indices(humanoid.KEY_BODIES)


def simulated_features(
    state: BodyState, progress: Array | None = None, options: RewardOptions | None = None
) -> Features:
    """Features (...) of simulated worlds; the contact label is 0, for the flags come from `contact_graph`.

    Root rotation as a rotation vector of norm ≤ π. `dof_vel` is the relative angular velocity of each joint, where the
    reference row has the difference of rotation vectors: the two differ by the exponential map's Jacobian.

    Args:
        progress: (...) int, control steps done in this episode when the state was reached; together with
            `options.zero_velocity_progress` it reproduces the published mask of joint velocities (§12 item 15).
            Without either, velocities are kept.
    """
    xp = rotations.namespace(state.body_pos)
    dof_vel = state.dof_vel
    if progress is not None and options is not None and options.zero_velocity_progress is not None:
        dof_vel = xp.where((progress == options.zero_velocity_progress)[..., None], 0.0, dof_vel)
    return Features(
        root_pos=state.root_pos,
        root_rotvec=rotations.log(state.root_quat),
        dof_pos=state.dof_pos,
        dof_vel=dof_vel,
        object_pos=state.object_pos,
        object_quat=state.object_quat,
        object_lin_vel=state.object_lin_vel,
        key_body_pos=state.body_pos[..., _KEY_BODIES, :],
        contact=xp.zeros_like(state.object_pos[..., 0]),
    )
