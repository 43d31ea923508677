"""scripts/parity.py from a recorded base to the page, and what it says to requests that cannot be met."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mjx_skillmimic.evaluation.parity import policy, report
from tests.scripts_of import script

parity = script("parity")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny base of MuJoCo, and MuJoCo compared with it."""
    place = tmp_path_factory.mktemp("parity")
    made = ["dynamics", "--groups", "free fall,ball drop,reference states", "--share", "0.05", "--motion", "pick_up"]
    assert parity.main([*made, "--record", str(place / "base.npz")]) == 0
    out = ["--json", str(place / "d.json"), "--markdown", str(place / "d.md"), "--plots", str(place / "plot")]
    replay = ["--engines", "mujoco", "--trace", str(place / "base.npz"), "--stride", "4"]
    assert parity.main(["dynamics", *replay, *out]) == 0
    return place


def test_mujoco_agrees_with_its_own_trace(folder):
    document = json.loads((folder / "d.json").read_text())
    found = document["engines"]["mujoco"]
    assert document["base"]["engine"] == "mujoco"
    assert document["settings"]["motion"] == "pick_up"
    assert found["summary"]["flags"] == 100.0
    assert found["summary"]["bounce"] < 0.1
    assert found["groups"]["reference states"]["open_loop"]["60"]["body_place"]["error"][0] < 1e-3
    assert found["lost_contacts"] == {"open_loop": 0, "one_step": 0}
    assert {p.name for p in folder.glob("plot_*.png")} == {"plot_drop.png", "plot_divergence.png"}
    assert "| mujoco | – | – |" in (folder / "d.md").read_text()  # no PD steps in this base


def test_the_page_keeps_what_people_wrote(folder):
    page = folder / "parity.md"
    page.write_text(report.blank().replace("## Model", "Written by hand.\n\n## Model"))
    other = json.loads((folder / "d.json").read_text())
    other["engines"] = {"elsewhere": other["engines"]["mujoco"]}
    (folder / "other.json").write_text(json.dumps(other))
    files = [str(folder / "d.json"), str(folder / "other.json")]
    assert parity.main(["report", *files, "--page", str(page), "--pictures", str(folder / "results" / "p")]) == 0
    text = page.read_text()
    assert "Written by hand." in text
    assert text.count("### Summary") == 1  # one base, both engines in its table
    assert "| mujoco |" in text
    assert "| elsewhere |" in text
    assert "(results/p_drop.png)" in text
    # the kept numbers say the same as the files that they came from
    kept = str(folder / "results" / "p.json")
    assert parity.main(["report", kept, "--page", str(page), "--pictures", str(folder / "results" / "p")]) == 0
    assert page.read_text() == text


def test_other_bases_stay_apart(folder):
    (one,) = report.read(folder / "d.json")
    two = json.loads(json.dumps(one))
    two["base"]["hash"] = "another"
    assert len(report.merge([one, one])) == 1
    assert len(report.merge([one, two])) == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["dynamics", "--engines", "bullet"], "no engine 'bullet'"),
        (["dynamics", "--groups", "levitation"], "no group levitation; there are free fall"),
        (["dynamics", "--trace", "nowhere.npz"], "nowhere.npz"),
        (["model", "--engines", "mujoco,bullet"], "no engine 'bullet'"),
        (["policy", "--policy", "nobody", "--engines", "mujoco"], "nobody"),
        (["report", "nowhere.json"], "nowhere.json"),
    ],
)
def test_requests_that_cannot_be_met(argv, message, capsys):
    assert parity.main(argv) == 2
    assert message in capsys.readouterr().err


def test_files_that_are_something_else(tmp_path, capsys):
    (tmp_path / "x.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "y.npz", a=np.zeros(3))
    (tmp_path / "x.json").write_text('{"format": "something"}')
    assert parity.main(["dynamics", "--trace", str(tmp_path / "x.npz")]) == 2
    assert "x.npz: found no readable .npz" in capsys.readouterr().err
    assert parity.main(["dynamics", "--trace", str(tmp_path / "y.npz")]) == 2
    assert "y.npz: found no header, expected a mjx_skillmimic trace" in capsys.readouterr().err
    assert parity.main(["report", str(tmp_path / "x.json"), "--page", str(tmp_path / "p.md")]) == 2
    assert "x.json: found a 'something', expected one of" in capsys.readouterr().err


def test_a_policy_in_two_engines_is_compared_start_by_start():
    success = {"warp": [1.0] * 40 + [0.0] * 10, "other": [1.0] * 20 + [0.0] * 30}
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    entry = dict.fromkeys(("success", "reward", "acc", "survived", "e_b_mpjpe_mm", "e_o_mpjpe_mm"), value)
    engines = {
        name: {
            "total": entry,
            "skills": {"001": entry | {"rule": "pick up"}},
            "episodes": {"skill": [1] * 50, "success": values},
        }
        for name, values in success.items()
    }
    document = {"policy": "p", "trained_in": "warp", "engines": engines,
                "settings": {"episodes": 50, "start": "random", "seed": 0}}  # fmt: skip
    kept = policy.ratio(document, "other", "warp")
    assert kept["value"] == 0.5
    assert 0.3 < kept["low"] < 0.5 < kept["high"] < 0.7
    assert policy.ratio(document, "warp", "warp") == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert policy.ratio(document, "warp", "other", skill=2)["value"] is None
    cells = {row[1]: row[3] for row in policy.tables(document)[0].rows}
    assert cells["other"].startswith("50.0 [")
    assert cells["warp (trained in)"] == "100.0 [100.0, 100.0]"
