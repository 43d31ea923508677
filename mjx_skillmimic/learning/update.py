"""Gradient steps on one rollout: epochs of shuffled minibatches, the adaptive rate, the guard against non-finite."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

from mjx_skillmimic.learning import axis, normalizer
from mjx_skillmimic.learning.losses import Samples, ppo_loss
from mjx_skillmimic.learning.networks import Networks, Params
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.options import PPOOptions, check_split
from mjx_skillmimic.learning.rollout import Metrics


@struct.dataclass
class Learner:
    """What gradient steps change: parameters, Adam's moments, statistics of the observations, learning rate ().

    privileged_moments: of what only the critic sees, None where it sees the observation alone.
    """

    params: Params
    opt_state: Any
    obs_moments: RunningMoments
    learning_rate: Array
    privileged_moments: RunningMoments | None = None


def make_optimizer(options: PPOOptions) -> optax.GradientTransformation:
    """Adam's direction (the rate is applied in `gradient_step`), after global-norm clipping where it is on."""
    adam = optax.scale_by_adam(b1=options.adam_beta1, b2=options.adam_beta2, eps=options.adam_epsilon)
    return optax.chain(optax.clip_by_global_norm(options.max_grad_norm), adam) if options.max_grad_norm else adam


def minibatch_indices(rng: Array, batch_size: int, minibatch_size: int) -> Array:
    """A random order of all samples, cut into rows: (batch_size / minibatch_size, minibatch_size) int."""
    return jax.random.permutation(rng, batch_size).reshape(-1, minibatch_size)


def own_minibatch_indices(rng: Array, options: PPOOptions, axis_name: str | None = None) -> Array:
    """The samples of this member of the axis in each minibatch: (num_minibatches, minibatch_size / size) int.

    Samples are numbered t · n + w for step t and world w of the n own worlds. The worlds form `shuffle_groups` blocks
    (0: one a member), each with its own random order, of which every minibatch takes an equal share: the minibatches
    depend on the number of groups and not on that of devices.

    Raises ValueError if worlds or minibatches do not split evenly.
    """
    members = axis.size(axis_name)
    check_split(options, members)
    groups = options.shuffle_groups or members
    own = options.num_envs // members
    if groups == 1:
        return minibatch_indices(rng, options.batch_size, options.minibatch_size)
    width, share = options.num_envs // groups, options.minibatch_size // groups
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * (groups // members)

    def rows(group: Array) -> Array:
        key = jax.random.fold_in(rng, first + group)
        time, world = jnp.divmod(minibatch_indices(key, options.horizon * width, share), width)
        return time * own + group * width + world

    blocks = jax.vmap(rows)(jnp.arange(groups // members))
    return jnp.swapaxes(blocks, 0, 1).reshape(options.num_minibatches, -1)


def adapt_learning_rate(learning_rate: Array, kl: Array, options: PPOOptions) -> Array:
    """lr ÷ factor where KL > 2·target, lr × factor where KL < target/2, within [lr_min, lr_max].

    The rule of rl_games' adaptive schedule. A KL of NaN changes nothing.
    """
    lower = jnp.maximum(learning_rate / options.lr_factor, options.lr_min)
    higher = jnp.minimum(learning_rate * options.lr_factor, options.lr_max)
    return jnp.where(
        kl > 2.0 * options.kl_target, lower, jnp.where(kl < 0.5 * options.kl_target, higher, learning_rate)
    )


def decay_learning_rate(learning_rate: Array, iteration: Array, options: PPOOptions) -> Array:
    """The rate for the gradient steps of an iteration (counted from 0) under the falling bound of `lr_decay_steps`."""
    if not options.lr_decay_steps:
        return learning_rate
    highest = options.lr_max if options.lr_schedule == "adaptive_kl" else options.learning_rate
    left = 1.0 - iteration * (options.batch_size / options.lr_decay_steps)
    return jnp.minimum(learning_rate, jnp.maximum(highest * left, options.lr_min))


def gradient_step(
    learner: Learner,
    batch: Samples,
    old_shared: Any,
    networks: Networks,
    optimizer: optax.GradientTransformation,
    options: PPOOptions,
    axis_name: str | None = None,
) -> tuple[Learner, Metrics]:
    """One Adam step on a minibatch; old_shared: what the head shared when the samples were drawn.

    With a non-finite loss or gradient nothing changes and "accepted" is 0. Nor does it where the policy is farther than
    `max_kl` from the one that acted ("applied" is 0): beyond that the ratios of a few samples dominate the gradient
    and each step makes the next one worse. The critic stops with the actor, whatever its rate: they share Adam's count.
    """
    moments, extra = learner.obs_moments, learner.privileged_moments
    if options.normalizer_update == "minibatch":
        moments = normalizer.merge(moments, batch.obs, axis_name)
        extra = normalizer.merge_given(extra, batch.privileged, axis_name)
    (total, terms), gradients = jax.value_and_grad(ppo_loss, has_aux=True)(
        learner.params, batch, moments, old_shared, networks, options, extra
    )
    total, terms, gradients = axis.mean((total, terms, gradients), axis_name)
    norm = optax.global_norm(gradients)
    accepted = jnp.isfinite(total) & jnp.isfinite(norm)
    applied = accepted & (terms["kl"] <= options.max_kl) if options.max_kl else accepted
    direction, opt_state = optimizer.update(gradients, learner.opt_state)
    rates = {"actor": learner.learning_rate, "critic": options.critic_learning_rate or learner.learning_rate}
    steps = {part: jax.tree.map(lambda step, rate=rate: -rate * step, direction[part]) for part, rate in rates.items()}
    params = optax.apply_updates(learner.params, steps)
    proposed = Learner(params, opt_state, moments, learner.learning_rate, extra)
    learner = jax.tree.map(lambda new, old: jnp.where(applied, new, old), proposed, learner)
    return learner, {
        **terms,
        "grad_norm": norm,
        "accepted": accepted.astype(jnp.float32),
        "applied": applied.astype(jnp.float32),
    }


def update(
    learner: Learner,
    samples: Samples,
    networks: Networks,
    optimizer: optax.GradientTransformation,
    options: PPOOptions,
    rng: Array,
    axis_name: str | None = None,
) -> tuple[Learner, Metrics]:
    """`num_epochs` passes over the samples (B, …) of this member, each in a new random order without replacement.

    Metrics are means over the accepted gradient steps, those stopped by `max_kl` included; "gradient_steps" counts
    those that changed the parameters, "nonfinite_updates" those that were not accepted.
    """
    old_shared = networks.head.shared(learner.params["actor"])
    adaptive = options.lr_schedule == "adaptive_kl"

    def minibatch(learner: Learner, rows: Array) -> tuple[Learner, Metrics]:
        # Gathered a minibatch at a time: a shuffled copy of all observations would double the memory of the rollout.
        batch = jax.tree.map(lambda x: jnp.take(x, rows, axis=0), samples)
        learner, metrics = gradient_step(learner, batch, old_shared, networks, optimizer, options, axis_name)
        if adaptive and options.lr_interval == "minibatch":
            learner = _decide(learner, metrics, options)
        return learner, metrics

    def epoch(learner: Learner, key: Array) -> tuple[Learner, Metrics]:
        order = own_minibatch_indices(key, options, axis_name)
        learner, metrics = jax.lax.scan(minibatch, learner, order)
        if adaptive and options.lr_interval == "epoch":
            learner = _decide(learner, metrics, options)
        return learner, metrics

    learner, steps = jax.lax.scan(epoch, learner, jax.random.split(rng, options.num_epochs))
    if adaptive and options.lr_interval == "iteration":
        learner = _decide(learner, steps, options)
    metrics = {name: _accepted_mean(value, steps["accepted"]) for name, value in steps.items()}
    del metrics["accepted"], metrics["applied"]
    metrics["kl_last_epoch"] = _accepted_mean(steps["kl"][-1], steps["accepted"][-1])
    metrics["gradient_steps"] = jnp.sum(steps["applied"])
    metrics["nonfinite_updates"] = jnp.sum(1.0 - steps["accepted"])
    return learner, metrics


def _accepted_mean(value: Array, accepted: Array) -> Array:
    """Mean over accepted gradient steps; 0 where none was."""
    return jnp.sum(jnp.where(accepted > 0, value, 0.0)) / jnp.maximum(jnp.sum(accepted), 1.0)


def _decide(learner: Learner, metrics: Metrics, options: PPOOptions) -> Learner:
    """Adapts the rate to the mean KL of these gradient steps; keeps it where none was accepted."""
    kl = jnp.where(jnp.sum(metrics["accepted"]) > 0, _accepted_mean(metrics["kl"], metrics["accepted"]), jnp.nan)
    rate = adapt_learning_rate(learner.learning_rate, kl, options)
    return learner.replace(learning_rate=rate)  # type: ignore[attr-defined]
