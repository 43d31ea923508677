"""Corrupted clips: the law of the noise, which frames are lost, and that the input stays."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.corruption import bounces, corrupt, corrupt_clips
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import clip_files, load_clip, load_clips
from mjx_skillmimic.motion.npz_format import save_clip

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "corrupt_clips.py"
SIGMA = 0.02


def dropped_ball(frames: int = 90, **fields) -> MotionClip:
    """A ball that falls from 1.5 m and bounces; each bounce turns its speed within one frame."""
    z, v, heights = 1.5, 0.0, []
    for _ in range(frames):
        heights.append(z)
        v -= 9.81 / 60.0
        z += v / 60.0
        if z < 0.12:
            z, v = 0.12, -0.8 * v
    ball = np.stack([np.zeros(frames), np.zeros(frames), heights], axis=1).astype(np.float32)
    return make_clip(frames, object_pos=ball, **fields)


def noise(worse: MotionClip, clip: MotionClip) -> np.ndarray:
    return (worse.object_pos.astype(float) - clip.object_pos)[worse.valid]


def test_the_laws_of_the_noise():
    """Ranges and standard deviations of skillmimic_v2.md §8; 12 000 numbers have those within 2 %."""
    clip = make_clip(frames=4000)
    uniform, summed = (noise(corrupt(clip, kind, SIGMA), clip) for kind in ("uniform", "summed"))
    assert uniform.std() == pytest.approx(SIGMA / np.sqrt(3), rel=0.02)
    assert summed.std() == pytest.approx(SIGMA * np.sqrt(2 / 3), rel=0.02)
    assert 0.999 * SIGMA < np.abs(uniform).max() <= SIGMA + 1e-6
    assert 1.8 * SIGMA < np.abs(summed).max() <= 2 * SIGMA + 1e-6
    assert abs(summed.mean()) < 0.02 * SIGMA


def test_only_the_ball_s_position_changes():
    clip = dropped_ball()
    for kind in ("uniform", "summed", "masked"):
        worse = corrupt(clip, kind, SIGMA)
        assert (worse.name, worse.skill, worse.fps) == (clip.name, clip.skill, clip.fps)
        kept = worse.valid
        for name, array in clip.arrays().items():
            same = np.array_equal(getattr(worse, name)[kept], array[kept])
            assert same == (name != "object_pos"), (kind, name)
        assert f"{kind} noise, sigma 0.02 m, seed 0" in worse.source


def test_seeds_and_names_decide_the_numbers():
    clip = make_clip(frames=20)
    first = corrupt(clip, "uniform", SIGMA, 3)
    np.testing.assert_array_equal(first.object_pos, corrupt(clip, "uniform", SIGMA, 3).object_pos)
    assert np.abs(first.object_pos - corrupt(clip, "uniform", SIGMA, 4).object_pos).max() > 0.1 * SIGMA
    other = corrupt(dataclasses.replace(clip, name="other"), "uniform", SIGMA, 3)
    assert np.abs(first.object_pos - other.object_pos).max() > 0.1 * SIGMA
    # twice the sigma is twice the same noise
    np.testing.assert_allclose(noise(corrupt(clip, "uniform", 2 * SIGMA, 3), clip), 2 * noise(first, clip), atol=1e-6)


def test_masked_clips_lose_the_bounces():
    clip = dropped_ball()
    lowest = np.flatnonzero(clip.object_pos[:, 2] < 0.121)
    assert len(lowest) >= 2
    found = bounces(clip)
    assert found == lowest[: len(found)].tolist()
    assert 1 <= len(found) <= 3
    worse = corrupt(clip, "masked", SIGMA)
    assert np.flatnonzero(~worse.valid).tolist() == found
    assert not any(array[found].any() for array in worse.arrays().values())
    kept = worse.valid
    np.testing.assert_array_equal(worse.object_pos[kept], corrupt(clip, "uniform", SIGMA).object_pos[kept])
    assert bounces(make_clip(frames=60)) == []


def test_frames_that_were_missing_stay_so_and_are_no_bounce():
    arrays = {name: array.copy() for name, array in dropped_ball().arrays().items()}
    for array in arrays.values():
        array[10] = 0.0  # in mid-air: a jump of metres, were it a position
    clip = dataclasses.replace(dropped_ball(), **arrays)
    assert not set(bounces(clip)) & {9, 10, 11}
    assert not corrupt(clip, "uniform", SIGMA).valid[10]


def test_folders_are_copied_and_never_touched(tmp_path):
    source, out = tmp_path / "clips", tmp_path / "out"
    save_clip(dropped_ball(), source / "a" / "one.npz")
    save_clip(make_clip(frames=20, seed=2), source / "two.npz")
    before = {file: file.read_bytes() for file in clip_files(source)}
    made = corrupt_clips(source, out, "masked", SIGMA, seed=5)
    assert [clip.file for clip in made] == ["a/one.npz", "two.npz"]
    assert {file: file.read_bytes() for file in clip_files(source)} == before
    for clip, worse, original in zip(made, load_clips(out), load_clips(source), strict=True):
        np.testing.assert_array_equal(worse.object_pos, corrupt(original, "masked", SIGMA, 5).object_pos)
        assert clip.moved_m == pytest.approx(noise(worse, original).std())
        assert list(clip.lost) == np.flatnonzero(~worse.valid).tolist()
    with pytest.raises(FileExistsError, match="nothing was written"):
        corrupt_clips(source, out, "uniform", SIGMA)
    corrupt_clips(source, out, "uniform", SIGMA, force=True)
    assert load_clip(out / "a" / "one.npz").valid.all()
    with pytest.raises(ValueError, match="lies within"):
        corrupt_clips(source, source / "worse", "uniform", SIGMA)
    with pytest.raises(ValueError, match="would replace clips"):
        corrupt_clips(source / "two.npz", source, "uniform", SIGMA, force=True)
    assert {file: file.read_bytes() for file in clip_files(source)} == before


def test_bad_wishes_are_refused(tmp_path):
    clip = make_clip(frames=20)
    with pytest.raises(ValueError, match="kind is one of"):
        corrupt(clip, "clamped", SIGMA)
    with pytest.raises(ValueError, match="expected a positive number of metres, got 0"):
        corrupt(clip, "uniform", 0.0)
    (tmp_path / "bad").mkdir()
    with pytest.raises(FileNotFoundError, match="no clip under"):
        corrupt_clips(tmp_path / "bad", tmp_path / "out", "uniform", SIGMA)
    (tmp_path / "bad" / "001_x.npz").write_bytes(b"nothing")
    with pytest.raises(MotionFormatError):
        corrupt_clips(tmp_path / "bad", tmp_path / "out", "uniform", SIGMA)
    assert not (tmp_path / "out").exists()


def test_the_script(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("corrupt_clips", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arguments = ["throw_catch", str(tmp_path), "--kind", "summed", "--sigma", "0.01"]
    assert script.main(arguments) == 0
    assert "frames, ball moved by" in capsys.readouterr().out
    assert script.main(arguments) == 2
    assert "already there" in capsys.readouterr().err


def test_the_published_masked_clips(data_dir):
    """The frames that the published clips with 5 cm of noise lack in `lrun` (skillmimic_v2.md §8)."""
    folder = data_dir / "V2-BallPlay" / "lrun"
    if not folder.is_dir():
        pytest.skip(f"needs the V2-BallPlay clips in {folder}")
    assert [bounces(clip) for clip in load_clips(folder)] == [[15, 16, 82]]
