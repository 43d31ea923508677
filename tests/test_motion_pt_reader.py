"""The published `.pt` format: what is read, and that nothing else ever gets through."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from motion_files import make_clip, pt_bytes, pt_members, tensor_pickle, zip_bytes

from mjx_skillmimic.motion.clip import MAX_MAGNITUDE, MotionClip, check_clip
from mjx_skillmimic.motion.columns import COLUMNS, NUM_COLUMNS, matrix_from_clip
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import load_clips, motion_hash
from mjx_skillmimic.motion.pt_reader import read_pt

CLIP = make_clip(frames=8)
MATRIX = matrix_from_clip(CLIP)
ROWS, COLS = MATRIX.shape
NAME = "003_made_0.pt"


def write(folder: Path, data: bytes, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def same_motion(a: MotionClip, b: MotionClip) -> bool:
    return motion_hash([a]) == motion_hash([b])


def test_columns_are_the_published_ones():
    assert NUM_COLUMNS == 337
    published = {"root_pos": 0, "root_rotvec": 3, "dof_pos": 9, "body_pos": 165, "object_pos": 324, "contact": 336}
    assert {name: COLUMNS[name].start for name in published} == published


def test_reads_what_was_written(tmp_path):
    clip = read_pt(write(tmp_path, pt_bytes(MATRIX)), source="a test", licence="CC0-1.0")
    assert same_motion(clip, CLIP)
    assert (clip.name, clip.skill, clip.fps, clip.source) == ("003_made_0", 3, 60.0, "a test")


def test_a_given_label_replaces_the_name(tmp_path):
    assert read_pt(write(tmp_path, pt_bytes(MATRIX), "throw.pt"), skill=7).skill == 7


@pytest.mark.parametrize("prefix", ["archive", "003_made_0"])
@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
def test_any_device_and_archive_name(tmp_path, prefix, device):
    members = pt_members(MATRIX, prefix=prefix, device=device) | {f"{prefix}/byteorder": b"little"}
    assert same_motion(read_pt(write(tmp_path, zip_bytes(members))), CLIP)


def test_views_are_read_through_their_strides(tmp_path):
    transposed = np.ascontiguousarray(MATRIX.T)
    data = pt_bytes(transposed, size=(ROWS, COLS), stride=(1, ROWS))
    assert same_motion(read_pt(write(tmp_path, data)), CLIP)
    wider = np.concatenate([np.full((ROWS, 5), np.nan, np.float32), MATRIX], axis=1)
    data = pt_bytes(wider, size=(ROWS, COLS), stride=(COLS + 5, 1), offset=5)
    assert same_motion(read_pt(write(tmp_path, data)), CLIP)


def test_contact_is_rounded(tmp_path):
    blurred = MATRIX.copy()
    blurred[:, 336] += np.where(np.arange(ROWS) % 2, 0.3, -0.3)
    clip = read_pt(write(tmp_path, pt_bytes(blurred)))
    np.testing.assert_array_equal(clip.contact, CLIP.contact)
    assert not np.signbit(clip.contact).any()


def with_value(value: float, frame: int = 2, column: int = 170) -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[frame, column] = value
    return matrix


def storage_of(kind: str) -> bytes:
    return pt_bytes(MATRIX, storage=f"torch\n{kind}")


HUGE = 10**9
# data, and words that the message must contain
BAD_FILES = {
    "empty": (b"", "an empty file"),
    "not a zip": (b"hello, world", "68 65 6c 6c"),
    "truncated": (pt_bytes(MATRIX)[:-30], "damaged zip"),
    "half": (pt_bytes(MATRIX)[:5000], "damaged zip"),
    "a bare pickle": (pickle.dumps({"a": 1}, 2), "80 02"),
    "no pickle": (zip_bytes({"archive/data/0": b""}), "0 members <name>/data.pkl"),
    "two pickles": (zip_bytes(pt_members(MATRIX) | pt_members(MATRIX, prefix="b")), "2 members <name>/data.pkl"),
    "no numbers": (zip_bytes({"archive/data.pkl": tensor_pickle((ROWS, COLS), (COLS, 1), ROWS * COLS)}), "no member"),
    "too narrow": (pt_bytes(MATRIX[:, :336]), f"{ROWS}×336"),
    "too wide": (pt_bytes(np.pad(MATRIX, [(0, 0), (0, 1)])), f"{ROWS}×338"),
    "one dimension": (pt_bytes(MATRIX, size=(ROWS * COLS,), stride=(1,)), "a tensor of"),
    "three dimensions": (pt_bytes(MATRIX, size=(1, ROWS, COLS), stride=(0, COLS, 1)), "a tensor of 1×"),
    "no frames": (pt_bytes(MATRIX[:0]), "0 frames"),
    "four frames": (pt_bytes(MATRIX[:4]), "4 frames"),
    "NaN": (pt_bytes(with_value(np.nan)), "frame 2, column 170 (body_pos)"),
    "infinite": (pt_bytes(with_value(-np.inf, column=0)), "(root_pos)"),
    "NaN in an ignored column": (pt_bytes(with_value(np.nan, column=332)), "(unused)"),
    "absurd magnitude": (pt_bytes(with_value(2 * MAX_MAGNITUDE)), "magnitude 2e+04"),
    "label of 2": (pt_bytes(with_value(2.0, column=336)), "contact label 2"),
    "double": (storage_of("DoubleStorage"), "torch.DoubleStorage"),
    "half precision": (storage_of("HalfStorage"), "torch.HalfStorage"),
    "integers": (storage_of("LongStorage"), "torch.LongStorage"),
    "big-endian": (zip_bytes(pt_members(MATRIX) | {"archive/byteorder": b"big"}), "byte order b'big'"),
    "too few numbers": (pt_bytes(MATRIX[:-1], size=(ROWS, COLS)), "view with strides"),
    "fewer than declared": (pt_bytes(MATRIX[:-1], size=(ROWS, COLS), count=ROWS * COLS), "bytes of numbers"),
    "absurd count": (pt_bytes(MATRIX, count=10**15), "bytes of numbers"),
    "absurd frames": (pt_bytes(MATRIX, size=(HUGE, COLS)), "1000000000 frames"),
    "absurd frames over one": (pt_bytes(MATRIX, size=(99_999, COLS), stride=(0, 0)), "view with strides 0×0"),
    "overlapping rows": (pt_bytes(MATRIX, size=(2 * ROWS, COLS), stride=(1, 1)), "view with strides"),
    "absurd stride": (pt_bytes(MATRIX, stride=(1 << 2000, 1)), "view with strides 0x1"),
    "negative stride": (pt_bytes(MATRIX, stride=(-COLS, 1)), "odd size, stride or offset"),
    "absurd offset": (pt_bytes(MATRIX, offset=1 << 62), "view with strides"),
    "offset by one": (pt_bytes(MATRIX, offset=1), "view with strides"),
    "negative offset": (pt_bytes(MATRIX, offset=-1), "odd size, stride or offset"),
    "path in the storage key": (pt_bytes(MATRIX, key="../../etc/passwd"), "odd key"),
    "deflated": (zip_bytes(pt_members(MATRIX), zipfile.ZIP_DEFLATED), "with compression 8"),
    "many members": (zip_bytes(pt_members(MATRIX) | {f"archive/{i}": b"" for i in range(100)}), "103 members"),
    "long pickle": (zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": b"N" * 100_000}), "of 100000 bytes"),
    "no end": (zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": b"\x80\x02N"}), "pickle"),
    "nothing pickled": (zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": b"\x80\x02N."}), "other than one tensor"),
    "a dictionary": (zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": pickle.dumps({}, 2)}), "EMPTY_DICT"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_in_so_many_words(tmp_path, case):
    data, words = BAD_FILES[case]
    path = write(tmp_path, data)
    with pytest.raises(MotionFormatError) as caught:
        read_pt(path)
    error = caught.value
    assert error.path == str(path)
    assert words in error.found
    assert error.expected
    assert len(str(error)) < len(str(path)) + 800


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a//b", "archive/../../x", "c:\\x", "archive\\data.pkl", "./x", "a\nb"]
)
def test_path_tricks_in_the_zip_are_refused(tmp_path, name):
    path = write(tmp_path, zip_bytes(pt_members(MATRIX) | {name: b"x"}))
    with pytest.raises(MotionFormatError, match="a member called"):
        read_pt(path)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path):
    path = write(tmp_path, pt_bytes(MATRIX))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
    with pytest.raises(MotionFormatError, match="two members"):
        read_pt(path)


@pytest.mark.parametrize(
    ("name", "found"),
    [("throw.pt", "no label"), ("64_x.pt", "no label"), ("064_x.pt", "label 64"), ("²³1.pt", "no label")],
)
def test_labels_in_names(tmp_path, name, found):
    with pytest.raises(MotionFormatError, match=found):
        read_pt(write(tmp_path, pt_bytes(MATRIX), name))


@pytest.mark.parametrize("skill", [-1, 64, 10**30])
def test_given_labels_are_checked(tmp_path, skill):
    with pytest.raises(MotionFormatError, match="skill label"):
        read_pt(write(tmp_path, pt_bytes(MATRIX)), skill=skill)


def test_what_is_not_a_file(tmp_path):
    os.mkfifo(tmp_path / "003_pipe.pt")
    for path in (tmp_path, tmp_path / "003_absent.pt", tmp_path / "003_pipe.pt"):
        with pytest.raises(MotionFormatError, match="expected a motion file"):
            read_pt(path)


class Hostile:
    """Unpickling this would create a file."""

    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_hostile_pickles_run_nothing(tmp_path, protocol):
    trap = tmp_path / "trap"
    for hostile in (Hostile(Path.touch, trap), Hostile(eval, f"open({str(trap)!r}, 'w')")):
        data = zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": pickle.dumps(hostile, protocol)})
        with pytest.raises(MotionFormatError):
            read_pt(write(tmp_path, data))
    assert not trap.exists()


@pytest.mark.parametrize("rebuild", ["os\nsystem", "builtins\neval", "torch._utils\n_rebuild_parameter", "numpy\nload"])
def test_only_three_globals_are_known(tmp_path, rebuild):
    with pytest.raises(MotionFormatError, match=r"the global '.*only torch\._utils\._rebuild_tensor_v2, torch\.Float"):
        read_pt(write(tmp_path, pt_bytes(MATRIX, rebuild=rebuild)))


@pytest.mark.parametrize(
    "attack",
    [
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",  # BINBYTES8 of a terabyte
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # LONG_BINPUT to slot 2³¹−1
        b"\x80\x02" + b")" + b"\x85" * 60_000 + b".",  # 60 000 tuples in each other
        b"\x80\x02" + b"N" * 30_000 + b"(t" * 15_000 + b".",
        b"\x80\x02(" + b"N" * 60_000 + b"tQ.",
    ],
)
def test_pickle_bombs_take_no_memory(tmp_path, attack):
    path = write(tmp_path, zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": attack}))
    tracemalloc.start()
    with pytest.raises(MotionFormatError):
        read_pt(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_declared_size_is_not_believed(tmp_path):
    """The central directory claims 4 GB for a stored member of a few kB."""
    data = bytearray(pt_bytes(MATRIX))
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"archive/data/0"))
    for at in (20, 24):
        data[entry + at : entry + at + 4] = b"\xf0\xff\xff\xff"
    path = write(tmp_path, bytes(data))
    tracemalloc.start()
    with pytest.raises(MotionFormatError, match="declares 4294967280 bytes"):
        read_pt(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def sound_or_refused(path: Path) -> None:
    """The one property of the reader: a sound clip, or MotionFormatError."""
    try:
        clip = read_pt(path)
    except MotionFormatError:
        return
    check_clip(clip)


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8)


def mutate(data: bytes, mutations: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for where, value in mutations:
        changed[int(where * len(changed))] = value
    return bytes(changed)


@FUZZ
@given(mutations=MUTATIONS, cut=st.one_of(st.none(), st.floats(0, 1)), insert=st.binary(max_size=9), tail=st.booleans())
def test_fuzz_bytes_of_the_file(tmp_path, mutations, cut, insert, tail):
    data = pt_bytes(MATRIX)
    # most of a file is numbers under a checksum: half of the time, aim at the directory behind them
    head, rest = (data[:-500], data[-500:]) if tail else (b"", data)
    data = head + mutate(rest, mutations)
    data = data if cut is None else data[: int(cut * len(data))] + insert
    sound_or_refused(write(tmp_path, data))


@FUZZ
@given(mutations=MUTATIONS, pickled=st.booleans())
def test_fuzz_members_under_a_good_checksum(tmp_path, mutations, pickled):
    members = pt_members(MATRIX)
    target = "archive/data.pkl" if pickled else "archive/data/0"
    sound_or_refused(write(tmp_path, zip_bytes(members | {target: mutate(members[target], mutations)})))


@FUZZ
@given(program=st.lists(st.sampled_from([bytes([b]) for b in b"().NKX0tqhQRc\x85\x86\x87\x88\x89"]), max_size=40))
def test_fuzz_pickle_programs(tmp_path, program):
    pickled = b"\x80\x02" + b"\x00".join(program) + b"."
    sound_or_refused(write(tmp_path, zip_bytes(pt_members(MATRIX) | {"archive/data.pkl": pickled})))


NUMBERS = st.one_of(st.integers(-2, 2 * COLS), st.sampled_from([ROWS, COLS, ROWS * COLS, 2**31, 2**63, 2**64, 2**500]))


@FUZZ
@given(
    size=st.lists(NUMBERS, max_size=3),
    stride=st.lists(NUMBERS, max_size=3),
    offset=NUMBERS,
    count=NUMBERS,
    exact=st.booleans(),
)
def test_fuzz_declared_sizes(tmp_path, size, stride, offset, count, exact):
    said = {"size": (ROWS, COLS)} if exact else {"size": tuple(size)}
    said |= {"count": MATRIX.size} if exact else {"count": count}
    sound_or_refused(write(tmp_path, pt_bytes(MATRIX, **said, stride=tuple(stride), offset=offset)))


def test_published_clips(ballplay_dir):
    """Clips, frames and labels that the description of the data set lists (skillmimic.md §3.2)."""
    clips = load_clips(ballplay_dir)
    singles = {"shot_style1": (5, 104), "lrun": (11, 111), "layup": (31, 161), "pass": (4, 51), "turnhook": (23, 138)}
    for name, (label, frames) in singles.items():
        (clip,) = load_clips(ballplay_dir / name)
        assert (clip.skill, clip.num_frames) == (label, frames)
    assert sorted(clip.num_frames for clip in clips if clip.skill == 13) == [81, 81, 131]
    layup = load_clips(ballplay_dir / "layup")[0]
    np.testing.assert_allclose(layup.root_pos[20], [0.17502, 0.63106, 0.87762], atol=1e-5)
    np.testing.assert_allclose(layup.object_pos[20], [-0.24068, 0.43014, 1.22057], atol=1e-5)
    assert all(not clip.object_rotvec.any() for clip in clips)
