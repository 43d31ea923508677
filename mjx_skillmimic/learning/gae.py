"""Generalised advantage estimation and the normalisation of advantages."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning import axis


def advantages(
    reward: Array, value: Array, next_value: Array, done: Array, discount: float, gae_lambda: float
) -> Array:
    """A_t = δ_t + γλ (1 − done_t) A_{t+1} with δ_t = r_t + γ V(s'_t) − V(s_t); all arrays (T, ...).

    `next_value` is the value of the observation before any reset, already zero where the episode ended by a fall, so
    that a fall ends the return and a time-out does not; `done` of either kind cuts the trace (skillmimic.md §8.4).
    """
    delta = reward + discount * next_value - value
    keep = discount * gae_lambda * (1.0 - done)

    def backward(following: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        delta_t, keep_t = inputs
        current = delta_t + keep_t * following
        return current, current

    _, result = jax.lax.scan(backward, jnp.zeros_like(delta[0]), (delta, keep), reverse=True)
    return result


def normalize_advantages(
    advantage: Array, epsilon: float = 1e-8, axis_name: str | None = None, weight: Array | None = None
) -> Array:
    """(A − mean)/(std + ε) over the whole batch, with the unbiased standard deviation; any shape.

    weight: of the same shape and of mean 1, with which the samples count.
    """
    size = advantage.size * axis.size(axis_name)
    counted = (lambda x: x) if weight is None else (lambda x: weight * x)
    mean = axis.mean(jnp.mean(counted(advantage)), axis_name)
    squares = axis.total(jnp.sum(counted((advantage - mean) ** 2)), axis_name)
    return (advantage - mean) / (jnp.sqrt(squares / (size - 1)) + epsilon)


def explained_variance(value: Array, target: Array, axis_name: str | None = None) -> Array:
    """1 − Var(target − value)/Var(target): 1 for a perfect critic, 0 for one no better than the mean."""
    return 1.0 - axis.variance(target - value, axis_name) / jnp.maximum(axis.variance(target, axis_name), 1e-12)
