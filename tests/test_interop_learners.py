"""Learners of others on our interfaces: an actor-critic loop over Gymnasium's arrays, and Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from docs_examples import example
from toy import LENGTH
from toy_worlds import PointTask

pytest.importorskip("gymnasium", reason="the extra gym is not installed")

from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from mjx_skillmimic.interop.gymnasium_env import SkillVectorEnv

WORLDS, HORIZON, ITERATIONS, DISCOUNT, LAMBDA, SPREAD = 16, 16, 40, 0.9, 0.95, 0.5


def value(parameters: dict[str, Any], obs: Any) -> Any:
    """(...) of observations (..., 2): a quadratic form, which the toy's reward nearly is."""
    return jnp.sum(obs**2, axis=-1) * parameters["curvature"] + parameters["level"]


def loss(parameters: dict[str, Any], obs: Any, actions: Any, advantage: Any, target: Any) -> Any:
    distance = jnp.sum((actions - obs @ parameters["gain"]) ** 2, axis=-1) / (2.0 * SPREAD**2)
    return jnp.mean(distance * advantage) + jnp.mean((value(parameters, obs) - target) ** 2)


def learn(env: VectorEnv) -> list[float]:
    """Advantage actor-critic in the manner of single-file learners: mean reward of every iteration."""
    noise = np.random.default_rng(0)
    parameters = {"gain": jnp.zeros((2, 2)), "curvature": jnp.zeros(()), "level": jnp.zeros(())}
    optimiser = optax.adam(0.05)
    moments = optimiser.init(parameters)
    gradient = jax.jit(jax.grad(loss))
    obs, _ = env.reset(seed=0)
    curve = []
    for _ in range(ITERATIONS):
        seen, taken, delta, going = [], [], [], []
        rewards = []
        for _ in range(HORIZON):
            action = np.asarray(obs @ parameters["gain"]) + SPREAD * noise.standard_normal((WORLDS, 2))
            following, reward, terminated, truncated, info = env.step(action)
            last = following.copy()
            for world in np.flatnonzero(terminated | truncated):
                last[world] = info["final_obs"][world]
            goes_on = np.asarray(value(parameters, last)) * ~terminated
            delta.append(reward + DISCOUNT * goes_on - np.asarray(value(parameters, obs)))
            going.append(~(terminated | truncated))
            seen.append(obs)
            taken.append(action)
            rewards.append(reward)
            obs = following
        advantage, trace = np.zeros((HORIZON, WORLDS)), np.zeros(WORLDS)
        for step in reversed(range(HORIZON)):
            trace = delta[step] + DISCOUNT * LAMBDA * going[step] * trace
            advantage[step] = trace
        flat = [np.concatenate(x) for x in (seen, taken)]
        target = advantage.reshape(-1) + np.asarray(value(parameters, flat[0]))
        scaled = (advantage.reshape(-1) - advantage.mean()) / (advantage.std() + 1e-8)
        changes, moments = optimiser.update(gradient(parameters, *flat, scaled, target), moments)
        parameters = optax.apply_updates(parameters, changes)
        curve.append(float(np.mean(rewards)))
    return curve


def test_a_loop_over_gymnasiums_arrays_learns() -> None:
    env = RecordEpisodeStatistics(SkillVectorEnv(WORLDS, env=PointTask()))
    curve = learn(env)
    assert np.isfinite(curve).all()
    # It begins near 0.55; the noise that it explores with keeps it from 1.
    assert np.mean(curve[:5]) < 0.65
    assert np.mean(curve[-5:]) > np.mean(curve[:5]) + 0.15
    assert set(env.length_queue) == {LENGTH}


def test_stable_baselines3_learns_and_sees_final_observations() -> None:
    pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")
    from stable_baselines3 import PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    from mjx_skillmimic.interop.sb3_env import SkillVecEnv

    env = SkillVecEnv(SkillVectorEnv(4, env=PointTask()))
    env.seed(3)
    position = env.reset()
    for number in range(1, LENGTH + 1):
        obs, _, done, infos = env.step(np.full((4, 2), 0.5, np.float32))
        assert done.tolist() == [number == LENGTH] * 4
        assert (infos[0] == {}) == (number < LENGTH)
    for world, info in enumerate(infos):
        assert info["TimeLimit.truncated"]
        assert info["episode"]["l"] == LENGTH
        np.testing.assert_allclose(info["terminal_observation"], position[world] + 0.05 * LENGTH, atol=1e-5)
        assert not np.allclose(info["terminal_observation"], obs[world])
    again = SkillVecEnv(SkillVectorEnv(4, env=PointTask()))
    again.seed(3)
    np.testing.assert_array_equal(again.reset(), position)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=2, seed=0, device="cpu")
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(512)
    assert model.num_timesteps == 512
    assert {episode["l"] for episode in model.ep_info_buffer} == {LENGTH}
    assert any((tensor != before[name]).any() for name, tensor in model.policy.state_dict().items())
    mean, _ = evaluate_policy(model, env, n_eval_episodes=4)
    assert 0.0 < mean <= LENGTH


def test_the_documented_example_of_stable_baselines3_runs() -> None:
    pytest.importorskip("stable_baselines3", reason="the extra sb3 is not installed")
    smaller = {"(64, ": "(4, ", "batch_size=256": "batch_size=32", "100_000": "64"}
    variables: dict[str, Any] = {}
    exec(compile(example("interfaces.md", "Stable-Baselines3", smaller), "docs/interfaces.md", "exec"), variables)
    assert variables["model"].num_timesteps == 64
