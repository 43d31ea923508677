"""Runs compared at equal samples, on folders with curves that are known."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mjx_skillmimic.config import load_config, to_json
from mjx_skillmimic.evaluation import study, study_text
from mjx_skillmimic.evaluation.study import StudyError, compare, differing, fold, read_entries, value_at

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def configs() -> dict[str, str]:
    """Configurations by ablation, as runs write them."""
    return {
        name: to_json(load_config(f"{ROOT / 'configs' / 'ablations.py'}:{name}", [], check=False))
        for name in ("full", "sum")
    }


def write_run(
    folder: Path, config: str, slope: float = 1e-3, batch: int = 100, iterations: int = 40, evaluations=(), **changes
):
    """A run whose reward is `slope` times the samples in thousands; iteration i took 6 s."""
    folder.mkdir(parents=True)
    content = json.loads(config)
    for key, value in changes.items():
        section, name = key.split("__")
        content[section][name] = value
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "run.json").write_text(json.dumps({"devices": ["gpu: X"], "engine": "mjx-warp", "versions": {}}))
    rows = [
        {
            "iteration": i,
            "env_steps": i * batch,
            "seconds": 6.0 * i,
            "steps_per_second": batch / 6.0,
            "reward": slope * i * batch / 1e3,
            "env/contact/label_agrees": 0.5,
            "env/error/body_m": 1.0 / i,
            "env/error/object_m": 2.0 / i,
        }
        for i in range(1, iterations + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    if evaluations:
        lines = [
            {"iteration": s // batch, "env_steps": s, "seconds": 6.0 * s / batch} | values for s, values in evaluations
        ]
        (folder / "evaluations.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def evaluated(success: float) -> dict[str, float]:
    return {"success": success, "survived": 1.0, "acc": success / 2}


def load_script():
    spec = importlib.util.spec_from_file_location("compare_runs", ROOT / "scripts" / "compare_runs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_curve_is_read_between_its_points_and_averaged_over_the_window_before():
    x = np.array([0.0, 10.0, 20.0, 30.0])
    y = np.array([0.0, 1.0, np.nan, 3.0])  # a straight line with a gap
    np.testing.assert_allclose(value_at(x, y, 15.0, 0.0), 1.5)
    np.testing.assert_allclose(value_at(x, y, np.array([15.0, 30.0]), 4.0), [1.3, 2.8])
    np.testing.assert_allclose(value_at(x + 5, y, 6.0, 4.0), np.maximum(np.linspace(0.1, -0.3, 33), 0).mean())
    assert np.isnan(value_at(x, y, np.array([-1.0, 31.0]), 1.0)).all()
    assert np.isnan(value_at(x, np.full(4, np.nan), 15.0, 1.0))


def test_runs_with_iterations_of_different_sizes_are_read_at_the_same_samples(tmp_path, configs):
    small = write_run(tmp_path / "small", configs["full"], batch=100, iterations=40)
    large = write_run(tmp_path / "large", configs["full"], batch=320, iterations=20)
    result = compare(read_entries([small, large]))
    assert (result.env_steps, result.minutes) == (4000, 2.0)
    # The reward is 1e-6 times the samples, and the window of 2 % ends at the point: its mean lies 1 % lower.
    for row in result.rows:
        np.testing.assert_allclose(row["at_env_steps"]["reward"]["mean"], 4e-3 * 0.99)
    in_time = [row["at_minutes"]["reward"]["mean"] for row in result.rows]
    np.testing.assert_allclose(in_time, [20 * 1e-4 * 0.99, 20 * 3.2e-4 * 0.99])
    beyond = compare(read_entries([small, large]), at=5000).rows
    assert beyond[0]["at_env_steps"]["reward"] is None
    np.testing.assert_allclose(beyond[1]["at_env_steps"]["reward"]["mean"], 5e-3 * 0.99)


def test_only_keys_that_matter_differ(tmp_path, configs):
    base = write_run(tmp_path / "base", configs["full"])
    same = write_run(tmp_path / "same", configs["full"], run__devices=4, run__max_minutes=3.0, run__eval_every=7)
    other = write_run(tmp_path / "other", configs["sum"], ppo__horizon=24, run__seed=3)
    lost = write_run(tmp_path / "lost", configs["full"], termination__object_distance=None)
    result = compare(read_entries([base, same, other, lost]))
    rows = {row["name"]: row for row in result.rows}
    assert rows["base"]["differs"] == rows["same"]["differs"] == {}
    assert rows["other"]["differs"] == {
        "ppo.horizon": [16, 24],
        "reward.combine": ["product", "sum"],
        "run.seed": [0, 3],
    }
    assert [rows[n]["reward_comparable"] for n in ("same", "other", "lost")] == [True, False, False]
    assert [rows[n]["errors_comparable"] for n in ("same", "other", "lost")] == [True, True, False]
    turned = {row["name"]: row for row in compare(read_entries([base, same, other, lost]), baseline="other").rows}
    assert turned["base"]["differs"]["ppo.horizon"] == [24, 16]
    page = study_text.to_markdown(result, "Study")
    marked = {line.split(" | ")[0][2:]: line for line in page.splitlines() if line.startswith("| ")}
    assert marked["base"].count("†") == marked["same"].count("†") == 0
    assert (marked["other"].count("†"), marked["other"].count("‡")) == (2, 0)
    assert (marked["lost"].count("†"), marked["lost"].count("‡")) == (2, 3)
    assert "`ppo.horizon` 24, `reward.combine` sum, `run.seed` 3" in marked["other"]
    assert "† Not comparable" in page
    assert "‡ Measured over other frames" in page


def test_a_run_older_than_an_option_counts_as_todays_default(tmp_path, configs):
    content = json.loads(configs["full"])
    del content["reward"]["combine"]
    old = write_run(tmp_path / "old", json.dumps(content))
    plain, changed = (write_run(tmp_path / name, configs[name]) for name in ("full", "sum"))
    runs = [entry.runs[0] for entry in read_entries([old, plain, changed])]
    assert differing(runs[1], runs[0]) == {}
    assert differing(runs[2], runs[0]) == {"reward.combine": ("product", "sum")}


def test_groups_fold_their_seeds_into_mean_and_half_range(tmp_path, configs):
    members = [
        write_run(
            tmp_path / f"s{seed}",
            configs["full"],
            slope=slope,
            run__seed=seed,
            evaluations=[(1000, evaluated(0.1)), (2000, evaluated(success)), (4000, evaluated(1.0))],
        )
        for seed, slope, success in ((0, 1e-3, 0.2), (1, 2e-3, 0.4), (2, 6e-3, 0.9))
    ]
    single = write_run(tmp_path / "single", configs["full"], run__seed=9)
    result = compare(read_entries([single], [("seeds", members)]), at=3000)
    row = result.rows[1]
    assert (row["runs"], row["seeds"], row["differs"]) == (3, [0, 1, 2], {})
    reward = row["at_env_steps"]["reward"]
    np.testing.assert_allclose([reward["mean"], reward["half_range"]], [9e-3 * 0.99, 7.5e-3 * 0.99])
    # The evaluation at 4000 lies beyond, that at 1000 is not the last.
    assert row["evaluation"]["env_steps"] == {"mean": 2000, "half_range": 0, "count": 3}
    np.testing.assert_allclose(row["evaluation"]["success"]["mean"], 0.5)
    np.testing.assert_allclose(row["evaluation"]["success"]["half_range"], 0.35)
    assert set(result.rows[0]["evaluation"].values()) == {None}
    lines = study_text.to_markdown(result, "Study").splitlines()
    assert any(line.startswith("| seeds (3 runs) |") and "0.500 ± 0.350" in line for line in lines)
    assert any(line.startswith("| single |") and line.endswith("| – | – | – | – | – | – |") for line in lines)


def test_the_evaluation_of_the_last_policy_goes_before_those_of_training(tmp_path, configs):
    run = write_run(tmp_path / "run", configs["full"], evaluations=[(1000, evaluated(0.1))])
    values = {"success": 0.75, "survived": 1.0, "acc": 0.5, "e_b_mpjpe_mm": 80.0, "e_o_mpjpe_mm": 90.0}
    total = {name: {"value": value, "low": 0.9 * value, "high": 1.1 * value} for name, value in values.items()}
    (run / "evaluation.json").write_text(json.dumps({"results": {"total": total}}))
    row = compare(read_entries([run]), at=2000).rows[0]
    assert row["evaluation"]["success"]["mean"] == 0.75
    assert row["evaluation"]["env_steps"]["mean"] == 4000
    assert row["evaluation_intervals"] == [{name: [0.9 * value, 1.1 * value] for name, value in values.items()}]
    (run / "evaluation.json").write_text("{}")
    with pytest.raises(StudyError, match=r"evaluation\.json: expected what scripts/evaluate"):
        compare(read_entries([run]), at=2000)


def test_keys_that_came_later_count_as_what_was_done_before(tmp_path, configs):
    today = json.loads(configs["full"])
    old = json.loads(configs["full"])
    del old["observation"]["critic"]
    runs = [write_run(tmp_path / name, json.dumps(config)) for name, config in (("old", old), ("today", today))]
    old_run, new_run = (entry.runs[0] for entry in read_entries(runs))
    assert differing(new_run, old_run) == {"observation.critic": ("policy", "reference")}


def test_runs_of_a_group_that_differ_in_more_than_the_seed_say_so(tmp_path, configs):
    runs = [write_run(tmp_path / f"h{h}", configs["full"], ppo__horizon=h) for h in (16, 24)]
    row = compare(read_entries([runs[0]], [("both", runs)])).rows[1]
    assert row["differs"] == {"ppo.horizon": [16, {"one a run": [16, 24]}]}
    assert fold([0.1, None, float("nan"), 0.3]) == {"mean": 0.2, "half_range": pytest.approx(0.1), "count": 2}
    assert fold([None]) is None


def test_a_folder_of_seeds_is_a_group_and_a_truncated_last_line_is_left_out(tmp_path, configs):
    for seed in (0, 1):
        write_run(tmp_path / "many" / f"seed_{seed}", configs["full"], run__seed=seed, iterations=30)
    with (tmp_path / "many" / "seed_1" / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 31, "env_steps": 31')
    (entry,) = read_entries([tmp_path / "many"])
    assert (entry.name, [run.seed for run in entry.runs]) == ("many", [0, 1])
    assert [run.metrics[-1]["iteration"] for run in entry.runs] == [30, 30]
    assert compare([entry]).env_steps == 3000


def test_what_cannot_be_compared_is_named(tmp_path, configs):
    run = write_run(tmp_path / "a" / "run", configs["full"])
    twin = write_run(tmp_path / "b" / "run", configs["full"])
    with pytest.raises(StudyError, match="several runs are called run; name them with --group NAME=RUN"):
        read_entries([run, twin])
    with pytest.raises(StudyError, match="no run called 'full' to compare with; there are run, other"):
        compare(read_entries([run], [("other", [twin])]), baseline="full")
    with pytest.raises(StudyError, match="at least one run or group, got none"):
        read_entries([])
    with pytest.raises(StudyError, match="expected positive numbers"):
        compare(read_entries([run]), at=0.0)
    with pytest.raises(FileNotFoundError, match=r"has no config\.json; expected the folder of a run"):
        read_entries([tmp_path / "a"])


def test_the_command_writes_page_numbers_and_picture(tmp_path, configs, capsys):
    full = [write_run(tmp_path / f"f{i}", configs["full"], run__seed=i, slope=1e-3 + i * 1e-4) for i in range(2)]
    other = write_run(tmp_path / "sum", configs["sum"], evaluations=[(0, evaluated(0.0)), (4000, evaluated(0.7))])
    note = tmp_path / "note.txt"
    note.write_text("Three words here.\n")
    out = tmp_path / "results" / "study"
    main = load_script().main
    arguments = [str(out), str(other), "--group", f"full={full[0]},{full[1]}", "--baseline", "full", "--at", "4e3"]
    assert main([*arguments, "--note", str(note)]) == 0
    page = out.with_suffix(".md").read_text()
    assert page.index("Three words here.") < page.index("| run |") < page.index("(study.png)")
    assert str(tmp_path) not in page
    written = json.loads(out.with_suffix(".json").read_text())
    assert (written["baseline"], written["env_steps"]) == ("full", 4000)
    assert written["rows"] == json.loads(
        json.dumps(compare(read_entries([other], [("full", full)]), baseline="full").rows)
    )
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert main([str(out), str(other), "--baseline", "nobody"]) == 2
    assert "no run called 'nobody'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(out), "--group", "nameless"])
    assert "expected NAME=RUN,RUN, got 'nameless'" in capsys.readouterr().err


def test_machine_keys_are_those_of_the_run_section():
    known = {
        f"run.{key}"
        for key in json.loads(to_json(load_config(ROOT / "configs" / "ballplay.py", [], check=False)))["run"]
    }
    assert set(study.MACHINE) < known
    assert study.SEED in known
