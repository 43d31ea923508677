"""A high-level policy becomes a shipped one and is used by its name; other commands say that it is not for them."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjx_skillmimic
from mjx_skillmimic import pretrained
from mjx_skillmimic.config import from_json, load_config, to_json
from mjx_skillmimic.envs.high_level.low_level import numbers_sha256
from mjx_skillmimic.evaluation import setup
from mjx_skillmimic.evaluation.run_record import command_line, read_run
from mjx_skillmimic.learning import heads, normalizer, policy
from mjx_skillmimic.pretrained import publish, shelf, task_cards, text
from tests.scripts_of import script

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "high_level.py"
LOW, DECISIONS, OBS = "ballplay-seven", 640, 842
LABELS = [12, 13, 11]


def write_run(folder: Path, digest: str, task: str = "heading") -> Path:
    """A finished run of an untrained policy, whose configuration names its low-level policy by a path."""
    config = load_config(f"{CONFIG}:{task}", {"episode.length": "9", "run.seed": "7"}, check=False)
    config.low_level.policy = f"somewhere/{LOW}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(to_json(config))
    described = {"devices": ["gpu: NVIDIA X"], "engine": "mjx-warp", "versions": {"jax": "9.9"}}
    (folder / "run.json").write_text(json.dumps(described | {"motion_hash": "5" * 64}))
    lines = [
        {"iteration": i, "env_steps": 64 * i, "seconds": 6.0 * i, "steps_per_second": 10.0, "reward": i / 10}
        for i in range(1, 11)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    actor = heads.ChoiceActor((8,), 3).init(jax.random.key(0), jnp.zeros(OBS))
    metadata = {"env_steps": DECISIONS, "labels": LABELS, "config": json.loads(to_json(config))}
    metadata["low_level"] = {"policy": f"somewhere/{LOW}", "sha256": digest}
    made = policy.PolicyBundle(actor, normalizer.init(OBS), (8,), 3, metadata=metadata, head="categorical")
    policy.save_policy(folder / "policy.npz", made)
    return folder


def table3(digest: str, **changes: Any) -> dict[str, Any]:
    """What `scripts/reproduce.py table3` writes, shortened."""

    def row(name: str, value: float, n: int, **more: Any) -> dict[str, Any]:
        share = {"value": value, "low": value / 2, "high": (1 + value) / 2}
        where = {"task": "Heading", "environment": "Heading", "engine": "mujoco", "policy": name, "episodes": n}
        return where | {"success": share | {"n": n, "seeds": []}, "fell": share, "labels": {"dribble left": 1.0}} | more

    document = {
        "what": "table3",
        "settings": {"seeds": [0, 1], "count_a_seed": 9, "engines": ["mujoco"], "actions": "likeliest"},
        "definitions": {"Heading": "the ball comes there"},
        "environments": [
            {"title": "Heading", "engine": "mujoco", "starts": {"states": 512}}
            | {"low_level": {"policy": LOW, "sha256": digest}}
        ],
        "policies": {"ours": {"policy": "runs/h", "decisions": DECISIONS}},
        "run": {"versions": {"mujoco": "3"}},
        "results": [
            row("ours", 0.5, 16),
            row("random", 0.25, 18),
            row("best single skill", 0.125, 17, label=13, skill="dribble forward"),
        ],
    }
    return document | changes


@pytest.fixture(scope="module")
def digest() -> str:
    return numbers_sha256(pretrained.load(LOW))


@pytest.fixture(scope="module")
def run(digest: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "h", digest)


@pytest.fixture(scope="module")
def shipped(run: Path, digest: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with the low-level policy and the new one."""
    out = tmp_path_factory.mktemp("shelf")
    for file in pretrained.folder().glob(f"{LOW}.*"):
        shutil.copyfile(file, out / file.name)
    (out / "t3.json.txt").write_text(json.dumps(table3(digest)))
    ask = [str(run), "--name", "heading-tiny", "--out", str(out), "--evaluation", str(out / "t3.json.txt")]
    assert script("publish_policy").main([*ask, "--limits", "It never learned."]) == 0
    return out / "heading-tiny.npz"


@pytest.fixture
def on_shelf(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which the package ships it."""
    monkeypatch.setattr(shelf, "folder", lambda: shipped.parent)
    return shipped.stem


def test_the_card_has_what_the_file_said_and_what_was_measured(run: Path, shipped: Path, digest: str):
    card = pretrained.card(shipped)
    assert card["low_level"] == {"policy": LOW, "sha256": digest}
    assert (card["task"], card["labels"], card["clips"]) == ("Heading", LABELS, [])
    assert card["starts"] == {"of": f"the own start states of {LOW}", "sha256": "5" * 64}
    assert card["config"]["low_level"]["policy"] == LOW
    assert card["config"] == json.loads(json.dumps(policy.load_policy(shipped).metadata["config"]))
    training = card["training"]
    assert (training["env_steps"], training["control_steps"], training["seconds"]) == (DECISIONS, 3 * DECISIONS, 60.0)
    assert training["hardware"] == ["gpu: NVIDIA X"]
    (table,) = card["evaluations"]
    assert table["settings"]["definition"] == "the ball comes there"
    names = ["heading-tiny", "random", "best single skill: dribble forward"]
    assert [(row["name"], row["episodes"]) for row in table["rows"]] == list(zip(names, (16, 18, 17), strict=True))
    assert table["rows"][0]["success"] == {"value": 0.5, "low": 0.25, "high": 0.75}
    assert "somewhere" not in shipped.with_suffix(".json").read_text()
    page = shipped.with_suffix(".md").read_text()
    assert page == text.markdown(card)
    for line in (
        "dribble right (012), dribble forward (013), dribble left (011)",
        "| heading-tiny | 16 | 50.0 [25.0, 75.0] | 50.0 [25.0, 75.0] |",
        "* Success: the ball comes there.",
        "--config=configs/high_level.py:heading",
        "0.0 M control steps",
        "1 × NVIDIA X",
    ):
        assert line in page


def test_the_command_of_a_card_gives_the_run_s_configuration(run: Path):
    record = read_run(run)
    command, unshared = command_line(record.config, "h")
    assert not unshared
    words = [word for word in command.split() if word.startswith("--config.")]
    overrides = dict(word.removeprefix("--config.").split("=", 1) for word in words)
    again = load_config(f"{CONFIG}:heading", overrides, check=False)
    assert again.to_dict() == from_json((run / "config.json").read_text()).to_dict()


def test_it_acts_and_knows_its_low_level_policy_by_name(on_shelf: str, run: Path):
    loaded = mjx_skillmimic.load_policy(on_shelf)
    obs = np.random.default_rng(0).normal(size=(64, OBS)).astype(np.float32)
    np.testing.assert_allclose(loaded.probabilities(obs), pretrained.load(run).probabilities(obs), atol=2e-3)
    assert set(np.unique(loaded(obs))) <= {0, 1, 2}
    assert loaded.metadata["low_level"]["policy"] == LOW
    assert setup.chooses(setup.run_config(on_shelf))


def test_evaluate_takes_its_name_and_refuses_another_low_level_policy(
    on_shelf: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    monkeypatch.chdir(tmp_path)
    ask = ["--policy", on_shelf, "--episodes", "2", "--batch", "2", "--engine", "mujoco"]
    assert script("evaluate").main(ask) == 0
    assert f"low-level policy {LOW}" in capsys.readouterr().out
    for suffix in (".npz", ".json"):
        shutil.copyfile(shipped.with_suffix(suffix), tmp_path / f"other{suffix}")
    card = pretrained.card(shipped)
    (tmp_path / "other.json").write_text(json.dumps(card | {"low_level": {"policy": "x", "sha256": "0" * 64}}))
    assert script("evaluate").main(["--policy", "other.npz", *ask[2:]]) == 2
    assert "was trained on the low-level policy x (000000000000), found ballplay-seven" in capsys.readouterr().err
    missing = {key: value for key, value in card.items() if key != "labels"}
    (tmp_path / "other.json").write_text(json.dumps(missing))
    assert script("evaluate").main(["--policy", "other.npz", *ask[2:]]) == 2
    assert "a card without labels" in capsys.readouterr().err


def test_start_clips_that_are_not_at_hand_give_way_to_own_starts(on_shelf: str, caplog: pytest.LogCaptureFixture):
    config = setup.run_config(on_shelf)
    assert setup.with_starts_at_hand(config, on_shelf) is config
    with config.unlocked():
        config.motion.path = "nowhere/run"
    assert setup.with_starts_at_hand(config, on_shelf).motion.path == ""
    assert f"its start clips are not at 'nowhere/run'; episodes begin in the own start states of {LOW}" in caplog.text
    with config.unlocked():
        config.motion.path = "pick_up"
    assert setup.with_starts_at_hand(config, on_shelf) is config


def test_the_table_of_all_that_are_shipped_has_a_part_for_them(shipped: Path):
    both = [pretrained.card(shipped.with_name(f"{LOW}.npz")), pretrained.card(shipped)]
    found = text.overview(both)
    assert "| `ballplay-seven` | 0.0 M | 1.0 | 1 × NVIDIA X | 50.0 [25.0, 75.0] | 25.0 [12.5, 62.5] |" in found
    first, second = found.split("High-level policies")
    assert LOW in first
    assert "heading-tiny" not in first
    assert "heading-tiny" in second


def test_what_cannot_be_published_is_refused(run: Path, digest: str, tmp_path: Path):
    def ship(document: dict[str, Any], folder: Path = run) -> None:
        publish.publish(folder, tmp_path / "out", publish.Publication("x", documents=[document]))

    good = table3(digest)
    with pytest.raises(
        ValueError, match=r"an evaluation of 'table2', expected the JSON of scripts/reproduce.py table3"
    ):
        ship(good | {"what": "table2"})
    with pytest.raises(ValueError, match="the table's ours has taken 1 decisions, h has taken 640"):
        ship(good | {"policies": {"ours": {"policy": "runs/h", "decisions": 1}}})
    with pytest.raises(ValueError, match="was trained on the low-level policy ballplay-seven"):
        ship(table3("1" * 64))
    elsewhere = copy.deepcopy(good)
    for row in elsewhere["results"]:
        row["task"] = "Scoring"
    with pytest.raises(ValueError, match="the table has the policies none of Heading"):
        ship(elsewhere)
    with pytest.raises(
        ValueError, match=r"skills of somewhere/ballplay-seven \(222222222222\), which is none of the shi"
    ):
        ship(good, write_run(tmp_path / "other", "2" * 64))
    assert not (tmp_path / "out").exists()
    two = copy.deepcopy(good)
    two["policies"]["h"] = {"policy": "runs/g", "decisions": None}
    two["results"].append(two["results"][0] | {"policy": "h"})
    assert task_cards.from_table3(two, read_run(run), policy.load_policy(run / "policy.npz"), "x")[0]["rows"]


@pytest.mark.parametrize(
    "command",
    [
        ["record_starts", "--policy", "RUN"],
        ["export_isaacgym", "OUT", "--policy", "RUN"],
        ["parity", "policy", "--policy", "RUN"],
        ["publish_results", "RUN", "--out", "OUT"],
        ["reproduce", "table1", "--policy", "x=RUN", "--motion", "pick_up"],
        ["render", "--policy", "RUN", "--tell", "13:1", "--out", "OUT"],
    ],
)
def test_commands_for_clips_say_that_it_follows_none(command: list[str], run: Path, tmp_path: Path, capsys: Any):
    name, *arguments = command
    given = [word.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert script(name).main(given) == 2
    said = capsys.readouterr().err
    assert "high-level task Heading, expected one that follows clips" in said
    assert len(said.strip().splitlines()) == 1
