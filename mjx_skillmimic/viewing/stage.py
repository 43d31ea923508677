"""One world with the projectile behind the door of physics: MuJoCo C steps the very data that viewers draw."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from flax import struct

from mjx_skillmimic.model.humanoid import NUM_BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import batch, sensors
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.rotations import Array
from mjx_skillmimic.viewing.projectile import PARKED, Throw, add_projectile

_PARKED = np.array([*PARKED, 1.0, 0.0, 0.0, 0.0])


@struct.dataclass
class Beside:
    """What the stage keeps beside the scene: warm (1, nv + 6), the solver's warm start; box_pos (1, 7), box_vel (1, 6),
    the projectile's free joint; thrown (1,) bool: until then it stays where it is parked."""

    warm: Array
    box_pos: Array
    box_vel: Array
    thrown: Array


class Stage:
    """A `physics.base.Physics` of one world, as `mujoco_c.MujocoPhysics` but with the box in the scene.

    model: the scene's model and the box as last body. data: the world, left by `step` at its end with the poses and
    with the contacts of the last physics step. Forces that a viewer leaves in `data.xfrc_applied` act.
    """

    name = "mujoco"

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        spec = scene.spec.copy()
        add_projectile(spec)
        self.model = sensors.with_contact_sensors(dataclasses.replace(scene, spec=spec))
        # The solver stops at a cost in units of inertia × dofs: the box must not change these.
        self.model.stat.meaninertia = scene.model.stat.meaninertia * scene.model.nv / self.model.nv
        self.data = mujoco.MjData(self.model)

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """One world at qpos (1, nq), qvel (1, nv), the box parked. Raises ValueError for several worlds."""
        if jnp.shape(qpos)[0] != 1:
            raise ValueError(f"a stage holds one world, got {jnp.shape(qpos)[0]}")
        beside = Beside(
            warm=jnp.zeros((1, self.model.nv), jnp.float32),
            box_pos=jnp.asarray(_PARKED[None], jnp.float32),
            box_vel=jnp.zeros((1, 6), jnp.float32),
            thrown=jnp.zeros((1,), bool),
        )
        return batch.new_state(qpos, qvel, engine=beside)

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """The world starts over at the given coordinates where mask (1,) is true."""
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (1, 156) rad."""
        shapes = {"qpos": state.qpos.shape, "qvel": state.qvel.shape}
        shapes |= {"body_force": (1, NUM_BODIES, 3), "object_force": (1, 3)}
        out: dict[str, Any] = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
        out["edges"] = jax.ShapeDtypeStruct((1, len(EDGES)), jnp.bool_)
        out["engine"] = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state.engine)
        changed = jax.pure_callback(self._simulate, out, state.qpos, state.qvel, state.engine, target)
        return dataclasses.replace(state, **changed)

    def _simulate(self, qpos: Array, qvel: Array, beside: Beside, target: Array) -> dict[str, Any]:
        """The control step outside JAX; arrays as in `step`. Coordinates that are not finite come back as NaN."""
        model, data, given = self.model, self.data, (qpos, qvel, beside.warm, target)
        if not all(np.isfinite(np.asarray(x)).all() for x in given):
            return _spoiled(np.asarray(qpos), np.asarray(qvel), jax.tree.map(np.asarray, beside))
        thrown = bool(np.asarray(beside.thrown)[0])
        self.place(qpos, qvel, beside)
        data.qacc_warmstart[:] = np.asarray(beside.warm)[0]
        data.ctrl[:] = self.scene.servo_targets(np.asarray(target, np.float64))[0]
        sensed = np.zeros(model.nsensordata)
        for _ in range(self.scene.substeps):
            before = data.qvel.copy()
            mujoco.mj_step(model, data)
            sensed += data.sensordata / self.scene.substeps
        # As in `mujoco_c`: the warm start is the last acceleration.
        warm = (data.qvel - before) / self.scene.timestep
        if not thrown:
            data.qpos[-7:], data.qvel[-6:] = _PARKED, 0.0
            warm[-6:] = 0.0
        self.pose()
        body, ball, edges = sensors.read(sensed)
        single = lambda x: np.asarray(x, np.float32)[None]  # noqa: E731
        return {
            "qpos": single(data.qpos[:-7]),
            "qvel": single(data.qvel[:-6]),
            "body_force": single(body),
            "object_force": single(ball),
            "edges": edges[None],
            "engine": Beside(single(warm), single(data.qpos[-7:]), single(data.qvel[-6:]), np.array([thrown])),
        }

    def place(self, qpos: Array, qvel: Array, beside: Beside) -> None:
        """Writes coordinates (1, nq), (1, nv) and the box into `data`."""
        self.data.qpos[:] = np.concatenate([np.asarray(qpos)[0], np.asarray(beside.box_pos)[0]])
        self.data.qvel[:] = np.concatenate([np.asarray(qvel)[0], np.asarray(beside.box_vel)[0]])

    def show(self, state: PhysicsState) -> None:
        """Puts a state into `data` at rest of time: its poses, and the contacts in that very pose."""
        mujoco.mj_resetData(self.model, self.data)
        self.place(state.qpos, state.qvel, state.engine)
        mujoco.mj_forward(self.model, self.data)

    def show_pose(self, qpos: np.ndarray) -> None:
        """Puts the scene's coordinates (nq,) into `data`, without velocity, contacts or box."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = np.concatenate([qpos, _PARKED])
        self.pose()

    def motion_of(self, body: str) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) m and velocity (3,) m/s of a body's origin in `data`, world frame."""
        index, velocity = self.model.body(body).id, np.zeros(6)
        mujoco.mj_comVel(self.model, self.data)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, index, velocity, 0)
        return self.data.xpos[index].copy(), velocity[3:]

    def pose(self) -> None:
        """Brings the poses in `data` to its coordinates; contacts stay those of the last physics step."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)


def with_throw(state: PhysicsState, throw: Throw) -> PhysicsState:
    """The state with the box on its way."""
    pos = np.concatenate([throw.pos, _PARKED[3:]])[None].astype(np.float32)
    vel = np.concatenate([throw.lin_vel, np.zeros(3)])[None].astype(np.float32)
    thrown = state.engine.replace(box_pos=jnp.asarray(pos), box_vel=jnp.asarray(vel), thrown=jnp.ones((1,), bool))
    return dataclasses.replace(state, engine=thrown)


def contact_points(model: mujoco.MjModel, data: mujoco.MjData) -> list[tuple[np.ndarray, float]]:
    """Where something touches with which force: (position (3,) m, |force| N) of the contacts in `data` that push."""
    found, wrench = [], np.zeros(6)
    for i in range(data.ncon):
        mujoco.mj_contactForce(model, data, i, wrench)
        size = float(np.linalg.norm(wrench[:3]))
        if size > 0.0:
            found.append((data.contact.pos[i].copy(), size))
    return found


def _spoiled(qpos: np.ndarray, qvel: np.ndarray, beside: Beside) -> dict[str, Any]:
    """What a control step answers for coordinates that are not finite."""
    nan = lambda *shape: np.full(shape, np.nan, np.float32)  # noqa: E731
    return {
        "qpos": nan(*qpos.shape),
        "qvel": nan(*qvel.shape),
        "body_force": nan(1, NUM_BODIES, 3),
        "object_force": nan(1, 3),
        "edges": np.zeros((1, len(EDGES)), bool),
        "engine": beside,
    }
