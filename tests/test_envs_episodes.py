"""Options of the episodes' law together: independent draws, and one change of an episode at a time."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.envs import options
from mjx_skillmimic.envs.episodes import EpisodeLaw
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.motion import library, table
from tests.walks import pick_up_after_a_walk

COUNT = 3000


def law_of(**start: object) -> EpisodeLaw:
    config = options.to_config()
    config.start.update(start)
    return EpisodeLaw(options.from_config(config))


@pytest.fixture(scope="module")
def plain() -> Tables:
    """A pick-up with a ball far off, and clips of other labels; every frame is its own start."""
    clips = [pick_up_after_a_walk(), *library.load_clips(["chest_pass", "throw_catch"])]
    motions = table.build_table(clips, key_bodies="stored")
    frame = jnp.concatenate([jnp.arange(length) for length in np.asarray(motions.lengths)])
    return Tables(motions, SimpleNamespace(frame=frame))


def drawn(law: EpisodeLaw, tables: Tables) -> tuple[dict, np.ndarray]:
    tables = law.complete(tables)
    keys = jax.random.split(jax.random.key(0), COUNT)
    _, info, row = jax.jit(lambda keys: law.draw(tables, law.new_curriculum(tables), keys))(keys)
    return jax.tree.map(np.asarray, info), np.asarray(row)


@pytest.mark.parametrize("law", ["uniform", "failure"])
def test_whether_an_episode_changes_its_skill_says_nothing_about_where_it_starts(plain: Tables, law: str):
    """All frames have a pair. The share of episodes is the same in each quarter of the clips' frames."""
    chosen = law_of(sampling=law, transition_probability=0.3, transition_distance=1e3)
    info, row = drawn(chosen, plain)
    starts, lengths = np.asarray(plain.motions.starts), np.asarray(plain.motions.lengths)
    clip = np.searchsorted(starts, row, side="right") - 1
    goes = info["clip"] != clip
    assert goes.mean() == pytest.approx(0.3, abs=0.04)
    quarter = (4 * (row - starts[clip])) // lengths[clip]
    for number in range(4):
        # 750 draws a quarter: three standard deviations are 0.05
        assert goes[quarter == number].mean() == pytest.approx(0.3, abs=0.07)
    # Nor does the choice among the places that a frame may go to.
    for target in range(3):
        came = goes & (info["clip"] == target)
        shares = np.bincount(quarter[came], minlength=4) / came.sum()
        np.testing.assert_allclose(shares, 0.25, atol=0.08)


def test_a_ball_is_placed_only_in_the_episodes_of_its_own_clip(plain: Tables):
    law = law_of(transition_probability=0.5, transition_distance=1e3, placement_probability=1.0)
    info, row = drawn(law, plain)
    placed = (info["placement"].turn != 0) | (info["placement"].shift != 0).any(axis=1)
    goes = info["clip"] != np.searchsorted(np.asarray(plain.motions.starts), row, side="right") - 1
    assert placed.sum() > 20
    assert not (placed & goes).any()
    assert not info["move"].turn[placed].any()
    before = np.asarray(law.complete(plain).approach.left)[row]
    assert (before[goes] > 12).sum() > 20  # it could have been


def test_chosen_frames_keep_the_clips_own_ball_and_place(plain: Tables):
    law = law_of(sampling="failure", transition_probability=0.5, transition_distance=1e3, placement_probability=1.0)
    tables = law.complete(plain)
    frame = jnp.arange(64)
    info, row = law.chosen(tables, jnp.zeros(64, jnp.int32), frame)
    np.testing.assert_array_equal(row, frame)
    assert (np.asarray(tables.approach.left)[:64] > 12).any()
    info["progress"] = info["progress"] + 3
    found = law.reference(tables, info)
    expected = table.features(tables.motions, jnp.zeros(64, jnp.int32), frame + 3, pad="hold")
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
