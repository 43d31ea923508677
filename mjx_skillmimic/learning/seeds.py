"""Several seeds at once on the same devices: updates under `vmap`, the worlds of all seeds in one call of the engine.

Engines are batched over worlds and cannot be mapped. `FoldedEnv` lets `vmap` through: mapped over seeds, (S, N, …)
becomes (S·N, …), one call of the environment. Leaves that no world changes (`State.shared`, a global step counter) have
no axis of seeds; they must not depend on what happens in the worlds.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

from mjx_skillmimic.learning.ppo import Init, TrainIteration
from mjx_skillmimic.learning.rollout import privileged_size

# Where in a training state leaves may be common to all seeds.
_COMMON = ".env_state"


class FoldedEnv:
    """A `BatchedEnv` that `jax.vmap` turns into one with S·N worlds."""

    def __init__(self, env: Any) -> None:
        """Raises ValueError for an environment whose `adapt` changes what all worlds share."""
        if getattr(env, "adapts", False):
            raise ValueError(
                "the environment adapts where episodes start to one policy (start.sampling = 'failure'): "
                "expected one seed (run.seeds = 1), got several"
            )
        self._env = env
        self.observation_size, self.action_size = env.observation_size, env.action_size
        self.privileged_size = privileged_size(env)
        self.action_kind = getattr(env, "action_kind", "continuous")

    def reset(self, rng: Array) -> Any:
        """State of N worlds from N random keys."""
        reset = custom_vmap(self._env.reset)
        reset.def_vmap(lambda size, mapped, rng: self._unfold(self._env.reset(self._fold(size, mapped, rng)), size))
        return reset(rng)

    def step(self, state: Any, action: Array) -> Any:
        """State after one step with actions (N, A) or choices (N,)."""
        step = custom_vmap(self._env.step)

        def rule(size: int, mapped: tuple[Any, Any], state: Any, action: Array) -> tuple[Any, Any]:
            worlds = jax.tree.map(
                lambda per_world, mapped, leaf: self._fold(size, mapped, leaf) if per_world else leaf,
                self._worlds,
                mapped[0],
                state,
            )
            return self._unfold(self._env.step(worlds, self._fold(size, mapped[1], action)), size)

        step.def_vmap(rule)
        return step(state, action)

    @functools.cached_property
    def _worlds(self) -> Any:
        """A tree like the environment's state: true for leaves with one row a world."""
        one, two = (jax.eval_shape(self._env.reset, jax.random.split(jax.random.key(0), n)) for n in (1, 2))
        return jax.tree.map(lambda a, b: a.shape != b.shape, one, two)

    @staticmethod
    def _fold(size: int, mapped: Any, leaf: Array) -> Array:
        """(S, N, …) or, where not mapped, (N, …) as (S·N, …)."""
        rows = leaf if (mapped if isinstance(mapped, bool) else mapped[0]) else jnp.stack([leaf] * size)
        return rows.reshape(rows.shape[0] * rows.shape[1], *rows.shape[2:])

    def _unfold(self, state: Any, size: int) -> tuple[Any, Any]:
        """(S·N, …) as (S, N, …), and which leaves have that axis."""

        def one(per_world: bool, leaf: Array) -> Array:
            return leaf.reshape(size, leaf.shape[0] // size, *leaf.shape[1:]) if per_world else leaf

        return jax.tree.map(one, self._worlds, state), self._worlds


def axes(worlds: Any) -> Any:
    """The axis of seeds of each leaf of a training state, from `parallel.find_worlds`: 0, or None if there is none."""

    def one(path: Any, per_world: bool) -> int | None:
        return 0 if per_world or not jax.tree_util.keystr(path).startswith(_COMMON) else None

    return jax.tree_util.tree_map_with_path(one, worlds)


def vectorize(init: Init, train_iteration: TrainIteration, axes: Any) -> tuple[Init, TrainIteration]:
    """`init(keys (S,))` and `train_iteration` of states with an axis of seeds; metrics get one, too."""
    return (
        jax.vmap(init, out_axes=axes),
        jax.vmap(train_iteration, in_axes=(axes,), out_axes=(axes, 0)),
    )


def keys(seed: int, count: int) -> Array:
    """Keys (count,): those of single runs with the seeds seed, seed + 1, …"""
    return jnp.stack([jax.random.key(seed + member) for member in range(count)])


def member(state: Any, index: int, axes: Any) -> Any:
    """The state of one seed, as a run of it alone would have it."""
    return jax.tree.map(lambda leaf, axis: leaf if axis is None else leaf[index], state, axes)
