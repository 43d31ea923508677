"""A task that only a user has: the example of docs/adding_a_task.md, evaluated and played."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.config import to_json
from mjx_skillmimic.learning import normalizer, policy
from mjx_skillmimic.learning.networks import Actor
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.viewing.session import Session
from tests.scripts_of import script

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "adding_a_task.md"
OBSERVED, ACTIONS = 902, 156


@pytest.fixture
def task(tmp_path, monkeypatch):
    """The example as a file that nothing has imported, and a run of an untrained policy in it."""
    monkeypatch.setattr(envs.registry, "_ENVIRONMENTS", dict(envs.registry._ENVIRONMENTS))
    (code,) = re.findall(r"```python\n(import dataclasses.*?)```", DOCUMENT.read_text(), re.DOTALL)
    file = tmp_path / "high_ball.py"
    file.write_text(code)
    envs.import_tasks([str(file)])
    run = tmp_path / "run"
    run.mkdir()
    config = sys.modules["_task_high_ball"].get_config()
    config.high_ball.height = 50.0  # a ball that is never so high
    (run / "config.json").write_text(to_json(config))
    actor = Actor((8,), ACTIONS, log_std=0.0).init(jax.random.key(0), jnp.zeros(OBSERVED))
    policy.save_policy(run / "policy.npz", policy.PolicyBundle(actor, normalizer.init(OBSERVED), (8,), ACTIONS))
    del envs.registry._ENVIRONMENTS["HighBall"]
    shot = load_clips("set_shot")[0]
    save_clip(dataclasses.replace(shot, **{k: a[40:52] for k, a in shot.arrays().items()}), tmp_path / "shot.npz")
    return file, run, str(tmp_path / "shot.npz")


def test_its_runs_are_evaluated_and_its_factor_is_seen_live(task, tmp_path, capsys):
    file, run, clip = task
    evaluate = script("evaluate")
    arguments = ["--policy", str(run), "--motion", clip, "--episodes", "1", "--engine", "mujoco"]
    assert evaluate.main(arguments) == 2
    assert "no environment 'HighBall', there is" in capsys.readouterr().err
    out = tmp_path / "evaluation.json"
    assert evaluate.main([*arguments, "--import", str(file), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["results"]

    session = Session(str(run), clip)
    session.step()
    rewards = session.status.rewards
    assert "height" in rewards
    # exp(-2 (50 - h)²) is nothing
    assert rewards["height"] == 0.0
    assert rewards["total"] == 0.0
    assert rewards["p"] > 0.0


def test_a_file_or_module_that_is_not_there_is_one_line(capsys):
    play = script("play")
    assert play.main(["--import", "nowhere.py", "--motion", "pick_up", "--viewer", "none"]) == 2
    assert capsys.readouterr().err == "play: no file nowhere.py\n"
    assert play.main(["--import", "no_such_module", "--motion", "pick_up", "--viewer", "none"]) == 2
    assert "no_such_module" in capsys.readouterr().err


def test_a_module_of_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "tasks_of_somebody.py").write_text("IMPORTED = True\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    envs.import_tasks(["tasks_of_somebody"])
    assert sys.modules["tasks_of_somebody"].IMPORTED
    assert sys.path == before
