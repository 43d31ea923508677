"""Proximal policy optimisation: one pure function from training state to training state (skillmimic.md §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from mjx_skillmimic.learning import axis, gae, heads, normalizer
from mjx_skillmimic.learning.losses import Samples
from mjx_skillmimic.learning.networks import Networks, Params, make_networks
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.options import PPOOptions, from_mapping, validate
from mjx_skillmimic.learning.rollout import (
    BatchedEnv,
    Episodes,
    Metrics,
    Transitions,
    init_episodes,
    privileged_size,
    rollout,
)
from mjx_skillmimic.learning.update import Learner, decay_learning_rate, make_optimizer, update


@struct.dataclass
class TrainState:
    """Everything training needs to go on exactly: saving all leaves and continuing is bit for bit the same run.

    obs_moments, value_moments: statistics of observations (D,) and values (1,); privileged_moments: of what only the
    critic sees (P,), None where that is the observation alone. rng: a JAX key. env_state: the state of
    all worlds. iteration, gradient_steps, nonfinite_updates () int32: iterations made, gradient steps accepted and
    skipped. steps_high, steps_low () uint32: see `env_steps`. learning_rate () float32.
    """

    params: Params
    opt_state: Any
    obs_moments: RunningMoments
    value_moments: RunningMoments
    rng: Array
    env_state: Any
    episodes: Episodes
    iteration: Array
    gradient_steps: Array
    nonfinite_updates: Array
    steps_high: Array
    steps_low: Array
    learning_rate: Array
    privileged_moments: RunningMoments | None = None

    @property
    def env_steps(self) -> int:
        """Samples collected so far, over all worlds (on the host: 32 bits would not hold the paper's billions)."""
        return (int(self.steps_high) << 32) + int(self.steps_low)


Init = Callable[[Array], TrainState]
TrainIteration = Callable[[TrainState], tuple[TrainState, Metrics]]


def make_train(
    env: BatchedEnv,
    config: PPOOptions | Mapping[str, Any],
    *,
    initial_action: Array | None = None,
    one_hot_mask: Array | None = None,
    axis_name: str | None = None,
) -> tuple[Init, TrainIteration]:
    """`init(rng) -> TrainState` and `train_iteration(state) -> (state, metrics)`, both pure; see `jit_iteration`.

    initial_action (A,): where the policy's mean, or the logits of choices, start, such as the clip's mean pose; zero
    otherwise. one_hot_mask (D,) bool: coordinates that are not normalised unless `normalize_one_hot`. axis_name: a
    mapped axis over which the worlds are split: each member has an equal block of them (`num_envs` counts all),
    everything else is the same on all; see `learning.parallel`. Raises ValueError for options that cannot work
    together, or an `env.action_kind` without a head.
    """
    options = config if isinstance(config, PPOOptions) else from_mapping(config)
    validate(options)
    sizes = env.observation_size, env.action_size, privileged_size(env)
    networks = make_networks(options, *sizes, head=heads.of_env(env))
    optimizer = make_optimizer(options)
    frozen = None if options.normalize_one_hot else one_hot_mask

    def init(rng: Array) -> TrainState:
        return _init_state(env, networks, optimizer, options, rng, initial_action, frozen, axis_name)

    def train_iteration(state: TrainState) -> tuple[TrainState, Metrics]:
        rng, act_rng, shuffle_rng = jax.random.split(state.rng, 3)
        env_state, episodes, transitions, metrics = rollout(
            env,
            networks,
            options,
            state.params,
            state.obs_moments,
            state.value_moments,
            state.env_state,
            state.episodes,
            act_rng,
            axis_name,
            state.privileged_moments,
        )
        if adapt := getattr(env, "adapt", None):
            env_state = adapt(env_state, axis_name)
        samples, value_moments, fit = prepare(transitions, state.value_moments, options, axis_name)
        rate = decay_learning_rate(state.learning_rate, state.iteration, options)
        learner = Learner(state.params, state.opt_state, state.obs_moments, rate, state.privileged_moments)
        learner, losses = update(learner, samples, networks, optimizer, options, shuffle_rng, axis_name)
        obs_moments, privileged_moments = learner.obs_moments, learner.privileged_moments
        if options.normalizer_update == "rollout":
            obs_moments = normalizer.merge(obs_moments, transitions.obs, axis_name)
            privileged_moments = normalizer.merge_given(privileged_moments, transitions.privileged, axis_name)

        metrics |= losses | fit | {"learning_rate": learner.learning_rate}
        metrics |= networks.head.metrics(learner.params["actor"])
        skipped = losses["nonfinite_updates"].astype(jnp.int32)
        applied = losses["gradient_steps"].astype(jnp.int32)
        steps_low = state.steps_low + jnp.uint32(options.batch_size)
        return TrainState(
            params=learner.params,
            opt_state=learner.opt_state,
            obs_moments=obs_moments,
            value_moments=value_moments,
            rng=rng,
            env_state=env_state,
            episodes=episodes,
            iteration=state.iteration + 1,
            gradient_steps=state.gradient_steps + applied,
            nonfinite_updates=state.nonfinite_updates + skipped,
            steps_high=state.steps_high + (steps_low < state.steps_low).astype(jnp.uint32),
            steps_low=steps_low,
            learning_rate=learner.learning_rate,
            privileged_moments=privileged_moments,
        ), metrics

    return init, train_iteration


def jit_iteration(train_iteration: TrainIteration) -> TrainIteration:
    """Compiled, with the state's buffers donated: the given state must not be used afterwards, only the returned one.

    A state may hold one buffer twice (an observation that is also the final observation), which cannot be donated
    twice: such leaves are copied before the call.
    """
    compiled = jax.jit(train_iteration, donate_argnums=0)

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        return compiled(unalias(state))

    return iterate


def unalias(tree: Any) -> Any:
    """The same tree with every device buffer owned by one leaf only."""
    seen: set[int] = set()

    def own(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        if id(leaf) in seen:
            return leaf.copy()
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(own, tree)


def prepare(
    transitions: Transitions, value_moments: RunningMoments, options: PPOOptions, axis_name: str | None = None
) -> tuple[Samples, RunningMoments, Metrics]:
    """Advantages and critic targets of a rollout, flattened to B = T·N samples; the value statistics after it."""
    advantage = gae.advantages(
        transitions.reward,
        transitions.value,
        transitions.next_value,
        transitions.done,
        options.discount,
        options.gae_lambda,
    )
    returns = advantage + transitions.value
    fit = {
        "explained_variance": gae.explained_variance(transitions.value, returns, axis_name),
        "value": axis.mean(jnp.mean(transitions.value), axis_name),
        "return_target": axis.mean(jnp.mean(returns), axis_name),
    }
    if options.value_normalizer_update == "values_and_returns":
        value_moments = normalizer.merge(value_moments, transitions.value[..., None], axis_name)
    old_value = normalizer.normalize(value_moments, transitions.value[..., None])[..., 0]
    value_moments = normalizer.merge(value_moments, returns[..., None], axis_name)
    weight = transitions.weight
    if weight is not None:
        weight = weight / jnp.maximum(axis.mean(jnp.mean(weight), axis_name), 1e-6)
    if options.normalize_advantage:
        advantage = gae.normalize_advantages(advantage, axis_name=axis_name, weight=weight)
    samples = Samples(
        obs=transitions.obs,
        action=transitions.action,
        old_output=transitions.output,
        old_neg_log_prob=transitions.neg_log_prob,
        advantage=advantage,
        old_value=old_value,
        target=normalizer.normalize(value_moments, returns[..., None])[..., 0],
        privileged=transitions.privileged,
        weight=weight,
    )
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), samples)
    return flat, value_moments, fit


def _init_state(
    env: BatchedEnv,
    networks: Networks,
    optimizer: optax.GradientTransformation,
    options: PPOOptions,
    rng: Array,
    initial_action: Array | None,
    frozen: Array | None,
    axis_name: str | None,
) -> TrainState:
    rng, params_rng, env_rng = jax.random.split(rng, 3)
    params = networks.init(params_rng, initial_action)
    env_state = env.reset(axis.own_rows(jax.random.split(env_rng, options.num_envs), axis_name))
    obs_moments = normalizer.init(networks.obs_size, frozen)
    privileged_moments = normalizer.init(networks.privileged_size) if networks.privileged_size else None
    if options.normalizer_warm_start:
        obs_moments = normalizer.merge(obs_moments, env_state.obs, axis_name)
        privileged_moments = normalizer.merge_given(privileged_moments, env_state.info.get("privileged"), axis_name)
    return TrainState(
        params=params,
        opt_state=optimizer.init(params),
        obs_moments=obs_moments,
        value_moments=normalizer.init(1),
        rng=rng,
        env_state=env_state,
        episodes=init_episodes(options.num_envs // axis.size(axis_name)),
        iteration=jnp.zeros((), jnp.int32),
        gradient_steps=jnp.zeros((), jnp.int32),
        nonfinite_updates=jnp.zeros((), jnp.int32),
        steps_high=jnp.zeros((), jnp.uint32),
        steps_low=jnp.zeros((), jnp.uint32),
        learning_rate=jnp.asarray(options.learning_rate, jnp.float32),
        privileged_moments=privileged_moments,
    )
