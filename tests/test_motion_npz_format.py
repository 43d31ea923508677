"""The project's own clip file: exact, deterministic, atomic, and as hard to fool as the published one."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from motion_files import make_clip, zip_bytes

from mjx_skillmimic.motion.clip import check_clip
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import motion_hash
from mjx_skillmimic.motion.npz_format import FORMAT, VERSION, clip_bytes, load_clip_npz, save_clip

CLIP = make_clip(frames=7, name="Sprungwurf – 投篮")
FIELDS = {
    "format": FORMAT,
    "version": VERSION,
    "name": CLIP.name,
    "skill": CLIP.skill,
    "fps": CLIP.fps,
    "source": CLIP.source,
    "licence": CLIP.licence,
} | CLIP.arrays()


def numpy_file(folder: Path, save=np.savez, **changes) -> Path:
    """A clip file as a user writes one with NumPy; None leaves a field out."""
    path = folder / "clip.npz"
    save(path, **{name: value for name, value in (FIELDS | changes).items() if value is not None})
    return path


def test_round_trip_is_exact(tmp_path):
    clip = load_clip_npz(save_clip(CLIP, tmp_path / "deep" / "clip.npz"))
    for name, array in CLIP.arrays().items():
        read = getattr(clip, name)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, array)
    metadata = ("name", "skill", "fps", "source", "licence")
    assert [getattr(clip, field) for field in metadata] == [getattr(CLIP, field) for field in metadata]


def test_equal_clips_give_equal_bytes(tmp_path):
    first = save_clip(CLIP, tmp_path / "a.npz")
    again = save_clip(load_clip_npz(first), tmp_path / "b.npz")
    assert first.read_bytes() == again.read_bytes() == clip_bytes(CLIP)
    assert clip_bytes(CLIP) != clip_bytes(make_clip(frames=7, name=CLIP.name, skill=4))


def test_numpy_reads_it(tmp_path):
    with np.load(save_clip(CLIP, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert str(file["name"]) == CLIP.name
        np.testing.assert_array_equal(file["body_pos"], CLIP.body_pos)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_clip(CLIP, tmp_path / "a.npz")
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save_clip(make_clip(frames=9), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_unsound_clips_are_not_written(tmp_path):
    wrong = make_clip(frames=7, contact=np.full(7, 0.5, np.float32))
    with pytest.raises(MotionFormatError, match=r"found contact label 0\.5; expected 0 or 1"):
        save_clip(wrong, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_that_users_write_with_numpy(tmp_path, save):
    doubles = {name: np.asfortranarray(array.astype(np.float64)) for name, array in CLIP.arrays().items()}
    clip = load_clip_npz(numpy_file(tmp_path, save, **doubles, name=None, source=None, licence=None))
    assert (clip.name, clip.source, clip.licence) == ("clip", "", "")
    for name, array in CLIP.arrays().items():
        np.testing.assert_array_equal(getattr(clip, name), array)


def nan() -> np.ndarray:
    array = CLIP.root_pos.copy()
    array[3, 1] = np.nan
    return array


BAD_FIELDS = {
    "unknown version": ({"version": 2}, "format version 2"),
    "another format": ({"format": "something"}, "format 'something'"),
    "no format": ({"format": None}, "no member 'format.npy'"),
    "no label": ({"skill": None}, "no member 'skill.npy'"),
    "label 64": ({"skill": 64}, "skill label 64"),
    "label 1.5": ({"skill": 1.5}, "skill label 1.5"),
    "two labels": ({"skill": np.array([1, 2])}, "skill of type int64, shape (2,)"),
    "no rate": ({"fps": None}, "no member 'fps.npy'"),
    "rate 0": ({"fps": 0.0}, "0.0 frames a second"),
    "rate NaN": ({"fps": np.nan}, "fps = nan"),
    "number as name": ({"name": 3.0}, "name of type float64"),
    "path as name": ({"name": "../../evil"}, "clip name '../../evil'"),
    "control characters": ({"source": "a\x1b[2Jb"}, "source that is not plain text"),
    "long text": ({"licence": "x" * 5000}, "of 20128 bytes"),
    "missing array": ({"dof_pos": None}, "no member 'dof_pos.npy'"),
    "extra array": ({"extra": np.zeros(3)}, "members extra.npy"),
    "too narrow": ({"dof_pos": CLIP.dof_pos[:, :-1]}, "dof_pos of shape (7, 155)"),
    "too short": ({"dof_pos": CLIP.dof_pos[:-1]}, "dof_pos of shape (6, 156)"),
    "four frames": ({name: array[:4] for name, array in CLIP.arrays().items()}, "4 frames"),
    "flat bodies": ({"body_pos": CLIP.body_pos.reshape(7, -1)}, "body_pos of shape (7, 159)"),
    "NaN": ({"root_pos": nan()}, "1 non-finite values in root_pos, the first in frame 3"),
    "overflow to float32": ({"root_pos": CLIP.root_pos.astype(np.float64) * 1e300}, "non-finite values in root_pos"),
    "label of a half": ({"contact": np.full(7, 0.5)}, "contact label 0.5"),
    "integers": ({"root_pos": CLIP.root_pos.astype(np.int32)}, "root_pos of type <i4"),
    "big-endian": ({"root_pos": CLIP.root_pos.astype(">f4")}, "root_pos of type >f4"),
    "objects": ({"root_pos": np.array([{}] * 7, dtype=object)}, "odd header in root_pos.npy"),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_bad_fields_are_refused_in_so_many_words(tmp_path, case):
    changes, words = BAD_FIELDS[case]
    path = numpy_file(tmp_path, **changes)
    with pytest.raises(MotionFormatError) as caught:
        load_clip_npz(path)
    assert caught.value.path == str(path)
    assert words in caught.value.found
    assert caught.value.expected


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(clip_bytes(CLIP))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(header: bytes, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"hello",
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 3), }\n", bytes(84)),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 3), }\n", bytes(80)),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (7, -3), }\n", bytes(84)),
        npy(b"{'descr': 'O', 'fortran_order': False, 'shape': (7, 3), }\n", bytes(84)),
        npy(b"{'descr': '<f3', 'fortran_order': False, 'shape': (7, 3), }\n", bytes(63)),
        npy(b"__import__('os').abort()\n", bytes(84)),
        npy(b"(" * 5000 + b"\n"),
        b"\x93NUMPY\x01\x00\xff\xff",
        b"\x93NUMPY\x09\x00\x00\x00",
    ],
)
def test_headers_are_matched_not_evaluated(tmp_path, member):
    path = tmp_path / "clip.npz"
    path.write_bytes(zip_bytes(members() | {"root_pos.npy": member}))
    with pytest.raises(MotionFormatError, match=r"root_pos"):
        load_clip_npz(path)


def test_a_bomb_is_not_inflated(tmp_path):
    """100 MB of zeros deflate to 100 kB."""
    path = tmp_path / "clip.npz"
    path.write_bytes(zip_bytes(members() | {"root_pos.npy": bytes(10**8)}, zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    with pytest.raises(MotionFormatError, match="of 100000000 bytes; expected at most"):
        load_clip_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(members())),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    checksum=st.booleans(),
)
def test_fuzz(tmp_path, name, edits, checksum):
    parts = members()
    data = bytearray(parts[name] if checksum else clip_bytes(CLIP)[-1200:])
    for at, value in edits:
        data[at % len(data)] = value
    whole = zip_bytes(parts | {name: bytes(data)}) if checksum else clip_bytes(CLIP)[:-1200] + bytes(data)
    path = tmp_path / "clip.npz"
    path.write_bytes(whole)
    try:
        clip = load_clip_npz(path)
    except MotionFormatError:
        return
    check_clip(clip)


def test_the_hash_sees_every_number_and_every_label():
    reference = motion_hash([CLIP])
    assert motion_hash([make_clip(frames=7, name=CLIP.name)]) == reference
    for name, array in CLIP.arrays().items():
        changed = array.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(9))
        assert motion_hash([make_clip(frames=7, **{"name": CLIP.name, name: changed})]) != reference
    for change in ({"skill": 4}, {"fps": 61.0}, {"name": "another"}):
        assert motion_hash([make_clip(frames=7, **{"name": CLIP.name} | change)]) != reference
    other = make_clip(frames=7, seed=1)
    assert motion_hash([CLIP, other]) != motion_hash([other, CLIP])
