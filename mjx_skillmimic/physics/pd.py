"""The folded PD torque in JAX, elementwise, as MuJoCo C's position actuators give it."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.rotations import Array


def wrap(angle: Array) -> Array:
    """`angle` (...) rad moved by whole turns into [−π, π]."""
    xp = rotations.namespace(angle)
    return angle - 2.0 * np.pi * xp.round(angle / (2.0 * np.pi))


def pd_torque(scene: Scene, qpos: Array, qvel: Array, target: Array) -> Array:
    """Joint torque (..., 156) N·m at qpos (..., nq), qvel (..., nv) for targets (..., 156) rad.

    τ = kp wrap(target − log q) − (kd + dt kp) ω, each component clipped to the effort limit. With the armature that
    `build_scene` folded into the model this is the implicit step τ = kp (target − q⁺) − kd ω⁺; the limit applies to
    the explicit part. MuJoCo wraps a ball joint's servo error by components; so does this.
    """
    c = scene.unpack(qpos, qvel)
    lead = target.shape[:-1]
    kp, damping = scene.kp.astype(qpos.dtype), (scene.kd + scene.timestep * scene.kp).astype(qpos.dtype)
    error = wrap(target - rotations.log(c.joint_quat).reshape(*lead, -1))
    torque = kp * error - damping * c.joint_vel.reshape(*lead, -1)
    if scene.effort_limit is None:
        return torque
    return rotations.namespace(torque).clip(torque, -scene.effort_limit, scene.effort_limit)


def generalised_force(scene: Scene, qpos: Array, qvel: Array, target: Array) -> Array:
    """`pd_torque` as qfrc_applied (..., nv): nothing on the root and on the object."""
    xp = rotations.namespace(qpos, qvel, target)
    torque = pd_torque(scene, qpos, qvel, target)
    free = xp.zeros((*torque.shape[:-1], 6), torque.dtype)
    return xp.concatenate([free, torque, free], axis=-1)
