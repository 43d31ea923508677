"""The stitched graph: the fast search against the slow one, what alignment must not change, who may donate, buffers."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic import rotations, stitching
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.stitching import GraphOptions, StitchedGraph, build_graph, slow_search
from mjx_skillmimic.stitching.frames import frames_of
from mjx_skillmimic.stitching.search import Costs

# Shipped clips as labels with a ball and, of the same kind, as labels without one.
LABELS = {"dribble_forward": 13, "dribble_in_place": 51, "set_shot": 0, "chest_pass": 10}


def part(clip: MotionClip, frames: int, **fields) -> MotionClip:
    """Frames from the middle of a clip."""
    begin = (clip.num_frames - frames) // 2
    cut = {name: array[begin : begin + frames] for name, array in clip.arrays().items()}
    return dataclasses.replace(clip, **cut, **fields)


@functools.cache
def clips() -> tuple[MotionClip, ...]:
    """Five short clips of four labels."""
    shipped = {name: library.load_clips(name)[0] for name in LABELS}
    found = [part(clip, 20 + i, skill=LABELS[name]) for i, (name, clip) in enumerate(shipped.items())]
    again = part(shipped["dribble_forward"], 40, skill=13, name="again")
    return (*found, dataclasses.replace(again, root_pos=again.root_pos + np.float32(0.03)))


@functools.cache
def motions() -> table.MotionTable:
    return table.build_table(clips())


@functools.cache
def graph() -> StitchedGraph:
    return build_graph(motions())


def assert_same(one: StitchedGraph, other: StitchedGraph, rtol: float = 1e-4) -> None:
    np.testing.assert_array_equal(one.clip, other.clip)
    np.testing.assert_array_equal(one.frame, other.frame)
    np.testing.assert_allclose(one.similarity, other.similarity, rtol=rtol)


def test_the_fast_search_finds_what_the_slow_one_finds():
    options, told = GraphOptions(), []
    found = build_graph(motions(), options, lambda done, total: told.append((done, total)))
    assert found.labels.tolist() == [0, 10, 13, 51]
    rng, records = np.random.default_rng(0), len(found.clip) * 3
    for row in rng.choice(len(found.clip), 24, replace=False):
        clip = int(np.searchsorted(motions().starts, row, side="right") - 1)
        frame, own = int(row - motions().starts[clip]), int(motions().skills[clip])
        for column, label in enumerate(found.labels.tolist()):
            if label == own:
                continue
            expected = slow_search.best_donor(motions(), options.weights_of(own), (clip, frame), label)
            assert (int(found.clip[row, column]), int(found.frame[row, column])) == expected[:2]
            np.testing.assert_allclose(found.similarity[row, column], expected[2], rtol=1e-6)
    assert float(found.similarity.max()) > 1e-3, "nothing alike was compared"
    assert told[-1] == (records, records)
    assert told == sorted(told)


@pytest.mark.parametrize("label", [13, 0])
def test_no_cost_is_below_its_bound(label):
    frames = frames_of(motions())
    costs = Costs(frames, GraphOptions().weights_of(label))
    rows = np.arange(len(frames.clip))
    led, donors = (x.ravel() for x in np.meshgrid(rows, rows, indexing="ij"))
    exact = costs.of_pairs(led, donors).reshape(len(rows), -1)
    bounds = costs.bounds(rows, rows)
    assert (bounds <= exact).all()
    near = exact < 10.0
    assert np.median((bounds / exact)[near & (exact > 1e-9)]) > 0.9, "a loose bound leaves every pair to be computed"


def test_records_keep_the_rules():
    found, own = graph(), np.repeat(motions().skills, motions().lengths)
    none = np.asarray(found.clip) < 0
    np.testing.assert_array_equal(none, np.asarray(found.frame) < 0)
    np.testing.assert_array_equal(none, np.asarray(found.similarity) == 0.0)
    assert none[own[:, None] == np.asarray(found.labels)].all(), "a frame has a donor of its own label"
    row, column = np.nonzero(~none)
    assert len(row) > 100
    clip, frame = np.asarray(found.clip)[row, column], np.asarray(found.frame)[row, column]
    np.testing.assert_array_equal(motions().skills[clip], found.labels[column])
    assert frame.min() >= 2
    assert (frame <= np.asarray(motions().lengths)[clip] - 2).all()


def test_the_threshold_removes_donors_and_changes_no_other():
    strict = build_graph(motions(), GraphOptions(least_similarity=1e-4))
    kept = np.asarray(graph().similarity) >= 1e-4
    assert 0 < kept.sum() < (np.asarray(graph().clip) >= 0).sum()
    np.testing.assert_array_equal(strict.clip, np.where(kept, graph().clip, -1))
    np.testing.assert_array_equal(strict.similarity, np.where(kept, graph().similarity, 0.0))


def test_where_a_clip_stands_and_faces_does_not_matter():
    moved = list(clips())
    turn, shift = rotations.about_z(np.asarray(2.3)), np.array([4.0, -7.0, 0.0])
    place = lambda x: np.asarray(rotations.rotate(turn, x) + shift, np.float32)  # noqa: E731
    clip = moved[1]
    root = rotations.log(rotations.multiply(turn, rotations.exp(clip.root_rotvec.astype(np.float64))))
    moved[1] = dataclasses.replace(
        clip,
        root_pos=place(clip.root_pos),
        root_rotvec=root.astype(np.float32),
        body_pos=place(clip.body_pos),
        object_pos=place(clip.object_pos),
    )
    assert_same(build_graph(table.build_table(moved)), graph(), rtol=2e-3)


def test_a_clip_under_another_label_leads_to_itself():
    clip = clips()[0]
    found = build_graph(table.build_table([clip, dataclasses.replace(clip, skill=51, name="twin")]))
    inner = np.arange(2, clip.num_frames - 1)
    np.testing.assert_array_equal(found.frame[inner, 1], inner)
    np.testing.assert_array_equal(found.similarity[inner, 1], 1.0)


def test_without_ball_the_ball_is_no_matter_and_the_height_is():
    clip = part(library.load_clips("set_shot")[0], 20, skill=0)
    other = dataclasses.replace(clip, skill=10, name="other")
    ball = dataclasses.replace(other, object_pos=other.object_pos + np.float32(3.0))
    # Feet and hands stay, so that the root's height is the only difference.
    low = dataclasses.replace(other, root_pos=other.root_pos - np.array([0, 0, 0.1], np.float32))
    best = lambda second, options: build_graph(table.build_table([clip, second]), options).similarity[10, 1]  # noqa: E731
    for name, weight in (("shipped", 30.0), ("code", 5.0)):
        options = GraphOptions(without_ball=stitching.BODY_WEIGHTS[name])
        np.testing.assert_allclose(best(ball, options), 1.0, rtol=1e-6)
        np.testing.assert_allclose(best(low, options), np.exp(-weight * 0.1**2), rtol=1e-4)
    with_ball = GraphOptions(without_ball_labels=())
    assert best(ball, with_ball) < 1e-9


def test_missing_frames_lead_nowhere_and_nowhere_leads_to_them():
    one, other = make_clip(frames=24, skill=13, seed=1), make_clip(frames=24, skill=11, seed=1, name="011_other")
    gap = [7, 12]
    holed = dataclasses.replace(other, **{k: v.copy() for k, v in other.arrays().items()})
    for array in holed.arrays().values():
        array[gap] = 0.0
    for missing in ("bridged", "published"):
        found = build_graph(table.build_table([one, holed], missing=missing))
        partner, back = np.asarray(found.frame[:24, 0]), np.asarray(found.clip[24:, 1])
        assert not np.isin(partner, gap).any()
        assert (partner >= 0).all()
        assert (back[gap] == -1).all()
        assert (np.delete(back, gap) == 0).all()
    kept = build_graph(table.build_table([one, holed]), GraphOptions.reference())
    # The bridge lies near what was there before.
    np.testing.assert_array_equal(kept.frame[gap, 0], gap)
    assert (np.asarray(kept.clip[24:, 1])[gap] == 0).all()


def test_one_label_is_no_graph():
    with pytest.raises(ValueError, match="two labels, found only label 3"):
        build_graph(table.build_table([make_clip()]))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: stitching.SimilarityWeights(-1.0, 0.1, 1.0), "SimilarityWeights.key_pos: expected a number ≥ 0"),
        (lambda: GraphOptions(least_similarity=0.0), "GraphOptions.least_similarity: expected a number between"),
        (lambda: GraphOptions(missing="maybe"), "GraphOptions.missing: expected one of excluded, kept"),
    ],
)
def test_options_refuse_what_makes_no_sense(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_buffer_steps_count_decades():
    similarity = [1.0, 0.6, 0.5, 0.1, 0.099, 1e-3, 9.9e-4, 1e-9, 9e-10, 1e-12, 1e-38]
    expected = [0, 0, 1, 1, 2, 3, 4, 9, 10, 10, 10]
    assert stitching.buffer_steps(np.array(similarity)).tolist() == expected
    jitted = jax.jit(stitching.buffer_steps, static_argnums=1)
    assert jitted(jnp.array(similarity), "default").tolist() == expected
    assert jitted(jnp.zeros(2), "default").tolist() == [10, 10]
    assert jitted(jnp.zeros(2), "reference").tolist() == [0, 0]
    assert jitted(jnp.array(similarity), "reference").dtype == jnp.int32
    with pytest.raises(ValueError, match="preset is one of reference, default, got 'paper'"):
        stitching.buffer_steps(0.1, "paper")


def test_buffer_steps_are_the_published_ones(golden_dir):
    path = golden_dir / "v2_switch_align.npz"
    if not path.is_file():
        pytest.skip(f"needs {path.name}")
    with np.load(path) as file:
        similarity, expected, unchanged = file["bufsteps_sim_in"], file["bufsteps_out"], int(file["bufsteps_initial"])
    found = np.where(similarity == 0.0, unchanged, stitching.buffer_steps(similarity, "reference"))
    np.testing.assert_array_equal(found, expected)
