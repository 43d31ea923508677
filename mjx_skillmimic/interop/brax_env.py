"""Our batched environments with the interface of `brax.envs.Env` after brax's training wrappers.

Our environments step many worlds at once, end and restart their own episodes, and may run outside JAX (MuJoCo C), so
brax's wrappers, which map a single world, count its steps and replay its first state, must be left out:
`ppo.train(BraxEnv(env), wrap_env=False, episode_length=env.episode_length, …)`, or `wrap_env_fn=brax_env.wrap`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from brax.envs import base

from mjx_skillmimic.envs.state import State

# Made anew by every step, so the next one need not be handed them.
_OUTPUTS = ("final_obs", "truncation", "terminated", "final_privileged", "privileged")


class BraxEnv(base.Env):
    """A batch of worlds as brax's learners expect it: `reset(keys)` with N keys, `step(state, actions (N, A))`.

    `State.info` holds what brax's wrappers would add: `steps` of the episode, `truncation`, `time_out`,
    `episode_done`, `episode_metrics` (sums over the episode so far: `sum_reward`, `length` and every metric), all (N,)
    float32; and `skill` (N,) int32 where the environment has it. A world whose episode ended shows the observation of
    its next one, which brax's generalised advantages never look at: `done` stops termination, `truncation` masks the
    step. `pipeline_state` is the environment's own state.

    Args:
        env: an environment of `envs`.
        bootstrap_on_timeout: the same as the learner's own argument. False: brax leaves steps out that end by time.
            True: they count as ends whose reward brax completes by γ V of the observation before the step.
    """

    def __init__(self, env: Any, bootstrap_on_timeout: bool = False) -> None:
        self.env, self.bootstrap_on_timeout = env, bootstrap_on_timeout

    @property
    def observation_size(self) -> int:
        return int(self.env.observation_size)

    @property
    def action_size(self) -> int:
        return int(self.env.action_size)

    @property
    def backend(self) -> str:
        """The name of our engine."""
        return str(self.env.physics.name)

    @property
    def episode_length(self) -> int:
        """The most control steps that an episode takes: what brax's evaluation must run to see all of them end."""
        return int(self.env.config.termination.episode_length)

    def reset(self, rng: jax.Array) -> base.State:
        """N worlds on drawn starts. Raises ValueError for one key instead of N."""
        if rng.ndim - (0 if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key) else 1) != 1:
            raise ValueError(
                f"reset: expected a batch of keys, got one of shape {rng.shape}; the environment is batched already: "
                "pass wrap_env=False or wrap_env_fn=mjx_skillmimic.interop.brax_env.wrap to brax"
            )
        state = self.env.reset(rng)
        zero = jnp.zeros_like(state.reward)
        sums = dict.fromkeys(("sum_reward", "length", *state.metrics), zero)
        return self._shown(state, zero, zero, sums)

    def step(self, state: base.State, action: jax.Array) -> base.State:
        """One control step; worlds that end begin anew."""
        going = 1.0 - state.info["episode_done"]
        inner = dataclasses.replace(state.pipeline_state, obs=state.obs, reward=state.reward, done=state.done)
        following = self.env.step(dataclasses.replace(inner, metrics=state.metrics), action)
        added = {"sum_reward": following.reward, "length": jnp.ones_like(going), **following.metrics}
        sums = {name: state.info["episode_metrics"][name] * going + value for name, value in added.items()}
        steps = state.info["steps"] * going + 1.0
        return self._shown(following, steps, following.info["truncation"], sums)

    def _shown(self, state: State, steps: jax.Array, timed_out: jax.Array, sums: dict[str, jax.Array]) -> base.State:
        kept = {name: value for name, value in state.info.items() if name not in _OUTPUTS}
        info = {
            "steps": steps,
            "truncation": jnp.zeros_like(timed_out) if self.bootstrap_on_timeout else timed_out,
            "time_out": timed_out,
            "episode_done": state.done,
            "episode_metrics": sums,
        }
        if "skill" in state.info:
            info["skill"] = state.info["skill"]
        inner = dataclasses.replace(state, obs=None, reward=None, done=None, metrics={}, info=kept)
        return base.State(inner, state.obs, state.reward, state.done, dict(state.metrics), info)


def prepare_brax() -> None:
    """Gives JAX back a function that brax 0.14 calls and newer JAX has removed; the same for one device or several."""
    if not hasattr(jax, "device_put_replicated"):

        def replicate(tree: Any, devices: Any) -> Any:
            return jax.tree.map(lambda x: jnp.stack([x] * len(devices)), tree)

        setattr(jax, "device_put_replicated", replicate)  # noqa: B010


def wrap(
    env: BraxEnv, episode_length: int | None = None, action_repeat: int = 1, randomization_fn: Any = None
) -> BraxEnv:
    """For learners that always wrap: `wrap_env_fn=wrap`. The environment as it is; its episodes end by its own rules.

    Raises:
        TypeError: it is no BraxEnv. ValueError: repeated actions, randomisation, or episodes shorter than its own.
    """
    if not isinstance(env, BraxEnv):
        raise TypeError(f"expected a BraxEnv, got {type(env).__name__}")
    if action_repeat != 1 or randomization_fn is not None:
        raise ValueError(f"expected action_repeat=1 and no randomization_fn, got {action_repeat}, {randomization_fn}")
    if episode_length is not None and episode_length < env.episode_length:
        raise ValueError(f"episode_length={episode_length}; the environment's episodes take up to {env.episode_length}")
    return env
