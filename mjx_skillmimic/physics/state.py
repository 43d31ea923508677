"""From an engine's coordinates to the named body state, the same way for every engine."""

from __future__ import annotations

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import BodyState, PhysicsState


def body_state(scene: Scene, state: PhysicsState) -> BodyState:
    """The named state of N worlds after the last control step, by forward kinematics of its coordinates."""
    c = scene.unpack(state.qpos, state.qvel)
    bodies = forward_kinematics(
        scene.skeleton, c.root_pos, c.root_quat, c.joint_quat, c.root_lin_vel, c.root_ang_vel, c.joint_vel
    )
    lead = c.root_pos.shape[:-1]
    return BodyState(
        body_pos=bodies.pos,
        body_quat=bodies.quat,
        body_lin_vel=bodies.lin_vel,
        body_ang_vel=bodies.ang_vel,
        dof_pos=rotations.log(c.joint_quat).reshape(*lead, -1),
        dof_vel=c.joint_vel.reshape(*lead, -1),
        object_pos=c.object_pos,
        object_quat=c.object_quat,
        object_lin_vel=c.object_lin_vel,
        object_ang_vel=c.object_ang_vel,
        body_force=state.body_force,
        object_force=state.object_force,
        edges=state.edges,
    )
