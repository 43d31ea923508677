"""Plots of runs: what their numbers are, that both renderings hold them, and what is refused."""

import base64
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image
from scripts_of import script

from mjx_skillmimic.viewing import curves, panels, plot_page, plots

ITERATIONS = 200


def write_run(folder, offset=0.0, evaluated=True, skills=None):
    """200 iterations of 1000 samples; the reward grows linearly to offset + 2/3."""
    folder.mkdir(parents=True)
    lines = [
        {
            **{"iteration": i, "env_steps": 1000 * i, "reward": offset + i / 300, "episode/length": 30},
            **{"env/reward/p": 0.5 + offset, "env/reward/pv": 1.0, "env/reward/total": offset + i / 300},
            "env/error/body_m": 0.1 + offset,
        }
        for i in range(1, ITERATIONS + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines) + '{"iteration": 201, "rew')
    if evaluated:
        points = [{"iteration": i, "env_steps": 1000 * i, "acc": i / 400, "success": None} for i in (0, 100, 200)]
        (folder / "evaluations.jsonl").write_text("".join(json.dumps(x) + "\n" for x in points))
    if skills:
        numbers = {
            label: {"episodes": 9, "rule": "x", "success": {"value": v, "low": v - 0.1, "high": v + 0.05}}
            for label, v in skills.items()
        }
        (folder / "evaluation.json").write_text(json.dumps({"results": {"skills": numbers}}))
    return folder


@pytest.fixture
def two(tmp_path):
    """A run of two seeds, and a single one without evaluations."""
    write_run(tmp_path / "ours" / "seed_0", 0.0, skills={"013": 0.5, "031": 0.8})
    write_run(tmp_path / "ours" / "seed_1", 0.2, skills={"013": 0.7})
    write_run(tmp_path / "other", -0.1, evaluated=False, skills={"013": 0.25})
    return curves.read_groups([tmp_path / "ours", tmp_path / "other"])


def panel(sections, kind, title):
    (section,) = [s for s in sections if s.kind == kind]
    (found,) = [p for p in section.panels if p.title.startswith(title)]
    return found


def test_whole_lines_are_read(tmp_path):
    read = curves.read_curves(write_run(tmp_path / "a") / "metrics.jsonl")
    assert len(read["reward"]) == ITERATIONS
    assert read["reward"][-1] == pytest.approx(200 / 300)
    assert np.isnan(curves.read_curves(tmp_path / "a" / "evaluations.jsonl").get("success", np.nan)).all()


def test_folders_of_seeds_and_named_lists_are_groups(tmp_path, two):
    assert [(group.name, len(group.runs)) for group in two] == [("ours", 2), ("other", 1)]
    a, b = tmp_path / "ours" / "seed_0", tmp_path / "other"
    (named,) = curves.read_groups([f"both={a},{b}"])
    assert (named.name, [run.folder for run in named.runs]) == ("both", [a, b])
    odd = write_run(tmp_path / "lr=3e-4")
    assert [group.name for group in curves.read_groups([odd])] == ["lr=3e-4"]


def test_bands_are_mean_lowest_and_highest_of_the_seeds(two):
    ours, other = panel(panels.sections(two), "learning", "Training reward").lines
    assert (ours.runs, other.runs) == (2, 1)
    np.testing.assert_allclose(ours.high - ours.low, 0.2, atol=1e-9)
    np.testing.assert_allclose(ours.mean - ours.low, 0.1, atol=1e-9)
    np.testing.assert_array_equal(other.low, other.high)
    # thousands of samples; the mean over the last 4 of a line that grows by 1/300 a thousand
    assert ours.x[-1] == 200.0
    assert other.mean[-1] == pytest.approx(198 / 300 - 0.1, abs=1e-6)
    body = panel(panels.sections(two), "learning", "Body error")
    np.testing.assert_allclose(body.lines[0].mean, 200.0)
    assert body.y_label == "mm"


def test_evaluations_are_points_and_unknown_ones_are_left_out(two):
    sections = panels.sections(two)
    (line,) = panel(sections, "learning", "Accuracy").lines
    np.testing.assert_allclose((line.x, line.mean), ([0, 100, 200], [0, 25, 50]))
    assert line.points
    assert not [p for s in sections for p in s.panels if p.title.startswith("Success, evaluated")]


def test_factors_that_are_always_one_are_named_and_not_drawn(two):
    (section,) = panels.sections(two, ["factors"])
    assert [p.title for p in section.panels] == ["p: body positions"]
    assert "Always 1: pv." in section.note


def test_success_by_skill_has_intervals_of_one_run_and_ranges_of_several(two):
    (section,) = panels.sections(two, ["skills"])
    (bars,) = section.panels
    assert bars.categories == ("dribble forward (013)", "lay-up (031)")
    ours, other = bars.lines
    np.testing.assert_allclose((ours.x, ours.mean, ours.low, ours.high), ([0, 1], [60, 80], [50, 70], [70, 85]))
    np.testing.assert_allclose((other.x, other.mean, other.low, other.high), ([0], [25], [15], [30]))


def test_comparison_is_at_equal_samples(two):
    (section,) = panels.sections(two, ["comparison"], at=100_000)
    assert section.title == "At equal samples: 100 k env steps"
    ours, other = panel([section], "comparison", "Training reward").lines
    # the window of 2 % ends at 100 iterations
    np.testing.assert_allclose((ours.mean[0], ours.low[0], ours.high[0]), np.array([0.1, 0.0, 0.2]) + 99 / 300)
    assert other.mean[0] == pytest.approx(99 / 300 - 0.1)
    (accuracy,) = panel([section], "comparison", "Accuracy").lines
    assert (accuracy.mean[0], accuracy.name) == (25.0, "ours")
    assert not panels.sections(two[:1], ["comparison"])


def test_colours_and_dashes_tell_groups_apart():
    from mjx_skillmimic.viewing.series import COLOURS, Line

    nothing = np.empty(0)
    styles = {(line.colour, line.dash) for line in (Line("", g, *[nothing] * 4, runs=1) for g in range(21))}
    assert len(styles) == 21
    assert len(set(COLOURS)) == 7


def test_png_grows_with_its_sections_and_shows_every_group(two, tmp_path):
    names = [group.name for group in two]
    whole = np.asarray(Image.open(plots.draw(panels.sections(two), names, tmp_path / "new" / "all.png")).convert("RGB"))
    part = Image.open(plots.draw(panels.sections(two, ["learning"]), names, tmp_path / "learning.png"))
    assert whole.shape[1] == part.width == 1560
    assert whole.shape[0] > 2 * part.height
    for colour in ("#0072B2", "#D55E00"):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        assert (np.abs(whole.astype(int) - rgb).max(axis=-1) < 3).sum() > 1000


def test_page_holds_the_curves_and_asks_for_nothing_outside(two, tmp_path):
    sections = panels.sections(two)
    page = plot_page.write_page(sections, ["<ours>", "other"], tmp_path / "new" / "page.html").read_text()
    assert "&lt;ours&gt;, other" in page
    # plotly's own text names hosts; the page must not load from them
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=", page)
    assert page.count("<h2>") == len(sections) == 4
    figures = [json.loads(data) for data in re.findall(r'Plotly\.newPlot\(\s*"[^"]+",\s*(\[.*?\]),\s*\{"', page)]
    (reward,) = [t for t in figures[0] if t["name"] == "other" and t["xaxis"] == "x"]
    values = reward["y"]
    if isinstance(values, dict):
        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    np.testing.assert_allclose(values, panel(sections, "learning", "Training reward").lines[1].mean, rtol=1e-6)
    # a curve with a band, and its name once a figure
    assert sum(t.get("fill") == "tonexty" for t in figures[0] if t["xaxis"] == "x") == 1
    for traces in figures:
        named = [t["name"] for t in traces if t.get("showlegend")]
        assert sorted(named) == ["other", "ours (2 seeds)"]


def test_what_cannot_be_drawn_is_refused(two, tmp_path):
    with pytest.raises(curves.NoCurvesError, match=r"nothing/metrics\.jsonl holds no metrics"):
        curves.read_groups([tmp_path / "nothing"])
    with pytest.raises(ValueError, match="several runs are called other"):
        curves.read_groups([tmp_path / "other", f"other={tmp_path / 'ours'}"])
    with pytest.raises(ValueError, match="expected a run's folder or NAME=FOLDER,FOLDER, got 'x='"):
        curves.read_groups(["x="])
    with pytest.raises(ValueError, match="between 0 and 200000, which all runs reached, got 300000"):
        panels.sections(two, at=300_000)
    with pytest.raises(ValueError, match="no section speed; there are learning"):
        panels.sections(two, ["speed"])
    (tmp_path / "other" / "evaluation.json").write_text("[]")
    with pytest.raises(curves.NoCurvesError, match=r"evaluation\.json: expected what scripts/evaluate\.py"):
        curves.read_run(tmp_path / "other")


def test_script_writes_both_and_does_without_plotly(two, tmp_path, monkeypatch, capsys):
    plot = script("plot")
    other = tmp_path / "other"
    assert plot.main([str(other)]) == 0
    assert {"curves.png", "curves.html"} <= {path.name for path in other.iterdir()}
    assert plot.main([str(tmp_path / "none")]) == 2
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    assert plot.main([f"x={other}", "--out", str(tmp_path / "x.png"), "--only", "learning"]) == 0
    assert (tmp_path / "x.png").is_file()
    assert "pip install 'mjx_skillmimic[plots]'" in capsys.readouterr().err
    assert plot.main([str(other), "--format", "html"]) == 2
