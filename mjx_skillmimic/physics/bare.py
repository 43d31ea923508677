"""MuJoCo's own rollout in C, the yardstick of the engine `mujoco`: nothing is sensed, nothing passes through JAX."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import rollout

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import Physics, PhysicsState
from mjx_skillmimic.physics.mujoco_c import usable_cores

_FULL = mujoco.mjtState.mjSTATE_FULLPHYSICS.value


class BareRollout:
    """One call of `mujoco.rollout` over T control steps of N worlds: the scene's model with its servos, no sensors.

    qpos (N, nq), qvel (N, nv); targets (T, N, 156) rad. threads: absent, one a core. Raises ValueError for targets of
    another number of worlds.
    """

    def __init__(
        self, scene: Scene, qpos: np.ndarray, qvel: np.ndarray, targets: np.ndarray, threads: int | None = None
    ) -> None:
        if np.ndim(targets) != 3 or np.shape(targets)[1] != len(qpos):
            raise ValueError(f"targets of shape {np.shape(targets)}; expected (steps, {len(qpos)}, 156)")
        model = scene.model
        threads = usable_cores() if threads is None else threads
        self.control_steps = targets.shape[0] * targets.shape[1]
        self._model, self._pool = model, rollout.Rollout(nthread=threads)
        self._data = [mujoco.MjData(model) for _ in range(threads)]
        home = np.zeros(mujoco.mj_stateSize(model, _FULL))
        mujoco.mj_getState(model, self._data[0], home, _FULL)
        self._initial = np.tile(home, (len(qpos), 1))
        self._initial[:, 1 : 1 + model.nq + model.nv] = np.concatenate([qpos, qvel], axis=-1)
        control = np.swapaxes(scene.servo_targets(np.asarray(targets, np.float64)), 0, 1)
        self._control = np.repeat(control, scene.substeps, axis=1)
        self._warm = np.zeros((len(qpos), model.nv))
        self._state = np.empty((*self._control.shape[:2], len(home)))

    def run(self) -> np.ndarray:
        """Simulates from the start; returns the state (N, T · substeps, 1 + nq + nv) after every physics step."""
        self._pool.rollout(
            self._model, self._data, self._initial, self._control, initial_warmstart=self._warm, state=self._state
        )
        return self._state

    def close(self) -> None:
        """Ends the threads."""
        self._pool.close()


def bare_rollout_speed(
    scene: Scene,
    qpos: np.ndarray,
    qvel: np.ndarray,
    targets: np.ndarray,
    threads: int | None = None,
    repeats: int = 5,
) -> float:
    """Control steps a second, over all worlds, of `BareRollout`: the median of `repeats` after an untimed one."""
    bare = BareRollout(scene, qpos, qvel, targets, threads)
    bare.run()
    seconds = [_seconds(bare.run) for _ in range(repeats)]
    bare.close()
    return bare.control_steps / float(np.median(seconds))


def engine_speeds(
    engines: Mapping[str, Physics],
    qpos: np.ndarray,
    qvel: np.ndarray,
    targets: np.ndarray,
    threads: int | None = None,
    repeats: int = 5,
) -> dict[str, dict[str, Any]]:
    """Speeds of several engines and of `bare`, in turns, on the same worlds and targets, so that what else the machine
    does weighs on all of them alike.

    Returns for each control_steps_per_s (median), rates, and of_bare, the median over the turns of its speed divided by
    that of `bare` in the same turn; bare itself is simulated in the scene of the first engine. overflow: worlds that
    lost contacts.
    """
    scene = next(iter(engines.values())).scene
    bare = BareRollout(scene, qpos, qvel, targets, threads)
    held = jnp.asarray(targets, jnp.float32)

    def rolling(physics: Physics) -> tuple[Any, PhysicsState]:
        def roll(state: PhysicsState, held: jax.Array) -> PhysicsState:
            return jax.lax.scan(lambda state, target: (physics.step(state, target), None), state, held)[0]

        return jax.jit(roll), physics.init(jnp.asarray(qpos), jnp.asarray(qvel))

    compiled = {name: rolling(physics) for name, physics in engines.items()}
    bare.run()
    last = {name: jax.block_until_ready(roll(state, held)) for name, (roll, state) in compiled.items()}
    rates: dict[str, list[float]] = {"bare": [], **{name: [] for name in compiled}}
    for _ in range(repeats):
        rates["bare"].append(bare.control_steps / _seconds(bare.run))
        for name, (roll, state) in compiled.items():
            seconds = _seconds(lambda roll=roll, state=state: jax.block_until_ready(roll(state, held)))
            rates[name].append(bare.control_steps / seconds)
    bare.close()
    found: dict[str, dict[str, Any]] = {}
    for name, values in rates.items():
        ratio = np.median(np.array(values) / np.array(rates["bare"]))
        found[name] = {"control_steps_per_s": float(np.median(values)), "rates": values, "of_bare": float(ratio)}
        if name in last:
            found[name]["overflow"] = int((np.asarray(last[name].overflow) > 0).sum())
    return found


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
