"""A corridor whose best return is known: one of three choices is to step left, to stay or to step right."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

CELLS, LENGTH = 7, 10
LEFT, STAY, RIGHT = range(3)


@struct.dataclass
class Walk:
    obs: jax.Array
    reward: jax.Array
    done: jax.Array
    metrics: dict
    info: dict
    data: jax.Array
    shared: None = None


class Corridor:
    """Observation: one-hot cell and one-hot goal. Reward 1 in the goal's cell; time-out after LENGTH steps."""

    action_kind, action_size, observation_size = "discrete", 3, 2 * CELLS
    motion_hash = "c" * 64
    initial_action = np.zeros(3, np.float32)

    def __init__(self, low_level: str | None = None):
        """low_level: stands for the hash of a policy that this environment would run."""
        if low_level is not None:
            self.policy_metadata = {"low_level": {"policy": f"policy {low_level}", "sha256": low_level * 64}}

    def reset(self, rng: jax.Array) -> Walk:
        rng, place = self._draw(rng)
        obs, zero = self._look(place), jnp.zeros(len(place))
        info = {"final_obs": obs, "terminated": zero, "truncation": zero, "rng": rng, "age": zero}
        return Walk(obs, zero, zero, {"task/there": zero}, info, place)

    def step(self, state: Walk, action: jax.Array) -> Walk:
        assert action.dtype == jnp.int32
        assert action.shape == state.reward.shape
        cell = jnp.clip(state.data[:, 0] + action - STAY, 0, CELLS - 1)
        there = (cell == state.data[:, 1]).astype(jnp.float32)
        place = jnp.stack([cell, state.data[:, 1]], axis=-1)
        age = state.info["age"] + 1
        done = (age >= LENGTH).astype(jnp.float32)
        rng, fresh = self._draw(state.info["rng"])
        final, place = self._look(place), jnp.where(done[:, None] > 0, fresh, place)
        info = {"final_obs": final, "terminated": 0 * done, "truncation": done, "rng": rng, "age": age * (1 - done)}
        return Walk(self._look(place), there, done, {"task/there": there}, info, place)

    @staticmethod
    def _look(place: jax.Array) -> jax.Array:
        return jax.nn.one_hot(place, CELLS).reshape(len(place), 2 * CELLS)

    @staticmethod
    def _draw(rng: jax.Array) -> tuple[jax.Array, jax.Array]:
        keys = jax.vmap(jax.random.split)(rng)
        return keys[:, 0], jax.vmap(lambda key: jax.random.randint(key, (2,), 0, CELLS))(keys[:, 1])


def best_return() -> float:
    """The mean over cells and goals of the steps spent in the goal's cell, that of arrival included."""
    distance = np.abs(np.subtract.outer(np.arange(CELLS), np.arange(CELLS)))
    return float(np.mean(LENGTH - np.maximum(distance - 1, 0)))
