"""Where episodes begin: which clip, which frame, and the state that belongs to it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.envs import starts
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.table import FIRST_START
from tests import ballplay
from tests.ballplay import WORLDS, Compiled, keys


@pytest.fixture(scope="module")
def ours() -> Compiled:
    return ballplay.default()


@pytest.fixture(scope="module")
def published() -> Compiled:
    return ballplay.reference()


@pytest.fixture(scope="module")
def drawn(published: Compiled) -> tuple[np.ndarray, np.ndarray]:
    """Clip and frame of 2048 worlds of the mixture."""
    info = jax.jit(lambda rng: published.env.reset(rng).info)(keys(3, 2048))
    return np.asarray(info["clip"]), np.asarray(info["frame"])


def test_a_key_gives_one_state_and_other_keys_give_others(ours: Compiled):
    first, again, other = ours.reset(keys(1)), ours.reset(keys(1)), ours.reset(keys(2))
    ballplay.assert_same(first, again)
    pairs = {(int(c), int(f)) for s in (first, other) for c, f in zip(s.info["clip"], s.info["frame"], strict=True)}
    # 64 draws from about a thousand frames meet two or three times
    assert len(pairs) > 50
    assert len(np.unique(jax.random.key_data(first.info["rng"]), axis=0)) == WORLDS
    assert not (jax.random.key_data(first.info["rng"]) == jax.random.key_data(keys(1))).all(axis=-1).any()


def test_a_world_does_not_depend_on_the_others(ours: Compiled):
    order = np.random.default_rng(0).permutation(WORLDS)
    straight, shuffled = ours.reset(keys(1)), ours.reset(keys(1)[order])
    ballplay.assert_same(
        jax.tree.map(lambda x: x[order], (straight.data, straight.info)), (shuffled.data, shuffled.info)
    )


def test_clips_follow_the_weights_and_frames_are_uniform(published: Compiled, drawn: tuple[np.ndarray, np.ndarray]):
    clip, frame = drawn
    # Weight 1 for skill 50, shared by its two clips, and 2 for the pick (skillmimic.md §3.5).
    expected = np.array([1 / 6, 2 / 3, 1 / 6]) * len(clip)
    counts = np.bincount(clip, minlength=3)
    # chi-square with 2 degrees of freedom exceeds 18.4 once in ten thousand
    assert ((counts - expected) ** 2 / expected).sum() < 18.4
    for which, length in enumerate(published.lengths):
        mine = frame[clip == which]
        assert mine.min() >= FIRST_START
        assert mine.max() <= length - 2
        bins = np.bincount((mine - FIRST_START) * 8 // (length - 3), minlength=8)
        widths = np.bincount(np.arange(length - 3) * 8 // (length - 3))
        expected_bins = len(mine) * widths / widths.sum()
        # 7 degrees of freedom, once in ten thousand
        assert ((bins - expected_bins) ** 2 / expected_bins).sum() < 29.9
    # both ends belong to the law: of about 1365 draws of a clip with 202 starts, missing one has a chance of 0.1 %
    pick = frame[clip == 1]
    assert pick.min() == FIRST_START
    assert pick.max() == published.lengths[1] - 2


def test_drawn_frames_are_remapped_to_usable_ones(ours: Compiled):
    """The table sends each frame to a frame that stays, the nearest of its clip."""
    remap = np.asarray(ours.env.tables.starts.frame)
    moved = 0
    for first, length in zip(np.asarray(ours.env.tables.motions.starts), ours.lengths, strict=True):
        mine = remap[first : first + length]
        allowed = np.arange(FIRST_START, length - 1)
        kept = allowed[mine[allowed] == allowed]
        assert len(kept)
        for frame in allowed:
            assert mine[frame] in kept
            assert abs(mine[frame] - frame) == np.abs(kept - frame).min()
        moved += int((mine[allowed] != allowed).sum())
    # the remap must have something to do here, or this test would be idle
    assert 0 < moved < 0.2 * ours.lengths.sum()
    state = ours.reset(keys(4))
    rows = np.asarray(ours.env.tables.motions.starts)[state.info["clip"]] + np.asarray(state.info["frame"])
    np.testing.assert_array_equal(remap[rows], state.info["frame"])


def test_nearest_usable_never_leaves_its_clip_or_the_drawn_range():
    lengths = np.array([8, 6])
    frame = np.concatenate([np.arange(8), np.arange(6)])
    usable = np.ones(14, bool)
    usable[[3, 4, 6]] = False
    usable[8:] = False
    found = starts._nearest_usable(frame, lengths, usable)
    # frame 6 may not go to 7 = T − 1; a clip without a usable frame stays as it is
    np.testing.assert_array_equal(found, [0, 1, 2, 2, 5, 5, 5, 7, 0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize("asked", [2, 57, 10_000])
def test_a_fixed_start_frame_is_kept(asked: int):
    config = ballplay.config("reference", start__frame=asked)
    clips = library.load_clips(["chest_pass", "throw_catch"])
    env = BallPlay(config, clips)
    rng, info, _ = jax.jit(env.episodes.draw)(env.tables, None, keys(0))
    clip, frame = info["clip"], info["frame"]
    lengths = np.array([c.num_frames for c in clips])
    assert set(np.asarray(clip)) == {0, 1}
    np.testing.assert_array_equal(frame, np.minimum(asked, lengths[clip] - 2))
    assert len(np.unique(jax.random.key_data(rng), axis=0)) == WORLDS


def test_the_state_is_the_clips_own(published: Compiled):
    state = published.reset(keys(6))
    scene, clips = published.env.scene, published.env.clips
    found = scene.unpack(np.asarray(state.data.qpos), np.asarray(state.data.qvel))
    for i, (c, f) in enumerate(zip(state.info["clip"], state.info["frame"], strict=True)):
        clip, f = clips[int(c)], int(f)
        np.testing.assert_allclose(found.root_pos[i], clip.root_pos[f], atol=1e-6)
        np.testing.assert_allclose(found.object_pos[i], clip.object_pos[f], atol=1e-6)
        velocity = (clip.object_pos[f] - clip.object_pos[f - 1]) * clip.fps
        np.testing.assert_allclose(found.object_lin_vel[i], velocity, atol=1e-3)
        moved = (clip.root_pos[f] - clip.root_pos[f - 1]) * clip.fps
        np.testing.assert_allclose(found.root_lin_vel[i], moved, atol=1e-3)
        dof = np.asarray(state.info["features"].dof_pos[i]).reshape(52, 3)
        stored = clip.dof_pos[f].reshape(52, 3)
        short = np.linalg.norm(stored, axis=-1) < 3.1
        np.testing.assert_allclose(dof[short], stored[short], atol=1e-4)


def test_a_new_episode_has_no_past(ours: Compiled):
    state = ours.reset(keys(7))
    assert not np.asarray(state.info["progress"]).any()
    for value in (state.reward, state.done, state.info["terminated"], state.info["truncation"], state.data.edges):
        assert not np.asarray(value).any()
    assert all(not np.asarray(value).any() for value in state.metrics.values())
    np.testing.assert_array_equal(state.obs, state.info["final_obs"])
    np.testing.assert_array_equal(state.info["previous_dof_vel"], state.info["features"].dof_vel)
    limit = ours.env.options.termination.episode_length
    left = ours.lengths[state.info["clip"]] - np.asarray(state.info["frame"])
    np.testing.assert_array_equal(state.info["episode_length"], np.minimum(limit, left))
    assert state.obs.shape == (WORLDS, ours.env.observation_size) == (WORLDS, 902)
    assert jnp.isfinite(state.obs).all()
