"""BallPlay environments on MuJoCo C with their compiled functions, built once for all test modules."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic import envs
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.clip import MotionClip

# Every compiled function has this many worlds, so that each is compiled once.
WORLDS = 32


@dataclasses.dataclass(frozen=True)
class Compiled:
    """An environment with compiled `reset(keys)`, `begin(tables, keys, clip, frame)` and `step(state, action)`."""

    env: BallPlay
    reset: Callable[..., State]
    begin: Callable[..., State]
    step: Callable[..., State]

    def start(self, clip: Any, frame: Any, tables: Tables | None = None) -> State:
        """WORLDS worlds on chosen clips and frames; numbers are meant for all of them. tables: not the env's own."""
        clip, frame = (jnp.broadcast_to(jnp.asarray(x, jnp.int32), WORLDS) for x in (clip, frame))
        return self.begin(tables or self.env.tables, keys(0), clip, frame)

    @property
    def lengths(self) -> np.ndarray:
        return np.asarray(self.env.tables.motions.lengths)


def keys(seed: int, count: int = WORLDS) -> jax.Array:
    return jax.random.split(jax.random.key(seed), count)


def config(preset: str = "default", **changes: Any) -> ConfigDict:
    """A preset on MuJoCo C; changes are `section__option=value`."""
    chosen = envs.default_config("BallPlay", preset)
    chosen.physics.engine = "mujoco"
    for name, value in changes.items():
        section, option = name.split("__")
        chosen[section][option] = value
    return chosen


def compiled(chosen: ConfigDict, clips: Sequence[MotionClip]) -> Compiled:
    env = BallPlay(chosen, clips)
    return Compiled(env, jax.jit(env.reset), jax.jit(env.begin), jax.jit(env.step))


@functools.cache
def default() -> Compiled:
    """The `default` preset on all shipped clips."""
    return compiled(config(), library.load_clips("shipped"))


@functools.cache
def reference() -> Compiled:
    """The `reference` preset with short episodes on three clips of two skills: one pick, two of the other."""
    pick, other = library.load_clips(["pick_up", "throw_catch"])
    clips = [other, pick, dataclasses.replace(other, name="again")]
    return compiled(config("reference", termination__episode_length=12), clips)


def replace_info(state: State, **values: Any) -> State:
    """The state with entries of `info` set in every world, as their own type."""
    changed = {
        name: jnp.broadcast_to(jnp.asarray(value, state.info[name].dtype), state.info[name].shape)
        for name, value in values.items()
    }
    return dataclasses.replace(state, info=state.info | changed)


def replace_data(state: State, **values: Any) -> State:
    """The state with other arrays in its physics."""
    return dataclasses.replace(state, data=dataclasses.replace(state.data, **values))


def actions(env: BallPlay, seed: int, scale: float = 0.05) -> jax.Array:
    """(WORLDS, 156) around the initial action."""
    noise = scale * jax.random.normal(jax.random.key(seed), (WORLDS, env.action_size))
    return jnp.clip(env.initial_action + noise, -1.0, 1.0)


def world(tree: Any, which: Any) -> list[np.ndarray]:
    """Leaves of a state without what all worlds share, at some worlds, random keys as integers."""
    own = dataclasses.replace(tree, shared=None) if isinstance(tree, State) else tree
    found = []
    for leaf in jax.tree.leaves(own):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found.append(np.asarray(jax.random.key_data(leaf) if is_key else leaf)[which])
    return found


def assert_same(one: Any, other: Any, which: Any = slice(None)) -> None:
    """All leaves equal to the bit at some worlds."""
    for first, second in zip(world(one, which), world(other, which), strict=True):
        np.testing.assert_array_equal(first, second)
