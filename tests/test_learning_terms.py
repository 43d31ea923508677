"""Advantages, densities, loss terms and golden vectors, against slow independent formulas."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.evaluation.golden import ppo as golden
from mjx_skillmimic.learning import distributions, gae, losses

GOLDEN = Path(os.environ.get("MJX_SKILLMIMIC_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))


def slow_advantages(reward, value, next_value, done, discount, gae_lambda):
    """Sum over the future of (γλ)^k δ, world by world, stopping at the first done."""
    steps, worlds = reward.shape
    result = np.zeros((steps, worlds))
    for world in range(worlds):
        for start in range(steps):
            factor = 1.0
            for t in range(start, steps):
                delta = reward[t, world] + discount * next_value[t, world] - value[t, world]
                result[start, world] += factor * delta
                if done[t, world]:
                    break
                factor *= discount * gae_lambda
    return result


def test_advantages_equal_the_definition():
    rng = np.random.default_rng(0)
    reward, value, next_value = rng.normal(size=(3, 17, 9))
    done = (rng.random((17, 9)) < 0.2).astype(float)
    ours = gae.advantages(*(jnp.asarray(x, jnp.float32) for x in (reward, value, next_value, done)), 0.97, 0.9)
    np.testing.assert_allclose(ours, slow_advantages(reward, value, next_value, done, 0.97, 0.9), atol=2e-6)


def test_advantage_of_lambda_one_is_the_discounted_return_minus_the_value():
    reward = jnp.asarray([[1.0], [2.0], [3.0]])
    value = jnp.asarray([[0.5], [0.25], [0.125]])
    next_value = jnp.concatenate([value[1:], jnp.asarray([[10.0]])])
    ours = gae.advantages(reward, value, next_value, jnp.zeros((3, 1)), 0.5, 1.0)
    assert float(ours[0, 0]) == pytest.approx(1 + 0.5 * 2 + 0.25 * 3 + 0.125 * 10 - 0.5)


def test_normalised_advantages_have_zero_mean_and_unit_unbiased_deviation():
    advantage = jnp.asarray(np.random.default_rng(1).normal(3.0, 7.0, (11, 13)), jnp.float32)
    normalised = np.asarray(gae.normalize_advantages(advantage), np.float64)
    assert abs(normalised.mean()) < 1e-6
    assert normalised.std(ddof=1) == pytest.approx(1.0, abs=1e-6)


def test_equal_advantages_stay_finite():
    assert np.array_equal(gae.normalize_advantages(jnp.full((4, 4), 2.0)), np.zeros((4, 4)))


def test_explained_variance_of_a_perfect_and_a_constant_critic():
    target = jnp.arange(10.0)
    assert float(gae.explained_variance(target, target)) == 1.0
    assert float(gae.explained_variance(jnp.zeros(10), target)) == pytest.approx(0.0, abs=1e-6)


def test_neg_log_prob_integrates_to_one_and_kl_matches_a_monte_carlo_estimate():
    grid = jnp.linspace(-6, 6, 4001)[:, None]
    mean, log_std = jnp.asarray([[0.3]]), jnp.asarray([-0.4])
    density = jnp.exp(-distributions.neg_log_prob(grid, mean, log_std))
    assert float(jnp.sum(density)) * 12 / 4000 == pytest.approx(1.0, abs=1e-4)
    new_mean, new_log_std = jnp.asarray([[0.6]]), jnp.asarray([0.1])
    draws = distributions.sample(jax.random.PRNGKey(0), jnp.broadcast_to(mean, (200_000, 1)), log_std)
    log_ratio = distributions.neg_log_prob(draws, new_mean, new_log_std)
    log_ratio -= distributions.neg_log_prob(draws, mean, log_std)
    exact = distributions.kl_divergence(mean, log_std, new_mean, new_log_std)
    assert float(exact[0]) == pytest.approx(float(jnp.mean(log_ratio)), rel=0.02)


def test_kl_of_equal_policies_is_zero_without_the_published_fudge_and_negative_with_it():
    mean, log_std = jnp.zeros((1, 156)), jnp.full(156, -2.9)
    assert float(distributions.kl_divergence(mean, log_std, mean, log_std)[0]) == pytest.approx(0.0, abs=1e-5)
    assert float(distributions.kl_divergence(mean, log_std, mean, log_std, 1e-5)[0]) < -0.2


def test_actor_loss_has_no_gradient_where_the_ratio_is_clipped_in_the_favoured_direction():
    def loss(log_ratio, advantage):
        return losses.actor_loss(log_ratio, jnp.zeros(1), advantage, 0.2)[0][0]

    gradient = jax.grad(loss)
    up, positive, negative = jnp.asarray([0.5]), jnp.ones(1), -jnp.ones(1)
    assert float(gradient(up, positive)[0]) == 0.0
    assert float(gradient(up, negative)[0]) == pytest.approx(np.exp(0.5), rel=1e-6)
    assert float(gradient(-up, negative)[0]) == 0.0
    assert float(gradient(jnp.zeros(1), positive)[0]) == -1.0


def test_log_ratio_is_clamped():
    loss, clipped = losses.actor_loss(jnp.asarray([500.0]), jnp.zeros(1), -jnp.ones(1), 0.2)
    assert float(loss[0]) == pytest.approx(np.exp(20.0), rel=1e-6)
    assert bool(clipped[0])


def test_bounds_loss_counts_only_the_excess():
    mean = jnp.asarray([[1.5, -3.0, 0.9, -1.0]])
    assert float(distributions.bounds_loss(mean)[0]) == pytest.approx(0.5**2 + 2.0**2)
    assert float(distributions.bounds_loss(mean, limit=3.0)[0]) == 0.0


def test_golden_ppo_pieces():
    path = GOLDEN / "ppo_pieces.npz"
    if not path.exists():
        pytest.skip(f"golden vectors not found at {path}")
    with np.load(path) as file:
        arrays = dict(file)
    quantities = list(golden.check_ppo_pieces(arrays))
    compared = {id(quantity.expected) for quantity in quantities}
    outputs = [
        name for name in arrays if name.startswith(("out_", "rms_")) and name not in ("rms_batches", "rms_eval_in")
    ]
    assert compared == {id(arrays[name]) for name in outputs}
    failed = {quantity.name: quantity.max_error for quantity in quantities if not quantity.passed}
    assert not failed
