"""The recorder in Python 3.8: its syntax, its imports, and a recording from a copy of the files that it needs."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts_of import script

from mjx_skillmimic.interop.isaacgym import portable
from mjx_skillmimic.interop.trace import STATES, STEPS, read_trace

STANDIN = Path(__file__).parent / "isaacgym_standin"
# Names an interpreter of 3.8 that has NumPy.
VARIABLE = "MJX_SKILLMIMIC_PYTHON38"
# All that the recorder's modules may import from elsewhere.
ALLOWED = {"numpy", *sys.stdlib_module_names}


def python38():
    """A Python 3.8 with NumPy, and why the others were not taken."""
    candidates = [os.environ.get(VARIABLE), shutil.which("python3.8")]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.8.*/bin/python3.8")))
    refused = []
    for candidate in filter(None, candidates):
        asked = [candidate, "-c", "import sys, numpy; assert sys.version_info[:2] == (3, 8), sys.version"]
        result = subprocess.run(asked, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return candidate, ""
        refused.append(f"{candidate}: {result.stderr.strip().splitlines()[-1]}")
    return None, f"no Python 3.8 with NumPy ({'; '.join(refused) or 'none found'}); {VARIABLE} may name one"


def test_every_module_of_the_recorder_has_the_syntax_of_3_8():
    files = portable.modules()
    needed = {"mjx_skillmimic", "mjx_skillmimic.interop.trace", "mjx_skillmimic.interop.isaacgym.adapter"}
    needed |= {"mjx_skillmimic.rotations", "mjx_skillmimic.kinematics", "mjx_skillmimic.imitation.observation"}
    assert needed < set(files)
    for path in [*files.values(), *sorted(STANDIN.rglob("*.py"))]:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 8))


def test_the_recorder_imports_nothing_but_numpy():
    for name, path in portable.modules().items():
        others = {each.split(".")[0] for each in portable.imports(path)} - {"mjx_skillmimic"}
        assert others <= ALLOWED, name


def run(python, folder, path, *arguments):
    """The recorder in a process that finds only the copied modules and the stand-in."""
    command = [python, "-m", portable.RECORDER, str(folder), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (path, STANDIN)))}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isaacgym")
    wanted = ["--motion", "throw_catch", "--courses", "2", "--steps", "6"]
    assert script("export_isaacgym").main([str(folder), *wanted]) == 0
    return folder


def test_recordings_of_a_copy_in_python_3_8_are_those_of_this_python(exported, tmp_path):
    python, why = python38()
    modes = {"open": (), "closed": ("--policy", exported / "policy.npz")}
    traces = {}
    for name, arguments in modes.items():
        for version, interpreter in (("here", sys.executable), ("3.8", python)):
            if interpreter:
                out = tmp_path / f"{name}_{version}.npz"
                result = run(interpreter, exported, exported / "python", *arguments, "--out", out)
                assert result.returncode == 0, result.stderr
                traces[name, version] = read_trace(out)
    source = read_trace(exported / "starts.npz")
    for name in modes:
        trace = traces[name, "here"]
        assert (trace.names, trace.engine, trace.meta["mode"]) == (source.names, "isaacgym", f"{name} loop")
        np.testing.assert_allclose(trace.root_pos[:, 0], source.root_pos[:, 0], atol=1e-6)
        np.testing.assert_allclose(trace.dof_pos[:, 0], source.dof_pos[:, 0], atol=1e-5)
    np.testing.assert_array_equal(traces["open", "here"].target, source.target)
    assert np.nanmax(np.abs(traces["closed", "here"].target - source.target)) > 0.1
    if python is None:
        pytest.skip(why)
    for name in modes:
        assert traces[name, "3.8"].meta["python"].startswith("3.8.")
        for array in (*STATES, *STEPS):
            pair = (getattr(traces[name, version], array) for version in ("3.8", "here"))
            np.testing.assert_allclose(*pair, atol=2e-2 if "force" in array or "vel" in array else 2e-3, err_msg=array)


def test_a_recorder_without_isaac_gym_says_so(exported, tmp_path):
    command = [sys.executable, "-m", portable.RECORDER, str(exported), "--out", str(tmp_path / "x.npz")]
    environment = {**os.environ, "PYTHONPATH": str(exported / "python")}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert result.returncode == 2
    assert "Isaac Gym Preview 4, which comes from NVIDIA" in result.stderr
