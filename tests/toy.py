"""A small environment whose arithmetic is known: points on a plane that are pushed towards the origin."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from mjx_skillmimic.config import run_defaults
from mjx_skillmimic.envs.nonfinite import record_nonfinite, start_record
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.learning.progress import PlainProgress

LENGTH = 10


class PointEnv:
    """Position (N, 2) plus 0.1 · action, reward exp(−|position|²), episodes of LENGTH steps that draw new positions.

    With `fails_at`, the step of that number (counted over the run) makes world 1 non-finite, as a physics engine might.
    """

    observation_size, action_size = 2, 2
    motion_hash = "a" * 64

    def __init__(self, fails_at: int | None = None):
        self.fails_at = fails_at

    def reset(self, rng: jax.Array) -> State:
        position = jax.vmap(lambda key: jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0))(rng)
        zeros = jnp.zeros(len(rng))
        info = {
            "rng": rng,
            "age": zeros,
            "steps": jnp.zeros((), jnp.int32),
            "truncation": zeros,
            "terminated": zeros,
            "final_obs": position,
            "record": start_record(position, position, 2),
        }
        metrics = {"reward/near": zeros, "nonfinite": zeros}
        return State(position, position, zeros, zeros, metrics, info, jnp.float32(0.1))

    def step(self, state: State, action: jax.Array) -> State:
        steps = state.info["steps"] + 1
        moved = state.data + state.shared * action
        if self.fails_at is not None:
            broken = (jnp.arange(len(moved)) == 1) & (steps == self.fails_at)
            moved = jnp.where(broken[:, None], jnp.nan, moved)
        nonfinite = ~jnp.isfinite(moved).all(-1)
        record = record_nonfinite(state.info["record"], nonfinite, state.data, state.data, action)
        final = jnp.where(nonfinite[:, None], 0.0, moved)
        reward = jnp.where(nonfinite, 0.0, jnp.exp(-jnp.sum(final**2, -1)))
        age = state.info["age"] + 1
        over = (age >= LENGTH).astype(jnp.float32)
        done = jnp.maximum(over, nonfinite.astype(jnp.float32))
        keys = jax.vmap(jax.random.split)(state.info["rng"])
        fresh = jax.vmap(lambda key: jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0))(keys[:, 1])
        position = jnp.where(done[:, None] > 0, fresh, final)
        info = {
            "rng": keys[:, 0],
            "age": age * (1 - done),
            "steps": steps,
            "truncation": over,
            "terminated": done - over,
            "final_obs": final,
            "record": record,
        }
        metrics = {"reward/near": reward, "nonfinite": nonfinite.astype(jnp.float32)}
        return State(position, position, reward, done, metrics, info, state.shared)


def toy_config(iterations: int, **run: object) -> ConfigDict:
    """8 worlds × 4 steps an iteration, two minibatches, a network of 16 units."""
    ppo = {
        "num_envs": 8,
        "horizon": 4,
        "minibatch_size": 16,
        "num_epochs": 2,
        "actor_hidden": (16,),
        "critic_hidden": (16,),
        "learning_rate": 1e-4,
    }
    settings = {
        "total_env_steps": 32 * iterations,
        "checkpoint_every": 5,
        "eval_every": 0,
        "video_every": 0,
        "tensorboard": False,
    } | run
    config = ConfigDict({"ppo": ppo, "eval": {"episodes": 1}, "motion": {"path": ""}, "run": run_defaults(**settings)})
    return config.lock()


def quiet() -> PlainProgress:
    """Progress that writes into a string."""
    return PlainProgress(io.StringIO(), interval=0.0)
