"""Published results: what is read from a run's folder, and the page that is made of it."""

import dataclasses
import importlib.util
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from finished_run import ITERATIONS, STEPS, finished_run

from mjx_skillmimic.config import differences, load_config, split_arguments
from mjx_skillmimic.evaluation import publish, publish_text
from mjx_skillmimic.evaluation.run_record import command_line, read_run, reward_at, training_summary
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.viewing import results

ROOT = Path(__file__).resolve().parent.parent
BASELINE = {
    "provenance": "made by a test",
    "runs": [{"name": "old", "clips": ["tiny"], "env_steps": 20 * STEPS, "training_reward": 0.5}],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("published"))


def test_training_summary_of_a_known_curve(run):
    summary = training_summary(read_run(run))
    assert (summary["iterations"], summary["env_steps"], summary["seconds"]) == (30, 30 * STEPS, 60.0)
    assert summary["env_steps_per_second"] == 100
    assert summary["reward"] == pytest.approx(np.mean(np.arange(21, 31)) / 100)
    assert summary["factors"] == {"p": pytest.approx(0.51), "pv": 1.0}
    assert summary["terminated_per_episode"] == pytest.approx(0.4)
    assert (summary["overflow"], summary["nonfinite_worlds"], summary["skipped_updates"]) == (3, 2, 2)
    assert reward_at(read_run(run), 20 * STEPS) == pytest.approx(np.mean(np.arange(11, 21)) / 100)
    assert reward_at(read_run(run), 31 * STEPS) is None


def test_command_line_gives_the_same_configuration(run):
    record = read_run(run)
    command, unshared = command_line(record.config, record.name)
    assert unshared == []
    path, overrides, rest = split_arguments(shlex.split(command)[2:])
    again = load_config(ROOT / path, overrides, check=False)
    assert differences(again, record.config) == []
    assert rest == ["--workdir=runs/small"]
    assert len(overrides) == 4


def test_clips_are_found_under_a_root_and_recognised(run, tmp_path):
    record, root = read_run(run), run.parent.parent / "data"
    path, clips = publish.find_motion(record, root)
    assert path == str(root / "tiny")
    assert [clip.name for clip in clips] == ["tiny"]
    with pytest.raises(FileNotFoundError, match="--motion-root"):
        publish.find_motion(record, tmp_path)
    (tmp_path / "tiny").mkdir()
    save_clip(dataclasses.replace(clips[0], skill=5), tmp_path / "tiny" / "tiny.npz")
    with pytest.raises(ValueError, match="another content"):
        publish.find_motion(record, tmp_path)


def test_an_incomplete_run_is_refused(run, tmp_path):
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"no run\.json"):
        read_run(tmp_path)
    with pytest.raises(ValueError, match="another name; got small, small"):
        publish.publish([run, run], tmp_path / "out")


@pytest.fixture(scope="module")
def published(run):
    out = run.parent.parent / "docs" / "page"
    root = run.parent.parent / "data"
    options = publish.PublishOptions(root, ("mujoco",), 6, baseline=BASELINE, notes="Of note.")
    return out, publish.publish([run], out, options)


def test_page_is_complete_and_small(published):
    out, written = published
    names = ["page.json", "page.md", "page.png", "page_small.mp4", "page_small.png"]
    assert [path.name for path in written] == names
    assert written[3].stat().st_size < 700_000
    assert written[4].stat().st_size < 200_000
    document = json.loads(written[0].read_text())
    (entry,) = document["runs"]
    assert (entry["seed"], entry["hardware"], entry["clips"]) == (7, ["gpu: NVIDIA X"], ["tiny"])
    assert entry["baseline"]["reward_at_its_samples"] == pytest.approx(0.155)
    assert len(entry["curve"]["reward"]) == ITERATIONS
    result = entry["evaluations"]["mujoco"]
    assert (result["first"]["total"]["episodes"], result["random"]["total"]["episodes"]) == (1, 6)
    assert result["first"]["total"]["frames"] <= 11  # frames 3 to 13
    assert set(result["first"]["total"]["acc"]) == {"value"}
    assert set(result["random"]["total"]["acc"]) == {"value", "low", "high"}
    text = written[1].read_text()
    assert text == publish_text.markdown(document, "page", "Of note.")
    for shown in ("Of note.", "**0.255**", "0.50 @ 0.0 M", "made by a test", "1 × NVIDIA X", "page_small.mp4", "12.5"):
        assert shown in text
    assert str(out.parent) not in text + written[0].read_text()


def test_curves_are_drawn_from_the_document_alone(published, tmp_path):
    _, written = published
    again = results.draw_curves(json.loads(written[0].read_text()), tmp_path / "again.png")
    assert again.read_bytes() == written[2].read_bytes()


def test_json_keeps_its_content_and_puts_plain_lists_on_one_line():
    document = {"a": [1, 2.5, "x, [y]"], "b": [[1], {"c": []}], "d": [1, 2]}
    text = publish.compact_json(document)
    assert json.loads(text) == document
    assert '"d": [1, 2]' in text


def test_script_refuses_what_is_no_run(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("publish_results", ROOT / "scripts" / "publish_results.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main([str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert "no config.json" in capsys.readouterr().err
