"""Golden vectors through the registry and through `scripts/parity.py golden`, tampered copies included."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mjx_skillmimic.evaluation.golden import locate, registry, report

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(os.environ.get("MJX_SKILLMIMIC_GOLDEN", ROOT.parent / "shared" / "golden"))
ABSENT = f"golden vectors {GOLDEN} are not here (MJX_SKILLMIMIC_GOLDEN names the folder)"

report.load_checks()
FILES = sorted(path for path in GOLDEN.glob("*.npz") if registry.find(path.stem)) if GOLDEN.is_dir() else []


def parity(*argv: str) -> int:
    spec = importlib.util.spec_from_file_location("parity", ROOT / "scripts" / "parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(["golden", *argv])


def golden(stem: str) -> dict[str, np.ndarray]:
    path = GOLDEN / f"{stem}.npz"
    if not path.is_file():
        pytest.skip(ABSENT)
    return report.read_arrays(path)


def reset_vectors() -> dict[str, np.ndarray]:
    """A small golden file of our own, with the layout of `v1_reset`."""
    progress, height = np.arange(8), np.array([0.2, 1.0] * 4, np.float32)
    fell = ((height < 0.3) & (progress > 1)).astype(int)
    return {
        "progress_buf": progress,
        "root_height": height,
        "clip_episode_length": np.full(8, 6),
        "termination_height": np.array(0.3),
        "out_terminate_train": fell,
        "out_reset_train": np.maximum(fell, progress >= 5).astype(int),
    }


@pytest.mark.skipif(not FILES, reason=ABSENT)
def test_the_room_covers_the_published_files():
    stems = {path.stem for path in FILES}
    assert {"v1_obs", "v1_hoi_obs", "v1_reward", "v1_reset", "v1_pd", "v1_scripted_env"} <= stems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_file(path):
    rows = report.check_file(path)
    if any(locate.MissingClip.__name__ in row.problem for row in rows):
        pytest.skip(rows[-1].problem)
    assert rows
    assert [f"{r.quantity}: {r.max_error} > {r.tolerance} {r.problem}" for r in rows if not r.passed] == []


@pytest.mark.parametrize("stem", ["v1_obs", "v1_hoi_obs", "v1_reward", "v1_reset", "v1_pd", "v1_scripted_env"])
def test_every_expected_array_is_really_compared(stem, tmp_path):
    """Changing any one number that the check does not exclude must be noticed: here, all of each output at once."""
    arrays = golden(stem)
    outputs = [name for name in arrays if name.startswith("out_")]
    path = tmp_path / f"{stem}.npz"
    for name in outputs:
        tampered = {**arrays, name: arrays[name] + np.asarray(1, arrays[name].dtype)}
        np.savez(path, **tampered)
        rows = report.check_file(path)
        if any(locate.MissingClip.__name__ in row.problem for row in rows):
            pytest.skip(rows[-1].problem)
        assert any(not row.passed for row in rows), f"nobody compares {name}"


def test_passing_folder_and_its_json(tmp_path, capsys):
    np.savez(tmp_path / "v1_reset.npz", **reset_vectors())
    np.savez(tmp_path / "v9_unheard_of.npz", x=np.zeros(1))
    assert parity(str(tmp_path), "--json", str(tmp_path / "out.json")) == 0
    printed = capsys.readouterr().out
    assert "not covered: v9_unheard_of" in printed
    assert "passed: 2 quantities in 1 files" in printed
    stored = json.loads((tmp_path / "out.json").read_text())
    assert stored["passed"] is True
    assert [row["quantity"] for row in stored["rows"]] == ["terminate_train", "reset_train"]


def test_one_wrong_number_fails_the_run(tmp_path, capsys):
    arrays = reset_vectors()
    arrays["out_reset_train"][3] ^= 1
    np.savez(tmp_path / "v1_reset.npz", **arrays)
    assert parity(str(tmp_path)) == 1
    printed = capsys.readouterr().out
    assert "FAILED: 1 of 2 quantities" in printed
    assert [line.split()[-1] for line in printed.splitlines() if "reset_train" in line] == ["NO"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a zip", "v1_reset: unreadable:"),
        (b"PK\x03\x04 truncated", "v1_reset: unreadable:"),
        (b"", "v1_reset: unreadable:"),
    ],
)
def test_broken_files_fail_with_one_line(tmp_path, capsys, content, message):
    (tmp_path / "v1_reset.npz").write_bytes(content)
    assert parity(str(tmp_path), "--json", str(tmp_path / "out.json")) == 1
    assert json.loads((tmp_path / "out.json").read_text())["rows"][0]["max_error"] is None  # JSON has no infinity
    assert sum(message in line for line in capsys.readouterr().out.splitlines()) == 1


def test_pickled_objects_are_never_loaded(tmp_path, capsys):
    np.savez(tmp_path / "v1_reset.npz", **{**reset_vectors(), "root_height": np.array([{"a": 1}], object)})
    assert parity(str(tmp_path)) == 1
    assert "allow_pickle=False" in capsys.readouterr().out


def test_missing_arrays_are_named(tmp_path, capsys):
    arrays = reset_vectors()
    del arrays["root_height"]
    np.savez(tmp_path / "v1_reset.npz", **arrays)
    assert parity(str(tmp_path)) == 1
    assert "array 'root_height' is missing" in capsys.readouterr().out


def test_arrays_of_another_shape_fail(tmp_path):
    arrays = reset_vectors()
    arrays["out_reset_train"] = arrays["out_reset_train"][:-1]
    np.savez(tmp_path / "v1_reset.npz", **arrays)
    assert parity(str(tmp_path)) == 1


def test_folders_without_anything_to_compare_fail(tmp_path, capsys):
    assert parity(str(tmp_path / "nowhere")) == 2
    assert "no folder" in capsys.readouterr().err
    assert parity(str(tmp_path)) == 2
    assert "no .npz file" in capsys.readouterr().err
    np.savez(tmp_path / "v9_unheard_of.npz", x=np.zeros(1))
    assert parity(str(tmp_path)) == 1
    assert "nothing was compared" in capsys.readouterr().out


def test_nan_never_passes():
    bad = np.array([np.nan])
    assert not registry.Quantity("x", bad, np.zeros(1), atol=1.0).passed
    assert not registry.Quantity("x", np.zeros(1), bad, atol=1.0).passed


def test_missing_clips_say_how_to_give_them(tmp_path, monkeypatch):
    monkeypatch.setenv(locate.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(locate.MissingClip, match=r"'a\.pt' is not under .* --data or MJX_SKILLMIMIC_DATA"):
        locate.find_clip("a.pt")
    for folder in ("AAA", "BallPlay-M"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pt").touch()
    assert locate.find_clip("a.pt").parent.name == "BallPlay-M"
