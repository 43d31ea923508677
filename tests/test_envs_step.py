"""One control step: what stays, what ends, and what a world that ended begins with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.model.build import OBJECT
from tests import ballplay
from tests.ballplay import WORLDS, Compiled, keys, replace_data, replace_info

HALF = WORLDS // 2


@pytest.fixture(scope="module")
def ours() -> Compiled:
    return ballplay.default()


@pytest.fixture(scope="module")
def published() -> Compiled:
    return ballplay.reference()


@pytest.fixture(scope="module")
def middle(ours: Compiled) -> State:
    """Worlds three steps into episodes that are far from any end."""
    clip = np.arange(WORLDS) % len(ours.lengths)
    state = ours.start(clip, 10 + np.arange(WORLDS))
    for i in range(3):
        state = ours.step(state, ballplay.actions(ours.env, i))
    assert not np.asarray(state.done).any()
    return state


@pytest.fixture(scope="module")
def both(ours: Compiled, middle: State) -> tuple[State, State]:
    """The next step of the same worlds: none ends, and the first half ends by time."""
    action = ballplay.actions(ours.env, 3)
    length = np.where(np.arange(WORLDS) < HALF, 5, middle.info["episode_length"])
    return ours.step(middle, action), ours.step(replace_info(middle, episode_length=length), action)


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_states_before_and_after_a_step_are_of_one_type(preset: str):
    """Tree, shapes, dtypes and weak types: what `lax.scan` and a compiled program ask of a carry."""
    env = getattr(ballplay, preset)().env
    before = jax.eval_shape(env.reset, keys(0))
    after = jax.eval_shape(env.step, before, jax.ShapeDtypeStruct((WORLDS, env.action_size), jnp.float32))
    assert str(jax.tree.structure(before)) == str(jax.tree.structure(after))
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True):
        name = jax.tree_util.keystr(path)
        assert (one.shape, one.dtype) == (other.shape, other.dtype), name
        # typed keys have no weak type
        assert not getattr(one, "weak_type", False), name
        assert not getattr(other, "weak_type", False), name


def test_worlds_that_go_on_see_their_own_state(ours: Compiled, both: tuple[State, State]):
    on, _ = both
    np.testing.assert_array_equal(on.obs, on.info["final_obs"])
    np.testing.assert_array_equal(on.info["progress"], np.full(WORLDS, 4))
    skill = np.asarray(ours.env.tables.motions.skills)[on.info["clip"]]
    label = np.asarray(on.obs)[:, ours.env.layout.slice("skill")]
    np.testing.assert_array_equal(label, np.eye(64)[skill])
    np.testing.assert_array_equal(ours.env.one_hot_mask, np.arange(902) >= 838)
    parts = ours.env.layout.split(np.asarray(on.obs))
    found = ours.env.scene.unpack(np.asarray(on.data.qpos), np.asarray(on.data.qvel))
    np.testing.assert_allclose(parts["root_height"][:, 0], found.root_pos[:, 2], atol=1e-6)
    np.testing.assert_allclose(parts["object_pos"][:, 2], found.object_pos[:, 2], atol=1e-6)


def test_resets_leave_the_worlds_beside_them_alone(both: tuple[State, State]):
    np.testing.assert_array_equal(both[1].done, np.arange(WORLDS) < HALF)
    # everything, random keys included: a world that goes on has not drawn
    ballplay.assert_same(*both, which=slice(HALF, None))


def test_a_world_that_ends_keeps_its_last_reward_and_observation(both: tuple[State, State]):
    on, ended = both
    np.testing.assert_array_equal(ended.info["final_obs"], on.obs)
    np.testing.assert_array_equal(ended.reward, on.reward)
    assert (np.asarray(ended.reward) > 0).all()
    for name, value in on.metrics.items():
        np.testing.assert_array_equal(ended.metrics[name], value, err_msg=name)
    assert (np.asarray(ended.obs)[:HALF] != np.asarray(on.obs)[:HALF]).any(axis=-1).all()


def test_a_world_that_ended_stands_on_its_new_start(ours: Compiled, both: tuple[State, State]):
    _, ended = both
    info = ended.info
    assert not np.asarray(info["progress"])[:HALF].any()
    fresh = ours.start(info["clip"], info["frame"])
    for got, wanted in (
        (ended.obs, fresh.obs),
        (ended.data.qpos, fresh.data.qpos),
        (ended.data.qvel, fresh.data.qvel),
        (ended.data.engine, fresh.data.engine),
        (ended.data.body_force, fresh.data.body_force),
        (ended.data.edges, fresh.data.edges),
        *((info[name], fresh.info[name]) for name in ("episode_length", "skill", "previous_dof_vel")),
        *zip(jax.tree.leaves(info["features"]), jax.tree.leaves(fresh.info["features"]), strict=True),
    ):
        np.testing.assert_allclose(np.asarray(got)[:HALF], np.asarray(wanted)[:HALF], rtol=0, atol=1e-5)
    tables = ours.env.tables
    row = (np.asarray(tables.motions.starts)[info["clip"]] + np.asarray(info["frame"]))[:HALF]
    np.testing.assert_array_equal(np.asarray(ended.data.qpos)[:HALF], np.asarray(tables.starts.qpos)[row])
    label = np.asarray(ended.obs)[:HALF, ours.env.layout.slice("skill")]
    np.testing.assert_array_equal(label.argmax(axis=-1), np.asarray(tables.motions.skills)[info["clip"]][:HALF])


def test_a_reset_inside_step_acts_like_a_reset(ours: Compiled, both: tuple[State, State]):
    """The next step of a world that was put on a frame is that of a world that began there."""
    _, ended = both
    action = ballplay.actions(ours.env, 4)
    fresh = ours.start(ended.info["clip"], ended.info["frame"])
    one, other = ours.step(ended, action), ours.step(fresh, action)
    mine = slice(0, HALF)
    np.testing.assert_allclose(np.asarray(one.reward)[mine], np.asarray(other.reward)[mine], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(one.data.qpos)[mine], np.asarray(other.data.qpos)[mine])


def test_consecutive_resets_draw_anew(ours: Compiled, middle: State):
    state, seen, random = middle, [], []
    for i in range(6):
        state = ours.step(replace_info(state, episode_length=1), ballplay.actions(ours.env, i))
        assert np.asarray(state.done).all()
        seen.append(np.stack([state.info["clip"], state.info["frame"]], axis=-1))
        random.append(np.asarray(jax.random.key_data(state.info["rng"])))
    pairs = np.stack(seen)
    assert len(np.unique(np.concatenate(random), axis=0)) == 6 * WORLDS
    # 192 draws from about 1000 frames: some 175 are different, hardly ever fewer than 150
    assert len(np.unique(pairs.reshape(-1, 2), axis=0)) > 150
    assert all(len(np.unique(pairs[:, world], axis=0)) > 3 for world in range(WORLDS))


def laid_down(state: State, where: np.ndarray) -> State:
    """The people of some worlds lying, with the root 0.2 m above the floor."""
    qpos = np.array(state.data.qpos)
    quarter = rotations.exp(np.array([0.0, -np.pi / 2, 0.0]))
    qpos[where, 3:7] = rotations.multiply(quarter, qpos[where, 3:7])
    qpos[where, 2] = 0.2
    return replace_data(state, qpos=jnp.asarray(qpos))


def test_a_fall_counts_after_the_grace_of_one_step(published: Compiled):
    down = np.arange(WORLDS) % 2 == 0
    state = laid_down(published.start(1, 20), down)
    first = published.step(state, ballplay.actions(published.env, 0))
    assert (np.asarray(first.obs)[down, 0] < 0.3).all()
    assert not np.asarray(first.done).any()
    second = published.step(first, ballplay.actions(published.env, 1))
    low = np.asarray(second.info["final_obs"])[:, 0] < 0.3
    assert low[down].any()
    assert not low[~down].any()
    np.testing.assert_array_equal(second.info["terminated"], low)
    np.testing.assert_array_equal(second.done, low)
    assert not np.asarray(second.info["truncation"]).any()


def test_a_fall_and_a_time_out_exclude_each_other(published: Compiled):
    """Fall, time-out, both at once, neither: `done` is either, and a fall wins."""
    kind = np.arange(WORLDS) % 4
    fall, late = np.isin(kind, (0, 2)), np.isin(kind, (1, 2))
    state = laid_down(published.start(1, 20), fall)
    state = replace_info(state, progress=3, episode_length=np.where(late, 5, 12))
    state = published.step(state, ballplay.actions(published.env, 0))
    fell = np.asarray(state.info["final_obs"])[:, 0] < 0.3
    np.testing.assert_array_equal(fell, fall)
    np.testing.assert_array_equal(state.info["terminated"], fall)
    np.testing.assert_array_equal(state.info["truncation"], late & ~fall)
    np.testing.assert_array_equal(state.done, fall | late)
    # a truncated world is rewarded like one that goes on
    assert (np.asarray(state.reward)[~fall] > 0).all()
    np.testing.assert_array_equal(state.info["progress"], np.where(fall | late, 0, 4))


def test_a_lost_ball_ends_the_episode_in_our_preset_only(ours: Compiled, published: Compiled):
    for compiled, ends in ((ours, True), (published, False)):
        state = replace_info(compiled.start(1, 20), progress=3, episode_length=30)
        qpos = np.array(state.data.qpos)
        ball = int(compiled.env.scene.model.joint(OBJECT).qposadr[0])
        qpos[:HALF, ball + 2] += 1.0
        state = compiled.step(replace_data(state, qpos=jnp.asarray(qpos)), ballplay.actions(compiled.env, 0))
        np.testing.assert_array_equal(state.info["terminated"], ends & (np.arange(WORLDS) < HALF))
        assert not np.asarray(state.info["truncation"]).any()
        assert (np.asarray(state.metrics["error/object_m"]) > 0.6).sum() == HALF


def test_episodes_last_as_long_as_their_window(published: Compiled):
    """Of length 12, or shorter near the clip's end: the last row of the window is compared, then time is out."""
    frame = published.lengths[1] - 2 - np.arange(WORLDS) % 16
    state = published.start(1, frame)
    expected = np.minimum(12, published.lengths[1] - frame) - 1
    lasted = np.zeros(WORLDS, int)
    for step in range(1, 12):
        state = published.step(state, ballplay.actions(published.env, step, scale=0.01))
        ended = (np.asarray(state.info["truncation"]) > 0) & (lasted == 0)
        lasted[ended] = step
    np.testing.assert_array_equal(lasted, expected)


def test_actions_are_bounded_and_held(ours: Compiled, middle: State):
    """An action beyond ±1 is the bound, and a wrong width is refused."""
    inside = jnp.sign(ballplay.actions(ours.env, 5))
    ballplay.assert_same(ours.step(middle, inside), ours.step(middle, 7.0 * inside))
    with pytest.raises(ValueError, match="expected 156 columns, got 28"):
        jax.eval_shape(ours.env.step, middle, jax.ShapeDtypeStruct((WORLDS, 28), jnp.float32))
