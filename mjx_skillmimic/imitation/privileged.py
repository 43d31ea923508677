"""What only the critic sees: how far the simulated state is from the reference frame that is rewarded next.

The policy has neither phase nor reference, yet the reward compares with a hidden frame; a critic that knows it predicts
the return of one episode and not the mean over all frames that look alike. Nothing of this reaches the policy.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.observation import Layout
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion.features import NUM_KEY_BODIES, Features
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    from mjx_skillmimic.physics.base import BodyState

# Contact labels are given of the rows at progress + each of these; the first is the row that is compared next.
LOOKAHEAD = (1, 2, 4, 8, 16)
# Frames left are counted up to this many, the published length of an episode.
MOST_LEFT = 60

_KEY_BODIES = humanoid.indices(humanoid.KEY_BODIES)


@functools.cache
def privileged_layout() -> Layout:
    """Which columns hold what."""
    return Layout(
        (
            ("root_pos", 3),
            ("key_body_pos", 3 * NUM_KEY_BODIES),
            ("rotation", 3 * humanoid.NUM_BODIES),
            ("object_pos", 3),
            ("object_lin_vel", 3),
            ("contact", len(LOOKAHEAD)),
            ("frames_left", 1),
            ("edges", 3),
        )
    )


def privileged(state: BodyState, following: Features, contact: Array, left: Array) -> Array:
    """The critic's extra columns (..., 228), laid out by `privileged_layout()`.

    Positions in m and velocities in m/s are reference − simulation, turned by −heading of the simulated root as in
    `observation`; rotations are log(q_sim⁻¹ q_ref) in rad of the root (in its own frame) and of the 52 joints (each in
    its child's frame), so that nothing depends on where the scene stands or how it is turned about the vertical.

    Args:
        state: the worlds after a control step or a reset. following: the reference row at progress + 1, with leading
            axes (...). contact: (..., 5) labels of the rows at progress + `LOOKAHEAD`. left: (...) int, control steps
            until the time-out. One is the least that is shown: the critic never learns from the state of a time-out
            itself, whose value continues the return, and there it would have to extrapolate.

    Raises:
        ValueError: `contact` is not as wide as `LOOKAHEAD`.
    """
    if contact.shape[-1] != len(LOOKAHEAD):
        raise ValueError(f"contact labels: expected {len(LOOKAHEAD)} columns, got {contact.shape[-1]}")
    xp = rotations.namespace(state.body_pos, following.root_pos)
    turn = rotations.heading_inverse(state.root_quat)
    key_bodies = following.key_body_pos - state.body_pos[..., _KEY_BODIES, :]
    root = _remaining(state.root_quat, rotations.exp(following.root_rotvec))
    joints = _remaining(rotations.exp(_vectors(state.dof_pos)), rotations.exp(_vectors(following.dof_pos)))
    parts = {
        "root_pos": rotations.rotate(turn, following.root_pos - state.root_pos),
        "key_body_pos": _flat(rotations.rotate(turn[..., None, :], key_bodies)),
        "rotation": xp.concatenate([root, _flat(joints)], axis=-1),
        "object_pos": rotations.rotate(turn, following.object_pos - state.object_pos),
        "object_lin_vel": rotations.rotate(turn, following.object_lin_vel - state.object_lin_vel),
        "contact": contact,
        "frames_left": (xp.clip(left, 1, MOST_LEFT) / MOST_LEFT)[..., None],
        "edges": state.edges,
    }
    dtype = state.body_pos.dtype
    return xp.concatenate([parts[name].astype(dtype) for name in privileged_layout().names], axis=-1)


def _remaining(simulated: Array, reference: Array) -> Array:
    """Rotation vectors (..., 3) that lead from one rotation to the other, in the frame of the first."""
    return rotations.log(rotations.multiply(rotations.conjugate(simulated), reference))


def _vectors(x: Array) -> Array:
    return x.reshape(*x.shape[:-1], -1, 3)


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-2], -1)
