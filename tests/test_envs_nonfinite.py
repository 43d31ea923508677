"""A world that becomes non-finite ends alone, leaves a record that can be replayed, and starts over."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.envs.state import State
from mjx_skillmimic.learning import dump
from tests import ballplay
from tests.ballplay import WORLDS, Compiled, replace_data

# World by what is wrong with it: a coordinate, a velocity beyond float32 after a step, and an action.
POSITION, VELOCITY, ACTION = 3, 8, 21
BROKEN = [POSITION, VELOCITY, ACTION]
WHOLE = np.setdiff1d(np.arange(WORLDS), BROKEN)

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")


class Poisoned(NamedTuple):
    """The worlds as they should go on, the state and action that were poisoned, and what the step made of them."""

    healthy: State
    before: State
    action: jax.Array
    after: State


@pytest.fixture(scope="module")
def ours() -> Compiled:
    return ballplay.default()


@pytest.fixture(scope="module")
def poisoned(ours: Compiled) -> Poisoned:
    state = ours.start(np.arange(WORLDS) % 6, 20 + np.arange(WORLDS))
    state = ours.step(state, ballplay.actions(ours.env, 0))
    action = ballplay.actions(ours.env, 1)
    before = replace_data(
        state,
        qpos=state.data.qpos.at[POSITION, 40].set(jnp.nan),
        qvel=state.data.qvel.at[VELOCITY, 30].set(3e38),
    )
    bad_action = action.at[ACTION, 7].set(jnp.nan)
    return Poisoned(ours.step(state, action), before, bad_action, ours.step(before, bad_action))


def test_it_ends_without_reward_and_is_counted(poisoned: Poisoned):
    state = poisoned.after
    is_broken = np.isin(np.arange(WORLDS), BROKEN)
    np.testing.assert_array_equal(state.metrics["nonfinite"], is_broken)
    np.testing.assert_array_equal(state.done, is_broken)
    np.testing.assert_array_equal(state.info["terminated"], is_broken)
    assert not np.asarray(state.info["truncation"]).any()
    assert not np.asarray(state.reward)[BROKEN].any()
    assert (np.asarray(state.reward)[WHOLE] > 0).all()


def test_what_follows_is_finite(ours: Compiled, poisoned: Poisoned):
    state = poisoned.after
    assert np.isfinite(np.asarray(state.obs)).all()
    assert all(np.isfinite(np.asarray(value)).all() for value in state.metrics.values())
    assert all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(state.data))
    assert np.isfinite(np.asarray(state.info["features"].dof_pos)).all()
    assert not np.asarray(state.info["progress"])[BROKEN].any()
    following = ours.step(state, ballplay.actions(ours.env, 2))
    assert not np.asarray(following.metrics["nonfinite"]).any()
    assert not np.asarray(following.done)[BROKEN].any()
    assert np.asarray(following.reward)[BROKEN].min() > 0


def test_a_final_observation_never_spoils_a_learner(poisoned: Poisoned):
    assert np.isfinite(np.asarray(poisoned.after.info["final_obs"])).all()


def test_neighbours_notice_nothing(poisoned: Poisoned):
    ballplay.assert_same(poisoned.healthy, poisoned.after, which=WHOLE)


def test_the_record_holds_the_failing_step(ours: Compiled, poisoned: Poisoned):
    record = poisoned.after.info["nonfinite"]
    np.testing.assert_array_equal(record.count, np.isin(np.arange(WORLDS), BROKEN))
    target = np.pi * np.clip(poisoned.action, -1, 1)
    for kept, given in ((record.qpos, poisoned.before.data.qpos), (record.qvel, poisoned.before.data.qvel)):
        np.testing.assert_array_equal(kept[np.array(BROKEN)], given[np.array(BROKEN)])
        assert not np.asarray(kept)[WHOLE].any()
    np.testing.assert_allclose(np.asarray(record.target)[BROKEN], target[BROKEN], rtol=1e-6)
    # The next step leaves it as it is.
    later = ours.step(poisoned.after, ballplay.actions(ours.env, 2)).info["nonfinite"]
    for kept, still in zip(jax.tree.leaves(record), jax.tree.leaves(later), strict=True):
        np.testing.assert_array_equal(kept, still)


def test_a_dump_of_it_replays(ours: Compiled, poisoned: Poisoned, tmp_path: Path):
    """Through the file, the engine fails again in the same step and the same worlds."""
    found = dump.dump_from_state({"env_state": poisoned.after}, "test", "{}", 4)
    assert found is not None
    dump.write_dump(found, tmp_path / "dump.npz")
    read = dump.read_dump(tmp_path / "dump.npz")
    assert read.world.tolist() == BROKEN
    assert read.actions.shape == (1, 3, 156)
    first = {(f.world, f.quantity): f.first_step for f in dump.replay(read, ours.env.physics)}
    assert first[POSITION, "qpos"] == 0
    assert first[POSITION, "qvel"] == 1
    assert first[VELOCITY, "qpos"] == 1
    assert first[ACTION, "qpos"] == 1
    assert first[ACTION, "qvel"] == 1
