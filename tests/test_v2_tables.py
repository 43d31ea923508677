"""SkillMimic-V2's tables: which worlds are played, averages, pages, and a small run in the environment."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scripts_of import script

from mjx_skillmimic import envs
from mjx_skillmimic.evaluation import setup
from mjx_skillmimic.evaluation.reproduce import Contender, proportion
from mjx_skillmimic.evaluation.reproduce_text import cell
from mjx_skillmimic.evaluation.v2 import paper, protocol, tables, text
from mjx_skillmimic.evaluation.v2.protocol import Job, Outcomes, V2Request, Worlds
from mjx_skillmimic.evaluation.v2.starts import Disturbed
from mjx_skillmimic.history.encoder import init
from mjx_skillmimic.history.encoder_file import Encoder
from mjx_skillmimic.history.frames import FrameOptions
from mjx_skillmimic.motion.library import load_clips

reproduce = script("reproduce")


def somebody(skills, lengths):
    lengths = np.asarray(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ball = np.zeros((lengths.sum(), 3))
    ball[:, 2] = np.arange(lengths.sum()) % 50
    motions = SimpleNamespace(
        skills=np.array(skills),
        lengths=lengths,
        starts=starts,
        reference=SimpleNamespace(object_pos=ball),
        valid=np.ones(lengths.sum(), bool),
        start_counts=lengths - 3,
        start_frames=np.zeros(lengths.sum(), int),
    )
    return Contender("x", "mujoco", SimpleNamespace(tables=SimpleNamespace(motions=motions)), None)


def test_each_distinct_start_is_played_once_but_each_noise_is_its_own():
    who, request = somebody([13, 9, 13], [10, 60, 8]), V2Request({"x": "zero"}, ["none"], count=50, seeds=(0, 1))
    clean = protocol.draw(who, Job(13, 9), request)
    assert set(clean.clip.tolist()) == {0, 2}
    assert {tuple(x) for x in np.stack([clean.clip, clean.frame], axis=1).tolist()} == {
        (c, f) for c, n in ((0, 10), (2, 8)) for f in range(2, n - 1)
    }
    assert len(clean.which) == 100
    assert len(protocol.draw(who, Job(13, 13, noisy=True), request).clip) == 100
    assert protocol.peak(who, 9).tolist() == [0, 0, 49]
    with pytest.raises(ValueError, match=r"no clip of skill 031; there are \[9, 13\]"):
        protocol.draw(who, Job(31, 13), request)


def test_rewards_are_a_ratio_and_as_published_without_the_first_round():
    worlds = Worlds(*np.zeros((2, 3), int), np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]))
    outcomes = Outcomes(*np.zeros((2, 3), bool), np.array([0.0, 10.0, 30.0]), np.array([10, 20, 40]), np.zeros(3, int))
    assert protocol.reward_rate(worlds, outcomes, "frozen")["value"] == round(40 / 70, 4)
    found = protocol.reward_rate(worlds, outcomes, "published")
    assert found["seeds"] == [round(10 / 30, 4), round(40 / 60, 4)]
    assert found["value"] == round(40 / 60, 4)


def test_averages_have_the_interval_of_independent_cells():
    two = [proportion(np.arange(100) < 90), proportion(np.arange(100) < 30)]
    mean = protocol.mean_of([*two, None])
    assert (mean["value"], mean["of"]) == (0.6, 2)
    low, high = (np.hypot(*(e[side] - e["value"] for e in two)) / 2 for side in ("low", "high"))
    np.testing.assert_allclose([mean["low"], mean["high"]], [0.6 - low, 0.6 + high], atol=2e-4)
    sure = protocol.mean_of([proportion(np.ones(10, bool))] * 4)
    assert sure["low"] < 0.9
    assert protocol.mean_of([]) is None


def test_the_papers_averages_are_those_of_its_rows():
    for method, row in paper.TABLE1.items():
        for key, digits in (("sr", 0.0006), ("nsr", 0.0006), ("nr", 0.011)):
            cells = [entry[key] for entry in row["skills"].values()]
            assert abs(np.mean(cells) - row["average"][key]) < digits, (method, key)
        assert abs(np.mean(list(row["tsr"].values())) - row["average"]["tsr"]) < 0.0006, method


def result(what):
    share = proportion(np.arange(8) < 6) | {"seeds": [0.75]}
    entry = {"label": 13, "told": 13, "sr": share, "nsr": share, "nr": {"value": 0.4, "low": 0.35, "high": 0.45}}
    base = {"policy": "x", "engine": "mujoco", "control_steps": 10, "wall_s": 1.0}
    if what == "v2-table5":
        return base | {"sr": share, "fell": 0.0, "balls": "paper", "training_clips": 10}
    if what == "v2-matrix":
        return base | {"labels": [9, 13], "skills": ["shot", "dribble"], "success": [[share, share]] * 2}
    skills, pairs = ("Getup", "Getup-Run") if what == "v2-table6" else ("DF", "DF-Shot")
    mean = {key: protocol.mean_of([share]) for key in ("sr", "nsr", "nr", "tsr")}
    return base | {"skills": {skills: entry}, "tsr": {pairs: share}, "average": mean}


@pytest.mark.parametrize("what", tables.PAPER)
def test_every_table_has_a_page_with_the_papers_rows(what, monkeypatch):
    monkeypatch.setattr(tables, "contenders", lambda request, adapt: [SimpleNamespace(name="x", engine="mujoco")])
    measured = lambda *given: result(what)  # noqa: E731
    monkeypatch.setattr(tables, "_MEASURES", dict.fromkeys(tables.PAPER, measured))
    arguments = reproduce.parse([what, "--policy", "x=zero", "--motion", "pick_up", "--tell", "9=5"])
    document = json.loads(json.dumps(reproduce.measure(arguments)))
    assert document["told"] == {"009": "005"}
    assert "--tell 9=5" in document["command"]
    page = text.page(document, "t")
    assert cell(proportion(np.arange(8) < 6)) in page
    assert {
        "v2-table1": "| paper: SM+Ours |  | 97.7 | 98.5 | 99.1 | 91.5 | 97.9 | 96.9 |",
        "v2-table3": "| paper: SM+STG+STF |  | 77.1 | 73.2 | 45.1 | 0.40 |",
        "v2-table4": "| paper: SM, 20 mm |  | 56.1 | 24.3 | 0.35 |",
        "v2-table5": "| SM+STF+ATS+HE | 0.5 | 46.6 | 85.7 | 96.3 |",
        "v2-table6": "| paper: SM+Ours |  | 97.9 | 100.0 | – |",
        "v2-matrix": "![success of every pair of skills](t.png)",
    }[what] in page


def test_requests_that_cannot_be_met():
    with pytest.raises(ValueError, match="expected LABEL=TOLD, such as 9=5"):
        reproduce.told(["9"])
    with pytest.raises(ValueError, match=r"v2-table6: expected clips of Getup \(000\), Run \(010\), found skills 013"):
        tables._columns("v2-table6", somebody([13], [10]), None)
    with pytest.raises(ValueError, match="at least two skills with a metric"):
        tables._matrix("v2-matrix", somebody([13, 4], [10, 10]), None)


def test_table1_in_the_environment_of_v2(monkeypatch):
    config = envs.default_config("SkillMimicV2")
    config.start.max_kick = None
    monkeypatch.setattr(setup, "run_config", lambda policy, preset="default": config)
    request = V2Request({"zero": "zero"}, ["dribble_forward", "set_shot"], count=2, seeds=(0,), batch=4, steps=3)
    document = json.loads(json.dumps(tables.v2_table("v2-table1", request)))
    (row,) = document["results"]
    assert list(row["skills"]) == ["DF", "Shot"]
    assert row["skills"]["Shot"]["label"] == 5
    assert list(row["tsr"]) == ["DF-Shot"]
    assert row["skills"]["DF"]["sr"]["value"] == 1.0  # nothing has gone wrong after three steps
    assert 0.0 < row["skills"]["DF"]["nr"]["value"] <= 1.0
    assert row["control_steps"] == 3 * 10


def test_only_the_worlds_that_are_meant_are_disturbed_and_remember_that():
    config = setup.evaluation_config(envs.default_config("SkillMimicV2"))
    config.start.max_kick = None
    config.history.encoder = "given"
    encoder = Encoder(init(jax.random.key(0)), FrameOptions())
    env = envs.load("SkillMimicV2", config, clips=load_clips(["set_shot"]), encoder=encoder)

    @jax.jit
    def three_worlds(tables):
        zero = jnp.zeros(3, jnp.int32)
        begun = env.begin(tables, jax.random.split(jax.random.key(0), 3), zero, zero + 5)
        states = Disturbed(jnp.array([-1, 4, 7])).states(env, begun)
        return begun, states, env.put(begun, states.qpos, states.qvel)

    begun, states, put = three_worlds(env.tables)
    np.testing.assert_array_equal(states.qpos[0], begun.data.qpos[0])
    start, noisy = (env.scene.unpack(x.qpos, x.qvel) for x in (begun.data, states))
    apart = np.abs(noisy.root_lin_vel - start.root_lin_vel).max(axis=1)
    assert apart[0] == 0
    assert ((apart[1:] > 0.01) & (apart[1:] < 0.5)).all()
    assert (noisy.root_pos[1:, 2] > start.root_pos[1:, 2]).all()
    np.testing.assert_array_equal(noisy.root_pos[:, :2], start.root_pos[:, :2])
    assert np.abs(states.qpos[1] - states.qpos[2]).max() > 0.01
    np.testing.assert_allclose(put.obs[0], begun.obs[0], atol=1e-5)
    assert np.abs(put.obs[1] - begun.obs[1]).max() > 0.01
    np.testing.assert_allclose(put.info["features"].root_pos, noisy.root_pos, atol=1e-6)
    np.testing.assert_array_equal(put.info["frame"], begun.info["frame"])
    # the last second is that of the clip, but for the state it ends with
    now, before = (np.asarray(x.info["history"]) for x in (put, begun))
    np.testing.assert_allclose(now[:, :-1], before[:, :-1], atol=1e-5)
    assert (np.abs(now[:, -1] - before[:, -1]).max(axis=1) > 1e-3).tolist() == [False, True, True]
    np.testing.assert_array_equal(put.obs[:, env.layout.slice("history")], begun.info["code"])
