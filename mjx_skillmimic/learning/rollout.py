"""Acting for a fixed number of steps in all worlds at once, and the bookkeeping of episodes."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from mjx_skillmimic.learning import axis, normalizer
from mjx_skillmimic.learning.networks import Networks, Params
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.options import PPOOptions

Metrics = dict[str, Array]


class BatchedEnv(Protocol):
    """N worlds that reset themselves; states carry obs (N, D), reward and done (N,) float32, metrics and info.

    After a step info holds "final_obs" (N, D), the observation before any reset, and "terminated" and "truncation"
    (N,): 1 where the episode ended by a fall or by time; metrics are numbers a world, (N,). Where the environment
    also has `adapt(state, axis_name)`, it is called after each rollout: only there may change what all worlds share.

    Where the environment's `action_kind` is "discrete", actions are choices (N,) int32 among `action_size`.

    Where it has `pools_rewards`, rewards depend on worlds of all devices, and `step` takes the keyword axis_name; where
    it has `weighs_steps`, info holds "weight" (N,): 0 for a step that is not to be learned from, else 1.

    An environment may have a `privileged_size` P > 0: info then always holds "privileged" (N, P), which belongs to obs,
    and "final_privileged" (N, P), which belongs to final_obs; only the critic sees them.
    """

    @property
    def observation_size(self) -> int: ...

    @property
    def action_size(self) -> int: ...

    def reset(self, rng: Array, /) -> Any:
        """State of N worlds from N random keys."""

    def step(self, state: Any, action: Array, /) -> Any:
        """State after one step with actions (N, A) or choices (N,)."""


@struct.dataclass
class Transitions:
    """A rollout: obs (T, N, D) once a step, action (T, N, A) or choice (T, N), output (T, N, A), the rest (T, N).

    action: the unclamped sample that neg_log_prob belongs to. output: the mean or logits (`learning.heads`).
    next_value: V of the observation before any reset, zero after a fall. Values are in the units of the return.
    privileged (T, N, P), weight (T, N): None where the environment has none.
    """

    obs: Array
    action: Array
    output: Array
    neg_log_prob: Array
    reward: Array
    done: Array
    value: Array
    next_value: Array
    privileged: Array | None = None
    weight: Array | None = None


@struct.dataclass
class Episodes:
    """Running return and length (N,) of the episode in each world, and the mean () of those that ended last.

    last_return, last_length: over the episodes that ended in the latest iteration in which any did.
    """

    episode_return: Array
    episode_length: Array
    last_return: Array
    last_length: Array


def privileged_size(env: BatchedEnv) -> int:
    """Columns that only the critic sees, 0 where the environment does not speak of any."""
    return int(getattr(env, "privileged_size", 0))


def init_episodes(num_envs: int) -> Episodes:
    """Nothing has happened in any world yet."""
    return Episodes(
        episode_return=jnp.zeros(num_envs, jnp.float32),
        episode_length=jnp.zeros(num_envs, jnp.float32),
        last_return=jnp.zeros((), jnp.float32),
        last_length=jnp.zeros((), jnp.float32),
    )


def rollout(
    env: BatchedEnv,
    networks: Networks,
    options: PPOOptions,
    params: Params,
    obs_moments: RunningMoments,
    value_moments: RunningMoments,
    env_state: Any,
    episodes: Episodes,
    rng: Array,
    axis_name: str | None = None,
    privileged_moments: RunningMoments | None = None,
) -> tuple[Any, Episodes, Transitions, Metrics]:
    """Acts `options.horizon` steps with frozen parameters and statistics.

    axis_name: a mapped axis over which the worlds are split (`learning.axis`); the metrics are then those of all.
    privileged_moments: statistics of what only the critic sees, None where it sees the observation alone.

    Returns the environment state and episode sums to continue from, the transitions, and metrics: every environment
    metric as "env/<name>" and the reward as means over steps and worlds; falls, time-outs and ended episodes as counts.
    """

    head = networks.head
    pooled = {"axis_name": axis_name} if getattr(env, "pools_rewards", False) else {}
    weighed = getattr(env, "weighs_steps", False)

    def values(obs: Array, privileged: Array | None) -> Array:
        x = normalizer.normalize(obs_moments, obs)
        extra = normalizer.normalize_given(privileged_moments, privileged)
        return normalizer.unnormalize(value_moments, networks.value(params, x, extra))

    def seen(info: dict[str, Array], name: str) -> Array | None:
        return None if privileged_moments is None else info[name]

    def step(carry: tuple[Any, Episodes], key: Array) -> tuple[tuple[Any, Episodes], tuple[Transitions, Metrics]]:
        state, episodes = carry
        obs, privileged = state.obs, seen(state.info, "privileged")
        output, shared = networks.act(params, normalizer.normalize(obs_moments, obs))
        action = head.sample(key, output, shared, axis_name)
        after = env.step(state, head.bounded(action, options.action_limit), **pooled)
        ended = after.info["terminated"] if options.bootstrap_timeouts else after.done
        transition = Transitions(
            obs=obs,
            action=action,
            output=output,
            neg_log_prob=head.neg_log_prob(action, output, shared),
            reward=after.reward * options.reward_scale,
            done=after.done,
            value=values(obs, privileged),
            # Selected, not multiplied: the final observation of a world that blew up may hold NaN.
            next_value=jnp.where(ended > 0, 0.0, values(after.info["final_obs"], seen(after.info, "final_privileged"))),
            privileged=privileged,
            weight=after.info["weight"] if weighed else None,
        )
        episodes, metrics = _count(episodes, after)
        return (after, episodes), (transition, metrics)

    keys = jax.random.split(rng, options.horizon)
    (env_state, counted), (transitions, per_step) = jax.lax.scan(step, (env_state, episodes), keys)
    totals = {name: jnp.sum(value) for name, value in per_step.items() if name.startswith("episode/")}
    metrics = {name: jnp.mean(value) for name, value in per_step.items() if not name.startswith("episode/")}
    totals, metrics = axis.total(totals, axis_name), axis.mean(metrics, axis_name)
    finished = totals["episode/finished"]
    last_return = jnp.where(finished > 0, totals["episode/return"] / finished, episodes.last_return)
    last_length = jnp.where(finished > 0, totals["episode/length"] / finished, episodes.last_length)
    metrics |= totals | {"episode/return": last_return, "episode/length": last_length}
    counted = counted.replace(last_return=last_return, last_length=last_length)  # type: ignore[attr-defined]
    return env_state, counted, transitions, metrics


def _count(episodes: Episodes, after: Any) -> tuple[Episodes, Metrics]:
    """Adds one step to the running sums; sums of the worlds that ended; means of the environment's own metrics."""
    done = after.done
    reward = jnp.where(jnp.isfinite(after.reward), after.reward, 0.0)
    returns, lengths = episodes.episode_return + reward, episodes.episode_length + 1.0
    metrics = {f"env/{name}": jnp.mean(jnp.asarray(value, jnp.float32)) for name, value in after.metrics.items()}
    metrics |= {
        "reward": jnp.mean(after.reward),
        "episode/finished": jnp.sum(done),
        "episode/return": jnp.sum(returns * done),
        "episode/length": jnp.sum(lengths * done),
        "episode/falls": jnp.sum(after.info["terminated"]),
        "episode/truncations": jnp.sum(after.info["truncation"]),
    }
    running = episodes.replace(  # type: ignore[attr-defined]
        episode_return=returns * (1.0 - done), episode_length=lengths * (1.0 - done)
    )
    return running, metrics
