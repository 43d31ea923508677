"""MuJoCo C behind the door: every control step is one call into C threads."""

from __future__ import annotations

import dataclasses
import os

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

    def __init__(self, scene: Scene, threads: int | None = None) -> None:
        self.scene = scene
        self.model = sensors.with_contact_sensors(scene)
        self.threads = _usable_cores() if threads is None else threads
        if self.threads < 1:
            raise ValueError(f"threads={threads}; expected at least 1")
        self._pool = rollout.Rollout(nthread=self.threads)
        self._data = [mujoco.MjData(self.model) for _ in range(self.threads)]
        home = np.zeros(mujoco.mj_stateSize(self.model, _FULL))
        mujoco.mj_getState(self.model, self._data[0], home, _FULL)
        self._home = home

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
        q, v, warm, ctrl = (np.asarray(x, np.float64) for x in (qpos, qvel, warmstart, target))
        finite = np.all([np.isfinite(x).all(axis=-1) for x in (q, v, warm, ctrl)], axis=0)
        nq, nv, steps = self.model.nq, self.model.nv, self.scene.substeps
        initial = np.tile(self._home, (len(q), 1))
        initial[finite, 1 : 1 + nq + nv] = np.concatenate([q, v], axis=-1)[finite]
        warm, ctrl = np.where(finite[:, None], warm, 0.0), np.where(finite[:, None], ctrl, 0.0)
        state = np.empty((len(q), steps, initial.shape[-1]))
        sensed = np.empty((len(q), steps, self.model.nsensordata))
        self._pool.rollout(
            self.model,
            self._data,
            initial,
            np.repeat(ctrl[:, None], steps, axis=1),
            initial_warmstart=warm,
            state=state,
            sensordata=sensed,
        )
        positions, velocities = state[..., 1 : 1 + nq], state[..., 1 + nq : 1 + nq + nv]
        before = velocities[:, -2] if steps > 1 else initial[:, 1 + nq : 1 + nq + nv]
        # MuJoCo warm-starts with the last acceleration; without implicit damping that is the velocity's difference.
        acceleration = (velocities[:, -1] - before) / self.scene.timestep
        body, ball, edges = sensors.read(sensed)
        results = (positions[:, -1], velocities[:, -1], acceleration, body.mean(axis=1), ball.mean(axis=1))
        spoiled = [np.where(finite.reshape(-1, *[1] * (x.ndim - 1)), x, np.nan) for x in results]
        return (*(x.astype(np.float32) for x in spoiled), edges.any(axis=1) & finite[:, None])

    def close(self) -> None:
        """Ends the threads."""
        self._pool.close()


def _usable_cores() -> int:
    """Cores that this process may run on, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
