"""Where episodes start: the state of every reference frame, ready to be gathered into worlds (skillmimic.md §3.6)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.model import depenetrate
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array


@dataclasses.dataclass(frozen=True)
class StartOptions:
    """How a clip's frame becomes the state of a world.

    frame: None draws the start frame (§3.5); a number starts every episode there. joint_velocity, max_joint_speed,
    root_angular_velocity: as in `motion.table.initial_coordinates`; `reference` takes the published ones.
    lift_object, push_object, feet_depth, slop, max_push: what is corrected before the engine sees the state, as in
    `model.depenetrate.StartOptions`; `reference` corrects nothing.
    """

    frame: int | None = None
    joint_velocity: table.JointVelocity = "relative"
    max_joint_speed: float | None = 30.0
    root_angular_velocity: table.RootAngularVelocity = "body"
    lift_object: bool = True
    push_object: bool = True
    feet_depth: float | None = None
    slop: float = 0.002
    max_push: float = 0.12

    @classmethod
    def reference(cls) -> StartOptions:
        return cls(
            joint_velocity="published",
            max_joint_speed=None,
            root_angular_velocity="published",
            lift_object=False,
            push_object=False,
        )

    @classmethod
    def default(cls) -> StartOptions:
        return cls()


@struct.dataclass
class Starts:
    """F start states: qpos (F, nq), qvel (F, nv), and the body states that belong to them, without contacts."""

    qpos: Array
    qvel: Array
    body: BodyState

    def body_state(self, row: Array) -> BodyState:
        """The body states (N, …) of rows (N,)."""
        return jax.tree.map(lambda x: x[row], self.body)


def build_starts(scene: Scene, motions: table.MotionTable, options: StartOptions) -> Starts:
    """Computes the start state of every frame of the table, once, on the host."""
    clip = np.repeat(np.arange(motions.num_clips), np.asarray(motions.lengths))
    frame = np.concatenate([np.arange(length) for length in np.asarray(motions.lengths)])
    coordinates = table.initial_coordinates(
        motions,
        jnp.asarray(clip),
        jnp.asarray(frame),
        joint_velocity=options.joint_velocity,
        max_joint_speed=options.max_joint_speed,
        root_angular_velocity=options.root_angular_velocity,
    )
    qpos, qvel = (np.asarray(x) for x in scene.pack(*coordinates))
    corrections = {f.name: getattr(options, f.name) for f in dataclasses.fields(depenetrate.StartOptions)}
    qpos = depenetrate.depenetrate(scene, qpos, depenetrate.StartOptions(**corrections)).qpos
    qpos, qvel = jnp.asarray(qpos, jnp.float32), jnp.asarray(qvel, jnp.float32)
    body = jax.jit(lambda q, v: body_state(scene, batch.new_state(q, v, engine=None)))(qpos, qvel)
    return Starts(qpos, qvel, body)
