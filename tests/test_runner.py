"""The outer loop: resuming exactly, stopping, refusing, evaluating, logging."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.learning import runner
from mjx_skillmimic.learning.checkpoint import CheckpointError, Checkpoints
from mjx_skillmimic.learning.logging import JsonLines, read_json_lines
from mjx_skillmimic.learning.progress import PlainProgress
from tests.toy import PointEnv, quiet, toy_config
from tests.trees import leaves


def train(config: ConfigDict, workdir: Path, **options: Any) -> runner.RunResult:
    defaults: dict[str, Any] = {"env": PointEnv(), "progress": quiet()}
    return runner.run(config, workdir, **defaults | options)


def assert_equal(one: Any, other: Any) -> None:
    first, second = leaves(one), leaves(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def logged(workdir: Path) -> list[dict[str, Any]]:
    """Metrics without what a clock decides."""
    clock = ("seconds", "time", "steps_per_second")
    return [{k: v for k, v in line.items() if k not in clock} for line in read_json_lines(workdir / "metrics.jsonl")]


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, runner.RunResult]:
    """20 iterations in one go."""
    workdir = tmp_path_factory.mktemp("runs") / "twenty"
    return workdir, train(toy_config(20), workdir)


def test_ten_resumed_for_ten_is_bit_for_bit_twenty(tmp_path: Path, twenty: tuple[Path, runner.RunResult]) -> None:
    workdir, straight = twenty
    half = train(toy_config(10), tmp_path / "run")
    assert (half.reason, half.iteration, half.env_steps) == ("finished", 10, 320)
    assert leaves(half.state)[".iteration"] == 10
    resumed = train(toy_config(20), tmp_path / "run", resume=True)
    assert resumed.iteration == 20
    assert_equal(resumed.state, straight.state)
    assert logged(tmp_path / "run") == logged(workdir)
    # Twenty iterations must have changed something, or equality would mean nothing.
    assert any(not np.array_equal(value, leaves(straight.state)[name]) for name, value in leaves(half.state).items())


def test_a_killed_run_resumes_from_its_last_checkpoint(tmp_path: Path, twenty: tuple[Path, runner.RunResult]) -> None:
    workdir, straight = twenty

    def killed(state: Any, iteration: int, path: Path) -> None:
        raise KeyboardInterrupt

    config = toy_config(20, video_every=7)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", hooks=runner.Hooks(video=killed))
    # Iteration 7 was made and logged, iteration 5 was saved; the half-written line is what a kill leaves.
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 8, "rew')
    resumed = train(toy_config(20), tmp_path / "run", resume=True)
    assert_equal(resumed.state, straight.state)
    assert logged(tmp_path / "run") == logged(workdir)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_finishes_the_iteration_saves_and_says_how_to_resume(tmp_path: Path, name: str) -> None:
    class Killer(PlainProgress):
        def update(self, row: Any) -> None:
            super().update(row)
            if row.iteration == 3:
                os.kill(os.getpid(), getattr(signal, name))

    previous = signal.getsignal(getattr(signal, name))
    stream = io.StringIO()
    progress = Killer(stream, interval=0.0)
    result = train(toy_config(20), tmp_path / "run", progress=progress)
    # The metrics of iteration 3 are shown while iteration 4 runs.
    assert (result.reason, result.iteration, result.finished) == (name, 4, False)
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() == 4
    assert [line["iteration"] for line in logged(tmp_path / "run")] == [1, 2, 3, 4]
    assert "--resume" in stream.getvalue()
    assert signal.getsignal(getattr(signal, name)) is previous


def test_time_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    result = train(toy_config(20, max_minutes=1e-6), tmp_path / "run")
    assert (result.reason, result.iteration) == ("time", 1)
    assert train(toy_config(2), tmp_path / "run", resume=True).iteration == 2


def test_a_used_folder_is_refused_unless_overwritten(tmp_path: Path) -> None:
    train(toy_config(2), tmp_path / "run")
    with pytest.raises(runner.ResumeError, match=r"not empty .* --resume, .* --overwrite"):
        train(toy_config(2), tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("kept")
    assert train(toy_config(1), tmp_path / "run", overwrite=True).iteration == 1
    assert (tmp_path / "run" / "notes.txt").read_text() == "kept"
    assert [line["iteration"] for line in logged(tmp_path / "run")] == [1]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(runner.ResumeError, match=r"thesis.tex.*name another"):
            train(toy_config(1), foreign, overwrite=overwrite)


def test_resuming_what_is_not_there_names_the_nearest_run(tmp_path: Path) -> None:
    train(toy_config(1), tmp_path / "catch")
    with pytest.raises(runner.ResumeError, match=r"holds no run to resume; the nearest is '.*catch'"):
        train(toy_config(1), tmp_path / "cacth", resume=True)


def test_resuming_with_another_configuration_or_motion_names_what_differs(tmp_path: Path) -> None:
    train(toy_config(1), tmp_path / "run")
    changed = toy_config(2)
    with changed.unlocked():
        changed.ppo.learning_rate = 2e-4
        changed.run.seed = 1
        changed.eval.episodes = 2
    with pytest.raises(runner.ResumeError) as caught:
        train(changed, tmp_path / "run", resume=True)
    message = str(caught.value)
    assert "ppo.learning_rate: 0.0001 -> 0.0002" in message
    assert "seed: 0 -> 1" in message
    assert "eval" not in message
    assert "total_env_steps" not in message

    other = PointEnv()
    other.motion_hash = "b" * 64
    with pytest.raises(runner.ResumeError, match="hash bbbbbbbbbbbb, expected aaaaaaaaaaaa"):
        train(toy_config(2), tmp_path / "run", resume=True, env=other)
    moved = toy_config(2)
    with moved.unlocked():
        moved.motion.path = "elsewhere"
    assert train(moved, tmp_path / "run", resume=True).iteration == 2


def test_without_env_state_a_resume_has_new_episodes(tmp_path: Path) -> None:
    half = train(toy_config(4, checkpoint_env_state=False), tmp_path / "run")
    resumed = train(toy_config(5, checkpoint_env_state=False), tmp_path / "run", resume=True)
    straight = train(toy_config(5), tmp_path / "straight")
    assert leaves(resumed.state)[".iteration"] == 5
    # Four steps after new episodes began in every world; without the break the ages would differ.
    assert set(leaves(resumed.state)[".env_state.info['age']"]) == {4.0}
    assert set(leaves(straight.state)[".env_state.info['age']"]) == {0.0}
    first = leaves(half.state)[".env_state.data"]
    assert not np.array_equal(first, leaves(resumed.state)[".env_state.data"])


def test_hooks_are_called_when_due_and_only_video_may_fail(tmp_path: Path) -> None:
    called: list[tuple[str, int]] = []

    def evaluate(state: Any, iteration: int) -> dict[str, float]:
        called.append(("evaluate", iteration))
        return {"accuracy": float(state.iteration)}

    def video(state: Any, iteration: int, path: Path) -> None:
        called.append(("video", iteration))
        raise OSError("no GL here")

    def export(state: Any, path: Path, metadata: Any) -> None:
        path.write_text(json.dumps(metadata["iteration"]))

    stream = io.StringIO()
    progress = PlainProgress(stream, interval=0.0)
    config = toy_config(5, eval_every=2, video_every=4, checkpoint_every=3)
    train(config, tmp_path / "run", hooks=runner.Hooks(evaluate, video, export), progress=progress)
    assert [i for kind, i in called if kind == "evaluate"] == [0, 2, 4, 5]
    assert [i for kind, i in called if kind == "video"] == [4, 5]
    assert "warning: no video of iteration 4: OSError: no GL here" in stream.getvalue()
    lines = list(read_json_lines(tmp_path / "run" / "evaluations.jsonl"))
    assert [(line["iteration"], line["accuracy"]) for line in lines] == [(0, 0.0), (2, 2.0), (4, 4.0), (5, 5.0)]
    assert json.loads((tmp_path / "run" / "policy.npz").read_text()) == 5

    def broken(state: Any, iteration: int) -> dict[str, float]:
        if iteration == 6:
            raise RuntimeError("no such clip")
        return {}

    with pytest.raises(RuntimeError, match="no such clip"):
        train(toy_config(9, eval_every=2), tmp_path / "run", resume=True, hooks=runner.Hooks(evaluate=broken))
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() == 6


def test_old_checkpoints_go_and_periodic_ones_stay(tmp_path: Path) -> None:
    train(toy_config(9, checkpoint_every=1, checkpoint_keep=2, checkpoint_keep_every=4), tmp_path / "run")
    assert Checkpoints(tmp_path / "run" / "checkpoints").iterations() == [4, 8, 9]


def test_metrics_are_complete_and_tensorboard_is_written(tmp_path: Path) -> None:
    train(toy_config(2, tensorboard=True), tmp_path / "run")
    for line in read_json_lines(tmp_path / "run" / "metrics.jsonl"):
        assert line["env_steps"] == 32 * line["iteration"]
        assert {"reward", "env/reward/near", "episode/length", "seconds", "steps_per_second", "kl"} <= line.keys()
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == json.loads(
        json.dumps(toy_config(2, tensorboard=True).to_dict())
    )
    assert json.loads((tmp_path / "run" / "run.json").read_text())["motion_hash"] == PointEnv.motion_hash


def test_json_lines_drop_what_lies_beyond_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    for iteration in range(1, 6):
        lines.write(iteration, {"reward": float("nan") if iteration == 2 else iteration / 2})
    lines.close()
    JsonLines(path, keep_until=3).close()
    assert list(read_json_lines(path)) == [
        {"iteration": 1, "reward": 0.5},
        {"iteration": 2, "reward": None},
        {"iteration": 3, "reward": 1.5},
    ]


def test_a_state_of_another_shape_is_refused_leaf_by_leaf(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    state = {
        "a": jax.numpy.ones((2, 3)),
        "key": jax.random.key(3),
        "empty": jax.numpy.zeros((0, 4)),
        "n": jax.numpy.int8(5),
    }
    checkpoints.save(1, state, {})
    assert_equal(checkpoints.restore(1, jax.eval_shape(lambda: state)), state)
    wrong = {"a": jax.numpy.ones((3, 2)), "key": state["key"], "empty": state["empty"], "m": state["n"]}
    with pytest.raises(CheckpointError) as caught:
        checkpoints.restore(1, wrong)
    for text in ("['a']: stored float32(2, 3), expected float32(3, 2)", "['m']: not in", "['n']: only in"):
        assert text in str(caught.value)
    with pytest.raises(CheckpointError, match=r"no checkpoint of iteration 2; it has \[1\]"):
        checkpoints.restore(2, state)
