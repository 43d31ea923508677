"""Our environments under brax's own learner: its bookkeeping, its advantages at time-outs, its PPO on BallPlay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs import training
from brax.training.agents.ppo import losses
from docs_examples import example
from toy import LENGTH
from toy_worlds import PointTask, reward

from mjx_skillmimic.interop import brax_env
from mjx_skillmimic.interop.brax_env import BraxEnv

WORLDS = 3


def keys(count: int = WORLDS, seed: int = 0) -> jax.Array:
    return jax.random.split(jax.random.PRNGKey(seed), count)


def course(env: BraxEnv, steps: int) -> list:
    """The states of `steps` steps that push every point by 0.05 along x."""
    step, state = jax.jit(env.step), jax.jit(env.reset)(keys())
    states = [state]
    for _ in range(steps):
        states.append(step(states[-1], jnp.tile(jnp.array([0.5, 0.0]), (WORLDS, 1))))
    return states


def test_an_episode_is_booked_as_brax_books_it() -> None:
    states = course(BraxEnv(PointTask()), 2 * LENGTH + 1)
    total, position = np.zeros(WORLDS), np.asarray(states[0].obs)
    for number, state in enumerate(states[1:], start=1):
        age, ends = (number - 1) % LENGTH + 1, number % LENGTH == 0
        position = position + np.float32([0.05, 0.0])
        total = reward(position) + (0.0 if age == 1 else total)
        np.testing.assert_array_equal(state.done, float(ends))
        np.testing.assert_array_equal(state.info["truncation"], float(ends))
        np.testing.assert_array_equal(state.info["episode_done"], float(ends))
        np.testing.assert_array_equal(state.info["steps"], age)
        np.testing.assert_array_equal(state.info["episode_metrics"]["length"], age)
        np.testing.assert_allclose(state.info["episode_metrics"]["sum_reward"], total, rtol=1e-5)
        np.testing.assert_allclose(state.info["episode_metrics"]["reward/near"], total, rtol=1e-5)
        if ends:
            # A new draw each time, not brax's replay of the first state.
            assert (np.abs(np.asarray(state.obs) - np.asarray(states[0].obs)) > 1e-4).all()
            position = np.asarray(state.obs)
        else:
            np.testing.assert_allclose(state.obs, position, atol=1e-6)


def test_a_fall_is_no_time_out() -> None:
    states = course(BraxEnv(PointTask(fails_at=2)), 3)
    np.testing.assert_array_equal(states[2].done, [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(states[2].info["truncation"], 0.0)
    np.testing.assert_array_equal(states[3].info["steps"], [3, 1, 3])


@pytest.mark.parametrize("bootstrap", [False, True])
def test_braxs_advantages_stay_inside_episodes(bootstrap: bool) -> None:
    states, discount, trace = course(BraxEnv(PointTask(), bootstrap), LENGTH + 4), 0.9, 0.8
    steps = states[1:]
    values = np.random.default_rng(0).normal(size=(len(steps), WORLDS)).astype(np.float32)
    last = np.full(WORLDS, 5.0, np.float32)
    gained = np.stack([state.reward for state in steps])
    done, truncation, late = (
        np.stack(x) for x in zip(*((s.done, s.info["truncation"], s.info["time_out"]) for s in steps), strict=True)
    )
    # What brax's training step does with these fields before and in its loss.
    rewards = gained + discount * late * values if bootstrap else gained
    _, advantages = losses.compute_gae(
        truncation=jnp.asarray(truncation),
        termination=jnp.asarray(done * (1 - truncation)),
        rewards=jnp.asarray(rewards),
        values=jnp.asarray(values),
        bootstrap_value=jnp.asarray(last),
        lambda_=trace,
        discount=discount,
    )
    # The time-out itself is left out, or ends with its own value in place of the next one; either way nothing of the
    # next episode comes before it.
    at_end = gained[LENGTH - 1] + discount * values[LENGTH - 1] - values[LENGTH - 1] if bootstrap else np.zeros(WORLDS)
    np.testing.assert_allclose(advantages[LENGTH - 1], at_end, atol=1e-5)
    lambda_return = values[LENGTH - 1] + at_end
    for step in reversed(range(LENGTH - 1)):
        expected = gained[step] + discount * lambda_return - values[step]
        np.testing.assert_allclose(advantages[step], expected, rtol=1e-4, atol=1e-5)
        lambda_return = gained[step] + discount * ((1 - trace) * values[step + 1] + trace * lambda_return)


def test_braxs_evaluation_counts_whole_episodes() -> None:
    env = training.EvalWrapper(BraxEnv(PointTask()))
    state = env.reset(keys())
    step = jax.jit(env.step)
    for _ in range(LENGTH + 5):
        state = step(state, jnp.zeros((WORLDS, 2)))
    found = state.info["eval_metrics"]
    np.testing.assert_array_equal(found.episode_steps, LENGTH)
    np.testing.assert_allclose(
        found.episode_metrics["reward"], LENGTH * reward(np.asarray(env.reset(keys()).obs)), rtol=1e-5
    )


def test_what_cannot_be_wrapped_is_refused() -> None:
    env = BraxEnv(PointTask())
    with pytest.raises(ValueError, match=r"expected a batch of keys, got one of shape \(2,\).*wrap_env=False"):
        training.wrap(env).reset(keys())
    with pytest.raises(ValueError, match="expected a batch of keys"):
        env.reset(jax.random.key(0))
    with pytest.raises(TypeError, match="expected a BraxEnv, got PointTask"):
        brax_env.wrap(PointTask())
    with pytest.raises(ValueError, match="expected action_repeat=1"):
        brax_env.wrap(env, action_repeat=2)


def test_braxs_ppo_trains_on_ballplay(capsys: pytest.CaptureFixture[str]) -> None:
    smaller = {"1_000_000": "96", "num_envs=256": "num_envs=4", "unroll_length=16": "unroll_length=8"}
    smaller |= {"batch_size=64": "batch_size=4", "num_minibatches=4": "num_minibatches=1"}
    variables: dict[str, Any] = {}
    exec(compile(example("interfaces.md", "brax", smaller), "docs/interfaces.md", "exec"), variables)
    env, metrics = variables["env"], variables["metrics"]
    assert (env.observation_size, env.action_size, env.backend, env.episode_length) == (902, 156, "mujoco", 60)
    with pytest.raises(ValueError, match="episode_length=59; the environment's episodes take up to 60"):
        brax_env.wrap(env, episode_length=59)
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {steps for steps, _ in told} == {"32", "64", "96"}
    returns = [float(total) for _, total in told if total != "None"]
    assert all(0.0 < total < env.episode_length for total in returns)
    assert metrics["training/policy_loss"] != 0.0
    assert all(np.isfinite(value) for value in metrics.values())
    # Every observation was seen once by the normaliser.
    normaliser, policy, _ = variables["parameters"]
    assert (int(normaliser.count.hi), int(normaliser.count.lo)) == (0, 96)
    action, _ = variables["make_policy"]((normaliser, policy))(jnp.zeros((2, 902)), jax.random.PRNGKey(0))
    assert action.shape == (2, 156)
    assert jnp.isfinite(action).all()
