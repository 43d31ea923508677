"""Scoring through a ring of matter: the world comes to the basket, and the basket stays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.envs.high_level import HighLevel, physical_basket
from mjx_skillmimic.envs.high_level.scoring import Scoring, ScoringOptions
from mjx_skillmimic.evaluation.golden.imitation import body_state
from mjx_skillmimic.physics import batch
from tests.ballplay import replace_data

N = 32


@pytest.fixture(scope="module")
def both() -> tuple[HighLevel, HighLevel]:
    """The physical and the virtual basket, on the same starts."""
    config = envs.default_config("Scoring")
    config.physics.engine = "mujoco"
    virtual = HighLevel(Scoring, config)
    config.task.basket = "physical"
    return HighLevel(Scoring, config, tables=virtual.tables), virtual


def test_the_person_comes_to_the_basket_and_sees_what_was_drawn(both: tuple[HighLevel, HighLevel]):
    """The same keys give the same observation as beside the point in the air, with the ring over the origin."""
    keys = jax.random.split(jax.random.key(3), N)
    physical, virtual = (jax.jit(env.begin)(env.tables, keys) for env in both)
    np.testing.assert_allclose(physical.obs, virtual.obs, atol=2e-4)
    assert not np.asarray(physical.info["goal"].position).any()
    assert np.asarray(virtual.info["goal"].position).any()
    root, ball = np.asarray(physical.data.qpos[:, :3]), np.asarray(physical.data.qpos[:, -7:-4])
    side = np.arctan2(root[:, 1], root[:, 0])
    assert np.abs(side).max() < np.radians(60) + 1e-4
    assert side.std() > np.radians(20)
    np.testing.assert_array_equal(physical.info["goal"].ball, ball)
    np.testing.assert_allclose(root[:, 2], virtual.data.qpos[:, 2], atol=1e-6)
    # velocities keep their size and turn with the person
    for at in (slice(0, 3), slice(-6, -3)):
        speed = [np.linalg.norm(s.data.qvel[:, at], axis=1) for s in (physical, virtual)]
        np.testing.assert_allclose(*speed, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(physical.data.qvel[:, 3:-6], virtual.data.qvel[:, 3:-6])
    assert both[0].scene.options.basket_height == both[0].task.options.ring == 2.0
    assert both[0].observation_size == both[1].observation_size


def test_a_ball_that_would_begin_in_the_basket_has_it_on_the_other_side():
    body = body_state(2, object_pos=np.array([[1.5, 0.0, 2.3], [1.5, 0.0, 2.3]], np.float32))
    never = jnp.zeros(2, bool)
    goal = physical_basket.BasketGoal(
        jnp.array([[2.0, 0.5], [0.0, 2.5]]), jnp.zeros(2), never, jnp.asarray(body.object_pos), never
    )
    drawn = physical_basket.draw(goal, jax.tree.map(jnp.asarray, body))
    np.testing.assert_allclose(drawn.position, [[-2.0, -0.5], [0.0, 2.5]])


def ball_at(task: Scoring, before: Any, after: Any, reached: bool = False) -> Any:
    zero = np.zeros((1, 2), np.float32)
    goal = physical_basket.BasketGoal(
        zero, zero[:, 0], np.full(1, reached), np.array([before], np.float32), np.ones(1, bool)
    )
    return task.outcome(body_state(1, object_pos=np.array([after], np.float32)), goal)


def test_a_basket_is_paid_when_the_ball_falls_through():
    task = Scoring(ScoringOptions(basket="physical"))
    above, below = (0.1, 0.0, 2.03), (0.1, 0.0, 1.95)
    hit = ball_at(task, above, below)
    assert bool(hit.reached[0])
    assert not hit.renew.any()
    assert not hit.goal.reached.any()
    np.testing.assert_allclose(hit.goal.ball, [below])
    for before, after in ((below, above), ((0.4, 0, 2.03), (0.4, 0, 1.95)), (below, (0.1, 0.0, 1.8))):
        assert not ball_at(task, before, after).reached.any()
    # in and out again on the way: only where the plane is crossed counts
    assert ball_at(task, (0.3, 0.0, 2.01), (0.1, 0.0, 1.0 + 0.9)).reached.any() is np.False_
    assert ball_at(task, (0.3, 0.0, 2.1), (0.1, 0.0, 1.98)).reached.any()
    assert float(hit.reward[0]) == pytest.approx(task.options.bonus, abs=0.5)


def test_as_published_a_basket_is_paid_for_ever_and_once():
    task = Scoring(ScoringOptions(basket="physical", on_reach="stay", bonus=0.0, aim=0.0))
    hit = ball_at(task, (0.1, 0.0, 2.03), (0.1, 0.0, 1.95))
    assert hit.goal.reached.all()
    again = ball_at(task, (0.1, 0.0, 2.03), (0.1, 0.0, 1.95), reached=True)
    assert not again.reached.any()
    assert float(again.reward[0]) == pytest.approx(float(hit.reward[0]))


def test_a_shot_counts_in_the_environment_and_the_basket_stays(both: tuple[HighLevel, HighLevel]):
    """Half of the balls are put over the ring, the others over the floor."""
    env = both[0]
    state = jax.jit(env.begin)(env.tables, jax.random.split(jax.random.key(0), 4))
    qpos, qvel = np.array(state.data.qpos), np.array(state.data.qvel)
    qpos[:, -7:-4], qvel[:, -6:] = [(0.05, 0, 2.1), (0, -0.05, 2.1), (0.8, 0, 2.1), (0, 0.8, 2.1)], 0.0
    qvel[:, -4] = -3.0
    state = replace_data(state, qpos=jnp.asarray(qpos), qvel=jnp.asarray(qvel))
    after, trail = jax.jit(env.play)(state, jnp.zeros(4, jnp.int32))
    np.testing.assert_array_equal(np.asarray(trail.reached).sum(axis=0), [1, 1, 0, 0])
    assert not np.asarray(after.info["goal"].reached).any()
    assert not np.asarray(after.info["goal"].position).any()
    np.testing.assert_allclose(after.info["goal"].ball, after.data.qpos[:, -7:-4])
    np.testing.assert_array_equal(np.asarray(after.reward) > env.task.options.bonus / 3, [True, True, False, False])
    assert not np.asarray(after.metrics["overflow"]).any()
    # the world turns with the person: a second start is as good as the first
    ended = env._restart(after, jnp.array([True, False, False, False]))
    np.testing.assert_array_equal(ended.data.qpos[1:], after.data.qpos[1:])
    body = env.body_state(batch.new_state(ended.data.qpos, ended.data.qvel, engine=None))
    seen = np.asarray(env.observe(body, ended.info["goal"]))
    np.testing.assert_allclose(ended.obs[0], seen[0], atol=1e-4)


def test_options_that_cannot_work():
    with pytest.raises(ValueError, match=r"nearest = 1.0; expected at least 1.2 m of a physical basket"):
        ScoringOptions(basket="physical", nearest=1.0)
    with pytest.raises(ValueError, match="side = 200; expected 0 to 180 degrees"):
        ScoringOptions(side=200)
    with pytest.raises(ValueError, match="basket"):
        ScoringOptions(basket="wood")  # type: ignore[arg-type]
