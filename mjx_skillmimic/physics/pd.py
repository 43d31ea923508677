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


def servo_torque(scene: Scene, qpos: Array, qvel: Array, target: Array) -> Array:
    """Torque (..., S) N·m of the servos at qpos (..., nq), qvel (..., nv) for targets (..., 156) rad.

    τ = kp (target − θ) − (kd + dt kp) ω, each component clipped to the effort limit. With the armature that
    `build_scene` folded into the model this is the implicit step τ = kp (target − θ⁺) − kd ω⁺; the limit applies to
    the explicit part. MuJoCo wraps a ball joint's servo error by components and leaves a hinge's; so does this.
    """
    xp = rotations.namespace(qpos, qvel, target)
    servos = scene.servos
    kp, damping = servos.kp.astype(qpos.dtype), (servos.kd + scene.timestep * servos.kp).astype(qpos.dtype)
    error = scene.servo_targets(target) - scene.servo_positions(qpos)
    error = xp.where(servos.is_hinge, error, wrap(error)) if servos.is_hinge.any() else wrap(error)
    torque = kp * error - damping * qvel[..., servos.dof[0] : servos.dof[-1] + 1]
    return torque if scene.effort_limit is None else xp.clip(torque, -scene.effort_limit, scene.effort_limit)


def generalised_force(scene: Scene, qpos: Array, qvel: Array, target: Array) -> Array:
    """`servo_torque` as qfrc_applied (..., nv): nothing on the root and on the object."""
    xp = rotations.namespace(qpos, qvel, target)
    torque = servo_torque(scene, qpos, qvel, target)
    free = xp.zeros((*torque.shape[:-1], 6), torque.dtype)
    return xp.concatenate([free, torque, free], axis=-1)
