"""The terms of the PPO loss, one value a sample, and their weighted sum over a minibatch."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import struct
from jax import Array

from mjx_skillmimic.learning import normalizer
from mjx_skillmimic.learning.networks import Networks, Params
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.options import PPOOptions


@struct.dataclass
class Samples:
    """What the loss needs of B samples: obs (B, D) raw, action (B, A) or choice (B,), old_output (B, A), the rest (B,).

    old_neg_log_prob, old_output: of the policy that acted; a mean or logits (`learning.heads`). old_value, target: in
    the value normaliser's units. privileged (B, P) raw: what only the critic sees, None if there is nothing. weight
    (B,), of mean 1 over all samples: how much each counts, None where all count alike.
    """

    obs: Array
    action: Array
    old_output: Array
    old_neg_log_prob: Array
    advantage: Array
    old_value: Array
    target: Array
    privileged: Array | None = None
    weight: Array | None = None


def actor_loss(
    old_neg_log_prob: Array, neg_log_prob: Array, advantage: Array, clip_ratio: float, log_ratio_limit: float = 20.0
) -> tuple[Array, Array]:
    """max(−A·r, −A·clip(r, 1 ± ε)) and whether the ratio r = π/π_old lies outside 1 ± ε; all (B,).

    log r is clamped to ±`log_ratio_limit`, so that one absurd sample cannot overflow the loss; 0 leaves it as it is.
    """
    log_ratio = old_neg_log_prob - neg_log_prob
    ratio = jnp.exp(jnp.clip(log_ratio, -log_ratio_limit, log_ratio_limit) if log_ratio_limit else log_ratio)
    clipped = jnp.clip(ratio, 1.0 - clip_ratio, 1.0 + clip_ratio)
    return jnp.maximum(-advantage * ratio, -advantage * clipped), jnp.abs(ratio - 1.0) > clip_ratio


def critic_loss(value: Array, target: Array, old_value: Array, clip_ratio: float, clip: bool) -> Array:
    """(target − V)², without ½; with `clip`, the larger of that and the same with V's change clamped to ±ε."""
    squared = (value - target) ** 2
    if not clip:
        return squared
    near = old_value + jnp.clip(value - old_value, -clip_ratio, clip_ratio)
    return jnp.maximum(squared, (near - target) ** 2)


def ppo_loss(
    params: Params,
    batch: Samples,
    obs_moments: RunningMoments,
    old_shared: Any,
    networks: Networks,
    options: PPOOptions,
    privileged_moments: RunningMoments | None = None,
) -> tuple[Array, dict[str, Array]]:
    """actor + value_loss_coef·critic + bounds_loss_coef·bounds − entropy_coef·entropy, and the terms by name.

    old_shared: what the head shared when the samples were drawn (log σ of a Gaussian).
    """
    x = normalizer.normalize(obs_moments, batch.obs)
    head = networks.head
    output, shared = networks.act(params, x)
    value = networks.value(params, x, normalizer.normalize_given(privileged_moments, batch.privileged))
    neg_log_prob = head.neg_log_prob(batch.action, output, shared)
    actor, clipped = actor_loss(
        batch.old_neg_log_prob, neg_log_prob, batch.advantage, options.clip_ratio, options.log_ratio_limit
    )
    critic = critic_loss(value, batch.target, batch.old_value, options.clip_ratio, options.clip_value_loss)

    def mean(x: Array) -> Array:
        return jnp.mean(x if batch.weight is None else batch.weight * x)

    terms = {
        "loss/actor": mean(actor),
        "loss/critic": mean(critic),
        "loss/bounds": mean(head.bounds_loss(output, options.bounds_limit)),
        "entropy": mean(head.entropy(output, shared)),
    }
    total = (
        terms["loss/actor"]
        + options.value_loss_coef * terms["loss/critic"]
        + options.bounds_loss_coef * terms["loss/bounds"]
        - options.entropy_coef * terms["entropy"]
    )
    divergence = head.kl_divergence(batch.old_output, old_shared, output, shared, options.kl_epsilon)
    return total, {
        **terms,
        "loss/total": total,
        "kl": mean(divergence),
        "clip_fraction": mean(clipped.astype(jnp.float32)),
    }
