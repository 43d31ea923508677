"""Metrics and intervals against hand-computed cases, a slow loop, and published values."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.evaluation import metrics
from mjx_skillmimic.evaluation.intervals import bootstrap_ratio, wilson
from mjx_skillmimic.motion.features import ROW_SIZE, Features


def features(row: np.ndarray) -> Features:
    return Features.from_row(row)


def slow_body_error(a: np.ndarray, b: np.ndarray) -> float:
    """E_b of two published rows, column by column: root in 0:3, key bodies in 328:379 (skillmimic.md §3.4)."""
    distances = [math.dist(a[0:3], b[0:3])]
    distances += [math.dist(a[c : c + 3], b[c : c + 3]) for c in range(328, 379, 3)]
    assert len(distances) == 18
    return 1000.0 * sum(distances) / 18


def test_errors_equal_a_slow_loop_over_the_published_columns():
    rng = np.random.default_rng(0)
    sim, ref = rng.normal(size=(2, 5, ROW_SIZE))
    body = metrics.body_error(features(sim), features(ref))
    thing = metrics.object_error(features(sim), features(ref))
    for i in range(5):
        assert body[i] == pytest.approx(slow_body_error(sim[i], ref[i]), rel=1e-12)
        assert thing[i] == pytest.approx(1000.0 * math.dist(sim[i, 318:321], ref[i, 318:321]), rel=1e-12)


def test_only_positions_count():
    row = np.random.default_rng(1).normal(size=ROW_SIZE)
    other = row.copy()
    other[3:318] += 1.0
    other[321:328] += 1.0
    assert metrics.body_error(features(row), features(other)) == 0.0
    assert metrics.object_error(features(row), features(other)) == 0.0


def test_root_relative_error_ignores_drift_and_sees_the_rest():
    row = np.zeros(ROW_SIZE)
    drifted = row.copy()
    drifted[0:3] += [0.3, 0.4, 0.0]
    drifted[328:379] += np.tile([0.3, 0.4, 0.0], 17)
    assert metrics.body_error(features(drifted), features(row)) == pytest.approx(500.0)
    assert metrics.body_error(features(drifted), features(row), root_relative=True) == pytest.approx(0.0, abs=1e-9)
    drifted[328] += 0.17
    assert metrics.body_error(features(drifted), features(row), root_relative=True) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("flags", "reference", "expected"), [((0, 1), (0, 1), 0.0), ((1, 1), (0, 1), 0.5), ((1, 0), (0, 1), 1.0)]
)
def test_contact_error_of_two_flags(flags, reference, expected):
    assert metrics.contact_error(np.array(flags), np.array(reference)) == expected


@pytest.mark.parametrize(
    ("body_mm", "object_mm", "object_contact", "accurate"),
    [
        (99.0, 199.0, True, True),
        (101.0, 0.0, True, False),
        (0.0, 201.0, True, False),
        (0.0, 0.0, False, False),
    ],
)
def test_accuracy_needs_every_threshold_and_flag(body_mm, object_mm, object_contact, accurate):
    row = np.zeros(ROW_SIZE)
    row[379] = 1.0
    sim = row.copy()
    sim[0:3] += [body_mm / 1000.0, 0.0, 0.0]
    sim[328:379] += np.tile([body_mm / 1000.0, 0.0, 0.0], 17)
    sim[320] += object_mm / 1000.0
    flags = metrics.node_flags(np.array(False), np.array(object_contact))
    frame = metrics.frame_metrics(features(sim), features(row), flags, metrics.reference_node_flags(row[379]))
    assert bool(frame.accurate) == accurate
    assert frame.body_error == pytest.approx(body_mm)
    assert frame.object_error == pytest.approx(object_mm)
    assert frame.contact_error == (0.0 if object_contact else 0.5)


def test_jax_agrees_with_numpy():
    rng = np.random.default_rng(2)
    sim, ref = rng.normal(size=(2, 7, ROW_SIZE)).astype(np.float32) * 0.1
    flags, wanted = rng.integers(0, 2, size=(2, 7, 2))
    slow = metrics.frame_metrics(features(sim), features(ref), flags, wanted)
    fast = metrics.frame_metrics(
        features(jnp.asarray(sim)), features(jnp.asarray(ref)), jnp.asarray(flags), jnp.asarray(wanted)
    )
    for name in ("body_error", "object_error", "contact_error", "accurate"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=1e-5, atol=1e-4)


# Newcombe (1998), Statistics in Medicine 17, table I, method 3 (Wilson's score without continuity correction).
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_has_the_published_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_is_symmetric_and_solves_the_score_equation():
    low, high = wilson(7, 25)
    assert wilson(18, 25) == pytest.approx((1 - high, 1 - low))
    for bound in (low, high):
        assert abs(7 / 25 - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 25), rel=1e-5)
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="5 of 3"):
        wilson(5, 3)


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        sample = rng.exponential(size=60)
        low, high = bootstrap_ratio(sample, np.ones(60), seed=trial, resamples=400)
        hits += low < 1.0 < high
    assert 0.86 < hits / 200 < 0.99


def test_bootstrap_draws_episodes_not_frames():
    # two kinds of episode of 100 equal frames each: the spread is that of 10 episodes, not of 1000 frames
    means = np.tile([0.0, 1.0], 5)
    low, high = bootstrap_ratio(100.0 * means, np.full(10, 100.0))
    assert high - low > 0.4
    assert bootstrap_ratio(means, np.ones(10), seed=4) == bootstrap_ratio(means, np.ones(10), seed=4)
    assert all(math.isnan(x) for x in bootstrap_ratio(np.zeros(3), np.zeros(3)))
