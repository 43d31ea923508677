"""The whole iteration on toy worlds whose optimum or values are known."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from mjx_skillmimic.learning import distributions, normalizer
from mjx_skillmimic.learning.losses import Samples
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo, reference_ppo
from mjx_skillmimic.learning.policy import make_policy
from mjx_skillmimic.learning.ppo import jit_iteration, make_train
from mjx_skillmimic.learning.rollout import init_episodes, rollout
from mjx_skillmimic.learning.update import (
    Learner,
    adapt_learning_rate,
    decay_learning_rate,
    gradient_step,
    make_optimizer,
    minibatch_indices,
)

SMALL = {
    "num_envs": 64,
    "horizon": 8,
    "minibatch_size": 128,
    "num_epochs": 4,
    "actor_hidden": (32, 32),
    "critic_hidden": (32, 32),
    "log_std": -1.5,
    "learning_rate": 3e-3,
    "lr_schedule": "constant",
}


@struct.dataclass
class ToyState:
    obs: Any
    reward: Any
    done: Any
    metrics: Any
    info: Any


class Aim:
    """Each step shows a number g in [−1, 1]; reward 1 − (a − g/2)², best 1. Episodes of `length` steps end by time.

    The final observation is `final`, or an ordinary one. World 0 gives NaN rewards where `broken`.
    """

    observation_size, action_size, length = 1, 1, 4

    def __init__(self, broken=False, final=None):
        self.broken, self.final = broken, final

    def reset(self, rng):
        obs, rng = self._draw(rng)
        zero = jnp.zeros(len(rng))
        info = {"final_obs": obs, "terminated": zero, "truncation": zero, "rng": rng, "time": zero}
        return ToyState(obs, zero, zero, {"error": zero}, info)

    def step(self, state, action):
        error = (action - state.obs / 2)[:, 0]
        time = state.info["time"] + 1
        done = (time >= self.length).astype(jnp.float32)
        obs, rng = self._draw(state.info["rng"])
        final_obs = obs if self.final is None else jnp.where(done[:, None] > 0, self.final, obs)
        info = {
            "final_obs": final_obs,
            "terminated": 0 * done,
            "truncation": done,
            "rng": rng,
            "time": time * (1 - done),
        }
        reward = 1 - error**2
        if self.broken:
            reward = reward.at[0].set(jnp.nan)
        return ToyState(obs, reward, done, {"error": jnp.abs(error)}, info)

    @staticmethod
    def _draw(rng):
        keys = jax.vmap(jax.random.split)(rng)
        return jax.vmap(lambda key: jax.random.uniform(key, (1,), minval=-1.0, maxval=1.0))(keys[:, 0]), keys[:, 1]


class Chain:
    """A walk over five places, reward 1 a step; after the last comes the first again, by a fall or by a time-out."""

    observation_size, action_size, length = 5, 1, 5

    def __init__(self, falls):
        self.falls = falls

    def reset(self, rng):
        place = jnp.arange(len(rng)) % self.length
        zero = jnp.zeros(len(rng))
        info = {"final_obs": self._look(place), "terminated": zero, "truncation": zero, "place": place}
        return ToyState(self._look(place), zero, zero, {}, info)

    def step(self, state, action):
        after = state.info["place"] + 1
        done = (after == self.length).astype(jnp.float32)
        place = after % self.length
        obs = self._look(place)
        kinds = (
            {"terminated": done, "truncation": 0 * done} if self.falls else {"terminated": 0 * done, "truncation": done}
        )
        info = {"final_obs": obs, "place": place, **kinds}
        return ToyState(obs, jnp.ones_like(done), done, {}, info)

    def _look(self, place):
        return jax.nn.one_hot(place, self.length)


def train(env, options, iterations, seed=0, **arguments):
    init, train_iteration = make_train(env, options, **arguments)
    iterate = jit_iteration(train_iteration)
    state, history = init(jax.random.PRNGKey(seed)), []
    for _ in range(iterations):
        state, metrics = iterate(state)
        history.append({name: float(value) for name, value in metrics.items()})
    return state, history


def leaves_equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


@pytest.mark.parametrize("preset", [reference_ppo, default_ppo])
def test_return_reaches_the_optimum(preset):
    options = preset(**SMALL | {"discount": 0.9})
    state, history = train(Aim(), options, 60, initial_action=jnp.asarray([0.9]))
    variance = np.exp(2 * options.log_std)
    first, last = history[0]["reward"], history[-1]["reward"]
    assert first < 0.3
    assert last == pytest.approx(1 - variance, abs=0.02)
    assert history[-1]["episode/return"] == pytest.approx(Aim.length * (1 - variance), abs=0.08)
    goals = jnp.linspace(-0.9, 0.9, 19)[:, None]
    actions = make_policy(options, state.params, state.obs_moments)(goals, None)
    assert float(jnp.max(jnp.abs(actions - goals / 2))) < 0.12


def test_a_timeout_continues_the_return_and_a_fall_ends_it():
    options = default_ppo(**SMALL | {"discount": 0.8, "horizon": 10, "minibatch_size": 160, "learning_rate": 1e-2})
    networks = make_networks(options, 5, 1)
    expected = {
        False: np.full(5, 1 / (1 - 0.8)),
        True: np.asarray([(1 - 0.8 ** (5 - k)) / (1 - 0.8) for k in range(5)]),
    }
    for falls, values in expected.items():
        state, history = train(Chain(falls), options, 60)
        normalised = networks.value(state.params, normalizer.normalize(state.obs_moments, jnp.eye(5)))
        ours = normalizer.unnormalize(state.value_moments, normalised)
        np.testing.assert_allclose(ours, values, atol=0.12)
        ended = history[-1]["episode/falls"], history[-1]["episode/truncations"]
        assert ended == ((128.0, 0.0) if falls else (0.0, 128.0))
        assert history[-1]["episode/length"] == Chain.length


def test_without_bootstrapping_a_timeout_counts_as_a_fall():
    options = default_ppo(**SMALL | {"bootstrap_timeouts": False})
    transitions = roll(Chain(falls=False), options)[2]
    assert not np.asarray(transitions.next_value)[np.asarray(transitions.done) > 0].any()


def roll(env, options):
    networks = make_networks(options, env.observation_size, env.action_size)
    params = networks.init(jax.random.PRNGKey(1))
    moments = normalizer.init(env.observation_size), normalizer.init(1)
    state = env.reset(jax.random.split(jax.random.PRNGKey(2), options.num_envs))
    episodes = init_episodes(options.num_envs)
    key = jax.random.PRNGKey(3)
    return rollout(env, networks, options, params, *moments, state, episodes, key)


def test_rollout_stores_the_observation_before_the_reset_in_the_next_value():
    options = default_ppo(**SMALL)
    env = Aim(final=7.0)
    _, _, transitions, metrics = roll(env, options)
    networks = make_networks(options, 1, 1)
    params = networks.init(jax.random.PRNGKey(1))
    moments = normalizer.init(1)

    def value(obs):
        return normalizer.unnormalize(moments, networks.value(params, normalizer.normalize(moments, obs)))

    done = np.asarray(transitions.done)
    assert done.sum() == 2 * options.num_envs
    np.testing.assert_allclose(transitions.next_value[done > 0], value(jnp.full((1, 1), 7.0))[0], rtol=1e-5)
    inside = done[:-1] == 0
    np.testing.assert_allclose(transitions.next_value[:-1][inside], transitions.value[1:][inside], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(transitions.value, value(transitions.obs), rtol=1e-5, atol=1e-6)
    log_std = jnp.full(1, options.log_std)
    expected = distributions.neg_log_prob(transitions.action, transitions.output, log_std)
    np.testing.assert_allclose(transitions.neg_log_prob, expected, rtol=1e-6)
    error = jnp.abs(jnp.clip(transitions.action, -1, 1) - transitions.obs / 2)
    assert float(metrics["env/error"]) == pytest.approx(float(jnp.mean(error)), rel=1e-5)
    returns = np.asarray(transitions.reward).reshape(2, 4, -1).sum(1)
    assert float(metrics["episode/return"]) == pytest.approx(returns.mean(), rel=1e-5)


def test_every_sample_is_used_once_an_epoch_in_a_new_order():
    first, second = (np.asarray(minibatch_indices(jax.random.PRNGKey(k), 96, 16)) for k in (0, 1))
    assert first.shape == (6, 16)
    assert sorted(first.reshape(-1)) == sorted(second.reshape(-1)) == list(range(96))
    assert not np.array_equal(first, second)


def test_statistics_count_each_sample_once_or_once_an_epoch():
    for update, times in (("rollout", 1), ("minibatch", 4)):
        options = default_ppo(**SMALL | {"normalizer_update": update, "normalizer_warm_start": False})
        state, _ = train(Aim(), options, 2)
        assert float(state.obs_moments.count) == 1 + 2 * times * options.batch_size


def test_first_kl_and_clip_fraction_vanish_when_nothing_moves():
    frozen = {"learning_rate": 1e-12, "normalizer_warm_start": True}
    _, steady = train(Aim(), default_ppo(**SMALL | frozen), 1)
    assert steady[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert steady[0]["clip_fraction"] == 0.0
    _, drifting = train(Aim(), default_ppo(**SMALL | frozen | {"normalizer_update": "minibatch", "log_std": -4.0}), 1)
    assert drifting[0]["kl"] > 1e-6


def test_same_seed_gives_the_same_run_and_a_continued_run_is_bit_for_bit():
    options = default_ppo(**SMALL)
    once, _ = train(Aim(), options, 4)
    again, _ = train(Aim(), options, 4)
    assert leaves_equal(once, again)
    other, _ = train(Aim(), options, 4, seed=1)
    assert not leaves_equal(once.params, other.params)

    half, _ = train(Aim(), options, 2)
    saved = jax.tree.map(np.asarray, half)
    iterate = jit_iteration(make_train(Aim(), options)[1])
    state = jax.tree.map(jnp.asarray, saved)
    for _ in range(2):
        state, _ = iterate(state)
    assert leaves_equal(state, once)
    assert state.env_steps == 4 * options.batch_size
    assert int(state.iteration) == 4
    assert int(state.gradient_steps) == 4 * options.num_epochs * options.num_minibatches


def test_env_steps_pass_32_bits():
    options = default_ppo(**SMALL)
    init, train_iteration = make_train(Aim(), options)
    state = init(jax.random.PRNGKey(0))
    state = dataclasses.replace(state, steps_low=jnp.uint32(2**32 - 100), steps_high=jnp.uint32(1))
    after, _ = jax.jit(train_iteration)(state)
    assert after.env_steps == 2 * 2**32 - 100 + options.batch_size


def test_nonfinite_rewards_change_no_parameter_and_are_counted():
    options = default_ppo(**SMALL)
    init, _ = make_train(Aim(), options)
    before = init(jax.random.PRNGKey(0))
    after, history = train(Aim(broken=True), options, 1)
    steps = options.num_epochs * options.num_minibatches
    assert history[0]["nonfinite_updates"] == steps == int(after.nonfinite_updates)
    assert int(after.gradient_steps) == 0
    assert leaves_equal(after.params, before.params)
    assert leaves_equal(after.opt_state, before.opt_state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after.value_moments, after.obs_moments)))
    assert history[0]["kl"] == 0.0


def test_only_the_minibatch_with_the_bad_sample_is_skipped():
    options = default_ppo(**SMALL | {"normalizer_update": "minibatch"})
    networks, optimizer = make_networks(options, 1, 1), make_optimizer(options)
    params = networks.init(jax.random.PRNGKey(0))
    learner = Learner(params, optimizer.init(params), normalizer.init(1), jnp.float32(1e-3))
    zero = jnp.zeros(8)
    fields = {"old_neg_log_prob": zero, "advantage": zero + 1, "old_value": zero, "target": zero + 1}
    good = Samples(obs=jnp.ones((8, 1)), action=zero[:, None], old_output=zero[:, None], **fields)
    log_std = params["actor"]["params"]["log_std"]
    for bad in (
        dataclasses.replace(good, target=zero.at[3].set(jnp.inf)),
        dataclasses.replace(good, obs=good.obs.at[2].set(jnp.nan)),
        dataclasses.replace(good, target=zero + 1e30),  # a finite sample whose squared error is not
    ):
        same, metrics = gradient_step(learner, bad, log_std, networks, optimizer, options)
        assert float(metrics["accepted"]) == 0.0
        assert leaves_equal(same, learner)
    moved, metrics = gradient_step(learner, good, log_std, networks, optimizer, options)
    assert float(metrics["accepted"]) == 1.0
    assert not leaves_equal(moved.params, learner.params)


def test_gradient_steps_stop_where_the_policy_has_moved_too_far():
    runaway = {"learning_rate": 0.3, "max_kl": 0.3}
    _, free = train(Aim(), default_ppo(**SMALL | runaway | {"max_kl": 0.0}), 1)
    guarded, history = train(Aim(), default_ppo(**SMALL | runaway), 1)
    assert free[0]["kl_last_epoch"] > 1.0
    assert free[0]["gradient_steps"] == SMALL["num_epochs"] * 4
    # the first step starts from KL 0 and may overshoot; after it nothing moves
    assert 1 <= history[0]["gradient_steps"] == int(guarded.gradient_steps) < free[0]["gradient_steps"]
    assert history[0]["nonfinite_updates"] == 0

    options = default_ppo(**SMALL | {"max_kl": 0.01})
    networks, optimizer = make_networks(options, 1, 1), make_optimizer(options)
    params = networks.init(jax.random.PRNGKey(0))
    learner = Learner(params, optimizer.init(params), normalizer.init(1), jnp.float32(1e-3))
    zero = jnp.zeros(8)
    fields = {"old_neg_log_prob": zero, "advantage": zero + 1, "old_value": zero, "target": zero + 1}
    far = Samples(obs=jnp.ones((8, 1)), action=zero[:, None], old_output=zero[:, None] + 5, **fields)
    same, metrics = gradient_step(learner, far, params["actor"]["params"]["log_std"], networks, optimizer, options)
    assert (float(metrics["accepted"]), float(metrics["applied"])) == (1.0, 0.0)
    assert leaves_equal(same, learner)


def test_the_bound_of_the_rate_falls_linearly_to_the_lowest():
    options = default_ppo(num_envs=8, horizon=4, minibatch_size=32, lr_max=1e-3, lr_min=1e-6, lr_decay_steps=320)
    rates = [float(decay_learning_rate(jnp.float32(1e-3), jnp.int32(i), options)) for i in range(12)]
    np.testing.assert_allclose(rates, [1e-3 * (1 - i / 10) if i < 10 else 1e-6 for i in range(12)], rtol=1e-4)
    assert float(decay_learning_rate(jnp.float32(2e-4), jnp.int32(5), options)) == pytest.approx(2e-4)
    never = dataclasses.replace(options, lr_decay_steps=0)
    assert float(decay_learning_rate(jnp.float32(1e-3), jnp.int32(100), never)) == pytest.approx(1e-3)
    constant = dataclasses.replace(options, lr_schedule="constant", learning_rate=4e-4)
    assert float(decay_learning_rate(jnp.float32(4e-4), jnp.int32(5), constant)) == pytest.approx(2e-4)


def test_learning_rate_follows_the_kl_within_bounds():
    options = default_ppo(kl_target=0.1, lr_min=1e-5, lr_max=1e-3)

    def adapted(rate, kl):
        return float(adapt_learning_rate(jnp.float32(rate), jnp.float32(kl), options))

    assert adapted(3e-4, 0.21) == pytest.approx(2e-4)
    assert adapted(3e-4, 0.04) == pytest.approx(4.5e-4)
    assert adapted(3e-4, 0.1) == pytest.approx(3e-4)
    assert adapted(1.2e-5, 5.0) == pytest.approx(1e-5)
    assert adapted(9e-4, 0.0) == pytest.approx(1e-3)
    assert adapted(3e-4, np.nan) == pytest.approx(3e-4)


@pytest.mark.parametrize(("interval", "decisions"), [("iteration", 1), ("epoch", 4), ("minibatch", 16)])
def test_learning_rate_is_decided_at_the_named_interval(interval, decisions):
    # At so small a rate the KL stays below half the target, so every decision is one factor up.
    changes = {"lr_schedule": "adaptive_kl", "lr_interval": interval, "learning_rate": 1e-10, "lr_min": 1e-12}
    state, _ = train(Aim(), default_ppo(**SMALL | changes), 1)
    assert float(state.learning_rate) == pytest.approx(1e-10 * 1.5**decisions, rel=1e-4)


def test_gradient_clipping_and_learned_sigma():
    options = default_ppo(**SMALL | {"max_grad_norm": 0.5, "learn_log_std": True, "learning_rate": 1e-2})
    _, history = train(Aim(), options, 40)
    assert history[-1]["action_std"] < 0.75 * np.exp(options.log_std)
    fixed, _ = train(Aim(), default_ppo(**SMALL), 1)
    assert np.all(np.asarray(fixed.params["actor"]["params"]["log_std"]) == np.float32(SMALL["log_std"]))
