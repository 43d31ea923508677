"""The notebooks: sound files that install what they need, and every cell of them runs (at reduced size, on a CPU)."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from packaging.requirements import Requirement
from scripts_of import script

import mjx_skillmimic
from mjx_skillmimic.learning.progress import Row
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.viewing.notebook import LiveCurve, draw_rows
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.steering import steer

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PNG = b"\x89PNG"
# What each must have shown: pictures, tables (Markdown), pages in a frame, videos; and a text among its lines.
SHOWN = {
    "01_data_and_model": (4, 2, 1, 0, "kg in all"),
    "02_train_one_skill": (3, 0, 1, 0, "finished after 96 env steps"),
    "03_evaluate_render_switch": (2, 0, 2, 1, "2 episodes"),
    "04_scaling_and_engines": (2, 2, 0, 0, "env steps/s"),
}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def cells(notebook, kind="code"):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def test_they_are_four():
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN)


def test_file_is_clean_and_names_itself(path):
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert all(not cell.outputs and cell.execution_count is None for cell in cells(notebook))
    first = cells(notebook, "markdown")[0].source
    repository = "mjx-skillmimic/mjx_skillmimic"
    assert f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{path.name}" in first
    assert repository in setup_cell(path)
    assert f'"v{mjx_skillmimic.__version__}"' in setup_cell(path)


def test_all_install_the_same_way():
    assert len({setup_cell(path) for path in NOTEBOOKS}) == 1


def test_setup_does_nothing_where_the_package_is(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail(f"ran {a}"))
    before = list(sys.path)
    exec(setup_cell(NOTEBOOKS[0]), {})
    assert sys.path == before


@pytest.mark.parametrize(
    ("gpus", "variables", "extra"),
    [
        (b"GPU 0: Tesla T4", {}, "[cuda]"),
        (None, {"TPU_ACCELERATOR_TYPE": "v5e-1"}, "[tpu]"),
        (b"", {}, ""),
        (None, {}, ""),
    ],
)
def test_setup_installs_for_the_accelerator(monkeypatch, tmp_path, gpus, variables, extra):
    ran = []

    def run(command, **kwargs):
        ran.append([str(word) for word in command])
        return SimpleNamespace(stdout=gpus)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None if gpus is None else name)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("COLAB_TPU_ADDR", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exec(setup_cell(NOTEBOOKS[0]), {})
    clone, install = ran[-2:]
    assert clone[:2] == ["git", "clone"]
    assert install[1:4] == ["-m", "pip", "install"]
    assert install[-1] == f"checkout{extra}"
    assert sys.path[0] == str(tmp_path / "checkout")


def test_pins_are_what_the_package_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cuda"]]
    lines = (ROOT / "notebooks" / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    taken = {}
    for requirement in map(Requirement, wanted):
        if requirement.name in pins:
            taken[requirement.name] = requirement.specifier.contains(pins[requirement.name])
    assert {"jax", "mujoco", "mujoco-mjx", "warp-lang"} <= taken.keys()
    assert all(taken.values())


def test_every_cell_runs(path, tmp_path, monkeypatch):
    runner = script("run_notebooks")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    values = dict(runner.REDUCED[path.stem])
    if path.stem.startswith("04") and importlib.util.find_spec("warp") is None:
        values["ENGINES"] = ["mujoco"]
    notebook = runner.run(path, tmp_path, values, timeout=300.0, quick=True)
    assert cells(nbformat.read(tmp_path / path.name, as_version=4))[-1].outputs
    assert all(cell.execution_count for cell in cells(notebook))
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    data = [output.get("data", {}) for output in outputs]
    html = ["".join(entry.get("text/html", "")) for entry in data]
    pictures, tables, pages, videos, text = SHOWN[path.stem]
    assert sum("image/png" in entry for entry in data) >= pictures
    assert sum("| ---" in entry.get("text/markdown", "").replace("|---", "| ---") for entry in data) == tables
    assert sum("<iframe srcdoc=" in page for page in html) == pages
    assert sum("<video" in page and "data:video/mp4;base64," in page for page in html) == videos
    assert text in "".join(output.get("text", "") for output in outputs)
    if path.stem.startswith("02"):
        lines = (tmp_path / "runs" / "notebook_02" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["env_steps"] for line in lines] == [16, 32, 48, 64, 80, 96]


def test_reduced_sizes_are_parameters_of_each(path):
    runner = script("run_notebooks")
    changed = runner.with_parameters(nbformat.read(path, as_version=4), runner.REDUCED[path.stem])
    place = next(i for i, cell in enumerate(changed.cells) if "parameters" in cell.metadata.get("tags", []))
    found = {}
    exec(changed.cells[place + 1].source, found)
    assert {name: found[name] for name in runner.REDUCED[path.stem]} == runner.REDUCED[path.stem]


def test_unknown_parameter_and_notebook_are_refused(capsys):
    runner = script("run_notebooks")
    with pytest.raises(ValueError, match="no parameter 'EPISODE'; there are POLICY, MOTION, EPISODES"):
        runner.with_parameters(nbformat.read(NOTEBOOKS[2], as_version=4), {"EPISODE": 1})
    assert runner.main(["05"]) == 2
    assert "no notebook '05'" in capsys.readouterr().err


def row(number):
    metrics = {"reward": 0.1 * number, "episode/length": 5.0, "env/reward/p": 0.5, "env/reward/pv": 1.0}
    return Row(number, 100 * number, 1000, 50.0, float(number), None, metrics)


def test_live_curve_draws_now_and_then_and_what_is_left_at_the_end(capsys):
    shown = []
    curve = LiveCurve(interval=1000.0, show=shown.append)
    curve.message("compiled")
    for number in (1, 2, 3):
        curve.update(row(number))
    assert len(shown) == 1
    curve.close()
    assert len(shown) == 2
    curve.close()
    assert shown[0][:4] == shown[1][:4] == PNG
    assert shown == [draw_rows([row(1)]), draw_rows([row(n) for n in (1, 2, 3)])]
    assert "compiled" in capsys.readouterr().out


def test_live_curve_goes_on_from_an_earlier_one():
    shown = []
    first = LiveCurve(show=lambda png: None)
    first.update(row(1))
    second = LiveCurve(earlier=first, show=shown.append)
    second.close()
    assert not shown
    second.update(row(2))
    assert shown == [draw_rows([row(1), row(2)])]
    with pytest.raises(ValueError, match="at least one iteration"):
        draw_rows([])


def test_steering_a_played_back_clip_shows_its_frames_and_obeys():
    clips = load_clips("shipped")
    session = Session("playback", "shipped", start=0)
    seen = steer(session, 12, {6: "next_clip"})
    for begin, clip in ((0, clips[0]), (6, clips[1])):
        wanted = slice(1, 7)
        np.testing.assert_allclose(seen.body_pos[begin : begin + 6], clip.body_pos[wanted], atol=2e-3)
        np.testing.assert_allclose(seen.object_pos[begin : begin + 6], clip.object_pos[wanted], atol=1e-5)
    assert seen.labels["skill"].tolist() == [clips[0].skill] * 6 + [clips[1].skill] * 6
    np.testing.assert_allclose(seen.labels["ball m"], seen.object_pos[:, 2], atol=1e-6)
    assert seen.fps == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("steps", "commands", "message"),
    [
        (0, {}, "at least one step, got 0"),
        (5, {5: "pause"}, "before step 5: expected a step from 0 to 4"),
        (5, {0: "jump"}, "no command 'jump'"),
    ],
)
def test_steering_refuses(steps, commands, message):
    with pytest.raises(ValueError, match=message):
        steer(Session("playback", "throw_catch"), steps, commands)


def setup_cell(path):
    return cells(nbformat.read(path, as_version=4))[0].source
