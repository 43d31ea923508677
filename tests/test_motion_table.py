"""The motion table: sampling law, gathers and initial states against slow references written here."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic import rotations
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion import table as tables
from mjx_skillmimic.motion.derive import derive

LENGTHS, SKILLS = (9, 5, 30, 12), (1, 1, 5, 7)
CLIPS = [make_clip(frames=n, seed=i, skill=s) for i, (n, s) in enumerate(zip(LENGTHS, SKILLS, strict=True))]
TABLE = tables.build_table(CLIPS, pick_weight=2.0)
EVERY = [(c, f) for c, n in enumerate(LENGTHS) for f in range(n)]
CLIP, FRAME = (jnp.array(x) for x in zip(*EVERY, strict=True))


def test_clip_weights():
    np.testing.assert_allclose(tables.clip_weights(SKILLS), [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(tables.clip_weights(SKILLS, pick_weight=2.0), [1, 1, 1, 1])
    np.testing.assert_allclose(TABLE.probabilities, [0.25] * 4)
    np.testing.assert_allclose(tables.build_table(CLIPS).probabilities, np.array([0.5, 0.5, 1, 1]) / 3)


def test_the_law_of_clips_and_start_frames():
    """Frequencies of 60 000 draws: χ² of the clips, and of each clip's frames 2 … T − 2, both ends included."""
    table = tables.build_table(CLIPS)  # uneven: 1/6, 1/6, 1/3, 1/3
    clip, frame = jax.tree.map(np.asarray, tables.sample(table, jax.random.key(1), (60_000,)))
    counts = np.bincount(clip, minlength=4)
    expected = 60_000 * np.asarray(table.probabilities)
    assert np.sum((counts - expected) ** 2 / expected) < 16.3  # 99.9 % of χ²(3)
    for c, length in enumerate(LENGTHS):
        starts = frame[clip == c]
        assert (starts.min(), starts.max()) == (2, length - 2)
        bins = np.bincount(starts - 2)
        freedom = max(len(bins) - 1, 1)
        mean = len(starts) / len(bins)
        assert np.sum((bins - mean) ** 2 / mean) < freedom + 4 * np.sqrt(2 * freedom) + 5


def test_a_fixed_start_frame_stays_inside_short_clips():
    clip, frame = tables.sample(TABLE, jax.random.key(0), (200,), start=8)
    np.testing.assert_array_equal(frame, np.minimum(8, np.array(LENGTHS)[clip] - 2))
    assert set(np.asarray(clip)) == {0, 1, 2, 3}


def test_sampling_under_vmap_and_jit_is_the_same_function():
    keys = jax.random.split(jax.random.key(3), 16)
    vmapped = jax.jit(jax.vmap(lambda key: tables.sample(TABLE, key)))(keys)
    one_by_one = [tables.sample(TABLE, key) for key in keys]
    np.testing.assert_array_equal(vmapped[0], [c for c, _ in one_by_one])
    np.testing.assert_array_equal(vmapped[1], [f for _, f in one_by_one])


def test_a_clip_of_no_weight_is_never_drawn():
    table = TABLE.replace(probabilities=jnp.array([0.0, 0.5, 0.5, 0.0]))
    clip, _ = tables.sample(table, jax.random.key(0), (5000,))
    assert set(np.asarray(clip)) == {1, 2}


def test_every_row_is_the_derived_one():
    rows = jax.jit(tables.features)(TABLE, CLIP, FRAME).to_row()
    np.testing.assert_array_equal(rows, np.concatenate([derive(clip).features().to_row() for clip in CLIPS]))
    np.testing.assert_array_equal(TABLE.body_pos[tables.rows(TABLE, 2, 4)], CLIPS[2].body_pos[4])


def test_padding_after_the_end_of_an_episode():
    """Against a buffer that is filled as the published environment fills it."""
    longest, clip, start = 20, 2, 14
    row = derive(CLIPS[clip]).features().to_row()
    length = int(tables.episode_length(TABLE, jnp.int32(clip), jnp.int32(start), longest))
    assert length == min(longest, LENGTHS[clip] - start) == 16
    buffer = np.zeros((longest, row.shape[1]), np.float32)
    buffer[:length] = row[start : start + length]
    frames = start + jnp.arange(longest)
    which = jnp.full(longest, clip)
    zero = tables.features(TABLE, which, frames, end=start + length)
    np.testing.assert_array_equal(zero.to_row(), buffer)
    buffer[length:] = buffer[length - 1]
    np.testing.assert_array_equal(tables.features(TABLE, which, frames, pad="hold").to_row(), buffer)


def test_an_episode_may_end_before_its_clip():
    frames = 3 + jnp.arange(10)
    length = tables.episode_length(TABLE, jnp.int32(2), jnp.int32(3), 4)
    padded = tables.features(TABLE, jnp.full(10, 2), frames, end=3 + length).to_row()
    assert np.asarray(padded[:4]).any(axis=-1).all()
    assert not np.asarray(padded[4:]).any()
    # an end beyond the clip is the clip's
    late = tables.features(TABLE, jnp.int32(0), jnp.int32(LENGTHS[0]), end=1000).to_row()
    assert not np.asarray(late).any()


def test_scalars_vectors_and_vmap_gather_alike():
    one = tables.features(TABLE, jnp.int32(3), jnp.int32(5))
    many = jax.vmap(lambda c, f: tables.features(TABLE, c, f))(jnp.array([3]), jnp.array([5]))
    assert one.contact.shape == ()
    assert one.key_body_pos.shape == (17, 3)
    np.testing.assert_array_equal(one.to_row(), many.to_row()[0])


def test_initial_coordinates_are_the_clip_s():
    state = tables.initial_coordinates(TABLE, CLIP, FRAME, max_joint_speed=None)
    for name in tables.Coordinates._fields:
        expected = np.concatenate([getattr(derive(clip), name) for clip in CLIPS])
        np.testing.assert_array_equal(getattr(state, name), expected, err_msg=name)


def test_published_initial_velocities():
    state = tables.initial_coordinates(
        TABLE, CLIP, FRAME, joint_velocity="published", max_joint_speed=None, root_angular_velocity="published"
    )
    frames = [derive(clip) for clip in CLIPS]
    rates = np.concatenate([f.dof_vel for f in frames]).reshape(-1, 52, 3)
    np.testing.assert_array_equal(state.joint_vel, rates)
    # read as a world-frame velocity, it has the numbers that were measured in the body's frame
    world = rotations.rotate(state.root_quat, state.root_ang_vel)
    np.testing.assert_allclose(world, np.concatenate([f.root_ang_vel for f in frames]), atol=2e-6)


def test_joint_speeds_are_bounded_in_their_direction():
    free = np.asarray(tables.initial_coordinates(TABLE, CLIP, FRAME, max_joint_speed=None).joint_vel)
    speed = np.linalg.norm(free, axis=-1, keepdims=True)
    limit = float(np.median(speed))
    bounded = np.asarray(tables.initial_coordinates(TABLE, CLIP, FRAME, max_joint_speed=limit).joint_vel)
    expected = np.where(speed > limit, free * limit / np.maximum(speed, 1e-9), free)
    np.testing.assert_allclose(bounded, expected, atol=1e-6)
    assert np.linalg.norm(bounded, axis=-1).max() <= limit * (1 + 1e-6)


def test_key_bodies_by_kinematics():
    moved = [dataclasses.replace(clip, body_pos=clip.body_pos + np.float32(0.05)) for clip in CLIPS]
    table = tables.build_table(moved, humanoid_skeleton(), key_bodies="fk")
    np.testing.assert_allclose(table.reference.key_body_pos, TABLE.reference.key_body_pos, atol=1e-6)
    np.testing.assert_allclose(table.body_pos, TABLE.body_pos + 0.05, atol=1e-6)


def test_the_whole_published_set_would_fit_easily():
    """14 826 frames, the size of BallPlay-M, below 100 MB."""
    per_frame = sum(x.nbytes for x in jax.tree.leaves(TABLE)) / TABLE.num_frames
    assert per_frame * 14_826 < 100e6


def test_unusable_sets_are_refused():
    with pytest.raises(ValueError, match="at least one clip"):
        tables.build_table([])
    with pytest.raises(ValueError, match=r"one frame rate, got \[30\.0, 60\.0\] fps"):
        tables.build_table([CLIPS[0], make_clip(fps=30.0)])
    with pytest.raises(ValueError, match="pad is one of"):
        tables.features(TABLE, CLIP, FRAME, pad="wrap")
    with pytest.raises(ValueError, match="joint_velocity is one of"):
        tables.initial_coordinates(TABLE, CLIP, FRAME, joint_velocity="wrong")
