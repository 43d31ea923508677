"""Missing frames: what stands for them, that no episode starts on one, and that the reports name them."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import make_clip, pt_bytes

from mjx_skillmimic import rotations
from mjx_skillmimic.envs import sampling
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion import table as tables
from mjx_skillmimic.motion.clip import MotionClip, check_clip
from mjx_skillmimic.motion.columns import matrix_from_clip
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import load_clip, load_clips
from mjx_skillmimic.motion.missing import held, runs
from mjx_skillmimic.motion.npz_format import load_clip_npz, save_clip
from mjx_skillmimic.motion.quality import measure
from mjx_skillmimic.motion.start_frames import check_start, nearest_start

LOST = [6, 7, 20]
WHOLE = make_clip(frames=30)


def without(clip: MotionClip, frames: list[int]) -> MotionClip:
    arrays = {name: array.copy() for name, array in clip.arrays().items()}
    for array in arrays.values():
        array[frames] = 0.0
    return dataclasses.replace(clip, **arrays)


CLIP = without(WHOLE, LOST)
TABLE = tables.build_table([CLIP, make_clip(frames=12, seed=1, skill=5)])


def test_both_formats_keep_missing_frames(tmp_path):
    (tmp_path / "003_lost.pt").write_bytes(pt_bytes(matrix_from_clip(CLIP)))
    save_clip(CLIP, tmp_path / "lost.npz")
    for found in (load_clip(tmp_path / "003_lost.pt"), load_clip_npz(tmp_path / "lost.npz")):
        assert np.flatnonzero(~found.valid).tolist() == LOST
    assert WHOLE.valid.all()
    assert runs(CLIP.valid) == [(6, 7), (20, 20)]


def test_published_rows_are_zero_and_velocities_wait():
    """Against a loop over the sentence of §1.7: if a frame or the one before it is missing, v[i] = v[i − 1]."""
    found = derive(CLIP, missing="published", dtype=np.float64)
    valid = CLIP.valid
    for name, fps in (("root_pos", 60.0), ("object_pos", 60.0), ("dof_pos", 60.0)):
        track = getattr(CLIP, name).astype(np.float64)
        expected = np.zeros_like(track)
        for i in range(1, 30):
            broken = not valid[i] or not valid[i - 1]
            expected[i] = expected[i - 1] if broken else (track[i] - track[i - 1]) * fps
        velocity = {"root_pos": "root_lin_vel", "object_pos": "object_lin_vel", "dof_pos": "dof_vel"}[name]
        np.testing.assert_allclose(getattr(found, velocity), expected, atol=1e-12)
        assert not getattr(found, name)[LOST].any()
    np.testing.assert_array_equal(found.joint_vel[[6, 7, 8]], found.joint_vel[[5, 5, 5]])
    np.testing.assert_array_equal(found.valid, valid)


def test_bridged_poses_lie_between_their_neighbours():
    """Positions on the line, rotations on the shortest turn, and backward differences that the rows themselves show."""
    found, whole = derive(CLIP, dtype=np.float64), derive(WHOLE, dtype=np.float64)
    for i, share in ((6, 1 / 3), (7, 2 / 3)):
        np.testing.assert_allclose(found.root_pos[i], (1 - share) * whole.root_pos[5] + share * whole.root_pos[8])
        for name in ("joint_quat", "root_quat"):
            quat = getattr(whole, name)
            turn = rotations.geodesic(quat[5], quat[8])
            np.testing.assert_allclose(rotations.geodesic(quat[5], getattr(found, name)[i]), share * turn, atol=1e-7)
    np.testing.assert_allclose(found.root_lin_vel[1:], np.diff(found.root_pos, axis=0) * 60.0, atol=1e-9)
    np.testing.assert_allclose(found.root_lin_vel[[7, 8]], found.root_lin_vel[[6, 6]], atol=1e-9)
    assert np.abs(found.root_pos - whole.root_pos).max() < 0.01  # a smooth motion is nearly recovered
    kept = np.flatnonzero(CLIP.valid)
    np.testing.assert_array_equal(found.dof_pos[kept], whole.dof_pos[kept])
    np.testing.assert_array_equal(found.contact[LOST], WHOLE.contact[[5, 5, 19]])


def test_a_bridge_keeps_whole_turns_and_ends_are_held():
    dof_pos = WHOLE.dof_pos.copy()
    dof_pos[:, :3] = np.linspace(3.0, 4.0, 30)[:, None] * np.array([1.0, 0.0, 0.0])  # passes π in frame 4
    found = derive(without(dataclasses.replace(WHOLE, dof_pos=dof_pos), [0, 1, 10, 28, 29]), dtype=np.float64)
    np.testing.assert_allclose(found.dof_pos[10, :3], [3.0 + 10 / 29, 0.0, 0.0], atol=1e-6)
    np.testing.assert_array_equal(found.root_pos[[0, 1, 28, 29]], WHOLE.root_pos.astype(float)[[2, 2, 27, 27]])
    assert not found.root_lin_vel[[0, 1, 2, 28, 29]].any()


def test_held_velocities_of_a_clip_that_begins_with_a_gap():
    velocity = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    assert held(velocity, np.array([False, True, True, False, True]))[:, 0].tolist() == [0.0, 0.0, 2.0, 2.0, 2.0]


def test_no_episode_starts_on_a_missing_frame():
    clip, frame = (np.asarray(x) for x in jax.jit(lambda key: tables.sample(TABLE, key, (20_000,)))(jax.random.key(0)))
    counts = np.bincount(frame[clip == 0], minlength=30)
    allowed = np.setdiff1d(np.arange(2, 29), LOST)
    assert np.flatnonzero(counts).tolist() == allowed.tolist()
    mean = counts.sum() / len(allowed)
    assert np.sum((counts[allowed] - mean) ** 2 / mean) < 50.0  # 99.9 % of χ²(23)
    assert nearest_start(TABLE, np.array([0, 0, 1]), np.array([7, 20, 6])).tolist() == [8, 19, 6]
    check_start(TABLE, 5)
    with pytest.raises(ValueError, match="start frame 20: missing"):
        check_start(tables.build_table([CLIP]), 20)


def test_the_law_of_bins_leaves_missing_frames_out():
    bins = sampling.build_bins(TABLE)
    assert bins.sizes[0].tolist() == [4.0, 8.0, 7.0, 5.0]  # [2, 7], [8, 15], [16, 23], [24, 28] without 6, 7 and 20
    curriculum = sampling.new_curriculum(TABLE, bins, StartOptions(sampling="failure"))
    keys = jax.random.split(jax.random.key(1), 4000)
    clip, frame = jax.vmap(lambda key: sampling.draw(TABLE, bins, curriculum, key))(keys)
    drawn = np.unique(np.asarray(frame)[np.asarray(clip) == 0])
    assert drawn.tolist() == np.setdiff1d(np.arange(2, 29), LOST).tolist()


def test_present_rows():
    frame = jnp.array([5, 6, 8, 29, 30])
    clip = jnp.zeros(5, jnp.int32)
    assert tables.present(TABLE, clip, frame).tolist() == [True, False, True, True, False]
    assert tables.present(TABLE, clip, frame, end=jnp.int32(8)).tolist() == [True, False, False, False, False]
    assert np.flatnonzero(~np.asarray(TABLE.valid)).tolist() == LOST
    zero = tables.build_table([CLIP], missing="published").reference
    assert not np.asarray(zero.root_pos)[LOST].any()
    assert not np.asarray(zero.dof_pos)[LOST].any()


def test_the_report_names_missing_frames_and_measures_the_others():
    whole, found = measure(WHOLE, humanoid_skeleton()), measure(CLIP, humanoid_skeleton())
    texts = [warning.text for warning in found.warnings if warning.kind == "missing"]
    assert texts == ["3 of 30 frames missing (all zero): 6–7, 20"]
    assert (found.missing, whole.missing) == (3, 0)
    assert {w.kind for w in found.warnings} - {w.kind for w in whole.warnings} == {"missing"}
    assert found.ball_lowest_m == pytest.approx(whole.ball_lowest_m, abs=0.05)


def test_clips_with_too_little_left_are_refused():
    with pytest.raises(MotionFormatError, match="26 of 30 frames missing"):
        check_clip(without(WHOLE, list(range(26))))
    with pytest.raises(MotionFormatError, match=r"one of them within \[2, T - 2\]"):
        check_clip(without(make_clip(frames=8), [2, 3, 4, 5, 6]))
    with pytest.raises(ValueError, match="missing is one of"):
        derive(CLIP, missing="skip")


def test_labels_without_a_ball_are_judged_by_the_body_alone():
    """The same clip under another label: ball below the floor and never touched."""
    ball = np.tile(np.array([1.0, 1.0, 0.05], np.float32), (30, 1))
    clip = dataclasses.replace(WHOLE, object_pos=ball, contact=np.zeros(30, np.float32))
    with_ball, without_ball = (
        {w.kind for w in measure(dataclasses.replace(clip, skill=skill), humanoid_skeleton()).warnings}
        for skill in (3, 10)
    )
    assert with_ball - without_ball == {"ball in floor", "label"}
    touched = dataclasses.replace(clip, skill=10, contact=np.ones(30, np.float32))
    assert "label" in {w.kind for w in measure(touched, humanoid_skeleton()).warnings}


def test_order_by_the_number_that_names_end_with(tmp_path):
    for name in ("b/009_x2shot", "a/031_y_006", "c/013_z_2", "c/013_a_2"):
        stem = name.split("/")[1]
        save_clip(make_clip(frames=6, name=stem), tmp_path / f"{name}.npz")
    assert [c.name for c in load_clips(tmp_path, "number")] == ["009_x2shot", "013_a_2", "013_z_2", "031_y_006"]
    assert [c.name for c in load_clips(tmp_path)] == ["031_y_006", "009_x2shot", "013_a_2", "013_z_2"]
    with pytest.raises(ValueError, match="order is one of"):
        load_clips(tmp_path, "size")
