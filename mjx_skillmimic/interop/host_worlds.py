"""Worlds of an environment stepped from NumPy: what the interfaces for learners outside JAX have in common."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from mjx_skillmimic import envs
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics.base import PhysicsState

Motion = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

# What of an episode a learner may want to see; environments without one of these leave it out.
EPISODE = ("skill", "clip", "frame", "progress")
Packed = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
_FLAGS = ("reward", "terminated", "truncated")


@dataclasses.dataclass(frozen=True)
class Observed:
    """What N worlds show after a step or reset; new arrays every time, free to be written to.

    obs (N, observation_size), reward (N,) float32; terminated, truncated (N,) bool. metrics: name → (N,) float32, of
    the step that gave the reward. episode: skill, clip, frame (of the clip, where the episode began) and progress
    (control steps since), (N,) int32, of the episode that `obs` belongs to. before: the same of the episode that the
    step belongs to, another one in worlds that ended; empty after a reset.
    """

    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    metrics: dict[str, np.ndarray]
    episode: dict[str, np.ndarray]
    before: dict[str, np.ndarray]

    @property
    def done(self) -> np.ndarray:
        """(N,) bool."""
        return self.terminated | self.truncated


class HostWorlds:
    """N worlds of an environment of `envs`. The latest state is `state`, without what all worlds share.

    All quantities but the observation come from the device as a few arrays, and what all worlds share stays out of the
    compiled step's results: JAX would copy it, the whole motion table, in every step.
    """

    def __init__(self, env: Any, num_envs: int) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; expected at least 1")
        self.env, self.num_envs = env, num_envs
        self.state: State | None = None
        self._shared: Any = None
        self._reset = jax.jit(env.reset)
        self._begin = jax.jit(env.begin) if hasattr(env, "begin") else None
        self._metrics: tuple[str, ...] = ()
        self._episode: tuple[str, ...] = ()
        self._pack = jax.jit(_packed)

        def step(shared: Any, state: State, action: jax.Array) -> tuple[State, Packed]:
            following = env.step(dataclasses.replace(state, shared=shared), action)
            moved = {"progress": state.info["progress"] + steps_of(env)} if "progress" in state.info else {}
            return dataclasses.replace(following, shared=None), _packed(following, state.info | moved)

        self._step = jax.jit(step)

    def reset(self, seed: int, options: Mapping[str, Any] | None = None) -> Observed:
        """New episodes; the worlds' keys are `jax.random.split(jax.random.key(seed), num_envs)`.

        options: "clip" and "frame", numbers or (N,): episodes that begin there, instead of drawn ones.

        Raises:
            ValueError: an option that does not exist, or no such clip or frame.
        """
        keys = jax.random.split(jax.random.key(seed), self.num_envs)
        state = self._begin_at(keys, options) if options else self._reset(keys)
        self._metrics = tuple(sorted(state.metrics))
        self._episode = tuple(name for name in EPISODE if name in state.info)
        self._shared = state.shared
        return self._show(dataclasses.replace(state, shared=None), self._pack(dataclasses.replace(state, shared=None)))

    def step(self, actions: Any) -> Observed:
        """One step with actions (N, action_size), or choices (N,); worlds that end are begun anew.

        Raises:
            TypeError, ValueError: actions of another type or shape, or not finite, or choices that there are not.
        """
        if self.state is None:
            raise RuntimeError("step before reset")
        if chooses(self.env):
            actions = checked_choices(actions, self.num_envs, self.env.action_size)
        else:
            actions = checked_actions(actions, (self.num_envs, self.env.action_size))
        return self._show(*self._step(self._shared, self.state, actions))

    def final_obs(self) -> np.ndarray:
        """(N, observation_size) the observations before the last step's resets; equal to `obs` in worlds that go on."""
        assert self.state is not None
        return np.array(self.state.info["final_obs"])

    def poses(self) -> PhysicsState:
        """The physics of the latest state."""
        assert self.state is not None
        return self.state.data

    def close(self) -> None:
        """Ends the engine's threads, where it has some of its own."""
        if hasattr(self.env.physics, "close"):
            self.env.physics.close()

    def _show(self, state: State, packed: Packed) -> Observed:
        self.state = state
        obs, values, episode, before = (np.array(x) for x in packed)
        reward, terminated, truncated = values[: len(_FLAGS)]
        return Observed(
            obs=obs,
            reward=reward,
            terminated=terminated > 0,
            truncated=truncated > 0,
            metrics=dict(zip(self._metrics, values[len(_FLAGS) :], strict=True)),
            episode=dict(zip(self._episode, episode, strict=True)),
            before=dict(zip(self._episode, before, strict=False)),
        )

    def _begin_at(self, keys: jax.Array, options: Mapping[str, Any]) -> State:
        known = ("clip", "frame") if self._begin is not None and hasattr(self.env, "clips") else ()
        if unknown := sorted(set(options) - set(known)):
            raise ValueError(f"reset options {unknown}: expected some of {list(known)}")
        assert self._begin is not None
        motions = self.env.tables.motions
        clip = _numbers("clip", options.get("clip", 0), self.num_envs, len(self.env.clips) - 1)
        last = np.asarray(motions.lengths)[clip] - 2
        frame = _numbers("frame", options.get("frame", 0), self.num_envs, last)
        return self._begin(self.env.tables, keys, jnp.asarray(clip), jnp.asarray(frame))


def _packed(state: State, before: Mapping[str, Any] | None = None) -> Packed:
    """Observation, flags and metrics, episode, episode before the step: all that leaves the device."""
    flags = [state.reward, state.info["terminated"], state.info["truncation"]]
    values = jnp.stack([*flags, *(state.metrics[name] for name in sorted(state.metrics))])
    return state.obs, values, _episode(state.info), _episode({} if before is None else before)


def _episode(info: Mapping[str, Any]) -> jax.Array:
    """(K, N) int32: what there is of `EPISODE`."""
    found = [info[name] for name in EPISODE if name in info]
    return jnp.stack(found).astype(jnp.int32) if found else jnp.zeros((0, 0), jnp.int32)


def load_task(
    task: str = "BallPlay",
    motion: Motion | None = None,
    preset: str = "default",
    engine: str | None = None,
    config: ml_collections.ConfigDict | None = None,
) -> Any:
    """An environment by name.

    Args:
        motion: a shipped clip's name, a file, a folder, or a list of these; None: the configuration's.
        engine: of `physics`; None: the configuration's.
        config: instead of the preset's; not changed.

    Raises:
        KeyError: no such task or preset. FileNotFoundError, MotionFormatError, ValueError: as the environment's own.
    """
    config = envs.default_config(task, preset) if config is None else config.copy_and_resolve_references()
    if engine is not None:
        config.physics.engine = engine
    if motion is None:
        return envs.load(task, config)
    if isinstance(motion, str | os.PathLike):
        config.motion.path = os.fspath(motion)
        return envs.load(task, config)
    return envs.load(task, config, clips=load_clips([os.fspath(path) for path in motion]))


def chooses(env: Any) -> bool:
    """Whether an environment's actions are choices, one whole number a world."""
    return getattr(env, "action_kind", "continuous") == "discrete"


def steps_of(env: Any) -> int:
    """Control steps of one step of an environment: more than one where a decision lasts longer."""
    return int(getattr(env, "steps", 1))


def checked_choices(actions: Any, count: int, choices: int) -> np.ndarray:
    """The choices as int32 of shape (count,).

    Raises:
        TypeError: they are no whole numbers. ValueError: another shape, or a choice that there is not.
    """
    given = np.asarray(actions)
    if given.dtype.kind not in "iu":
        raise TypeError(f"actions: expected whole numbers of shape {(count,)}, got dtype {given.dtype}")
    if given.shape != (count,):
        raise ValueError(f"actions: expected shape {(count,)}, got {given.shape}")
    if ((given < 0) | (given >= choices)).any():
        raise ValueError(f"actions: expected choices from 0 to {choices - 1}, got {given.tolist()}")
    return given.astype(np.int32)


def checked_actions(actions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The actions as float32 of that shape.

    Raises:
        TypeError: they are no real numbers. ValueError: another shape, or numbers that are not finite.
    """
    given = np.asarray(actions)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"actions: expected real numbers of shape {shape}, got dtype {given.dtype}")
    if given.shape != shape:
        raise ValueError(f"actions: expected shape {shape}, got {given.shape}")
    given = given.astype(np.float32, copy=False)
    if not np.isfinite(given).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(given))[0])
        raise ValueError(
            f"actions: expected finite numbers, got {(~np.isfinite(given)).sum()} that are not, the first at {first}"
        )
    return given


def _numbers(name: str, given: Any, count: int, largest: int | np.ndarray) -> np.ndarray:
    """(count,) int32 in [0, largest]."""
    value = np.asarray(given)
    if value.dtype.kind not in "iu" or value.shape not in ((), (count,)):
        raise ValueError(
            f"reset option {name!r}: expected a whole number or {count}, got {value.dtype} of shape {value.shape}"
        )
    value = np.broadcast_to(value, count).astype(np.int32)
    if ((value < 0) | (value > largest)).any():
        raise ValueError(f"reset option {name!r}: expected 0 to {np.min(largest)}, got {value.tolist()}")
    return value
