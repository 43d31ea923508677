"""Stitched graphs on disk, the command that builds them, and their pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic import stitching
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.stitching import GraphError, GraphOptions, StitchedGraph
from mjx_skillmimic.stitching.summary import markdown, summarise
from mjx_skillmimic.viewing.graph_picture import draw_graph
from tests.scripts_of import script


@functools.cache
def clips() -> tuple[MotionClip, ...]:
    """Four clips of three labels, the first two alike."""
    return tuple(
        make_clip(frames=20 + i, seed=max(i, 1), skill=skill, name=f"{skill:03d}_{i}")
        for i, skill in enumerate((9, 13, 13, 31))
    )


@functools.cache
def graph() -> StitchedGraph:
    return stitching.build_graph(table.build_table(clips()))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return stitching.save_graph(tmp_path / "made" / "graph.npz", graph(), clips(), GraphOptions(), note="a test")


def assert_same(one: StitchedGraph, other: StitchedGraph) -> None:
    for field in dataclasses.fields(StitchedGraph):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_read_is_what_was_written(saved):
    assert_same(stitching.load_graph(saved, clips()), graph())
    file = stitching.read_graph(saved)
    assert file.names == tuple(clip.name for clip in clips())
    assert file.lengths.tolist() == [20, 21, 22, 23]
    assert file.metadata["options"] == GraphOptions().as_json()
    assert file.metadata["note"] == "a test"
    assert "numpy" in file.metadata["versions"]


def test_clips_in_another_order_get_their_graph_in_it(saved):
    other = [clips()[i] for i in (2, 0, 3, 1)]
    found = stitching.load_graph(saved, other)
    assert_same(found, stitching.build_graph(table.build_table(other)))
    assert (np.asarray(found.clip) != np.asarray(graph().clip)).any()


def test_other_clips_are_refused(saved):
    changed = dataclasses.replace(clips()[0], root_pos=clips()[0].root_pos + np.float32(0.001))
    with pytest.raises(GraphError, match=r"graph.npz: found a graph of other contents of 009_0 \(20 frames\), 013_1"):
        stitching.load_graph(saved, [changed, *clips()[1:]])
    with pytest.raises(GraphError, match=r"found a graph of 009_0 .*; expected one of 009_0 \(20 frames\), 013_1"):
        stitching.load_graph(saved, clips()[:3])
    with pytest.raises(ValueError, match="the graph has 86 frames, the clips 63"):
        stitching.save_graph(saved, graph(), clips()[:3], GraphOptions())


def tampered(path: Path, **changes) -> Path:
    """The file with other arrays; None leaves one out."""
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def changed(name: str, value: float, at: tuple[int, int] = (3, 1)) -> dict[str, np.ndarray]:
    array = np.array(getattr(graph(), name))
    array[at] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"meta": None}, "one named 'meta'"),
        ({"meta": np.array('{"format": "something else"}')}, "another kind of file"),
        ({"clip": None}, "found no clip; expected every part of a stitched graph"),
        ({"hashes": np.array(["a"])}, "different numbers of clips"),
        ({"labels": np.array([9, 13, 99])}, r"labels \[9, 13, 99\]"),
        ({"lengths": np.array([20, 21, 46, -1])}, r"clips of \[20, 21, 46, -1\] frames; expected 1 to"),
        ({"frame": np.zeros((86, 2), int)}, r"shapes \[\(86, 3\), \(86, 2\), \(86, 3\)\]; expected \(86, 3\)"),
        ({"frame": np.zeros((86, 3))}, "arrays of types .* frame float64"),
        (changed("clip", 3), "donor clip 3, .* for row 3 and label 13; expected one of a clip of the label"),
        (changed("frame", 22), "frame 22, .* for row 3 and label 13"),
        (changed("frame", -1), "frame -1, .* for row 3 and label 13"),
        (changed("similarity", np.nan), "similarity nan for row 3"),
        (changed("similarity", 0.5, (3, 0)), "donor clip -1, frame -1, similarity 0.5 for row 3 and label 9"),
    ],
)
def test_damaged_files_are_refused_in_one_sentence(saved, changes, text):
    with pytest.raises(GraphError, match=text) as caught:
        stitching.load_graph(tampered(saved, **changes), clips())
    assert str(caught.value).startswith(f"{saved}: found ")


def test_what_is_no_graph_file_is_refused(saved, tmp_path):
    saved.write_bytes(saved.read_bytes()[:400])
    with pytest.raises(GraphError, match=r"no readable \.npz"):
        stitching.read_graph(saved)
    np.savez(saved, clip=np.array([None], object))
    with pytest.raises(GraphError, match=r"no readable \.npz"):
        stitching.read_graph(saved)
    with pytest.raises(FileNotFoundError, match="no stitched graph"):
        stitching.read_graph(tmp_path / "absent.npz")


def test_the_summary_counts_every_record_once(saved):
    summary = summarise(stitching.read_graph(saved))
    whole, donors = summary["all"], int((np.asarray(graph().clip) >= 0).sum())
    assert whole["records"] == 2 * 86
    assert whole["without_donor"] == 2 * 86 - donors
    assert sum(summary["histogram"]) == sum(summary["buffer_steps"]) == donors
    assert sum(pair["records"] for pair in summary["pairs"]) == 2 * 86
    # Clips 0 and 1 are the same motion with two labels.
    assert summary["buffer_steps"][0] >= 30
    assert {(pair["to"], pair["from"]) for pair in summary["pairs"]} >= {(9, 13), (13, 9), (31, 9)}
    assert json.loads(json.dumps(summary)) == summary


def test_the_summary_of_a_graph_without_donors_says_so(saved, tmp_path):
    empty = stitching.build_graph(table.build_table(clips()[::3]), GraphOptions(least_similarity=0.999999))
    path = stitching.save_graph(saved, empty, clips()[::3], GraphOptions())
    text = markdown(summarise(stitching.read_graph(path)))
    assert "no frame has a donor" in text
    assert "| none |" in text
    draw_graph(stitching.read_graph(path), tmp_path / "empty.png")


def test_the_command_writes_graph_numbers_and_picture(tmp_path, capsys):
    folder = tmp_path / "clips"
    for clip in clips():
        folder.mkdir(exist_ok=True)
        save_clip(clip, folder / f"{clip.name}.npz")
    out, picture, numbers = (tmp_path / f"graph.{kind}" for kind in ("npz", "png", "json"))
    assert script("build_graph").main([str(folder), str(out), "--picture", str(picture), "--json", str(numbers)]) == 0
    assert_same(stitching.load_graph(out, library.load_clips(folder)), graph())
    printed = capsys.readouterr().out
    assert "86 frames of 4 clips, 3 labels: 172 records" in printed
    assert json.loads(numbers.read_text()) == summarise(stitching.read_graph(out))
    image = iio.imread(picture)
    assert image.shape[0] > 800
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 100, "the picture is empty"


def test_the_command_knows_presets_and_weights(tmp_path):
    out = tmp_path / "graph.npz"
    argv = ["dribble_in_place", str(out), "--preset", "reference", "--without-ball", "code"]
    options = script("build_graph").options_of(script("build_graph").parse(argv))
    assert options == dataclasses.replace(GraphOptions.reference(), without_ball=stitching.BODY_WEIGHTS["code"])


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["nowhere", "graph.npz"], "'nowhere' is neither a file nor a folder nor a shipped clip"),
        (["pick_up", "graph.npz"], "two labels, found only label 1"),
        (["pick_up", "graph.pkl"], "graph.pkl'; expected the name of a .npz file"),
        (["pick_up", "graph.npz", "--least-similarity", "2"], "expected a number between 0 and 1, got 2.0"),
    ],
)
def test_the_command_answers_bad_input_with_one_line(argv, text, tmp_path, capsys):
    assert script("build_graph").main([argv[0], str(tmp_path / argv[1]), *argv[2:]]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert text in said[0]


@pytest.mark.parametrize(
    ("folder", "records", "without", "least", "greatest", "median", "steps"),
    [
        ("V2-BallPlay", 3184, 13, 1.08e-10, 0.3346, 4.77e-3, 3.35),
        ("V2-Locomotion", 2162, 223, None, 0.062, 2.0e-4, 5.39),
    ],
)
def test_published_graphs_come_out_again(data_dir, tmp_path, folder, records, without, least, greatest, median, steps):
    """Figures of the authors' files (v2 §2.3, §12.2)."""
    if not (data_dir / folder).is_dir():
        pytest.skip(f"needs the {folder} clips in {data_dir}")
    out = tmp_path / "graph.npz"
    assert script("build_graph").main([str(data_dir / folder), str(out)]) == 0
    whole = summarise(stitching.read_graph(out))["all"]
    assert (whole["records"], whole["without_donor"]) == (records, without)
    if least is not None:
        np.testing.assert_allclose(whole["least"], least, rtol=2e-3)
    np.testing.assert_allclose(whole["greatest"], greatest, rtol=2e-3)
    np.testing.assert_allclose(whole["median"], median, rtol=5e-3)
    np.testing.assert_allclose(whole["mean_buffer_steps"], steps, atol=5e-3)
