"""Start states of a policy's own making: the file, the choice, and a session that begins there."""

import dataclasses
import zipfile

import numpy as np
import pytest

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation import own_starts
from mjx_skillmimic.evaluation.own_starts import Candidates, Trials, best_of_each, situation
from mjx_skillmimic.evaluation.policies import policy_file
from mjx_skillmimic.evaluation.record_starts import BEGIN, END, markdown, refresh
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.pretrained.starts import Starts, StartsError, load_starts, save_starts, starts_file
from mjx_skillmimic.viewing import driver
from mjx_skillmimic.viewing.session import Session
from tests.scripts_of import script

NEAR, FAR = 0.6, 3.0


@pytest.fixture(scope="module")
def shipped():
    """The policy that ships with start states, and these."""
    file = policy_file("ballplay-seven")
    return file, load_starts(starts_file(file))


def small(**changes):
    starts = Starts(np.zeros((2, 5)), np.zeros((2, 4)), np.array([13, 1]), ("run", "stand"), {"policy_sha256": "x"})
    return dataclasses.replace(starts, **changes)


def test_a_file_gives_back_what_was_saved_and_runs_nothing(tmp_path):
    states = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    path = save_starts(small(qpos=states), tmp_path / "deep" / "policy.starts.npz")
    again = load_starts(path)
    np.testing.assert_array_equal(again.qpos, states)
    assert again.name == ("run", "stand")
    assert again.skill.tolist() == [13, 1]
    assert again.metadata == {"policy_sha256": "x"}
    with np.load(path, allow_pickle=False) as data:
        assert not any(data[name].dtype == object for name in data.files)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), r"no readable \.npz"),
        (lambda path: np.savez(path, qpos=np.zeros((1, 2))), "one named 'meta'"),
        (lambda path: np.savez(path, meta=np.array('{"format": "other"}')), "another kind of file"),
        (lambda path: _with(path, qpos=np.zeros((3, 5))), r"arrays .*expected qpos \(S, nq\)"),
        (lambda path: _with(path, qvel=np.full((2, 4), np.nan)), "not finite"),
    ],
)
def test_a_damaged_file_is_named_with_what_was_found(tmp_path, damage, message):
    path = save_starts(small(), tmp_path / "x.starts.npz")
    damage(path)
    with pytest.raises(StartsError, match=message) as caught:
        load_starts(path)
    assert str(path) in str(caught.value)


def _with(path, **arrays):
    with np.load(path) as data:
        np.savez(path, **{**{name: data[name] for name in data.files}, **arrays})


def test_states_and_names_must_be_as_many():
    with pytest.raises(ValueError, match="as many names"):
        small(name=("run",))


def test_start_states_are_no_policy(tmp_path):
    assert not [name for name in pretrained.names() if "." in name]
    assert starts_file(tmp_path / "policy.npz").name == "policy.starts.npz"


@pytest.mark.parametrize(
    ("skill", "height", "reach", "touched", "expected"),
    [
        (1, 0.12, FAR, False, "ball on the floor"),
        (1, 1.1, NEAR, True, "ball in the hands"),
        (1, 0.12, NEAR, True, None),
        (1, 0.6, NEAR, False, None),
        (13, 0.5, NEAR, False, "dribble forward"),
        (13, 0.5, FAR, False, None),
        (5, 1.2, NEAR, True, None),
        (31, 1.2, NEAR, True, None),
    ],
)
def test_situations(skill, height, reach, touched, expected):
    assert situation(skill, height, reach, touched) == expected


def test_the_best_steady_state_of_each_situation_is_kept_best_first():
    # skills 1 and 13; four states of two situations, told 13, 13, 1, 1
    success = np.array([[[0, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [0, 0]], [[1, 1], [0, 0]]], bool)
    survived = np.ones((4, 2, 2), bool)
    survived[2, 1] = False
    states = Candidates(np.zeros((4, 5)), np.zeros((4, 4)), np.array([13, 13, 1, 1]), ("run", "run", "stand", "stand"))
    trials = Trials(np.array([1, 13]), success, survived)
    assert best_of_each(states, trials).tolist() == [1, 3]
    # the better of the runs falls while nobody presses a key
    survived[1, 1] = False
    assert best_of_each(states, trials).tolist() == [0, 3]
    with pytest.raises(ValueError, match="stays upright"):
        best_of_each(states, Trials(trials.skills, success, np.zeros((4, 2, 2), bool)))


def test_the_table_stands_between_its_marks(tmp_path):
    keys = {"1": {"success": 0.5, "survived": 1.0, "trials": 8}, "13": {"success": 1.0, "survived": 0.25, "trials": 8}}
    meta = {"policy": "p", "engine": "mujoco", "seed": 0, "judged_steps": 300, "command": "record"}
    meta |= {"measured": [{"name": "run", "skill": 13, "keys": keys}]}
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    refresh(document, small(metadata=meta))
    text = document.read_text()
    assert "| run | 50 / 100 | 100 / 25 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith(f"{END}\nafter\n")
    document.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md: expected the marks"):
        refresh(document, small(metadata=meta))


def test_the_shipped_states_belong_to_the_shipped_policy_and_scene(shipped):
    file, starts = shipped
    assert starts.made_by(file), "record them anew: scripts/record_starts.py (docs/viewer.md)"
    scene = build_scene()
    assert (starts.qpos.shape[1], starts.qvel.shape[1]) == (scene.model.nq, scene.model.nv)
    label_names = {int(skill["label"]) for skill in pretrained.card(file)["skills"]}
    assert set(starts.skill.tolist()) <= label_names
    measured = starts.metadata["measured"]
    assert [row["name"] for row in measured] == list(starts.name)
    assert set(measured[0]["keys"]) == {str(label) for label in label_names}
    # what the document says is what the file says
    document = file.parents[2] / "docs" / "viewer.md"
    assert markdown(starts) in document.read_text()


def test_without_its_clips_a_session_begins_in_the_policys_own_states(shipped):
    _, starts = shipped
    session = Session("ballplay-seven")
    count = len(starts)
    assert session.num_starts == count
    assert session.clips[0] == f"start: {starts.name[0]}"
    assert not any(clip.startswith("start: ") for clip in session.clips[count:])
    assert set(session.lengths[:count]) == {1}
    nq = starts.qpos.shape[1]
    np.testing.assert_allclose(session.data.qpos[:nq], starts.qpos[0], atol=1e-6)
    assert session.status.skill == starts.skill[0]
    # the best state stays on its feet, without a reference, and what is pressed is done
    for _ in range(90):
        session.step()
        assert session.status.reference_qpos is None
        assert session.status.rewards == {}
    assert not session.status.fallen
    session.do("skill:12")
    for _ in range(60):
        session.step()
    assert not session.status.fallen
    assert session.do("reset") == f"clip {session.clips[0]}"
    np.testing.assert_allclose(session.data.qpos[:nq], starts.qpos[0], atol=1e-6)
    session.do("next_clip")
    np.testing.assert_allclose(session.data.qpos[:nq], starts.qpos[1], atol=1e-6)
    # behind the start states come clips, with their reference
    session.reset(count)
    session.step()
    assert session.status.reference_qpos is not None
    session.reset(1)
    session.kinematic = True
    session.step()
    np.testing.assert_allclose(session.data.qpos[:nq], starts.qpos[1], atol=1e-6)
    with pytest.raises(ValueError, match="frame 3 of start"):
        session.seek(3)


def test_states_of_other_weights_are_left_alone_and_told(tmp_path, caplog, shipped):
    file, starts = shipped
    mine = tmp_path / "policy.npz"
    mine.write_bytes(file.read_bytes())
    config = driver.run_config(file)
    with zipfile.ZipFile(mine, "a") as archive:
        archive.writestr("note.txt", "other bytes")
    save_starts(starts, starts_file(mine))
    clips, used = driver.openings_for(str(mine), config)
    assert used is None
    assert clips
    assert "recorded with other weights" in caplog.text
    save_starts(
        dataclasses.replace(starts, metadata={"policy_sha256": pretrained.cards.sha256(mine)}), starts_file(mine)
    )
    assert driver.openings_for(str(mine), config)[1] is not None
    assert driver.openings_for(str(mine), config, "pick_up")[1] is None


def test_the_command_records_what_a_policy_can_do(tmp_path, capsys, monkeypatch):
    """Small sizes and few steps; a policy of our own clips, of which only this one is played."""
    monkeypatch.setattr(own_starts, "LATEST_STATE", 36)
    monkeypatch.setattr(own_starts, "STEADY", 0.0)
    monkeypatch.setattr("mjx_skillmimic.evaluation.record_starts._FIRST_DELAYS", (0,))
    monkeypatch.setattr("mjx_skillmimic.evaluation.record_starts._FIRST_JUDGED", 90)
    monkeypatch.setattr("mjx_skillmimic.evaluation.record_starts.JUDGED", 90)
    out = tmp_path / "mine.starts.npz"
    arguments = ["--policy", "shipped-six", "--motion", "dribble_in_place", "--out", str(out)]
    record = script("record_starts")
    assert record.main([*arguments, "--worlds", "2", "--candidates", "2", "--trials", "2"]) == 0
    starts = load_starts(out)
    assert starts.name == ("dribble in place",)
    assert starts.made_by(policy_file("shipped-six"))
    told = capsys.readouterr().out
    assert markdown(starts) in told
    assert (
        "python scripts/record_starts.py --policy shipped-six --motion dribble_in_place" in starts.metadata["command"]
    )
    assert record.main(["--policy", "shiped-six"]) == 2
    assert "the nearest is 'shipped-six'" in capsys.readouterr().err
