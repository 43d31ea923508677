"""High-level tasks for a policy that moves the joints itself: the environment, its training, and Table 3."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.config import load_config, run_defaults, to_json
from mjx_skillmimic.envs.high_level import HighLevel
from mjx_skillmimic.envs.high_level.control_step import NO_SKILL
from mjx_skillmimic.envs.high_level.heading import Heading
from mjx_skillmimic.evaluation import high_level_courses, setup
from mjx_skillmimic.evaluation.reproduce_table3 import TaskRequest, environments
from mjx_skillmimic.imitation import actions
from mjx_skillmimic.learning import heads, normalizer, policy, ppo, runner
from mjx_skillmimic.learning.hooks import task_hooks
from mjx_skillmimic.learning.policy import load_policy
from mjx_skillmimic.viewing.task_session import open_session
from tests.scripts_of import script
from tests.toy import quiet

N = 4
STEPS = 9  # control steps of an episode, the start included
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def small(base: str) -> Any:
    """A configuration of Heading on MuJoCo C in short episodes."""
    config = load_config(f"{CONFIGS / 'high_level.py'}:{base}")
    with config.unlocked():
        config.physics.engine, config.episode.length = "mujoco", STEPS
    return config


@pytest.fixture(scope="module")
def choosing() -> HighLevel:
    return envs.load("Heading", small("heading"))


@pytest.fixture(scope="module")
def scratch(choosing: HighLevel) -> HighLevel:
    return HighLevel(Heading, small("heading:scratch"), tables=choosing.tables)


@pytest.fixture(scope="module")
def alone_at_first(scratch: HighLevel) -> Any:
    return jax.jit(scratch.begin)(scratch.tables, jax.random.split(jax.random.key(0), N))


@pytest.fixture(scope="module")
def play(scratch: HighLevel) -> Any:
    return jax.jit(scratch.play)


def test_the_same_targets_are_the_same_course_and_reward(choosing: HighLevel, alone_at_first: Any, play: Any):
    """What the low-level policy does for a label, done by hand: two decisions, and one that times out."""
    alone = alone_at_first
    assert (np.asarray(alone.info["skill"]) == NO_SKILL).all()
    state = alone
    label, choice = jnp.full(N, 13, jnp.int32), jnp.full(N, choosing.labels.index(13), jnp.int32)
    decide, act = jax.jit(choosing.play), jax.jit(choosing.joint_action)
    for number in range(3):
        state, trail = decide(state, choice)
        rewards = []
        for k in range(2 if number == 2 else 3):
            assert not np.asarray(alone.done).any()
            alone, one = play(alone, act(choosing.tables.policy, alone.obs, label))
            rewards.append(np.asarray(alone.reward))
            np.testing.assert_allclose(one.qpos[0], trail.qpos[k], atol=1e-5)
            np.testing.assert_allclose(one.reward[0], trail.reward[k], rtol=1e-5)
        if number < 2:
            np.testing.assert_allclose(np.mean(rewards, axis=0), state.reward, rtol=1e-5)
            np.testing.assert_allclose(alone.obs, state.obs, atol=1e-3)
    # progress 8 of 9 is a time-out: one step earlier than the decision that it falls in is over
    np.testing.assert_array_equal(alone.info["truncation"], np.ones(N))
    np.testing.assert_array_equal(state.info["truncation"], np.ones(N))
    # and both draw the same next episode, with a place of its own
    np.testing.assert_allclose(alone.obs, state.obs, atol=1e-4)
    np.testing.assert_array_equal(alone.info["goal"].position, state.info["goal"].position)


def test_what_a_learner_asks_of_the_environment(scratch: HighLevel, choosing: HighLevel):
    assert (scratch.action_kind, scratch.action_size, scratch.observation_size) == ("continuous", 156, 842)
    assert "low_level" not in scratch.policy_metadata
    assert scratch.motion_hash == choosing.motion_hash
    dof_pos = np.asarray(choosing.tables.starts.body.dof_pos)
    pose = actions.pd_targets(scratch.initial_action, scratch.options.action)
    assert 0.0 < np.abs(pose - dof_pos).mean() < 0.7 * np.abs(dof_pos).mean()
    before = jax.eval_shape(scratch.begin, choosing.tables, jax.random.split(jax.random.key(0), N))
    then = jax.eval_shape(scratch.step, before, jax.ShapeDtypeStruct((N, 156), jnp.float32))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), then)
    with pytest.raises(ValueError, match=r"expected 156 columns a world, shape \(4, 156\), got \(4,\)"):
        jax.eval_shape(scratch.step, before, jax.ShapeDtypeStruct((N,), jnp.int32))


def test_actions_that_are_no_numbers_end_the_episode(scratch: HighLevel, alone_at_first: Any, play: Any):
    action = jnp.tile(jnp.asarray(scratch.initial_action), (N, 1)).at[1, 7].set(jnp.nan)
    ended, _ = play(alone_at_first, action)
    broken = np.arange(N) == 1
    np.testing.assert_array_equal(ended.info["terminated"], broken)
    np.testing.assert_array_equal(ended.metrics["nonfinite"], broken)
    assert np.isfinite(ended.obs).all()
    assert np.isfinite(ended.reward).all()


def test_the_recipe_plays_as_many_control_steps_as_the_one_that_chooses():
    ours, theirs = (load_config(f"{CONFIGS / 'high_level.py'}:{name}") for name in ("scoring:scratch", "scoring"))
    assert ours.run.total_env_steps == 3 * theirs.run.total_env_steps
    assert ours.episode.action == "targets"
    for section in ("task", "start", "motion", "low_level"):
        assert ours[section].to_dict() == theirs[section].to_dict()
    with pytest.raises(ValueError, match=r"EpisodeOptions\.action: expected one of skill, targets, got 'joints'"):
        envs.load("Heading", changed(small("heading"), "joints"))


def changed(config: Any, action: str) -> Any:
    with config.unlocked():
        config.episode.action = action
    return config


@pytest.fixture(scope="module")
def run(scratch: HighLevel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One iteration of training, with its evaluation."""
    config = small("heading:scratch")
    sizes = {"num_envs": N, "horizon": 4, "minibatch_size": 8, "actor_hidden": (8,), "critic_hidden": (8,)}
    with config.unlocked():
        config.ppo.update(sizes)
        config.run = run_defaults(tensorboard=False, total_env_steps=16, eval_episodes=N, video_every=0)
    folder = tmp_path_factory.mktemp("runs") / "alone"
    hooks = dataclasses.replace(task_hooks(config, scratch), advise=None)
    made = ppo.make_train

    def make_train(env: Any, options: Any, **rest: Any) -> Any:
        return made(env, options, initial_action=env.initial_action, one_hot_mask=env.one_hot_mask, **rest)

    result = runner.run(config, folder, env=scratch, make_train=make_train, hooks=hooks, progress=quiet())
    assert result.iteration == 1
    return folder


def test_training_leaves_a_gaussian_policy_that_needs_no_low_level_one(
    run: Path, scratch: HighLevel, alone_at_first: Any
):
    trained = load_policy(run / "policy.npz")
    assert (trained.head, trained.obs_size, trained.action_size) == ("gaussian", 842, 156)
    assert trained.metadata["decides"] == "targets"
    assert "low_level" not in trained.metadata
    line = json.loads((run / "evaluations.jsonl").read_text().splitlines()[-1])
    assert {"success", "fell", "return", "reward"} <= set(line)
    np.testing.assert_allclose(trained(alone_at_first.obs), np.tile(scratch.initial_action, (N, 1)), atol=0.1)


def test_evaluate_says_nothing_of_skills(run: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "e.json"
    command = ["--policy", str(run), "--episodes", "3", "--batch", "3", "--json", str(out)]
    assert script("evaluate").main(command) == 0
    said, found = capsys.readouterr().out, json.loads(out.read_text())["results"]
    assert "scene and starts of ballplay-seven" in said
    assert "skills" not in said
    assert found["labels"] == {}
    assert found["return"]["value"] == pytest.approx(found["reward"]["value"] * 8 / 3, rel=1e-3)


def test_agents_of_the_other_kind_are_refused(run: Path, choosing: HighLevel, scratch: HighLevel):
    assert setup.agent_for(run, scratch).metadata["env_steps"] == 16
    for name in ("label:13", "pd-playback"):
        with pytest.raises(ValueError, match=f"{name}: expected zero, random or a policy that moves the joints"):
            high_level_courses.make_agent(name, scratch)
    with pytest.raises(ValueError, match="gives 156 actions, this environment has 842 and 3"):
        setup.agent_for(run, choosing)
    with pytest.raises(ValueError, match="moves the joints itself, expected a policy that chooses among skills"):
        open_session(str(run))


def write_choosing(folder: Path, env: HighLevel) -> Path:
    """A run's folder of before there were policies from scratch."""
    actor = heads.ChoiceActor((8,), env.action_size)
    parameters = actor.init(jax.random.key(0), jnp.zeros(env.observation_size))
    moments = normalizer.init(env.observation_size)
    made = policy.PolicyBundle(
        parameters, moments, (8,), env.action_size, metadata=env.policy_metadata, head="categorical"
    )
    policy.save_policy(folder / "policy.npz", made)
    config = small("heading")
    with config.unlocked():
        del config.episode.action
    (folder / "config.json").write_text(to_json(config))
    return folder


def test_both_stand_in_one_environment(run: Path, choosing: HighLevel, tmp_path: Path):
    policies = {"scratch": str(run), "ours": str(write_choosing(tmp_path, choosing))}
    [(config, members)] = environments(TaskRequest(policies))
    assert members == policies
    assert config.episode.action == "skill"


def test_table3_measures_it_beside_the_baselines_that_choose(run: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "t3"
    counts = ["--seeds", "1", "--count", "2", "--batch", "2", "--out", str(out)]
    assert script("reproduce").main(["table3", "--policy", f"scratch={run}", *counts]) == 0
    document, page = json.loads(out.with_name("t3.json").read_text()), capsys.readouterr().out
    assert [r["policy"] for r in document["results"]] == ["scratch", "random", "best single skill"]
    assert {r["environment"] for r in document["results"]} == {"Heading"}
    alone, random, _ = document["results"]
    assert (alone["labels"], alone["played"], alone["control_steps"]) == ({}, 2, 16)
    assert sum(random["labels"].values()) == pytest.approx(1.0)
    assert alone["return"]["value"] == pytest.approx(alone["reward"]["value"] * 8 / 3, rel=1e-3)
    assert document["environments"][0]["low_level"]["policy"] == "ballplay-seven"
    # beside the paper's PPO, not beside its SkillMimic
    assert "| Heading | scratch | mujoco | 0.7 |" in page
    assert "0.0 M decisions (one control step each, from scratch" in page
