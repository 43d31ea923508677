"""MuJoCo C behind the door: every control step is one call into C threads."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import rollout

from mjx_skillmimic.model.humanoid import NUM_BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import batch, sensors
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.rotations import Array

_FULL = mujoco.mjtState.mjSTATE_FULLPHYSICS.value


class _Room(NamedTuple):
    """float64 buffers of `mujoco.rollout`, worlds first: initial (N, state), control (N, substeps, nu), warm (N, nv),
    state (N, substeps, state), sensed (N, substeps, sensors)."""

    initial: np.ndarray
    control: np.ndarray
    warm: np.ndarray
    state: np.ndarray
    sensed: np.ndarray


class MujocoPhysics:
    """MuJoCo C on the CPU; deterministic to the bit for any number of threads.

    The state between control steps is float32, as JAX has it; inside a control step everything is float64. The PD runs
    as native actuators. `PhysicsState.engine` is the solver's warm start (N, nv). The model has more than
    ten times the memory that the contacts of a heap of limbs need, so `overflow` is always zero. A world with
    non-finite coordinates or targets comes back as NaN and is not simulated.

    Args:
        threads: size of the thread pool; absent: one a core.
    """

    name = "mujoco"
    bitwise = True

    def __init__(self, scene: Scene, threads: int | None = None) -> None:
        self.scene = scene
        self.model = sensors.with_contact_sensors(scene)
        self.threads = usable_cores() if threads is None else threads
        if self.threads < 1:
            raise ValueError(f"threads={threads}; expected at least 1")
        self._pool = rollout.Rollout(nthread=self.threads)
        self._data = [mujoco.MjData(self.model) for _ in range(self.threads)]
        home = np.zeros(mujoco.mj_stateSize(self.model, _FULL))
        mujoco.mj_getState(self.model, self._data[0], home, _FULL)
        self._home = home
        self._lock = threading.Lock()
        self._buffers: _Room | None = None

    def init(self, qpos: Array, qvel: Array) -> PhysicsState:
        """N worlds at qpos (N, nq), qvel (N, nv)."""
        return batch.new_state(qpos, qvel, engine=jnp.zeros(jnp.shape(qvel), jnp.float32))

    def reset(self, state: PhysicsState, mask: Array, qpos: Array, qvel: Array) -> PhysicsState:
        """The worlds of `mask` (N,) start over at the given coordinates."""
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: PhysicsState, target: Array) -> PhysicsState:
        """One control step with PD targets (N, 156) rad."""
        n, nq = state.qpos.shape
        nv = state.qvel.shape[-1]
        shapes = [(n, nq), (n, nv), (n, nv), (n, NUM_BODIES, 3), (n, 3)]
        out = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        out.append(jax.ShapeDtypeStruct((n, len(EDGES)), jnp.bool_))
        qpos, qvel, warmstart, body, ball, edges = jax.pure_callback(
            self._simulate, tuple(out), state.qpos, state.qvel, state.engine, target
        )
        return dataclasses.replace(
            state, qpos=qpos, qvel=qvel, engine=warmstart, body_force=body, object_force=ball, edges=edges
        )

    def _simulate(self, qpos: Array, qvel: Array, warmstart: Array, target: Array) -> tuple[np.ndarray, ...]:
        """The control step outside JAX; arrays as in `step`."""
        given = [np.asarray(x) for x in (qpos, qvel, warmstart, target)]
        finite = np.all([np.isfinite(x).all(axis=-1) for x in given], axis=0)
        spoiled = ~finite
        q, v, warm, goal = given
        if spoiled.any():
            home = self._home[1 : 1 + self.model.nq]
            zeros = (np.zeros(x.shape[-1], x.dtype) for x in (v, warm, goal))
            q, v, warm, goal = (np.where(finite[:, None], x, y) for x, y in zip(given, (home, *zeros), strict=True))
        # Two programs that step at the same time would otherwise share buffers and threads.
        with self._lock:
            positions, velocities, acceleration, sensed = self._roll(q, v, warm, goal)
            body, ball, edges = sensors.read(sensed.mean(axis=1))
            results = [x.astype(np.float32) for x in (positions, velocities, acceleration, body, ball)]
        if spoiled.any():
            for x in results:
                x[spoiled] = np.nan
            edges &= finite[:, None]
        return (*results, edges)

    def _roll(self, q: np.ndarray, v: np.ndarray, warm: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, ...]:
        """Positions, velocities, last accelerations and sensor values of every substep; views of the buffers."""
        nq, nv, room = self.model.nq, self.model.nv, self._room(len(q))
        room.initial[:, 1 : 1 + nq], room.initial[:, 1 + nq : 1 + nq + nv] = q, v
        room.control[:] = self.scene.servo_targets(goal)[:, None]
        room.warm[:] = warm
        self._pool.rollout(
            self.model,
            self._data,
            room.initial,
            room.control,
            initial_warmstart=room.warm,
            state=room.state,
            sensordata=room.sensed,
        )
        positions, velocities = room.state[:, -1, 1 : 1 + nq], room.state[..., 1 + nq : 1 + nq + nv]
        before = velocities[:, -2] if self.scene.substeps > 1 else room.initial[:, 1 + nq : 1 + nq + nv]
        # MuJoCo warm-starts with the last acceleration; without implicit damping that is the velocity's difference.
        return positions, velocities[:, -1], (velocities[:, -1] - before) / self.scene.timestep, room.sensed

    def _room(self, worlds: int) -> _Room:
        """Buffers for that many worlds, kept: fresh memory for every control step costs as much as filling it."""
        if self._buffers is None or len(self._buffers.initial) != worlds:
            model, steps = self.model, self.scene.substeps
            self._buffers = _Room(
                initial=np.tile(self._home, (worlds, 1)),
                control=np.empty((worlds, steps, model.nu)),
                warm=np.empty((worlds, model.nv)),
                state=np.empty((worlds, steps, len(self._home))),
                sensed=np.empty((worlds, steps, model.nsensordata)),
            )
        return self._buffers

    def close(self) -> None:
        """Ends the threads."""
        self._pool.close()


def usable_cores() -> int:
    """Cores that this process may run on, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
