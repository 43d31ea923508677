"""The truth table of endings (skillmimic.md §7) and the optional endings by tracking error."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

from mjx_skillmimic.imitation.options import TerminationOptions
from mjx_skillmimic.imitation.termination import mean_body_distance, termination
from mjx_skillmimic.motion.features import ROW_SIZE, Features


def features(heights, object_x=0.0, key_x=0.0) -> Features:
    rows = np.zeros((len(heights), ROW_SIZE))
    rows[:, 2] = heights
    rows[:, 318] = object_x
    rows[:, 328:379:3] = np.asarray(key_x)[..., None]
    return Features.from_row(rows)


def run(heights, progress, length, options, **far):
    sim, ref = features(heights, **far), features(heights)
    return termination(sim, ref, np.asarray(progress), np.asarray(length), options)


def test_truth_table_of_the_published_rules():
    """Every combination of height, progress and clip length, judged by the sentence of §7."""
    cases = list(itertools.product([0.2, 0.2999, 0.3, 0.9], range(8), [3, 6, 60]))
    heights, progress, length = map(np.array, zip(*cases, strict=True))
    found = run(heights, progress, length, TerminationOptions.reference())
    for i, (height, k, rows) in enumerate(cases):
        fell = height < 0.30 and k > 1
        assert found.terminated[i] == fell
        assert found.truncated[i] == (k >= rows - 1 and not fell)
        assert found.done[i] == (fell or k >= rows - 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (TerminationOptions(time_out="clip", episode_length=60), [False, False, True, True]),
        (TerminationOptions(time_out="fixed", episode_length=60), [False, False, False, True]),
        (TerminationOptions(time_out="fixed", episode_length=3), [False, True, True, True]),
    ],
)
def test_time_out_of_the_clip_or_of_a_fixed_length(options, expected):
    found = run([1.0] * 4, [1, 2, 9, 59], [10] * 4, options)
    assert found.truncated.tolist() == expected
    assert not found.terminated.any()


def test_falls_can_be_switched_off():
    found = run([0.1, 0.1], [5, 9], [10, 10], TerminationOptions(fall_height=None))
    assert found.terminated.tolist() == [False, False]
    assert found.truncated.tolist() == [False, True]


def test_a_lost_ball_ends_the_episode_where_asked():
    options = TerminationOptions(object_distance=0.6)
    far = {"object_x": np.array([0.59, 0.61, 0.61, 0.61])}
    found = run([1.0] * 4, [5, 5, 1, 12], [10, 10, 10, 10], options, **far)
    # near; far; far within the grace; far on rows past the clip, where there is nothing to track
    assert found.terminated.tolist() == [False, True, False, False]
    off = run([1.0] * 4, [5] * 4, [10] * 4, TerminationOptions.reference(), **far)
    assert not off.terminated.any()


def test_mean_body_distance_counts_root_and_key_bodies():
    far = {"key_x": np.array([0.53, 0.52])}
    sim, ref = features([1.0, 1.0], **far), features([1.0, 1.0])
    np.testing.assert_allclose(mean_body_distance(sim, ref), far["key_x"] * 17 / 18)
    options = TerminationOptions(object_distance=None, body_distance=0.5)
    assert run([1.0] * 2, [5] * 2, [10] * 2, options, **far).terminated.tolist() == [True, False]


def test_jit_gives_the_same():
    options = TerminationOptions(object_distance=0.6, body_distance=0.5)
    rng = np.random.default_rng(0)
    sim, ref = (Features.from_row(rng.normal(size=(64, ROW_SIZE))) for _ in range(2))
    progress, length = rng.integers(0, 12, 64), rng.integers(5, 12, 64)
    slow = termination(sim, ref, progress, length, options)
    fast = jax.jit(termination, static_argnums=4)(sim, ref, progress, length, options)
    np.testing.assert_array_equal(slow.terminated, fast.terminated)
    np.testing.assert_array_equal(slow.truncated, fast.truncated)
    assert slow.terminated.any()
    assert not (slow.terminated & slow.truncated).any()
