"""From the policy's action to PD targets: 52 rotation vectors, scale · clip(action) (skillmimic.md §5)."""

from __future__ import annotations

import math

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.options import ActionOptions
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.rotations import Array

# The published limit of every rotation-vector component in rad. Our ball joints are unlimited: a rotation vector of
# norm ≤ π never reaches it, so it only defines the range of the targets.
LOWER_LIMIT = -math.pi
UPPER_LIMIT = math.pi


def offset_and_scale(lower: Array | float = LOWER_LIMIT, upper: Array | float = UPPER_LIMIT) -> tuple[Array, Array]:
    """Middle and half range of joint limits (rad): what maps an action in [−1, 1] onto them."""
    return (upper + lower) * 0.5, (upper - lower) * 0.5


def pd_targets(action: Array, options: ActionOptions) -> Array:
    """PD targets (..., 156) in rad of actions (..., 156), to be held over the control step.

    Raises ValueError if the action has another width.
    """
    if action.shape[-1] != humanoid.NUM_DOFS:
        raise ValueError(f"action: expected {humanoid.NUM_DOFS} columns, got {action.shape[-1]}")
    xp = rotations.namespace(action)
    if options.clip is not None:
        action = xp.clip(action, -options.clip, options.clip)
    return options.scale * action


def initial_action(dof_pos: np.ndarray, options: ActionOptions) -> np.ndarray:
    """(156,) the action that an untrained actor starts from, given the clips' frames dof_pos (..., 156) rad."""
    if options.initial == "zero":
        return np.zeros(humanoid.NUM_DOFS, np.float32)
    return np.clip(mean_pose(dof_pos) / options.scale, -1.0, 1.0).astype(np.float32)


def mean_pose(dof_pos: np.ndarray) -> np.ndarray:
    """The mean rotation of every joint over frames: rotation vectors (..., 156) rad to (156,), norm ≤ π.

    The mean is the unit quaternion q that maximises Σ (q·q_t)², the leading eigenvector of Σ q_t q_tᵀ: unlike a mean of
    rotation vectors it does not care on which side of ‖v‖ = π a frame lies.
    """
    quats = rotations.exp(np.asarray(dof_pos, np.float64).reshape(-1, humanoid.NUM_JOINTS, 3))
    _, vectors = np.linalg.eigh(np.einsum("tji,tjk->jik", quats, quats))
    return rotations.log(vectors[..., -1]).reshape(humanoid.NUM_DOFS).astype(np.float32)
