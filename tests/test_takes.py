"""One take of several skills: what is told, what is judged, and the GIF that it ends in."""

import dataclasses
import types

import numpy as np
import pytest
from PIL import Image
from test_viewing import walker

from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.viewing import gif, gl, overlay, recordings, takes
from mjx_skillmimic.viewing.takes import Part
from mjx_skillmimic.viewing.trajectory import Trajectory
from tests.scripts_of import script

UP = 0.9  # m, the root of somebody who stands


def stand(steps, told, ball=(0.3, 0.0, 1.1), held=1.0):
    """Somebody who stands with the wrists at the ball and is told one skill."""
    body = np.tile([0.0, 0.0, UP], (steps, len(BODIES), 1))
    body[:, takes._WRISTS] = ball
    return Trajectory(
        body_pos=body,
        body_quat=np.tile([1.0, 0.0, 0.0, 0.0], (steps, len(BODIES), 1)),
        object_pos=np.tile(ball, (steps, 1)),
        object_quat=np.tile([1.0, 0.0, 0.0, 0.0], (steps, 1)),
        shapes=walker(1).shapes,
        fps=60.0,
        labels={"skill": np.full(steps, float(told)), "contact": np.full(steps, held)},
    )


def test_parts_are_labels_with_seconds():
    assert takes.parse_part("13:2.5", 60.0) == Part(13, 150)
    for text in ("13", "13:", "x:1", "13:0", "-1:2"):
        with pytest.raises(ValueError, match=r"such as 13:2\.5"):
            takes.parse_part(text, 60.0)


def test_each_part_is_judged_by_its_own_rule():
    parts = [Part(1, 60), Part(13, 100), Part(5, 60)]
    take = stand(220, 1)
    # picked up; then the ball stays at the right wrist; then nothing is thrown
    assert takes.judge(take, parts, {5: 2.8}) == [True, True, False]
    thrown = take.object_pos.copy()
    thrown[190:] = [2.0, 0.0, 2.5]
    assert takes.judge(dataclasses.replace(take, object_pos=thrown), parts, {5: 2.8}) == [True, True, True]
    assert takes.judge(dataclasses.replace(take, object_pos=thrown), parts, {5: 3.5}) == [True, True, False]
    untouched = dataclasses.replace(take, labels=take.labels | {"contact": np.zeros(220)})
    assert takes.judge(untouched, parts, {5: 2.8})[0] is False
    fallen = take.body_pos.copy()
    fallen[120:, 0, 2] = 0.2
    assert takes.judge(dataclasses.replace(take, body_pos=fallen, object_pos=thrown), parts, {5: 2.8}) == [
        True,
        False,
        False,
    ]
    with pytest.raises(ValueError, match=r"no height is known .* skill 5, shot"):
        takes.judge(take, parts, {})


def test_takes_are_drawn_until_all_succeeds(monkeypatch):
    performed = []

    def perform(session, parts, clip):
        performed.append(parts)
        return parts

    monkeypatch.setattr(takes, "perform", perform)
    monkeypatch.setattr(takes, "judge", lambda take, parts, apex: [True, len(performed) == 3])
    session = types.SimpleNamespace(control_dt=1 / 60)
    wanted, said = [Part(1, 60), Part(13, 100)], []
    take, done = takes.best_take(session, wanted, {}, takes=9, say=said.append)
    assert performed[0] == wanted
    assert len(performed) == len(said) == 3
    assert take == performed[2] != wanted
    assert [part.skill for part in take] == [1, 13]
    assert min(part.steps for part in take) >= 30
    assert done == [True, True]
    performed.clear()
    assert takes.best_take(session, wanted, {}, takes=2)[0] == wanted
    assert len(performed) == 2


def test_a_clip_is_found_by_its_name():
    session = types.SimpleNamespace(clips=["start: ball on the floor", "pick_up"])
    assert takes.find_clip(session, "ball on the floor") == 0
    assert takes.find_clip(session, "pick_up") == 1
    assert takes.find_clip(session, None) == 0
    with pytest.raises(ValueError, match="no clip or start state 'x'; there is ball on the floor, pick_up"):
        takes.find_clip(session, "x")


def test_a_caption_names_the_skill_told():
    assert "dribble forward" in overlay.caption(stand(4, 13), 0)


def test_a_gif_repeats_and_keeps_time(tmp_path):
    made = gif.write_gif(walker(24), tmp_path / "deep" / "x.gif", 80, 60, rate=15.0, backend=gl.SOFTWARE)
    assert made.backend == gl.SOFTWARE
    with Image.open(made.path) as image:
        assert image.size == (80, 60)
        assert image.n_frames == 6
        assert image.info["loop"] == 0
        durations = []
        for i in range(image.n_frames):
            image.seek(i)
            durations.append(image.info["duration"])
    # 15 a second in a format that counts hundredths; the last one stays
    assert durations[:-1] == pytest.approx([1000 / 15] * 5, abs=10)
    assert durations[-1] >= 500
    before = made.path.read_bytes()
    with pytest.raises(ValueError, match=r"x\.gif: 6 pictures of 80 x 60 take \d+ bytes, allowed are 100"):
        gif.write_gif(walker(24), made.path, 80, 60, backend=gl.SOFTWARE, limit=100)
    assert made.path.read_bytes() == before
    assert [path.name for path in made.path.parent.iterdir()] == ["x.gif"]


def test_the_command_line_of_a_take(tmp_path, monkeypatch, capsys):
    asked = {}

    def record_take(policy, tell, motion, begin, count, seed, say):
        asked.update(policy=policy, tell=tell, begin=begin, takes=count)
        return recordings.Recordings((walker(12),), None)

    monkeypatch.setattr(recordings, "record_take", record_take)
    render = script("render")
    arguments = ["--policy", "p", "--begin", "pick_up", "--tell", "1:2", "13:1.5", "--takes", "7", "--size", "64x48"]
    out = tmp_path / "take"
    assert render.main([*arguments, "--only", "gif", "--renderer", "software", "--out", str(out)]) == 0
    assert asked == {"policy": "p", "tell": ["1:2", "13:1.5"], "begin": "pick_up", "takes": 7}
    assert out.with_suffix(".gif").is_file()
    with pytest.raises(SystemExit):
        render.main(["--motion", "pick_up", "--tell", "1:2", "--out", str(out)])
    assert "--tell needs a --policy" in capsys.readouterr().err
