"""The environment of a high-level task on MuJoCo C, with the shipped policy of seven skills."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs, rotations
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.high_level import HighLevel
from mjx_skillmimic.envs.high_level.heading import Heading
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.evaluation.free_play import tell
from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.motion.library import load_clips
from tests.ballplay import replace_data, replace_info, world

N = 6
# dribble forward, left, right, forward …
CHOICE = jnp.array([1, 2, 0, 1, 2, 0])


@dataclasses.dataclass(frozen=True)
class Compiled:
    env: Any
    begin: Any
    play: Any

    def step(self, state: State, choice: jax.Array) -> State:
        return self.play(state, choice)[0]

    def start(self, seed: int = 0) -> State:
        return self.begin(self.env.tables, jax.random.split(jax.random.key(seed), N))


@pytest.fixture(scope="module")
def ours() -> Compiled:
    config = envs.default_config("Heading")
    config.physics.engine = "mujoco"
    env = envs.load("Heading", config)
    return Compiled(env, jax.jit(env.begin), jax.jit(env.play))


@pytest.fixture(scope="module")
def published(ours: Compiled) -> HighLevel:
    """The published preset, on the same starts; not compiled."""
    config = envs.default_config("Heading", "reference")
    config.physics.engine = "mujoco"
    return HighLevel(Heading, config, tables=ours.env.tables)


@pytest.fixture(scope="module")
def after(ours: Compiled) -> tuple[State, State]:
    """A start and the state after one decision."""
    start = ours.start()
    return start, ours.step(start, CHOICE)


def test_states_before_and_after_a_step_are_of_one_type(ours: Compiled, published: HighLevel):
    for env in (ours.env, published):
        before = jax.eval_shape(env.begin, env.tables, jax.random.split(jax.random.key(0), N))
        then = jax.eval_shape(env.step, before, jax.ShapeDtypeStruct((N,), jnp.int32))
        assert str(jax.tree.structure(before)) == str(jax.tree.structure(then))
        for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(then), strict=True):
            name = jax.tree_util.keystr(path)
            assert (one.shape, one.dtype) == (other.shape, other.dtype), name
            assert not getattr(one, "weak_type", False), name
            assert not getattr(other, "weak_type", False), name


def test_what_a_learner_asks_of_the_environment(ours: Compiled):
    env = ours.env
    assert (env.action_kind, env.action_size, env.observation_size) == ("discrete", 3, 842)
    assert env.initial_action.shape == (3,)
    assert env.one_hot_mask.shape == (842,)
    assert not env.one_hot_mask.any()
    assert env.policy_metadata["low_level"] == {"policy": "ballplay-seven", "sha256": env.low_level.sha256}
    assert len(env.motion_hash) == 64
    with pytest.raises(ValueError, match=r"expected a choice a world, shape \(6,\), got \(6, 3\)"):
        jax.eval_shape(env.step, jax.eval_shape(env.reset, jax.random.split(jax.random.key(0), N)), jnp.zeros((N, 3)))


def test_programs_hold_no_parameters(ours: Compiled, after: tuple[State, State]):
    """The policy alone would be 14 MB of text and more."""
    for text in (
        jax.jit(ours.env.step).lower(after[0], CHOICE).as_text(),
        jax.jit(ours.env.begin).lower(ours.env.tables, jax.random.split(jax.random.key(0), N)).as_text(),
    ):
        assert len(text) < 1_500_000


def test_a_decision_is_three_steps_of_ballplay_with_the_policys_mean_action(ours: Compiled, after: tuple[State, State]):
    """The same observation for the same state and label, and the same states after three steps."""
    start, decided = after
    env = ours.env
    config = env.low_level.config.copy_and_resolve_references()
    with config.unlocked():
        config.physics.engine = "mujoco"
        config.termination.update(fall_height=None, object_distance=None, body_distance=None)
        config.termination.update(time_out="fixed", episode_length=1000)
        for name in ("transition", "placement", "seam"):
            config.start[f"{name}_probability"] = 0.0
        config.start.sampling, config.start.max_kick = "uniform", None
    below = BallPlay(config, load_clips("throw_catch"))
    begun = jax.jit(below.reset)(jax.random.split(jax.random.key(0), N))
    label = jnp.asarray(env.labels, jnp.int32)[CHOICE]
    obs = jax.jit(lambda data: below._observe(below.body_state(data), {"skill": label}))(start.data)
    state = tell(below, dataclasses.replace(begun, data=start.data, obs=obs), label)
    act = jax.jit(env.low_level.bundle.policy())
    np.testing.assert_allclose(env.low_level_observation(start.obs, label), state.obs, atol=1e-4)
    step = jax.jit(below.step)
    for _ in range(3):
        state = step(state, act(state.obs, None))
        state = tell(below, state, label)
    assert not np.asarray(state.done).any()
    assert not np.asarray(decided.done).any()
    np.testing.assert_allclose(decided.data.qpos, state.data.qpos, atol=1e-5)
    np.testing.assert_allclose(decided.data.qvel, state.data.qvel, atol=1e-3)
    np.testing.assert_allclose(env.low_level_observation(decided.obs, label), state.obs, atol=1e-3)
    np.testing.assert_array_equal(decided.info["skill"], label)
    np.testing.assert_array_equal(decided.info["progress"], np.full(N, 3))
    assert np.abs(np.asarray(decided.data.qpos - start.data.qpos)).max() > 0.01


def test_the_reward_is_the_mean_of_the_three(ours: Compiled, after: tuple[State, State]):
    start, decided = after
    _, trail = ours.play(start, CHOICE)
    goal = np.concatenate([start.info["goal"].position, np.ones((N, 1))], axis=1)
    distance = np.linalg.norm(np.asarray(trail.object_pos) - goal, axis=-1)
    assert distance.shape == (3, N)
    assert not np.asarray(trail.reached).any()
    np.testing.assert_allclose(decided.reward, np.exp(-distance).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(decided.metrics["task/distance_m"], distance.mean(axis=0), rtol=1e-4)


def laid_down(state: State, where: np.ndarray, height: float = 0.2) -> State:
    qpos = np.array(state.data.qpos)
    quarter = rotations.exp(np.array([0.0, -np.pi / 2, 0.0]))
    qpos[where, 3:7] = rotations.multiply(quarter, qpos[where, 3:7])
    qpos[where, 2] = height
    return replace_data(state, qpos=jnp.asarray(qpos))


def test_falls_and_time_outs_in_any_of_the_three_steps_end_the_episode(ours: Compiled, after: tuple[State, State]):
    """Time-outs lie at progress 799; a fall wins over a time-out; and both come with the decision, not within it."""
    _, decided = after
    progress = np.array([795, 796, 797, 798, 796, 3])
    fall = np.array([False, False, False, False, True, True])
    state = laid_down(replace_info(decided, progress=progress), fall)
    ended, trail = ours.play(state, CHOICE)
    late = progress >= 796
    np.testing.assert_array_equal(np.asarray(trail.fell).any(axis=0), fall)
    np.testing.assert_array_equal(np.asarray(trail.late).sum(axis=0), [0, 1, 2, 3, 1, 0])
    np.testing.assert_array_equal(ended.done, late | fall)
    np.testing.assert_array_equal(ended.info["terminated"], fall)
    np.testing.assert_array_equal(ended.info["truncation"], late & ~fall)
    np.testing.assert_array_equal(ended.info["progress"], np.where(late | fall, 0, progress + 3))

    # Who ends stands on one of the starts, with a new goal around him; who goes on has drawn nothing.
    done = np.asarray(ended.done) > 0
    starts = np.asarray(ours.env.tables.starts.qpos)
    qpos = np.asarray(ended.data.qpos)
    assert all(np.abs(starts - qpos[i]).max(axis=1).min() < 1e-6 for i in np.flatnonzero(done))
    goals, old = np.asarray(ended.info["goal"].position), np.asarray(state.info["goal"].position)
    np.testing.assert_array_equal((goals != old).any(axis=1), done)
    keys = [np.asarray(jax.random.key_data(s.info["rng"])) for s in (state, ended)]
    np.testing.assert_array_equal((keys[0] != keys[1]).any(axis=1), done)
    distance = np.linalg.norm(goals - qpos[:, :2], axis=1)[done]
    assert (distance > 2 - 1e-3).all()
    assert (distance < 8 + 1e-3).all()

    # The last observation is of the episode that ended, the new one of the start and the new goal.
    final, obs = np.asarray(ended.info["final_obs"]), np.asarray(ended.obs)
    np.testing.assert_array_equal((final != obs).any(axis=1), done)
    assert (final[fall, 0] < 0.4).all()
    body = ours.env.body_state(ended.data)
    np.testing.assert_allclose(obs[done], np.asarray(ours.env.observe(body, ended.info["goal"]))[done], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(obs[done, 838:840], axis=1), distance, atol=1e-4)

    # And the worlds beside them are as if nothing had happened.
    alone = ours.step(replace_info(decided, progress=np.full(N, 100)), CHOICE)
    for one, other in zip(world((ended.obs, ended.data), 0), world((alone.obs, alone.data), 0), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_goal_that_is_reached_gives_way_to_a_new_one(ours: Compiled, after: tuple[State, State]):
    _, decided = after
    ball = int(ours.env.scene.model.joint(OBJECT).qposadr[0])
    hit = np.arange(N) < 3
    qpos, position = np.array(decided.data.qpos), np.array(decided.info["goal"].position)
    position[hit] = qpos[hit, ball : ball + 2]
    qpos[hit, ball + 2] = 1.1
    goal = dataclasses.replace(decided.info["goal"], position=jnp.asarray(position))
    state = replace_data(decided, qpos=jnp.asarray(qpos))
    state = dataclasses.replace(state, info=state.info | {"goal": goal})
    on = ours.step(state, CHOICE)
    np.testing.assert_allclose(np.asarray(on.metrics["task/reached"]), hit / 3, atol=1e-6)
    moved = (np.asarray(on.info["goal"].position) != position).any(axis=1)
    np.testing.assert_array_equal(moved, hit)
    assert (np.asarray(on.reward)[hit] > 20).all()
    assert (np.asarray(on.reward)[~hit] < 1).all()
    assert not np.asarray(on.done).any()
    assert not np.asarray(on.info["goal"].reached).any()
    # the same keys do not draw twice
    keys = [np.asarray(jax.random.key_data(s.info["rng"])) for s in (state, on)]
    np.testing.assert_array_equal((keys[0] != keys[1]).any(axis=1), hit)
    seen = np.asarray(on.obs)[:, 838:840]
    way = np.asarray(on.info["goal"].position) - np.asarray(on.data.qpos)[:, :2]
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), np.linalg.norm(way, axis=1), atol=1e-4)


def test_the_published_first_observation_shows_the_goal_before(
    published: HighLevel, ours: Compiled, after: tuple[State, State]
):
    first = published.begin(published.tables, jax.random.split(jax.random.key(0), N))
    root = np.asarray(first.data.qpos)[:, :2]
    np.testing.assert_allclose(np.linalg.norm(first.obs[:, 838:840], axis=1), np.linalg.norm(root, axis=1), atol=1e-4)
    old = after[1].info["goal"]
    again = published._restart(after[1], jnp.arange(N) < 3)
    way = np.asarray(old.position) - np.asarray(again.data.qpos)[:, :2]
    np.testing.assert_allclose(np.linalg.norm(again.obs[:, 838:840], axis=1), np.linalg.norm(way, axis=1), atol=1e-4)
    moved = (np.asarray(again.info["goal"].position) != np.asarray(old.position)).any(axis=1)
    np.testing.assert_array_equal(moved, np.arange(N) < 3)


def test_a_world_that_breaks_is_put_on_a_start(ours: Compiled, after: tuple[State, State]):
    _, decided = after
    qvel = np.array(decided.data.qvel)
    qvel[2] = np.nan
    ended = ours.step(replace_data(decided, qvel=jnp.asarray(qvel)), CHOICE)
    broken = np.arange(N) == 2
    np.testing.assert_array_equal(ended.info["terminated"], broken)
    np.testing.assert_array_equal(ended.metrics["nonfinite"], broken)
    assert all(np.isfinite(x).all() for x in (ended.obs, ended.reward, ended.data.qpos, ended.info["final_obs"]))
    assert float(ended.reward[2]) == 0.0
