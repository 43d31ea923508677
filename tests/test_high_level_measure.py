"""High-level policies measured: which kind of task a configuration is, the command line, and Table 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.config import to_json
from mjx_skillmimic.evaluation import high_level, setup
from mjx_skillmimic.learning import heads, normalizer, policy
from tests.scripts_of import script

STEPS = 9  # control steps of an episode, the start included


def write_run(folder: Path, task: str = "Heading") -> Path:
    """A run's folder with an untrained policy that chooses in short episodes of a task."""
    config = envs.default_config(task)
    config.physics.engine, config.episode.length = "mujoco", STEPS
    env = envs.load(task, config)
    actor = heads.ChoiceActor((8,), env.action_size)
    parameters = actor.init(jax.random.key(0), jnp.zeros(env.observation_size))
    moments = normalizer.init(env.observation_size)
    metadata = {"env_steps": 1_500_000, **env.policy_metadata}
    made = policy.PolicyBundle(parameters, moments, (8,), env.action_size, metadata=metadata, head="categorical")
    policy.save_policy(folder / "policy.npz", made)
    (folder / "config.json").write_text(to_json(config))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("heading"))


def test_a_configuration_says_which_kind_of_task_it_is(run: Path):
    assert setup.chooses(setup.run_config(run))
    assert setup.run_config(run).episode.length == STEPS
    assert not setup.chooses(setup.run_config("zero"))
    assert setup.run_config("label:13", "reference", "Scoring").task.labels[2] == 2
    with pytest.raises(ValueError, match=r"label:13 chooses in a high-level task: name it, as in --task Heading"):
        setup.run_config("label:13")
    with pytest.raises(ValueError, match="was trained on Heading, expected a policy of Scoring"):
        setup.run_config(run, task="Scoring")


def test_evaluate_prints_and_writes_what_a_policy_achieves(run: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "e.json"
    evaluate = script("evaluate").main
    assert evaluate(["--policy", str(run), "--episodes", "3", "--batch", "3", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    document = json.loads(out.read_text())
    found = document["results"]
    assert (document["task"], found["episodes"], found["distinct"]) == ("Heading", 3, 3)
    assert document["low_level"]["policy"] == "ballplay-seven"
    assert set(found["success"]) == set(found["return"]) == {"value", "low", "high"}
    # 8 control steps of 3 a decision
    assert found["return"]["value"] == pytest.approx(found["reward"]["value"] * 8 / 3, rel=1e-3)
    for line in (
        "Heading, ",
        "low-level policy ballplay-seven",
        "success % ",
        "fell % ",
        "goals a minute ",
        "return of",
    ):
        assert line in said
    assert evaluate(["--policy", str(run), "--start", "random"]) == 2
    assert "begin where its configuration says" in capsys.readouterr().err
    assert evaluate(["--policy", "label:31", "--task", "Heading"]) == 2
    assert "expected one of label:12, label:13, label:11" in capsys.readouterr().err


def test_courses_that_repeat_each_other_count_once():
    def course(ball: float, goal: float, label: int = 13) -> dict[str, np.ndarray]:
        place = np.full((1, 4, 3), ball)
        return {"object_pos": place, "goal": np.full((1, 4, 2), goal), "label": np.full((1, 4), label)}

    same = {name: np.zeros((1, 4, 3)) for name in ("root_pos", "object_lin_vel")}
    same |= {name: np.zeros((1, 4), bool) for name in ("hands_object", "reached")}
    same |= {"valid": np.ones((1, 4), bool), "fell": np.zeros(1, bool)}
    same |= {name: np.zeros((1, 4)) for name in ("radius", "reward")}
    parts = [high_level.Courses(**same, **course(*x)) for x in ((1, 2), (1, 3), (1, 2), (2, 2), (1, 2, 12), (1, 3))]
    np.testing.assert_array_equal(high_level.distinct(high_level.concatenate(parts)), [0, 1, 3, 4])


def test_table3_stands_beside_the_paper_and_two_baselines(run: Path, tmp_path: Path, capsys: Any):
    out = tmp_path / "t3"
    counts = ["--seeds", "2", "--count", "2", "--batch", "2", "--out", str(out)]
    assert script("reproduce").main(["table3", "--policy", f"ours={run}", *counts]) == 0
    document = json.loads(out.with_name("t3.json").read_text())
    assert [r["policy"] for r in document["results"]] == ["ours", "random", "best single skill"]
    ours, random, best = document["results"]
    assert (ours["task"], ours["played"], len(ours["success"]["seeds"])) == ("Heading", 4, 2)
    assert ours["success"]["n"] == ours["episodes"] <= 4
    assert random["episodes"] == 4
    tried = best["tried"]
    assert set(tried) == {"12", "13", "11"}
    assert tried[str(best["label"])] == max(tried.values())
    assert document["policies"]["ours"]["decisions"] == 1_500_000
    assert document["environments"][0]["low_level"]["policy"] == "ballplay-seven"
    assert str(run.parent) not in json.dumps(document)
    page = capsys.readouterr().out
    assert "| Heading | ours | mujoco | 93.0 |" in page
    assert "| SkillMimic | 93.04 | 79.92 | 93.40 | 80.25 |" in page
    assert "* Heading: at some time before the end the ball is within 0.5 m of the point 1 m above the goal" in page
    assert "1.5 M decisions" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "random"], "the baselines are measured in every environment"),
        (["--policy", "shipped-six"], "shipped-six: expected a high-level task, found BallPlay"),
        (["--task", "Juggling"], "no environment 'Juggling'"),
    ],
)
def test_table3_refuses_what_does_not_choose(arguments: list[str], said: str, capsys: Any):
    assert script("reproduce").main(["table3", *arguments, "--count", "2"]) == 2
    assert said in capsys.readouterr().err
