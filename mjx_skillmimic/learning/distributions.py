"""Normal distribution with a diagonal covariance: what the policy samples from."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning import axis


def sample(rng: Array, mean: Array, log_std: Array, axis_name: str | None = None) -> Array:
    """One draw a ~ N(mean, exp(log_std)²); mean (..., A), log_std broadcastable to it.

    axis_name: a mapped axis over which the first axis of `mean` is split (`learning.axis`).
    """
    return mean + jnp.exp(log_std) * axis.normal(rng, mean.shape, axis_name)


def neg_log_prob(action: Array, mean: Array, log_std: Array) -> Array:
    """−log N(action), shape (...): ½ Σ ((a − μ)/σ)² + ½ A ln 2π + Σ ln σ (skillmimic.md §8.4)."""
    log_std = jnp.broadcast_to(log_std, mean.shape)
    scaled = (action - mean) * jnp.exp(-log_std)
    constant = 0.5 * math.log(2 * math.pi) * mean.shape[-1]
    return 0.5 * jnp.sum(scaled**2, axis=-1) + constant + jnp.sum(log_std, axis=-1)


def kl_divergence(
    old_mean: Array, old_log_std: Array, new_mean: Array, new_log_std: Array, epsilon: float = 0.0
) -> Array:
    """KL(old ‖ new), shape (...), summed over coordinates; exact for `epsilon` 0.

    With the published epsilon 1e-5, added inside the logarithm and to the denominator 2(σ² + ε), the divergence of two
    equal policies is about −A·(ε/2σ² − ε): −0.26 for 156 coordinates and σ = e^−2.9. Use it for parity only.
    """
    log_std_change = new_log_std - old_log_std
    log_term = jnp.log(jnp.exp(log_std_change) + epsilon) if epsilon else log_std_change
    spread = jnp.exp(2 * old_log_std) + (new_mean - old_mean) ** 2
    terms = log_term + spread / (2 * (jnp.exp(2 * new_log_std) + epsilon)) - 0.5
    return jnp.sum(jnp.broadcast_to(terms, new_mean.shape), axis=-1)


def bounds_loss(mean: Array, limit: float = 1.0) -> Array:
    """Soft bound on the mean, Σ max(|μ| − limit, 0)² over the action coordinates; mean (B, A) → (B,)."""
    return jnp.sum(jnp.maximum(jnp.abs(mean) - limit, 0.0) ** 2, axis=-1)


def entropy(log_std: Array) -> Array:
    """Differential entropy in nats, Σ ln σ + ½ A (1 + ln 2π); log_std (..., A)."""
    return jnp.sum(log_std, axis=-1) + 0.5 * log_std.shape[-1] * (1 + math.log(2 * math.pi))
