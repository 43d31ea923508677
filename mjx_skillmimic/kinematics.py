"""Forward kinematics of a tree of rotations in JAX or NumPy: the same body poses for every physics engine.

MuJoCo's own `xpos` belongs to the beginning of the last physics step; computing poses from `qpos` and `qvel` gives
the state after it, needs no call to an engine, and runs for any number of leading axes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    import mujoco


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A tree of bodies: a free root, then bodies that only turn about their own origin, unrotated in their zero pose.

    Bodies are in depth-first order, body 0 the root. `parents` (B,) int, −1 for the root; `offsets` (B, 3) m, the
    body's origin in its parent's frame.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    offsets: np.ndarray

    @property
    def num_bodies(self) -> int:
        return len(self.names)

    @property
    def levels(self) -> tuple[np.ndarray, ...]:
        """Bodies by depth in the tree, so that each level is one vectorised operation."""
        depth = np.zeros(self.num_bodies, int)
        for body in range(1, self.num_bodies):
            depth[body] = depth[self.parents[body]] + 1
        return tuple(np.flatnonzero(depth == d) for d in range(depth.max() + 1))

    def index(self, name: str) -> int:
        """The body's index. Raises KeyError that lists what exists."""
        if name not in self.names:
            raise KeyError(f"no body {name!r}; the skeleton has {', '.join(self.names)}")
        return self.names.index(name)


class Kinematics(NamedTuple):
    """World-frame body states: position (..., B, 3) m, quaternion (..., B, 4) wxyz, and the velocities of the body
    origins: linear (..., B, 3) m/s, angular (..., B, 3) rad/s."""

    pos: Array
    quat: Array
    lin_vel: Array
    ang_vel: Array


class Coordinates(NamedTuple):
    """A humanoid and an object in joint coordinates; leading axes (...) are free. Quaternions wxyz.

    root_pos (..., 3) m, world. root_quat (..., 4). joint_quat (..., J, 4), child in parent. root_lin_vel (..., 3) m/s,
    world. root_ang_vel (..., 3) rad/s **in the root's frame**. joint_vel (..., J, 3) rad/s, relative, in the child's
    frame. object_pos, object_lin_vel (..., 3), object_quat (..., 4) and object_ang_vel (..., 3): world frame.
    """

    root_pos: Array
    root_quat: Array
    joint_quat: Array
    root_lin_vel: Array
    root_ang_vel: Array
    joint_vel: Array
    object_pos: Array
    object_quat: Array
    object_lin_vel: Array
    object_ang_vel: Array


def skeleton_from_model(model: mujoco.MjModel, root: str = "Pelvis") -> Skeleton:
    """The humanoid's tree inside a compiled model.

    Raises ValueError if a body below `root` has anything but one ball joint, one hinge through its origin, or none.
    """
    import mujoco

    turning = (int(mujoco.mjtJoint.mjJNT_BALL), int(mujoco.mjtJoint.mjJNT_HINGE))
    first = model.body(root).id
    bodies = [b for b in range(first, model.nbody) if _is_below(model, b, first)]
    for b in bodies[1:]:
        joints = np.flatnonzero(model.jnt_bodyid == b)
        kinds = model.jnt_type[joints].tolist()
        turns = len(kinds) <= 1 and all(kind in turning for kind in kinds) and not model.jnt_pos[joints].any()
        if not turns or not np.allclose(model.body_quat[b], [1, 0, 0, 0]):
            raise ValueError(
                f"body {model.body(b).name!r}: expected an unrotated frame and at most one joint, a ball or a hinge "
                f"through its origin, got joints of type {kinds}"
            )
    index = {b: i for i, b in enumerate(bodies)}
    parents = np.array([-1] + [index[int(model.body_parentid[b])] for b in bodies[1:]])
    offsets = np.array(model.body_pos[bodies])
    offsets[0] = 0.0
    return Skeleton(tuple(model.body(b).name for b in bodies), parents, offsets)


def _is_below(model: mujoco.MjModel, body: int, ancestor: int) -> bool:
    while body > ancestor:
        body = int(model.body_parentid[body])
    return body == ancestor


def forward_kinematics(
    skeleton: Skeleton,
    root_pos: Array,
    root_quat: Array,
    joint_quat: Array,
    root_lin_vel: Array | None = None,
    root_ang_vel: Array | None = None,
    joint_vel: Array | None = None,
) -> Kinematics:
    """Body poses and velocities from joint coordinates.

    Args:
        root_pos: (..., 3) m, world. root_quat: (..., 4) wxyz. joint_quat: (..., J, 4) child in parent.
        root_lin_vel: (..., 3) m/s, world. root_ang_vel: (..., 3) rad/s **in the root's frame**, as MuJoCo's free
            joint has it. joint_vel: (..., J, 3) rad/s, relative, in the child's frame, as MuJoCo's ball joint has it.
            All three absent: the velocities are zero.
    """
    xp = rotations.namespace(root_pos, root_quat, joint_quat)
    offsets = skeleton.offsets.astype(root_pos.dtype)
    if root_lin_vel is None or root_ang_vel is None or joint_vel is None:
        root_lin_vel = root_ang_vel = xp.zeros_like(root_pos)
        joint_vel = xp.zeros_like(joint_quat[..., :3])
    level = Kinematics(
        root_pos[..., None, :],
        root_quat[..., None, :],
        root_lin_vel[..., None, :],
        rotations.rotate(root_quat, root_ang_vel)[..., None, :],
    )
    done, order, previous = [level], [0], np.array([0])
    for bodies in skeleton.levels[1:]:
        above = np.searchsorted(previous, skeleton.parents[bodies])
        pos, quat, lin, ang = (x[..., above, :] for x in level)
        arm = rotations.rotate(quat, offsets[bodies])
        child_quat = rotations.multiply(quat, joint_quat[..., bodies - 1, :])
        level = Kinematics(
            pos + arm,
            child_quat,
            lin + rotations.cross(ang, arm),
            ang + rotations.rotate(child_quat, joint_vel[..., bodies - 1, :]),
        )
        done.append(level)
        order.extend(bodies.tolist())
        previous = bodies
    back = np.argsort(order)
    return Kinematics(*(xp.concatenate([x[i] for x in done], axis=-2)[..., back, :] for i in range(len(level))))
