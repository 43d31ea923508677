"""The reproductions of the paper's results: bookkeeping, membership of clips, documents and the command line."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mjx_skillmimic.evaluation import held_out, reproduce, reproduce_fig8, reproduce_tables, setup
from mjx_skillmimic.evaluation.intervals import wilson
from mjx_skillmimic.evaluation.placed_balls import Ball, Placement
from mjx_skillmimic.evaluation.reproduce_text import cell, markdown
from mjx_skillmimic.motion.library import load_clips, motion_hash, recording_hash
from mjx_skillmimic.viewing.success_map import draw_success_map
from mjx_skillmimic.viewing.switch_matrix import draw_switch_matrix
from tests.free_plays import fall, still

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = str(ROOT / "scripts" / "reproduce.py")


def test_distinct_starts_map_back():
    clip, frame = np.array([0, 1, 0, 1, 0]), np.array([5, 5, 5, 7, 6])
    index, inverse = reproduce.distinct(clip, frame)
    assert len(index) == 4
    np.testing.assert_array_equal(clip[index][inverse], clip)
    np.testing.assert_array_equal(frame[index][inverse], frame)


def test_numbers_with_their_intervals():
    entry = reproduce.proportion(np.arange(10) < 7)
    assert (entry["value"], entry["n"]) == (0.7, 10)
    np.testing.assert_allclose([entry["low"], entry["high"]], wilson(7, 10), atol=1e-4)
    assert reproduce.proportion(np.zeros(0, bool))["value"] is None
    assert reproduce.average([0.3]) == {"value": 0.3, "low": None, "high": None, "n": 1}
    assert reproduce.by_seed([1.0, 0.0, 1.0, 1.0], np.array([0, 0, 1, 1])) == [0.5, 1.0]
    assert cell({"value": 0.5, "low": 0.25, "high": 0.75}) == "50.0 [25.0, 75.0]"
    assert cell({"value": 0.5, "low": None, "high": None}) == "50.0"
    assert cell(None) == "–"


def shot_of(peak: int, release: int, frames: int = 60, label: int = 5):
    """One clip whose ball leaves the hands and reaches its highest point on given frames."""
    height = 3.0 - 0.01 * (np.arange(frames) - peak) ** 2
    ball = np.stack([np.zeros(frames), np.zeros(frames), height], axis=-1)
    contact = (np.arange(frames) <= release) * 1.0
    contact[-3:] = 1.0  # caught again after its flight
    motions = SimpleNamespace(
        reference=SimpleNamespace(object_pos=ball, contact=contact),
        starts=np.array([0]),
        lengths=np.array([frames]),
        skills=np.array([label]),
    )
    return reproduce.Contender("x", "mujoco", SimpleNamespace(tables=SimpleNamespace(motions=motions)), None)


def test_no_test_of_a_shot_starts_after_the_release():
    assert reproduce_tables.last_start(shot_of(peak=45, release=30), 5).tolist() == [20]
    assert reproduce_tables.last_start(shot_of(peak=25, release=57), 5).tolist() == [15]
    assert reproduce_tables.last_start(shot_of(peak=20, release=6), 5).tolist() == [2]
    assert reproduce_tables.last_start(shot_of(peak=45, release=30), 13).tolist() == [58]
    request = reproduce.Request({"x": "zero"}, ["none"], count=100, seeds=(0, 1))
    clip, frame, seed = reproduce_tables.skill_starts(shot_of(peak=45, release=30), 5, request)
    assert (clip == 0).all()
    assert set(frame.tolist()) == set(range(2, 21))
    assert np.bincount(seed).tolist() == [100, 100]


def test_membership_by_hash_by_name_and_unknown():
    first, second = load_clips(["pick_up", "set_shot"])
    both = [first, second]
    trained, other, unknown = held_out.TRAINED, held_out.HELD_OUT, held_out.UNKNOWN
    names = (first.name, second.name)

    def judged(metadata):
        found = held_out.membership(metadata, both)
        return tuple(found[name] for name in names)

    assert judged({"motion_hash": motion_hash(both)}) == (trained, trained)
    assert judged({"motion_hash": motion_hash([second])}) == (other, trained)
    assert judged({"clips": [first.name]}) == (trained, other)
    assert judged({"clips": [{"name": "renamed", "sha256": motion_hash([second])}]}) == (other, trained)
    assert judged({"clips": [{"name": first.name, "sha256": "0" * 64}]}) == (other, other)
    assert judged({"motion_hash": "0" * 64, "config": {"motion": {"path": "nowhere"}}}) == (unknown, unknown)
    assert judged({}) == (unknown, unknown)
    three = {"motion_hash": motion_hash(load_clips("shipped")), "config": {"motion": {"path": "shipped"}}}
    changed = dataclasses.replace(first, object_pos=first.object_pos + 0.1)
    assert judged(three) == (trained, trained)
    assert held_out.membership(three, [changed]) == {first.name: other}
    # The same recording under another name and label is not held out.
    renamed = dataclasses.replace(first, name="another", skill=7)
    card = {"clips": [{"name": first.name, "sha256": motion_hash([first]), "recording": recording_hash(first)}]}
    assert held_out.membership(card, [renamed, second]) == {"another": trained, second.name: other}
    text = held_out.summary(held_out.membership({"clips": [first.name]}, both))
    assert text == f"clips: 1 trained on, 1 held out ({second.name})"


def fig8_document() -> dict:
    play = still(8, 60)
    play.object_pos[[0, 1, 2], 30:, 2] = 1.2
    play.hands_object[:2] = True
    fall(play, 1, 10)
    direction = np.array([0.0, 0.3, np.pi / 2, -np.pi / 2, np.pi - 0.1, 0.1 - np.pi, 0.0, 0.0])
    distance = np.array([1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4.5, 5.0])
    nowhere = np.zeros((8, 3))
    placed = Placement(np.zeros(8, int), np.full(8, 2), distance, direction, Ball(nowhere, nowhere, nowhere))
    found = reproduce_fig8.judge(placed, play, seeds=2)
    results = [{"policy": name, "engine": "mujoco", "motion": "still", **found} for name in ("1 clip", "10 clips")]
    request = reproduce.Request({"1 clip": "zero", "10 clips": "random"}, ["pick_up"], count=4, seeds=(0, 1))
    return reproduce.document("fig8", request, "", results, thresholds={}, paper={"SkillMimic": 0.867})


def test_fig8_groups_and_picture(tmp_path):
    document = fig8_document()
    found = document["results"][0]
    assert found["success"]["value"] == 0.25  # the second lifted it after its fall
    assert found["held"]["value"] == 0.125
    assert found["success"]["seeds"] == [0.5, 0.0]
    assert found["standing"]["value"] == 0.875
    assert [g["n"] for g in found["by_distance"]] == [2, 2, 2, 2]
    assert [g["value"] for g in found["by_distance"]] == [0.5, 0.5, 0.0, 0.0]
    directions = {g["centre_degrees_left"]: (g["n"], g["value"]) for g in found["by_direction"]}
    assert directions[0] == (4, 0.25)
    assert directions[90] == (1, 1.0)
    assert directions[-90] == (1, 0.0)
    assert directions[180] == (2, 0.0)
    assert directions[45] == (0, None)
    assert found["balls"][2] == [-2.5, 0.0, 1, 0]  # to the left is not to the right
    page = markdown(json.loads(json.dumps(document)), "balls")
    assert "25.0 [7.1, 59.1]" in page
    assert "86.7" in page
    picture = draw_success_map(document, tmp_path / "balls.png")
    assert picture.stat().st_size > 20_000
    with pytest.raises(ValueError, match="at least one result"):
        draw_success_map({"results": []}, tmp_path / "none.png")


def test_switch_matrix_is_drawn_with_empty_cells(tmp_path):
    full = reproduce.proportion(np.array([True, False]))
    row = {"policy": "x", "engine": "mujoco", "skills": ["a", "b"], "standing": [[full, full]] * 2}
    draw_switch_matrix({"results": [row | {"success": [[full, None]] * 2}]}, tmp_path / "deep" / "m.png")
    assert (tmp_path / "deep" / "m.png").stat().st_size > 5_000


def test_requests_that_cannot_be_met():
    with pytest.raises(ValueError, match="engines: expected each once, got mujoco, mujoco"):
        reproduce.Request({"a": "zero"}, ["pick_up"], engines=("mujoco", "mujoco"))
    with pytest.raises(ValueError, match="seeds: expected at least one"):
        reproduce.Request({"a": "zero"}, ["pick_up"], seeds=())
    with pytest.raises(ValueError, match="at least 1, got 0"):
        reproduce.Request({"a": "zero"}, ["pick_up"], count=0)


def test_several_engines_and_skills_make_one_page_each_with_the_papers_numbers():
    entry = reproduce.proportion(np.arange(10) < 9) | {
        "seeds": [0.9],
        "standing": reproduce.proportion(np.ones(10, bool)),
    }
    paper = {"SkillMimic": 0.991, "DeepMimic*": 0.989}
    row = {"policy": "x", "label": 31, "skill": "lay-up", "paper": paper, "clip": entry, "beside_paper": "clip"}
    request = reproduce.Request({"x": "zero"}, ["pick_up"], engines=("mujoco", "mjx-warp"))
    results = [row | {"engine": engine} for engine in request.engines]
    document = reproduce.document("table2", request, "", results)
    assert document["settings"]["engines"] == ["mjx-warp", "mujoco"]
    page = markdown(document, "t2")
    for engine in request.engines:
        assert f"| lay-up (031) | x | {engine} | 99.1 | 90.0 [59.6, 98.2] | clip |" in page
    assert "| lay-up | 98.9 |" in page


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fig8", "--policy", "a=zero", "a=random", "--motion", "pick_up"], "a name of its own"),
        (["table1", "--policy", "nowhere", "--motion", "pick_up"], "no policy nowhere"),
        (
            ["switching", "--policy", "zero", "--motion", "pick_up", "--count", "1"],
            "at least two skills, got only skill 001",
        ),
    ],
)
def test_the_command_line_refuses_in_one_line(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("reproduce: ")]
    assert said in line


def test_table1_document_says_how_it_was_measured(tmp_path):
    out = tmp_path / "deep" / "t1"
    counts = ["--seeds", "2", "--count", "3", "--out", str(out)]
    done = run("table1", "--policy", "ceiling=playback", "again=playback", "--motion", "chest_pass", *counts)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.with_name("t1.json").read_text())
    assert document["settings"]["seeds"] == [0, 1]
    assert document["settings"]["engines"] == ["mujoco"]
    assert document["thresholds"]["accurate_object_m"] == 0.2
    assert document["policies"]["ceiling"]["clips"] == {"chest_pass": "unknown"}
    assert document["run"]["versions"]["mujoco"]
    assert str(tmp_path) not in out.with_name("t1.json").read_text()
    by = {(r["policy"], r["start"]): r for r in document["results"]}
    assert len(by) == 4
    assert by["ceiling", "frame 2"]["total"]["acc"] == {"value": 1.0, "low": None, "high": None}
    random = by["ceiling", "random frames"]
    assert random["total"]["acc"]["value"] == 1.0
    assert random["total"]["episodes"] <= 6
    assert [seed["acc"] for seed in random["seeds"]] == [1.0, 1.0]
    page = out.with_name("t1.md").read_text()
    assert page.strip() in done.stdout
    assert "| clips | episodes | metric | ceiling | again |" in page
    assert "| BallPlay-V | full | 82.4 |" in page


def test_table2_runs_both_protocols(monkeypatch):
    monkeypatch.setattr(reproduce_tables, "FREE_STEPS", 5)
    config = setup.run_config("zero")
    config.start.max_kick = None
    monkeypatch.setattr(setup, "run_config", lambda policy, preset: config)
    request = reproduce.Request({"zero": "zero"}, ["dribble_in_place"], count=2, seeds=(0, 1), batch=4)
    document = json.loads(json.dumps(reproduce_tables.table2(request)))
    (row,) = document["results"]
    assert (row["label"], row["beside_paper"], row["paper"]["SkillMimic"]) == (51, "free", None)
    for protocol in ("clip", "free"):
        assert 1 <= row[protocol]["n"] <= 4
        assert len(row[protocol]["seeds"]) == 2
        assert row[protocol]["low"] <= row[protocol]["value"] <= row[protocol]["high"]
        assert row[protocol]["standing"]["n"] == row[protocol]["n"]
    page = markdown(document, "t2")
    assert "| dribble in place (051) | zero | mujoco | – |" in page
