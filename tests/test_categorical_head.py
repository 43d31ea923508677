"""The categorical distribution and its network, against sums over all choices, frequencies and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.learning import categorical, heads, normalizer
from mjx_skillmimic.learning.losses import Samples, ppo_loss
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo, reference_ppo
from mjx_skillmimic.learning.update import Learner, gradient_step, make_optimizer

RNG = np.random.default_rng(0)
CHOICES = 5
LOGITS = np.concatenate([RNG.normal(0, 2, (20, CHOICES)), RNG.normal(0, 300, (4, CHOICES))]).astype(np.float32)


def softmax64(logits):
    logits = np.asarray(logits, np.float64)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def sums(old, new):
    """Entropy of `new`, KL(old ‖ new), both summed choice by choice in float64, where 0 log 0 is 0."""
    p, q = softmax64(old), softmax64(new)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(q > 0, q * np.log(q), 0.0).sum(-1)
        kl = np.where(p > 0, p * (np.log(p) - np.log(q)), 0.0).sum(-1)
    return entropy, kl


def test_probabilities_entropy_and_kl_are_sums_over_the_choices():
    old, new = LOGITS[:20], LOGITS[:20][::-1] + 3.0
    entropy, kl = sums(old, new)
    np.testing.assert_allclose(categorical.entropy(new), entropy, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(categorical.kl_divergence(old, new), kl, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(categorical.kl_divergence(old, old + 7.0), 0.0, atol=1e-5)
    every = jnp.broadcast_to(jnp.arange(CHOICES), (20, CHOICES))
    densities = jnp.exp(-categorical.neg_log_prob(every, jnp.repeat(new[:, None], CHOICES, 1)))
    np.testing.assert_allclose(densities, softmax64(new), rtol=1e-5)
    assert float(categorical.entropy(jnp.zeros(CHOICES))) == pytest.approx(np.log(CHOICES))


def test_logits_far_apart_stay_finite():
    far, choice = LOGITS[20:], jnp.asarray([0, 1, 2, 3])
    exact = far.astype(np.float64).max(-1) - far[np.arange(4), np.arange(4)]
    np.testing.assert_allclose(categorical.neg_log_prob(choice, far), exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(categorical.entropy(far), sums(far, far)[0], atol=1e-6)
    gradient = jax.grad(lambda x: categorical.entropy(x).sum() + categorical.neg_log_prob(choice, x).sum())(far)
    assert np.isfinite(gradient).all()
    assert np.isfinite(categorical.kl_divergence(far, far[::-1])).all()


def test_choices_are_drawn_as_often_as_they_are_likely():
    logits = jnp.asarray([0.5, -1.0, 2.0, 0.0, -30.0])
    draws = categorical.sample(jax.random.key(0), jnp.broadcast_to(logits, (40_000, CHOICES)))
    assert draws.dtype == jnp.int32
    assert draws.shape == (40_000,)
    frequency, wanted = np.bincount(draws, minlength=CHOICES) / 40_000, softmax64(logits)
    np.testing.assert_array_less(np.abs(frequency - wanted), 5 * np.sqrt(wanted / 40_000) + 1e-9)
    assert int(categorical.mode(jnp.asarray([1.0, 3.0, 3.0]))) == 1


def test_each_member_of_an_axis_draws_what_the_whole_draws():
    logits = jnp.asarray(LOGITS[:20])
    whole = categorical.sample(jax.random.key(3), logits)
    parts = jax.vmap(lambda rows: categorical.sample(jax.random.key(3), rows, "members"), axis_name="members")(
        logits.reshape(4, 5, CHOICES)
    )
    np.testing.assert_array_equal(parts.reshape(-1), whole)


def test_the_published_networks_number_of_parameters_and_initial_weights():
    options = reference_ppo(actor_hidden=(1024, 512), critic_hidden=(1024, 512))
    params = make_networks(options, 843, 7, head=heads.CATEGORICAL).init(jax.random.key(0))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(params[name])) for name in params}
    body = 843 * 1024 + 1024 + 1024 * 512 + 512
    assert sizes == {"actor": body + 512 * 7 + 7, "critic": body + 512 + 1}
    actor = params["actor"]["params"]
    assert set(actor) == {"body", "logits"}
    limit = np.sqrt(6 / (512 + 7))
    kernel = np.asarray(actor["logits"]["kernel"])
    assert 0.98 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    first = np.asarray(actor["body"]["hidden_0"]["kernel"])
    assert 0.98 / np.sqrt(843) < np.abs(first).max() <= 1 / np.sqrt(843)
    assert not any(np.any(layer["bias"]) for layer in (actor["logits"], *actor["body"].values()))


def fixed_batch(networks, params, rng=RNG):
    obs = rng.normal(size=(64, 4)).astype(np.float32)
    logits, _ = networks.act(params, obs)
    logits = logits + rng.normal(0, 0.3, logits.shape).astype(np.float32)
    action = categorical.sample(jax.random.key(1), logits)
    numbers = [jnp.asarray(rng.normal(size=64), jnp.float32) for _ in range(3)]
    return Samples(obs, action, logits, categorical.neg_log_prob(action, logits), *numbers)


def test_the_loss_is_the_formula_and_its_gradient_the_slope():
    losses = {"entropy_coef": 0.1, "log_ratio_limit": 0.0, "clip_ratio": 0.2}
    options = default_ppo(actor_hidden=(8,), critic_hidden=(8,), actor_final_scale=1.0, **losses)
    networks = make_networks(options, 4, CHOICES, head=heads.CATEGORICAL)
    params = networks.init(jax.random.key(0))
    batch, moments = fixed_batch(networks, params), normalizer.init(4)
    x = normalizer.normalize(moments, batch.obs)

    def by_hand(params):
        logits = np.asarray(networks.act(params, x)[0])
        p, old = softmax64(logits), softmax64(batch.old_output)
        rows, advantage = np.arange(64), np.asarray(batch.advantage, np.float64)
        ratio = p[rows, np.asarray(batch.action)] / old[rows, np.asarray(batch.action)]
        actor = np.maximum(-advantage * ratio, -advantage * np.clip(ratio, 0.8, 1.2)).mean()
        critic = ((np.asarray(networks.value(params, x), np.float64) - np.asarray(batch.target)) ** 2).mean()
        entropy, kl = sums(batch.old_output, logits)
        return actor + options.value_loss_coef * critic - 0.1 * entropy.mean(), kl.mean()

    def ours(params):
        return ppo_loss(params, batch, moments, None, networks, options)

    (total, terms), gradient = jax.jit(jax.value_and_grad(ours, has_aux=True))(params)
    wanted, kl = by_hand(params)
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    assert float(terms["kl"]) == pytest.approx(kl, rel=1e-4)
    assert float(terms["loss/bounds"]) == 0.0
    step = 1e-3
    moved = [jax.tree.map(lambda p, g, s=sign: p + s * step * g, params, gradient) for sign in (1, -1)]
    slope = (by_hand(moved[0])[0] - by_hand(moved[1])[0]) / (2 * step)
    norm = sum(float(jnp.sum(leaf.astype(jnp.float32) ** 2)) for leaf in jax.tree.leaves(gradient))
    assert slope == pytest.approx(norm, rel=0.02)


def test_gradient_steps_stop_where_the_choices_have_moved_too_far():
    options = default_ppo(actor_hidden=(8,), critic_hidden=(8,), max_kl=0.02)
    networks, optimizer = make_networks(options, 4, CHOICES, head=heads.CATEGORICAL), make_optimizer(options)
    params = networks.init(jax.random.key(0))
    learner = Learner(params, optimizer.init(params), normalizer.init(4), jnp.float32(1e-3))
    batch = fixed_batch(networks, params)
    logits, _ = networks.act(params, normalizer.normalize(learner.obs_moments, batch.obs))
    for shift, applied in ((0.0, 1.0), (1.0, 0.0)):
        away = logits + shift * jnp.asarray([3.0, 0, 0, 0, 0])
        moved = batch.replace(old_output=away, old_neg_log_prob=categorical.neg_log_prob(batch.action, away))
        _, metrics = gradient_step(learner, moved, None, networks, optimizer, options)
        assert (float(metrics["accepted"]), float(metrics["applied"])) == (1.0, applied)
        assert (float(metrics["kl"]) > 0.02) == (applied == 0.0)


def test_a_head_is_found_by_the_environment_and_by_the_parameters():
    assert heads.of_env(object()) is heads.GAUSSIAN
    with pytest.raises(ValueError, match="'mixed', expected 'continuous' or 'discrete'"):
        heads.of_env(type("Env", (), {"action_kind": "mixed"}))
    with pytest.raises(ValueError, match="body, expected one 'mean' or 'logits'"):
        heads.of_actor({"params": {"body": {}}})
