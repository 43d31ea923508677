"""Goals, observations and rewards of the high-level tasks, against formulas written out here."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.high_level import TASKS
from mjx_skillmimic.envs.high_level.circling import Circling, CirclingOptions
from mjx_skillmimic.envs.high_level.heading import Heading, HeadingOptions
from mjx_skillmimic.envs.high_level.options import EpisodeOptions, from_config, to_config
from mjx_skillmimic.envs.high_level.scoring import Scoring, ScoringOptions, landing
from mjx_skillmimic.envs.high_level.task import Goal
from mjx_skillmimic.envs.high_level.throwing import Throwing, ThrowingOptions
from mjx_skillmimic.evaluation import high_level
from mjx_skillmimic.evaluation.golden.imitation import body_state
from mjx_skillmimic.physics.base import EDGES, BodyState

N = 64
HANDS = EDGES.index("hands_object")


def body(seed: int = 0, **ball: Any) -> BodyState:
    """Worlds with random roots and balls; ball: other values of its fields."""
    rng = np.random.default_rng(seed)
    fields = {name: rng.normal(size=(N, 3)).astype(np.float32) for name in ("object_pos", "object_lin_vel")}
    fields["object_pos"][:, 2] = rng.uniform(0.12, 3.5, N)
    fields |= {name: np.broadcast_to(np.asarray(x, np.float32), (N, 3)) for name, x in ball.items()}
    state = body_state(N, **fields)
    state.body_pos[:, 0] = rng.normal(size=(N, 3))
    state.body_quat[:, 0] = rotations.normalize(rng.normal(size=(N, 4)))
    state.body_lin_vel[:, 0] = rng.normal(size=(N, 3))
    return state


def goal(seed: int = 1) -> Goal:
    rng = np.random.default_rng(seed)
    radius = rng.uniform(2, 5, N).astype(np.float32)
    return Goal(rng.normal(size=(N, 2)).astype(np.float32), radius, rng.random(N) < 0.5)


def own_goal(task: Any, state: BodyState, seed: int = 1) -> Any:
    """As the task draws it, with the position, radius and flag of `goal`."""
    drawn = jax.tree.map(np.asarray, task.draw(jax.random.split(jax.random.key(seed), N), state))
    given = goal(seed)
    return dataclasses.replace(drawn, position=given.position, radius=given.radius, reached=given.reached)


def turned(state: BodyState, wanted: Goal, angle: float) -> tuple[BodyState, Goal]:
    """The same situation, turned about the vertical through the origin."""
    turn = rotations.about_z(np.full(N, angle))
    vectors = {name: rotations.rotate(turn, getattr(state, name)) for name in ("object_pos", "object_lin_vel")}
    around = turn[:, None]
    vectors |= {name: rotations.rotate(around, getattr(state, name)) for name in ("body_pos", "body_lin_vel")}
    vectors["body_quat"] = rotations.multiply(around, state.body_quat)
    level = np.concatenate([wanted.position, np.zeros((N, 1))], axis=1)
    place = rotations.rotate(turn, level)[:, :2]
    return dataclasses.replace(state, **vectors), dataclasses.replace(wanted, position=place)


@pytest.mark.parametrize("kind", TASKS)
def test_only_the_published_observation_knows_where_the_worlds_x_axis_is(kind: Any):
    ours, published = kind(kind.Options.default()), kind(kind.Options.reference())
    state = body()
    wanted = own_goal(ours, state)
    after, where = turned(state, wanted, 1.0)
    assert ours.observe(state, wanted).shape == (N, sum(width for _, width in ours.parts))
    np.testing.assert_allclose(ours.observe(state, wanted), ours.observe(after, where), atol=1e-5)
    if ours.parts:
        moved = np.abs(published.observe(state, wanted) - published.observe(after, where)).max(axis=0)
        assert (moved[:2] < 1e-5).all()
        assert (moved[2:4] > 0.1).all()
    for task in (ours, published):
        one, other = task.outcome(state, wanted), task.outcome(after, where)
        np.testing.assert_allclose(one.reward, other.reward, atol=1e-5)


def test_what_lies_before_and_beside_the_person_is_seen_so():
    """Root +x is the left hand: a goal 3 m along it has the bearing 0, one in front of him, along −y, −90°."""
    state = body()
    state.body_pos[:, 0] = (1.0, 2.0, 0.9)
    state.body_quat[:, 0] = rotations.about_z(np.full(N, 0.7))
    left, front = np.array([np.cos(0.7), np.sin(0.7)]), np.array([np.sin(0.7), -np.cos(0.7)])
    for way, expected in ((left, [3, 0, 1, 0]), (front, [0, -3, 0, -1])):
        wanted = dataclasses.replace(goal(), position=np.tile(np.array([1.0, 2.0]) + 3 * way, (N, 1)))
        seen = Heading(HeadingOptions.default()).observe(state, wanted)
        np.testing.assert_allclose(seen, np.tile(expected, (N, 1)), atol=1e-5)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("preset", ["reference", "default"])
def test_rewards_world_by_world(kind: Any, preset: str):
    """Formulas of skillmimic.md §10.2 with plain numbers; a bonus for what was reached in our preset."""
    task = kind(getattr(kind.Options, preset)())
    state = body()
    wanted = own_goal(task, state)
    state.object_pos[:8] = np.concatenate([wanted.position[:8], np.full((8, 1), 1.1)], axis=1)
    state.object_pos[8:16] = np.concatenate([wanted.position[8:16], np.full((8, 1), 2.4)], axis=1)
    state.object_lin_vel[8:16] = (0.0, 0.0, -1.0)
    outcome = jax.jit(task.outcome)(state, wanted)
    ours = preset == "default"
    for i in range(N):
        ball, flown = state.object_pos[i], state.object_lin_vel[i]
        x, y, z = (float(v) for v in ball)
        gx, gy = (float(v) for v in wanted.position[i])
        had = bool(wanted.reached[i])
        if kind is Heading:
            d = np.sqrt((x - gx) ** 2 + (y - gy) ** 2 + (z - 1) ** 2)
            now = d < 0.5
            reward = np.exp(-d) + (60 if ours and now and not had else 0)
        elif kind is Circling:
            from_centre = np.hypot(x - gx, y - gy)
            off = abs(from_centre - wanted.radius[i])
            now = off < 0.5 if ours else from_centre < 0.3
            reward = np.exp(-off) * (0.1 if np.linalg.norm(flown) < 0.5 else 1)
        elif kind is Throwing:
            now, reward = False, np.exp(-abs(z - 2.5))
        else:
            place = landing(ball, flown, 2.0, task.options.landing)
            now = z > 2 and np.hypot(*(place - wanted.position[i])) < 0.3
            d = np.sqrt((x - gx) ** 2 + (y - gy) ** 2 + (z - 2.5) ** 2)
            reward = np.exp(-0.5 * d) + 0.2 * np.exp(-abs(z - 2.5)) + (0 if ours else had or now)
            reward *= 0.1 if np.linalg.norm(state.body_lin_vel[i, 0]) < 0.5 else 1
            reward += 600 if ours and now and not had else 0
            reward += 150 * np.exp(-np.hypot(*(place - wanted.position[i])) / 2.0) if ours and z > 2 else 0
        assert float(outcome.reward[i]) == pytest.approx(reward, rel=1e-4, abs=1e-5), i
        assert bool(outcome.goal.reached[i]) == (had or now), i
        assert bool(outcome.reached[i]) == (now and not had), i
        assert bool(outcome.renew[i]) == (ours and kind in (Heading, Scoring) and now and not had), i
    if kind is not Throwing:
        assert np.asarray(outcome.reached).any()


def test_a_thrown_ball_lands_where_small_steps_of_time_take_it():
    rng = np.random.default_rng(0)
    position = np.column_stack([rng.normal(size=(N, 2)), rng.uniform(1.5, 3.0, N)])
    velocity = np.column_stack([rng.normal(size=(N, 2)), rng.uniform(-2.0, 6.0, N)])
    ours = landing(position, velocity, 2.0)
    published = landing(position, velocity, 2.0, "published")
    for i in range(N):
        p, v, dt = position[i].copy(), velocity[i].copy(), 1e-4
        height = 2.0 if p[2] + max(v[2], 0) ** 2 / (2 * 9.81) > 2.0 else 0.0
        while p[2] > height or v[2] > 0:
            p += v * dt + np.array([0, 0, -0.5 * 9.81 * dt * dt])
            v[2] -= 9.81 * dt
        np.testing.assert_allclose(ours[i], p[:2], atol=2e-3)
    rising = (velocity[:, 2] > 1.0) & (position[:, 2] > 2.0)
    way = np.linalg.norm(velocity[:, :2], axis=1)
    assert (np.linalg.norm(ours - published, axis=1) > 0.1 * way)[rising].all()


def test_a_catch_is_a_ball_that_flew_high_and_is_held_for_a_while():
    task, state = Throwing(ThrowingOptions.default()), body()
    # what is paid is what counts as success
    assert (task.options.thrown, task.options.held) == (high_level.THROW_HEIGHT, high_level.CATCH_STEPS)
    flight = task.draw(jax.random.split(jax.random.key(0), N), state)
    caught = []
    # thrown, caught for 5 steps only, touched again for long enough, held on, and thrown no more
    for height, hands, steps in ((2.3, 0, 4), (1.5, 1, 5), (1.4, 0, 3), (1.2, 1, 9), (1.0, 0, 3), (1.0, 1, 9)):
        state.object_pos[:, 2] = height
        state.edges[:, HANDS] = hands
        for _ in range(steps):
            outcome = task.outcome(state, flight)
            flight = outcome.goal
            caught.append(bool(outcome.reached.all()))
            assert float(outcome.reward[0]) == pytest.approx(np.exp(-abs(height - 2.5)) + 150 * caught[-1], rel=1e-5)
    assert np.flatnonzero(caught).tolist() == [4 + 5 + 3 + 5]


def test_a_throw_is_paid_once_for_where_it_will_come_down():
    task = Scoring(ScoringOptions.default())
    flying = body(object_pos=(1.0, 0.0, 2.3), object_lin_vel=(0.0, 0.0, 2.0))
    flying.body_lin_vel[:, 0] = 1.0
    wanted = dataclasses.replace(own_goal(task, flying), position=np.zeros((N, 2), np.float32))
    first = task.outcome(flying, wanted)
    second = task.outcome(flying, first.goal)
    np.testing.assert_allclose(first.reward - second.reward, 150 * np.exp(-1.0 / 2.0), rtol=1e-4)
    flying.edges[:, HANDS] = 1
    again = task.outcome(flying, second.goal).goal
    assert not np.asarray(again.thrown).any()
    flying.edges[:, HANDS] = 0
    np.testing.assert_allclose(task.outcome(flying, again).reward, first.reward, rtol=1e-5)


def test_a_ball_scores_only_while_it_flies_free_above_the_ring():
    task = Scoring(ScoringOptions.default())
    wanted = dataclasses.replace(goal(), position=np.zeros((N, 2), np.float32), reached=np.zeros(N, bool))
    above = {"object_pos": (-1.0, 0.0, 2.5), "object_lin_vel": (1.0, 0.0, 4.4)}
    assert task.scored(body(**above), wanted).all()
    assert not task.scored(body(**above, object_force=(0.0, 0.0, 0.2)), wanted).any()
    assert not task.scored(body(**above | {"object_pos": (-1.0, 0.5, 2.5)}), wanted).any()
    assert not task.scored(body(**above | {"object_pos": (-1.0, 0.0, 1.9)}), wanted).any()
    # the published sign takes a rising ball for one that was there before
    assert not Scoring(ScoringOptions.reference()).scored(body(**above), wanted).any()


@pytest.mark.parametrize(("kind", "preset"), [(kind, preset) for kind in TASKS for preset in ("default", "reference")])
def test_goals_lie_where_the_options_say(kind: Any, preset: str):
    task = kind(getattr(kind.Options, preset)())
    state = jax.tree.map(jnp.asarray, body())
    drawn = [task.draw(jax.random.split(jax.random.key(i), N), state) for i in range(8)]
    offset = np.stack([g.position - state.root_pos[:, :2] for g in drawn]).reshape(-1, 2)
    distance, radius = np.linalg.norm(offset, axis=1), np.stack([g.radius for g in drawn])
    assert not np.stack([g.reached for g in drawn]).any()
    quadrants = {(x > 0, y > 0) for x, y in offset}
    if kind is Circling:
        assert (distance < 1e-6).all()
        assert radius.min() >= 2
        assert radius.max() < 5
        assert radius.std() > 0.7
    elif kind is Heading and preset == "reference":
        assert quadrants == {(True, True)}
        assert offset.min() >= 2 - 1e-4
        assert offset.max() < 8 + 1e-4
        assert (offset.std(axis=0) > 1.4).all()
    elif kind is not Throwing:
        assert len(quadrants) == 4
        assert distance.min() >= 2 - 1e-4
        assert distance.max() < 8 + 1e-4
        assert distance.std() > 1.4


def test_published_choices_and_episodes():
    assert Heading(HeadingOptions.reference()).labels == Circling(CirclingOptions.reference()).labels == (12, 13, 11)
    assert Throwing(ThrowingOptions.reference()).labels == (34, 1, 13)
    assert Scoring(ScoringOptions.reference()).labels == (31, 1, 2, 12, 13, 11, 31)
    assert len(set(Scoring(ScoringOptions.default()).labels)) == len(Scoring(ScoringOptions.default()).labels)
    for preset in (EpisodeOptions.reference(), EpisodeOptions.default()):
        assert (preset.length, preset.steps, preset.fall_height) == (800, 3, 0.25)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("preset", ["reference", "default"])
def test_a_configuration_says_all_of_a_preset(kind: Any, preset: str):
    options = from_config(to_config(kind, preset), kind)
    assert options.task == getattr(kind.Options, preset)()
    assert options.episode == getattr(EpisodeOptions, preset)()
    assert options.start.frame == {"reference": 2, "default": None}[preset]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bearing": "north"}, "HeadingOptions.bearing: expected one of heading, world, got 'north'"),
        ({"reach": 0.0}, "HeadingOptions.reach: expected a positive number"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        HeadingOptions(**options)
