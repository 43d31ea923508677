"""The contact report against exact geometry and against counts made by hand."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mjx_skillmimic.evaluation import contacts
from mjx_skillmimic.model import clearance
from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES, HANDS, indices
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.library import load_clips

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def scene():
    return build_scene()


def shortened(frames: slice, **changes):
    """Some frames of a shipped clip."""
    clip = load_clips("throw_catch")[0]
    arrays = {name: array[frames] for name, array in clip.arrays().items()}
    return dataclasses.replace(clip, **(arrays | changes))


def test_shipped_clip_has_no_disagreement(scene):
    result = contacts.disagreement(contacts.static_contacts(scene, load_clips("throw_catch")[0]))
    assert 0 < result["labelled"] < result["frames"]
    wrong = ("hands_object_missing", "hands_object_extra", "body_object", "hands_body", "node_body")
    assert all(result[name] == 0.0 for name in wrong)
    assert result["edges_factor"] == result["nodes_factor"] == 1.0
    assert result["gap_max_mm"] < 0.0


def test_edges_and_gap_agree_with_exact_geometry(scene):
    """The ball is moved through the person; spheres against capsules and boxes have an exact distance."""
    clip = shortened(slice(0, 48, 2))
    hand = np.asarray(clip.body_pos[:, BODIES.index("R_Wrist")])
    chest = np.asarray(clip.body_pos[:, BODIES.index("Chest")])
    way = np.linspace(0.0, 1.6, clip.num_frames)[:, None]
    clip = dataclasses.replace(clip, object_pos=(chest + way * (hand - chest)).astype(np.float32))
    found = contacts.static_contacts(scene, clip)
    qpos, _ = contacts.reference_qpos(scene, clip)
    start = int(scene.model.joint(OBJECT).qposadr[0])
    np.testing.assert_allclose(qpos[:, start : start + 3], clip.object_pos)
    depth, _ = clearance.sphere_depths(scene, clip.object_pos, scene.object_radius, *clearance.geom_poses(scene, qpos))
    hands = np.isin(np.arange(len(BODIES)), indices(HANDS))
    np.testing.assert_array_equal(found.edges[:, 0], depth[:, hands].max(axis=1) > 0)
    np.testing.assert_array_equal(found.edges[:, 1], depth[:, ~hands].max(axis=1) > 0)
    np.testing.assert_array_equal(found.gap, -depth[:, hands].max(axis=1))
    # the ball leaves the body and then the hand, so both answers occur
    assert 0 < found.edges[:, 0].sum() < clip.num_frames
    assert 0 < found.edges[:, 1].sum() < clip.num_frames
    # a ball that is pressed against somebody's side is pushed sideways, and pushes the body
    np.testing.assert_array_equal(found.ball_flag, found.edges[:, :2].any(axis=1))
    assert found.body_flag[found.edges[:, 1]].all()


def test_fractions_are_those_counted_by_hand():
    label = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    touched = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0], bool)
    edges = np.zeros((10, 3), bool)
    edges[:, 0] = touched
    edges[9, 1] = edges[8, 2] = edges[1, 2] = True
    found = contacts.StaticContacts(label, edges, np.arange(10) == 9, touched, np.arange(10) / 1000.0)
    result = contacts.disagreement(found)
    assert (result["frames"], result["labelled"]) == (10, 4)
    assert (result["hands_object_missing"], result["hands_object_extra"], result["missing_of_labelled"]) == (
        0.3,
        0.1,
        0.75,
    )
    assert (result["body_object"], result["hands_body"], result["node_body"]) == (0.1, 0.2, 0.1)
    assert (result["node_ball_missing"], result["node_ball_extra"]) == (0.3, 0.1)
    # frames 0, 5, 6, 7 are right, frame 1 has two wrong edges, the other five one each
    e = np.exp(-5.0)
    assert result["edges_factor"] == pytest.approx((4 + 5 * e + e * e) / 10, abs=1e-4)
    assert result["nodes_factor"] == pytest.approx((5 + 5 * e) / 10, abs=1e-4)
    assert (result["gap_median_mm"], result["gap_max_mm"]) == (1.5, 3.0)
    both = contacts.disagreement(contacts.concatenate([found, dataclasses.replace(found, label=~label)]))
    assert both["frames"] == 20
    assert both["hands_object_missing"] == pytest.approx((3 + 5) / 20)


def test_without_labels_there_is_no_gap():
    nothing = contacts.StaticContacts(*(np.zeros(shape, bool) for shape in (3, (3, 3), 3, 3)), gap=np.ones(3))
    result = contacts.disagreement(nothing)
    assert result["missing_of_labelled"] is None
    assert result["gap_median_mm"] is None
    assert result["edges_factor"] == 1.0


def test_script_writes_the_same_figures_twice(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("contact_report", ROOT / "scripts" / "contact_report.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(["throw_catch", "set_shot", "--out", str(tmp_path / "a")]) == 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert list(document["collections"]) == ["throw_catch", "set_shot"]
    page = (tmp_path / "a.md").read_text()
    assert page == contacts.markdown(document)
    frames = document["collections"]["set_shot"]["clips"][0]["frames"]
    assert f"| set_shot | {frames} |" in page
    assert "None" not in page
    assert script.main(["no_such_clip"]) == 2
    assert "no_such_clip" in capsys.readouterr().err
