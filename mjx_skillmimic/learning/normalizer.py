"""Running mean and variance of observations and values, kept to better than single precision without 64-bit types.

The published normaliser counts in double precision. In float32 an increment δ·n/N vanishes below the last bit of
the mean once N reaches a few hundred batches, so mean, variance and count are each kept as an unevaluated sum of two
floats (Knuth's two-sum): the low part collects what rounding would lose.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

EPSILON = 1e-5
LIMIT = 5.0


@struct.dataclass
class RunningMoments:
    """Statistics of D coordinates: mean, var (D,), count () and their low parts; value = high + low.

    frozen (D,) bool: coordinates that stay at mean 0 and variance 1, such as a one-hot label.
    """

    mean: Array
    mean_low: Array
    var: Array
    var_low: Array
    count: Array
    count_low: Array
    frozen: Array


def init(size: int, frozen: Array | None = None) -> RunningMoments:
    """Mean 0, variance 1, count 1, as published (skillmimic.md §8.3)."""
    mask = jnp.zeros(size, bool) if frozen is None else jnp.asarray(frozen, bool)
    if mask.shape != (size,):
        raise ValueError(f"frozen has shape {mask.shape}, expected ({size},)")

    def full(value: float) -> Array:
        # Separate buffers: a donated train state must not hold one buffer twice.
        return jnp.full(size, value, jnp.float32)

    return RunningMoments(
        mean=full(0.0),
        mean_low=full(0.0),
        var=full(1.0),
        var_low=full(0.0),
        count=jnp.ones((), jnp.float32),
        count_low=jnp.zeros((), jnp.float32),
        frozen=mask,
    )


def merge(moments: RunningMoments, samples: Array, axis_name: str | None = None) -> RunningMoments:
    """Statistics after seeing `samples` (..., D): Chan's parallel update with the unbiased batch variance.

    Samples with a non-finite coordinate are left out; with fewer than two finite ones the statistics stay as they are.
    """
    size = moments.mean.shape[0]
    samples = samples.reshape(-1, size)
    number, delta, batch_var = _batch_moments(samples, moments.mean, axis_name)
    delta = delta - moments.mean_low
    total = moments.count + number
    weight, rest = number / total, moments.count / total

    mean, mean_low = _add(moments.mean, moments.mean_low, delta * weight)
    between = delta**2 * weight * rest
    small_step = _add(moments.var, moments.var_low, weight * (batch_var - moments.var) + between)
    # For a batch larger than the history the increment would cancel most of the old variance: form it directly.
    large_step = (moments.var * rest + batch_var * weight + between, jnp.zeros_like(moments.var))
    var, var_low = (jnp.where(weight > 0.5, large, small) for large, small in zip(large_step, small_step, strict=True))
    count, count_low = _add(moments.count, moments.count_low, number)
    merged = RunningMoments(mean, mean_low, var, var_low, count, count_low, moments.frozen)
    enough = number >= 2
    return jax.tree.map(
        lambda old, new: jnp.where(enough if new.ndim == 0 else enough & ~moments.frozen, new, old), moments, merged
    )


def merge_given(
    moments: RunningMoments | None, samples: Array | None, axis_name: str | None = None
) -> RunningMoments | None:
    """`merge`, or None where there are neither statistics nor samples."""
    return None if moments is None or samples is None else merge(moments, samples, axis_name)


def normalize(moments: RunningMoments, x: Array) -> Array:
    """(x − mean)/√(var + 1e-5), clamped to ±5; x (..., D)."""
    centred = (x - moments.mean) - moments.mean_low
    return jnp.clip(centred / jnp.sqrt(moments.var + EPSILON), -LIMIT, LIMIT)


def normalize_given(moments: RunningMoments | None, x: Array | None) -> Array | None:
    """`normalize`, or None where there are neither statistics nor numbers."""
    return None if moments is None or x is None else normalize(moments, x)


def unnormalize(moments: RunningMoments, y: Array) -> Array:
    """clamp(y, ±5)·√(var + 1e-5) + mean; y (..., D)."""
    return jnp.clip(y, -LIMIT, LIMIT) * jnp.sqrt(moments.var + EPSILON) + moments.mean


def _batch_moments(samples: Array, origin: Array, axis_name: str | None) -> tuple[Array, Array, Array]:
    """Number of finite samples, their mean relative to `origin`, and their unbiased variance, in two passes."""
    finite = jnp.all(jnp.isfinite(samples), axis=-1)
    number = jnp.sum(finite, dtype=jnp.float32)
    shifted = jnp.where(finite[:, None], samples - origin, 0.0)
    total = _sum_rows(shifted)
    if axis_name is not None:
        number, total = jax.lax.psum((number, total), axis_name)
    mean = total / jnp.maximum(number, 1.0)
    squares = _sum_rows(jnp.where(finite[:, None], (shifted - mean) ** 2, 0.0))
    if axis_name is not None:
        squares = jax.lax.psum(squares, axis_name)
    return number, mean, squares / jnp.maximum(number - 1.0, 1.0)


def _sum_rows(x: Array) -> Array:
    """Sum over axis 0 in two levels, whose rounding error grows with √rows instead of rows."""
    rows = x.shape[0]
    group = next(k for k in range(int(rows**0.5), 0, -1) if rows % k == 0)
    return jnp.sum(jnp.sum(x.reshape(rows // group, group, -1), axis=1), axis=0)


def _add(high: Array, low: Array, increment: Array) -> tuple[Array, Array]:
    """high + low + increment as a new unevaluated sum; exact but for the rounding of the low part."""
    total = high + increment
    virtual = total - high
    error = (high - (total - virtual)) + (increment - virtual)
    low = low + error
    result = total + low
    return result, low - (result - total)
