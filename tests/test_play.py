"""The command line of the viewers."""

import numpy as np
import pytest

from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.viewing import native
from tests.scripts_of import script


@pytest.fixture(scope="module")
def play():
    return script("play")


def test_without_a_viewer_a_policy_is_summed_up(play, capsys):
    arguments = ["--policy", "random", "--motion", "throw_catch", "--viewer", "none", "--seconds", "4"]
    assert play.main(arguments) == 0
    out = capsys.readouterr().out
    assert "policy random, clip throw_catch, skill 50" in out
    assert "simulated 4.0 s" in out
    assert "real-time factor" in out
    # nobody stands who flails; after 1.5 s on the floor the clip begins again
    assert int(out.split("falls ")[1].split()[0]) >= 1


def test_without_a_policy_the_clip_is_played(play, capsys):
    clip = load_clips("pick_up")[0]
    seconds = clip.num_frames / 60
    arguments = ["--motion", "pick_up", "--viewer", "none", "--state_init", "0", "--seconds", f"{seconds:.4f}"]
    assert play.main(arguments) == 0
    out = capsys.readouterr().out
    assert "policy playback, clip pick_up, skill 1" in out
    assert "falls 0" in out
    share = round(100 * float(np.mean(clip.contact > 0.5)))
    assert f"ball in the hands in {share} %" in out


def test_the_native_viewer_gets_session_and_keys(play, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(native, "view", lambda session, keys, stop: seen.update(session=session, keys=keys))
    file = tmp_path / "mine.py"
    file.write_text(
        "import ml_collections\ndef get_config():\n    return ml_collections.ConfigDict({'keys': {'box': 'x'}})\n"
    )
    arguments = ["--motion", "pick_up", "throw_catch", "--clip", "1", "--state_init", "7", "--viewer", "native"]
    assert play.main([*arguments, "--no-ghost", "--speed", "0.5", "--keys", str(file)]) == 0
    session = seen["session"]
    assert (session.status.clip, session.status.frame, session.ghost, session.speed) == (1, 7, False, 0.5)
    assert seen["keys"] == {"x": "box"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "shiped-six"], "the nearest is 'shipped-six'"),
        (["--motion", "pickup"], "those are"),
        (["--motion", "pick_up", "--state_init", "-3"], "frame -3 of pick_up"),
        (["--motion", "pick_up", "--clip", "1"], "clip 1: there are 1"),
        (["--motion", "pick_up", "--skill", "13"], "played back"),
        (["--motion", "pick_up", "--keys", "configs/nothing.py"], "no configuration file"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(play, capsys, arguments, message):
    assert play.main([*arguments, "--viewer", "none"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("play: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("--speed", "0"), ("--seconds", "-1"), ("--viewer", "vr")])
def test_options_that_make_no_sense_are_refused(play, capsys, option, value):
    with pytest.raises(SystemExit):
        play.main([option, value])
    assert option in capsys.readouterr().err
