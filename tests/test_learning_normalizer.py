"""Running statistics against NumPy in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.learning import normalizer


def double(moments, name):
    return np.asarray(getattr(moments, name), np.float64) + np.asarray(getattr(moments, f"{name}_low"), np.float64)


def reference_merge(mean, var, count, batch):
    """Chan's formula in double precision as skillmimic.md §8.3 states it."""
    number, delta = len(batch), batch.mean(0) - mean
    total = count + number
    m2 = var * count + batch.var(0, ddof=1) * number + delta**2 * count * number / total
    return mean + delta * number / total, m2 / total, total


def test_many_merges_equal_double_precision():
    rng = np.random.default_rng(0)
    scale, offset = np.asarray([1e-3, 1.0, 300.0, 1.0]), np.asarray([5.0, 0.0, -1000.0, 20.0])
    moments, (mean, var, count) = normalizer.init(4), (np.zeros(4), np.ones(4), 1.0)
    merge = jax.jit(normalizer.merge)
    for _ in range(300):
        batch = (rng.normal(size=(64, 4)) * scale + offset).astype(np.float32)
        moments = merge(moments, batch)
        mean, var, count = reference_merge(mean, var, count, batch.astype(np.float64))
    np.testing.assert_allclose(double(moments, "mean"), mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(double(moments, "var"), var, rtol=1e-6)
    assert double(moments, "count") == count


def test_statistics_are_close_to_those_of_the_concatenated_data():
    data = np.random.default_rng(1).gamma(2.0, 3.0, (40, 256, 3)).astype(np.float32)
    moments = normalizer.init(3)
    for batch in data:
        moments = normalizer.merge(moments, batch)
    flat = data.reshape(-1, 3).astype(np.float64)
    # The count of 1 at the start and the unbiased variance of each batch weigh of order 1/10000 and 1/256.
    np.testing.assert_allclose(double(moments, "mean"), flat.mean(0), rtol=5e-4)
    np.testing.assert_allclose(double(moments, "var"), flat.var(0), rtol=8e-3)


def test_small_increments_are_not_lost_after_billions_of_samples():
    start = normalizer.init(1)
    moments = start.replace(mean=jnp.ones(1), count=jnp.asarray(4e9, jnp.float32))
    batch = jnp.asarray([[1.002], [1.004]] * 64, jnp.float32)
    mean, var, count = 1.0, 1.0, 4e9
    merge = jax.jit(normalizer.merge)
    for _ in range(200):
        moments = merge(moments, batch)
        mean, var, count = reference_merge(mean, var, count, np.asarray(batch, np.float64)[:, 0])
    assert mean - 1.0 > 1e-8  # each increment, 1e-10, is far below the spacing of float32 at 1
    assert float(double(moments, "mean")[0]) - 1.0 == pytest.approx(mean - 1.0, rel=1e-4)
    assert float(double(moments, "count")) == count


def test_frozen_coordinates_are_left_alone():
    moments = normalizer.init(3, frozen=jnp.asarray([False, True, False]))
    batch = jnp.asarray(np.random.default_rng(2).normal(4.0, 2.0, (100, 3)), jnp.float32)
    moments = normalizer.merge(moments, batch)
    assert float(moments.mean[1]) == 0.0
    assert float(moments.var[1]) == 1.0
    assert float(moments.mean[0]) > 3.0
    label = normalizer.normalize(moments, jnp.asarray([[0.0, 1.0, 0.0]]))
    assert float(label[0, 1]) == pytest.approx(1.0, abs=1e-5)


def test_samples_with_nan_are_left_out():
    batch = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)
    broken = np.concatenate([batch, [[np.nan, 1.0]], [[2.0, np.inf]]]).astype(np.float32)
    expected, ours = normalizer.merge(normalizer.init(2), batch), normalizer.merge(normalizer.init(2), broken)
    np.testing.assert_allclose(double(ours, "mean"), double(expected, "mean"), rtol=1e-6)
    np.testing.assert_allclose(double(ours, "var"), double(expected, "var"), rtol=1e-6)
    nothing = normalizer.merge(expected, np.full((10, 2), np.nan, np.float32))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(nothing), jax.tree.leaves(expected), strict=True))


def test_unnormalize_inverts_normalize_within_the_clamp():
    moments = normalizer.merge(normalizer.init(1), jnp.asarray([[10.0], [20.0], [30.0]]))
    x = jnp.asarray([[5.0], [15.0], [40.0]])
    np.testing.assert_allclose(normalizer.unnormalize(moments, normalizer.normalize(moments, x)), x, rtol=1e-6)
    assert float(normalizer.normalize(moments, jnp.asarray([1e6]))[0]) == normalizer.LIMIT


def test_merging_over_an_axis_equals_merging_all_samples():
    data = np.random.default_rng(4).normal(2.0, 5.0, (4, 32, 3)).astype(np.float32)
    together = normalizer.merge(normalizer.init(3), data)
    apart = jax.vmap(lambda x: normalizer.merge(normalizer.init(3), x, "devices"), axis_name="devices")(data)
    for whole, parts in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(parts, np.broadcast_to(whole, parts.shape), rtol=1e-6, atol=1e-6)


def test_frozen_mask_of_the_wrong_width_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\).*\(5,\)"):
        normalizer.init(5, frozen=jnp.zeros(3, bool))
