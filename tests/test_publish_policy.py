"""A finished run becomes a shipped policy: weights, card, page; and what is refused."""

import json

import jax
import numpy as np
import pytest
from finished_run import ITERATIONS, STEPS, finished_run
from scripts_of import script

from mjx_skillmimic import pretrained
from mjx_skillmimic.config import from_json
from mjx_skillmimic.pretrained import evaluations, publish, text

RESULT = {"value": 0.5, "low": 0.25, "high": 0.75}
DOCUMENT = {
    "settings": {
        "policy": "/home/me/runs/x",
        "motion": "../clips/y",
        "start": "random",
        "seed": 3,
        "engine": None,
        "batch": 9,
        "stochastic": True,
    },
    "run": {"engine": "mjx-warp", "versions": {"jax": "1.2", "numpy": "3"}},
    "agent": {"metadata": {"config": {}}},
    "results": {
        "total": {"episodes": 4, "success": RESULT},
        "skills": {
            "003": {"episodes": 3, "success": RESULT, "rule": "catch", "rule_text": "it is caught"},
            "031": {"episodes": 1, "success": RESULT, "rule": "shot", "rule_text": "it is in"},
        },
        "clips": {"a": {"episodes": 3, "success": RESULT}, "b": {"episodes": 1, "success": RESULT}},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def clips(run):
    return str(run.parent.parent / "data" / "tiny")


@pytest.fixture(scope="module")
def shipped(run, clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("shelf")
    document = out / "evaluation.json"
    document.write_text(json.dumps(DOCUMENT))
    ask = [str(run), "--name", "our-tiny", "--motion", clips, "--out", str(out), "--evaluation", str(document)]
    ask += ["--evaluate", "--episodes", "3", "--seeds", "0", "5", "--limits", "It is tiny."]
    assert script("publish_policy").main(ask) == 0
    return out / "our-tiny.npz"


def test_the_half_precision_policy_acts_as_the_run_s(run, shipped):
    obs = np.random.default_rng(0).normal(size=(16, 902)).astype(np.float32)
    np.testing.assert_allclose(pretrained.load(shipped)(obs), pretrained.load(run)(obs), atol=2e-3)
    assert shipped.stat().st_size < (run / "policy.npz").stat().st_size


def test_the_card_tells_the_run(run, shipped, clips):
    card = pretrained.card(shipped)
    training = card["training"]
    assert (training["env_steps"], training["total_env_steps"], training["seed"]) == (30 * STEPS, 30 * STEPS, 7)
    assert (training["hardware"], training["devices"], training["seconds"]) == (["gpu: NVIDIA X"], 1, 60.0)
    assert training["reward"] == pytest.approx(np.mean(np.arange(21, ITERATIONS + 1)) / 100)
    assert card["skills"] == [{"label": 50, "name": "throw and catch"}]
    assert [(clip["name"], clip["frames"]) for clip in card["clips"]] == [("tiny", 14)]
    changes = {"motion.path": "elsewhere/tiny", "ppo.actor_hidden": [8], "run.seed": 7, "ppo.learning_rate": 1e-4}
    assert card["recipe"]["changes"] == changes
    assert from_json(json.dumps(card["config"])).to_dict() == from_json((run / "config.json").read_text()).to_dict()
    assert shipped.with_suffix(".md").read_text() == text.markdown(card)
    assert "It is tiny." in text.markdown(card)
    assert clips not in shipped.with_suffix(".json").read_text()


def test_tables_given_and_measured_are_both_in_the_card(shipped):
    first, random, given = pretrained.card(shipped)["evaluations"]
    assert (given["settings"]["policy"], given["settings"]["motion"]) == ("x", "y")
    assert (first["rows"][0]["episodes"], set(first["rows"][0]["success"])) == (1, {"value"})
    assert random["settings"] | {"versions": 0} == {
        "engine": "mujoco",
        "actions": "mean",
        "versions": 0,
        "start": "random",
        "seeds": [0, 5],
        "drawn": 6,
    }
    frames = np.concatenate([np.random.default_rng(seed).integers(2, 13, 3) for seed in (0, 5)])
    assert random["rows"][0]["episodes"] == len(set(frames.tolist()))
    card = pretrained.card(shipped)
    assert evaluations.headline(card, "random", "success") == random["rows"][0]["success"]
    assert evaluations.headline(card, "first", "acc") == first["rows"][0]["acc"]
    assert evaluations.headline(card, "frame 7", "acc") is None


def test_an_evaluation_s_json_becomes_rows():
    (table,) = evaluations.from_document(DOCUMENT)
    assert table["settings"]["versions"] == {"jax": "1.2"}
    assert (table["settings"]["engine"], table["settings"]["actions"]) == ("mjx-warp", "samples")
    assert not {"batch", "stochastic"} & table["settings"].keys()
    assert [row["name"] for row in table["rows"]] == ["catch (003)", "lay-up (031)", "a", "b", "total"]
    assert [row["success"] for row in table["rows"]] == [RESULT, {"value": 0.5}, RESULT, {"value": 0.5}, RESULT]
    page = text.markdown(pretrained.card("ballplay-layup") | {"evaluations": [table]})
    assert "| catch (003) | 3 | 50.0 [25.0, 75.0] |" in page
    assert "| b | 1 | 50.0 |" in page
    assert "* Success, “catch”: it is caught." in page


def test_reproduced_tables_are_read_too():
    whole = {"policy": "p", "engine": "mujoco", "start": "random frames", **DOCUMENT["results"]}
    (table,) = evaluations.from_document({"what": "table1", "settings": {}, "results": [whole]})
    assert table["settings"] == {"table": "table1", "policy": "p", "engine": "mujoco", "start": "random"}
    assert table["rows"][-1] == {"name": "total", "episodes": 4, "success": RESULT}
    skill = {
        "skill": "shot",
        "label": 5,
        "policy": "p",
        "paper": {"us": 0.9},
        "clip": {**RESULT, "n": 3, "held": RESULT},
    }
    (table,) = evaluations.from_document({"settings": {"seeds": [0]}, "results": [skill]})
    assert table["rows"] == [{"name": "shot", "policy": "p", "clip": RESULT, "clip held": RESULT}]
    assert "| shot | p | 0.500 [0.250, 0.750] |" in text.markdown(
        pretrained.card("ballplay-layup") | {"evaluations": [table]}
    )
    rows = [{"name": "far", "lifted": 0.25}]
    assert evaluations.from_document({"rows": rows}) == [{"settings": {}, "rows": rows}]
    with pytest.raises(ValueError, match="holds seconds; expected 'rows'"):
        evaluations.from_document({"seconds": 3})


def test_refresh_renews_pages_and_table(shipped, tmp_path):
    for suffix in (".npz", ".json"):
        (tmp_path / f"our-tiny{suffix}").write_bytes(shipped.with_suffix(suffix).read_bytes())
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{text.BEGIN}\nold\n{text.END}\n\nAfter.\n")
    ask = ["--refresh", str(page), "--out", str(tmp_path)]
    assert script("publish_policy").main(ask) == 0
    assert (tmp_path / "our-tiny.md").read_text() == shipped.with_suffix(".md").read_text()
    renewed = page.read_text()
    assert renewed.startswith("Before.\n\n")
    assert renewed.endswith("\n\nAfter.\n")
    assert "old" not in renewed
    assert "| throw and catch (050) | 1 | 0.0 M | 1.0 | 1 × NVIDIA X |" in renewed
    page.write_text("no marks")
    assert script("publish_policy").main(ask) == 2


def test_what_cannot_be_published_is_refused(run, clips, tmp_path, monkeypatch):
    def ship(name="x", motion=clips, folder=run, **more):
        publish.publish(folder, tmp_path / "out", publish.Publication(name, motion, [DOCUMENT], **more))

    with pytest.raises(ValueError, match="'No Spaces', expected lower-case"):
        ship("No Spaces")
    with pytest.raises(ValueError, match=r"throw_catch with hash .* small was trained on clips with hash"):
        ship(motion="throw_catch")
    with pytest.raises(FileNotFoundError, match="no clips at elsewhere/tiny"):
        ship(motion=None)
    with pytest.raises(ValueError, match="a card needs an evaluation"):
        publish.publish(run, tmp_path / "out", publish.Publication("x", clips))
    monkeypatch.setattr(publish, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="allowed are 1000"):
        ship()
    assert not (tmp_path / "out").exists()


def test_a_run_that_continues_another_counts_its_samples(clips, tmp_path):
    folder = finished_run(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["run"]["init_from"] = "runs/earlier"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"continues runs/earlier .*--steps-before"):
        publish.publish(folder, tmp_path, publish.Publication("x", clips, [DOCUMENT]))
    publish.publish(folder, tmp_path, publish.Publication("x", clips, [DOCUMENT], steps_before=1000))
    training = pretrained.card(tmp_path / "x.npz")["training"]
    assert (training["total_env_steps"], training["continues"]) == (30 * STEPS + 1000, "earlier")
    described = json.loads((folder / "run.json").read_text()) | {"total_env_steps": 9_000_000}
    (folder / "run.json").write_text(json.dumps(described))
    publish.publish(folder, tmp_path, publish.Publication("x", clips, [DOCUMENT]))
    assert "9.0 M with what it continues" in (tmp_path / "x.md").read_text()


def test_a_sample_needs_a_key_and_the_mean_none(shipped):
    act = pretrained.load(shipped)
    assert not np.allclose(act(np.zeros(902)), act(np.zeros(902), jax.random.key(0)))
    np.testing.assert_array_equal(act(np.zeros(902)), act.policy()(np.zeros(902), None))
