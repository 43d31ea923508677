"""Traces: written, read, and refused."""

import json

import numpy as np
import pytest

from mjx_skillmimic.interop.trace import STATES, STEPS, Trace, TraceError, read_trace, write_trace

COURSES, TIME = 2, 3


def trace(**changes):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(COURSES, TIME + 1, *shape)) for name, shape in STATES.items()}
    arrays |= {name: rng.normal(size=(COURSES, TIME, *shape)) for name, shape in STEPS.items()}
    made = {
        "engine": "made up",
        "control_dt": 1 / 60,
        "names": ("fall/0", "fall/1"),
        "lengths": [3, 2],
        "meta": {"seed": 1},
    }
    return Trace(**(made | arrays | changes))


@pytest.mark.parametrize("edges", [None, np.eye(COURSES * TIME, 3, dtype=bool).reshape(COURSES, TIME, 3)])
def test_what_was_written_is_read(tmp_path, edges):
    written = trace(edges=edges)
    write_trace(tmp_path / "t.npz", written)
    read = read_trace(tmp_path / "t.npz")
    assert (read.engine, read.names, read.meta) == ("made up", ("fall/0", "fall/1"), {"seed": 1})
    assert read.control_dt == pytest.approx(1 / 60)
    np.testing.assert_array_equal(read.lengths, [3, 2])
    for name in (*STATES, *STEPS):
        np.testing.assert_allclose(getattr(read, name), getattr(written, name), rtol=1e-6)
    np.testing.assert_array_equal(read.edges, edges)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root_pos": np.zeros((COURSES, TIME, 3))}, r"root_pos has shape \(2, 3, 3\), expected \(2, 4, 3\)"),
        ({"lengths": [4, 1]}, "lengths are .4 1., expected 2 between 1 and 3"),
        ({"lengths": [3]}, "lengths"),
        ({"names": ("one",)}, r"has shape \(2"),
        ({"edges": np.zeros((COURSES, TIME, 2))}, "edges has shape"),
    ],
)
def test_arrays_that_do_not_fit_together(changes, message):
    with pytest.raises(TraceError, match=message):
        trace(**changes)


def rewritten(path, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": None}, "found no target"),
        ({"header": None}, "found no header"),
        ({"header": np.array("[")}, "found no header"),
        ({"header": np.array(json.dumps({"format": "mjx_skillmimic trace", "version": 2}))}, "version 2, expected"),
        ({"object_pos": np.zeros((1, 1, 3))}, "object_pos has shape"),
    ],
)
def test_files_that_are_no_trace_are_named(tmp_path, changes, message):
    write_trace(tmp_path / "t.npz", trace())
    with pytest.raises(TraceError, match=message) as caught:
        read_trace(rewritten(tmp_path / "t.npz", **changes))
    assert "t.npz" in str(caught.value)


def test_damaged_files_give_the_one_error_or_a_trace(tmp_path):
    write_trace(tmp_path / "t.npz", trace())
    sound, refused, rng = (tmp_path / "t.npz").read_bytes(), 0, np.random.default_rng(0)
    for _ in range(800):
        altered = bytearray(sound)
        for position in rng.integers(0, len(sound), 3):
            altered[position] ^= int(rng.integers(1, 256))
        (tmp_path / "t.npz").write_bytes(altered[: rng.integers(1, len(sound) + 1)] if rng.random() < 0.2 else altered)
        try:
            read_trace(tmp_path / "t.npz")
        except TraceError:
            refused += 1
    assert refused > 400


def test_a_single_array_is_no_trace(tmp_path):
    with (tmp_path / "t.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TraceError, match=r"t\.npz: found a single array, expected a mjx_skillmimic trace"):
        read_trace(tmp_path / "t.npz")


def test_objects_are_not_unpickled(tmp_path):
    write_trace(tmp_path / "t.npz", trace())
    with pytest.raises(TraceError, match=r"t\.npz"):
        read_trace(rewritten(tmp_path / "t.npz", target=np.array([{}], object)))
