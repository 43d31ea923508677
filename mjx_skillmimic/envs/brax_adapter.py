"""A brax environment as a batch of worlds with the interface that our learning code expects."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


class BraxAdapter:
    """N copies of a brax environment (one world each) with time-outs and resets to new initial states.

    `env` is an unwrapped `brax.envs.base.Env` whose observation is one array. States are brax's own `State`, batched;
    info gains "final_obs", "terminated", "truncation", "steps" and "reset_rng". An episode ends by time after
    `episode_length` control steps, which is no fall.
    """

    def __init__(self, env: Any, episode_length: int):
        if episode_length < 1:
            raise ValueError(f"episode_length is {episode_length}, expected at least 1")
        self._env = env
        self.episode_length = episode_length

    @property
    def observation_size(self) -> int:
        """Width D of the observation."""
        return int(self._env.observation_size)

    @property
    def action_size(self) -> int:
        """Width A of the action."""
        return int(self._env.action_size)

    def reset(self, rng: Array) -> Any:
        """Batched state from N keys."""
        state, reset_rng = self._fresh(rng)
        zero = jnp.zeros(rng.shape[0], jnp.float32)
        info = state.info | {
            "final_obs": state.obs,
            "terminated": zero,
            "truncation": zero,
            "steps": zero,
            "reset_rng": reset_rng,
        }
        return state.replace(reward=zero, done=zero, info=info)

    def step(self, state: Any, action: Array) -> Any:
        """One step of all worlds; those that ended continue from a new initial state."""
        # Some environments only ever raise `done`, so it must be lowered for the new episode.
        stepped = jax.vmap(self._env.step)(state.replace(done=jnp.zeros_like(state.done)), action)
        steps = state.info["steps"] + 1.0
        terminated = jnp.asarray(stepped.done, jnp.float32)
        truncation = jnp.where(steps >= self.episode_length, 1.0 - terminated, 0.0)
        done = jnp.maximum(terminated, truncation)
        fresh, reset_rng = self._fresh(state.info["reset_rng"])

        def select(new: Array, old: Array) -> Array:
            return jnp.where(done.reshape(-1, *[1] * (old.ndim - 1)) > 0, new, old)

        info = stepped.info | {name: select(value, stepped.info[name]) for name, value in fresh.info.items()}
        info |= {
            "final_obs": stepped.obs,
            "terminated": terminated,
            "truncation": truncation,
            "steps": steps * (1.0 - done),
            "reset_rng": reset_rng,
        }
        return stepped.replace(
            pipeline_state=jax.tree.map(select, fresh.pipeline_state, stepped.pipeline_state),
            obs=select(fresh.obs, stepped.obs),
            reward=jnp.asarray(stepped.reward, jnp.float32),
            done=done,
            info=info,
        )

    def _fresh(self, rng: Array) -> tuple[Any, Array]:
        """Initial states from N keys, and the keys for next time."""
        keys = jax.vmap(jax.random.split)(rng)
        return jax.vmap(self._env.reset)(keys[:, 0]), keys[:, 1]
