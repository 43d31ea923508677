"""Joints with their drives as USD text."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.physx.settings import PhysxSettings
from mjx_skillmimic.physics.physx.usda import number, prim, row

_DEGREE = np.pi / 180.0  # USD writes angles in degrees, and gains per degree
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def joint_name(body: str) -> str:
    """The prim of the joint above a body."""
    return f"joint_{body}"


def joint(scene: Scene, settings: PhysxSettings, body: int, humanoid: str) -> str:
    """The joint above MuJoCo's body: three rotations, one about a hinge's axis, or none; driven as published.

    PhysX makes three free rotations a spherical joint, whose coordinates are a rotation vector, as the published system
    does with three hinges in one place (skillmimic.md §1.1).
    """
    model, name = scene.model, scene.model.body(body).name
    parent = model.body(int(model.body_parentid[body])).name
    lines = [
        f"rel physics:body0 = <{humanoid}/{parent}>",
        f"rel physics:body1 = <{humanoid}/{name}>",
        f"point3f physics:localPos0 = {row(model.body_pos[body])}",
        "point3f physics:localPos1 = (0, 0, 0)",
        "bool physics:collisionEnabled = 0",
    ]
    servos = [int(i) for i in np.flatnonzero(scene.servos.joint == BODIES.index(name) - 1)]
    if not servos:
        return prim("PhysicsFixedJoint", joint_name(name), [], [*lines, *_frames(_IDENTITY)])
    if scene.servos.is_hinge[servos[0]]:
        # the hinge's axis becomes the x axis of both frames
        lines += ['uniform token physics:axis = "X"', *_frames(_turn_from_x(scene.servos.axis[servos[0]]))]
        lines += _drive(scene, settings, servos[0], "angular")
        schemas = ["PhysicsDriveAPI:angular", "PhysxJointAxisAPI:angular"]
        return prim("PhysicsRevoluteJoint", joint_name(name), schemas, lines)
    lines += _frames(_IDENTITY)
    schemas = [f"PhysicsLimitAPI:trans{axis}" for axis in "XYZ"]
    for axis in "XYZ":
        lines += [f"float limit:trans{axis}:physics:low = 1", f"float limit:trans{axis}:physics:high = -1"]
    for axis, servo in zip(("rotX", "rotY", "rotZ"), servos, strict=True):
        schemas += [f"PhysicsDriveAPI:{axis}", f"PhysxJointAxisAPI:{axis}"]
        lines += _drive(scene, settings, servo, axis)
    return prim("PhysicsJoint", joint_name(name), schemas, lines)


def armature(scene: Scene, servo: int) -> float:
    """The authored armature, kg·m², without what the implicit PD of the MuJoCo model folded into it."""
    servos, dt = scene.servos, scene.timestep
    folded = dt * servos.kd[servo] + dt * dt * servos.kp[servo]
    return float(scene.model.dof_armature[servos.dof[servo]] - folded)


def _drive(scene: Scene, settings: PhysxSettings, servo: int, axis: str) -> list[str]:
    """A force drive with the published gains; PhysX integrates it implicitly."""
    servos = scene.servos
    lines = [
        f'uniform token drive:{axis}:physics:type = "force"',
        f"float drive:{axis}:physics:stiffness = {number(servos.kp[servo] * _DEGREE)}",
        f"float drive:{axis}:physics:damping = {number(servos.kd[servo] * _DEGREE)}",
        f"float physxJointAxis:{axis}:armature = {number(armature(scene, servo))}",
    ]
    if scene.effort_limit is not None:
        lines.append(f"float drive:{axis}:physics:maxForce = {number(scene.effort_limit)}")
    if np.isfinite(settings.max_joint_velocity):
        lines.append(f"float physxJointAxis:{axis}:maxJointVelocity = {number(settings.max_joint_velocity / _DEGREE)}")
    return lines


def _frames(quat: np.ndarray) -> list[str]:
    return [f"quatf physics:localRot{side} = {row(quat)}" for side in (0, 1)]


def _turn_from_x(axis: np.ndarray) -> np.ndarray:
    """Quaternion (4,) that turns the x axis onto the unit vector `axis` (3,)."""
    from_z, turn = np.empty(4), np.empty(4)
    mujoco.mju_quatZ2Vec(from_z, axis)
    mujoco.mju_mulQuat(turn, from_z, np.sqrt(0.5) * np.array([1.0, 0.0, -1.0, 0.0]))
    return turn
