"""Success rules of the high-level tasks on courses made here, and a few recorded ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.evaluation import high_level, high_level_courses
from mjx_skillmimic.evaluation.high_level import Courses, catches, circling, heading, report, scoring, throwing
from mjx_skillmimic.evaluation.paper import TABLE3
from mjx_skillmimic.learning import heads, normalizer, policy

T = 799


def courses(count: int = 1, **changes: Any) -> Courses:
    """Episodes of full length in which nothing happens and the ball lies 5 m away."""
    ball = np.tile(np.array([5.0, 0.0, 0.12]), (count, T, 1))
    given = {
        "valid": np.ones((count, T), bool),
        "fell": np.zeros(count, bool),
        "label": np.full((count, T), 13),
        "root_pos": np.tile(np.array([0.0, 0.0, 0.9]), (count, T, 1)),
        "object_pos": ball,
        "object_lin_vel": np.zeros_like(ball),
        "hands_object": np.zeros((count, T), bool),
        "goal": np.zeros((count, T, 2)),
        "radius": np.zeros((count, T)),
        "reached": np.zeros((count, T), bool),
        "reward": np.zeros((count, T)),
    }
    return Courses(**given | changes)


def test_heading_is_a_matter_of_half_a_metre_in_space_before_the_end():
    play = courses(5)
    play.object_pos[0, 300] = (0.3, 0.0, 0.7)  # 0.42 m
    play.object_pos[1, 300] = (0.4, 0.0, 0.6)  # 0.57 m
    play.object_pos[2, 300] = (0.0, 0.0, 1.0)
    play.valid[2, 200:] = False
    play.goal[3, 400:] = (5.0, 0.3)  # the ball is there, but low
    play.goal[4, 400:] = (5.0, 0.3)
    play.object_pos[4, 500, 2] = 0.9
    np.testing.assert_array_equal(heading(play), [True, False, False, False, True])


def circle(radius: float, off: float, speed: float, begin: int = 0) -> Courses:
    """A ball that goes round the origin on a circle, `off` m beside it from step `begin` on, and far away before."""
    angle = np.arange(T) * 0.01
    away = np.where(np.arange(T) < begin, 10.0, off)
    place = (radius + away)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ball = np.concatenate([place, np.full((T, 1), 0.6)], axis=1)[None]
    velocity = np.zeros((1, T, 3))
    velocity[..., 2] = speed * np.where(np.arange(T) % 2, 1, -1)
    return courses(object_pos=ball, object_lin_vel=velocity, radius=np.full((1, T), radius))


@pytest.mark.parametrize(
    ("radius", "off", "speed", "begin", "expected"),
    [
        (3.0, 0.4, 2.0, 0, True),
        (3.0, -0.4, 2.0, 0, True),
        (3.0, 0.6, 2.0, 0, False),
        (3.0, 0.0, 0.4, 0, False),
        (3.0, 0.0, 2.0, T // 2, True),
        (3.0, 0.0, 2.0, T // 2 + 40, False),
    ],
)
def test_circling_looks_at_the_last_half(radius: float, off: float, speed: float, begin: int, expected: bool):
    assert circling(circle(radius, off, speed, begin)).tolist() == [expected]


def test_circling_needs_the_whole_time():
    good = circle(3.0, 0.0, 2.0)
    assert circling(good).all()
    assert not circling(dataclasses.replace(good, fell=np.ones(1, bool))).any()
    short = good.valid.copy()
    short[:, -1] = False
    assert not circling(dataclasses.replace(good, valid=short)).any()


def thrown(times: int, height: float = 2.6, hold: int = 10, every: int = 100) -> Courses:
    """A ball that flies up and is caught, again and again."""
    play = courses()
    play.object_pos[:, :, :2] = 0.0
    for i in range(times):
        first = 20 + i * every
        play.object_pos[:, first : first + 60, 2] = np.append(
            np.linspace(1.5, height, 30), np.linspace(height, 1.0, 30)
        )
        play.hands_object[:, first - 5 : first] = True
        play.hands_object[:, first + 60 : first + 60 + hold] = True
    return play


def test_throws_are_counted_when_they_are_caught():
    assert catches(thrown(3)).tolist() == [3]
    assert throwing(thrown(3)).all()
    assert not throwing(thrown(2)).any()
    assert catches(thrown(3, height=2.1)).tolist() == [0]
    assert catches(thrown(3, hold=5)).tolist() == [0]  # hit, and off again
    assert catches(thrown(3, hold=6)).tolist() == [3]


def test_a_ball_that_is_carried_high_is_not_thrown_and_an_ended_course_does_not_count():
    carried = courses()
    carried.object_pos[..., 2] = np.where(np.arange(T) % 100 < 50, 2.5, 1.0)
    carried.hands_object[:] = True
    assert catches(carried).tolist() == [0]
    early = thrown(4)
    early.valid[:, 250:] = False
    assert catches(early).tolist() == [2]


def test_scoring_counts_the_tasks_own_baskets():
    play = courses(3)
    play.reached[0, [100, 400]] = True
    play.reached[1, 500] = True
    play.valid[1, 300:] = False
    np.testing.assert_array_equal(scoring(play), [True, False, False])
    found = report("Scoring", play)
    assert found["success"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    minutes = (2 * T + 300) / 3600
    assert found["reached_per_minute"]["value"] == pytest.approx(2 / minutes, abs=1e-5)
    assert found["success"]["low"] < 1 / 3 < found["success"]["high"]


def test_a_report_takes_only_what_was_played():
    play = courses(2)
    play.label[:, 400:] = 31
    play.reward[:] = np.where(np.arange(T) < 400, 1.0, 0.0)
    play.valid[1, 400:] = False
    play.fell[1] = True
    found = report("Heading", play)
    assert found["fell"]["value"] == 0.5
    assert found["reward"]["value"] == pytest.approx(800 / (T + 400), abs=1e-6)
    assert found["seconds"]["value"] == pytest.approx((T + 400) / 120, abs=1e-6)
    shares = {"dribble forward": 800 / (T + 400), "lay-up": 399 / (T + 400)}
    assert found["labels"] == pytest.approx(shares, abs=1e-4)


def test_every_task_of_the_papers_table_has_a_rule():
    assert set(high_level.SUCCESS) == set(TABLE3["SkillMimic"])
    with pytest.raises(KeyError, match="no success rule for 'Running', there are Heading, Circling"):
        high_level.success("Running", courses())


def test_the_first_episode_of_a_world_is_its_course():
    """Two decisions of three steps: a fall in the fifth step, a time-out in the fourth, and one that goes on."""
    fell, late = np.zeros((2, 3, 3), bool), np.zeros((2, 3, 3), bool)
    fell[1, 1, 0] = True
    late[1, 0:, 1] = True
    number = np.broadcast_to(np.arange(6, dtype=float).reshape(2, 3, 1), (2, 3, 3))
    names = [f.name for f in dataclasses.fields(Courses) if f.name not in ("valid", "fell")]
    made = high_level_courses.to_courses(dict.fromkeys(names, number) | {"fell": fell, "late": late}, 7)
    np.testing.assert_array_equal(made.valid.sum(axis=1), [5, 4, 6])
    np.testing.assert_array_equal(made.fell, [True, False, False])
    np.testing.assert_array_equal(made.reward, np.tile(np.arange(6.0), (3, 1)))


@pytest.fixture(scope="module")
def env() -> Any:
    """Throwing, in episodes of nine control steps."""
    config = envs.default_config("Throwing")
    config.physics.engine, config.episode.length = "mujoco", 9
    return envs.load("Throwing", config)


def test_recorded_courses_of_one_label(env: Any):
    agent = high_level_courses.make_agent("label:13", env)
    found = high_level_courses.run_courses(env, agent, episodes=5, seed=1, batch=3)
    assert found.valid.shape == (5, 8)
    assert found.valid.all()
    assert (found.label == 13).all()
    assert {found.hands_object.dtype, found.reached.dtype, found.fell.dtype} == {np.dtype(bool)}
    assert report("Throwing", found)["labels"] == {"dribble forward": 1.0}
    np.testing.assert_allclose(found.reward, np.exp(-np.abs(found.object_pos[..., 2] - 2.5)), rtol=1e-4)
    # numbers of the first batch do not depend on how many follow
    fewer = high_level_courses.run_courses(env, agent, episodes=3, seed=1, batch=3)
    np.testing.assert_array_equal(fewer.root_pos, found.root_pos[:3])
    assert (found.root_pos[:, 1:] != found.root_pos[:, :-1]).any(axis=-1).all()
    with pytest.raises(ValueError, match="label:12: expected one of label:34, label:1, label:13"):
        high_level_courses.make_agent("label:12", env)


def choosing(env: Any, folder: Path, **metadata: Any) -> Path:
    """An untrained policy for the environment's sizes, as a file."""
    actor = heads.ChoiceActor((8,), env.action_size)
    parameters = actor.init(jax.random.key(0), jnp.zeros(env.observation_size))
    moments = normalizer.init(env.observation_size)
    written = policy.PolicyBundle(parameters, moments, (8,), env.action_size, metadata=metadata, head="categorical")
    return policy.save_policy(folder / "policy.npz", written)


def test_a_policy_chooses_only_for_the_skills_that_it_was_trained_on(env: Any, tmp_path: Path):
    agent = high_level_courses.make_agent(choosing(env, tmp_path, **env.policy_metadata), env)
    state = env.begin(env.tables, jax.random.split(jax.random.key(0), 3))
    choice = agent.act(agent.parameters, state, jax.random.key(1))
    assert (choice.shape, choice.dtype) == ((3,), jnp.int32)
    other = env.policy_metadata | {"labels": [1, 34, 13]}
    with pytest.raises(ValueError, match=r"among the labels \(1, 34, 13\), expected \(34, 1, 13\)"):
        high_level_courses.make_agent(choosing(env, tmp_path, **other), env)
    other = env.policy_metadata | {"low_level": {"policy": "mine", "sha256": "0" * 64}}
    with pytest.raises(ValueError, match=r"trained on the low-level policy mine \(0{12}\), found ballplay-seven"):
        high_level_courses.make_agent(choosing(env, tmp_path, **other), env)
