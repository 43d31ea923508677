"""Categorical distribution over A choices, given by logits: what a policy draws a choice from.

All of it is exact, also for logits that are thousands apart; logits must be finite. Shapes: logits (..., A), a choice
(...) int in 0 … A − 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning import axis


def sample(rng: Array, logits: Array, axis_name: str | None = None) -> Array:
    """One draw (...) int32 with the probabilities softmax(logits), as argmax(logits + Gumbel noise).

    axis_name: a mapped axis over which the first axis of `logits` is split (`learning.axis`).
    """
    return jnp.argmax(logits + axis.gumbel(rng, logits.shape, axis_name), axis=-1).astype(jnp.int32)


def mode(logits: Array) -> Array:
    """The likeliest choice (...) int32, the first of equals."""
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def neg_log_prob(choice: Array, logits: Array) -> Array:
    """−log softmax(logits)[choice], shape (...)."""
    log_prob = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_prob, choice[..., None], axis=-1)[..., 0]


def kl_divergence(old_logits: Array, new_logits: Array) -> Array:
    """KL(old ‖ new) in nats, Σ p_old (log p_old − log p_new), shape (...)."""
    old, new = jax.nn.log_softmax(old_logits, axis=-1), jax.nn.log_softmax(new_logits, axis=-1)
    return jnp.sum(jnp.exp(old) * (old - new), axis=-1)


def entropy(logits: Array) -> Array:
    """−Σ p log p in nats, shape (...): between 0 and log A."""
    log_prob = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(jnp.exp(log_prob) * log_prob, axis=-1)
