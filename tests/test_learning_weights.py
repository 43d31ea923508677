"""Steps that PPO leaves out."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.learning import gae, losses, normalizer
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.learning.ppo import prepare
from mjx_skillmimic.learning.rollout import Transitions

OPTIONS = default_ppo(actor_hidden=(8,), critic_hidden=(8,))


def test_samples_of_weight_zero_do_not_count() -> None:
    networks = make_networks(OPTIONS, 5, 3)
    params = networks.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 7)
    count, kept = 12, np.arange(12) % 4 != 0
    samples = losses.Samples(
        obs=jax.random.normal(keys[0], (count, 5)),
        action=jax.random.normal(keys[1], (count, 3)),
        old_output=jax.random.normal(keys[2], (count, 3)),
        old_neg_log_prob=jax.random.normal(keys[3], (count,)),
        advantage=jax.random.normal(keys[4], (count,)),
        old_value=jax.random.normal(keys[5], (count,)),
        target=jax.random.normal(keys[6], (count,)),
    )
    shared = networks.head.shared(params["actor"])
    loss = lambda batch: losses.ppo_loss(params, batch, normalizer.init(5), shared, networks, OPTIONS)  # noqa: E731
    weighted = loss(dataclasses.replace(samples, weight=jnp.asarray(kept / kept.mean(), jnp.float32)))
    alone = loss(jax.tree.map(lambda x: x[kept], samples))
    np.testing.assert_allclose(weighted[0], alone[0], rtol=1e-5)
    for name, value in alone[1].items():
        np.testing.assert_allclose(weighted[1][name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_rollouts_scale_weights_to_a_mean_of_one() -> None:
    rng = np.random.default_rng(0)
    shape = (6, 4)
    numbers = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name in ("reward", "value", "next_value")}
    weight = jnp.asarray(rng.random(shape) < 0.7, jnp.float32)
    zeros = jnp.zeros((*shape, 2))
    made = Transitions(
        obs=zeros, action=zeros, output=zeros, neg_log_prob=zeros[..., 0], done=zeros[..., 0], weight=weight, **numbers
    )
    samples, _, _ = prepare(made, normalizer.init(1), OPTIONS)
    assert samples.weight is not None
    np.testing.assert_allclose(samples.weight, np.ravel(weight / weight.mean()), rtol=1e-6)
    np.testing.assert_allclose(np.mean(samples.weight * samples.advantage), 0.0, atol=1e-6)
    raw = gae.advantages(made.reward, made.value, made.next_value, made.done, OPTIONS.discount, OPTIONS.gae_lambda)
    kept = np.asarray(raw)[np.asarray(weight) > 0]
    ours = np.asarray(samples.advantage)[np.ravel(weight) > 0]
    np.testing.assert_allclose(ours * kept.std(), kept - kept.mean(), rtol=0.05, atol=0.02)
