"""Non-finite worlds: recorded, counted, dumped when too many, replayed on another engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.envs import nonfinite
from mjx_skillmimic.learning import dump, runner
from mjx_skillmimic.learning.checkpoint import Checkpoints
from tests.toy import PointEnv, quiet, toy_config


def test_the_record_keeps_the_last_failing_step_of_each_world() -> None:
    generator = np.random.default_rng(0)
    record = nonfinite.start_record(jnp.zeros((4, 3)), jnp.zeros((4, 2)), 5)
    expected = [np.zeros((4, size)) for size in (3, 2, 5)]
    count = np.zeros(4)
    update = jax.jit(nonfinite.record_nonfinite)
    for _ in range(6):
        mask = generator.random(4) < 0.4
        step = [generator.normal(size=(4, size)).astype(np.float32) for size in (3, 2, 5)]
        record = update(record, mask, *step)
        for world in np.flatnonzero(mask):
            count[world] += 1
            for kept, new in zip(expected, step, strict=True):
                kept[world] = new[world]
    assert count.max() > 1
    np.testing.assert_array_equal(record.count, count)
    for kept, found in zip(expected, (record.qpos, record.qvel, record.target), strict=True):
        np.testing.assert_array_equal(found, kept.astype(np.float32))


def train(config: ConfigDict, workdir: Path, fails_at: int) -> runner.RunResult:
    return runner.run(config, workdir, env=PointEnv(fails_at), progress=quiet())


def test_a_tolerated_failure_is_counted_and_training_goes_on(tmp_path: Path) -> None:
    result = train(toy_config(4, max_nonfinite_fraction=1 / 32), tmp_path / "run", fails_at=6)
    assert result.finished
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # One of the 8 worlds in one of the 4 steps of the second iteration.
    assert [line["env/nonfinite"] for line in lines] == [0.0, 1 / 32, 0.0, 0.0]
    assert not (tmp_path / "run" / "dumps").exists()


def test_too_many_failures_stop_the_run_with_a_dump_of_the_world(tmp_path: Path) -> None:
    with pytest.raises(
        runner.NonfiniteError, match=r"3.12% of the env steps of iteration 2 .*run.max_nonfinite_fraction"
    ) as caught:
        train(toy_config(4), tmp_path / "run", fails_at=6)
    assert caught.value.dump is not None
    read = dump.read_dump(caught.value.dump)
    assert (read.iteration, read.world.tolist(), read.count.tolist()) == (2, [1], [1])
    assert json.loads(read.config)["ppo"]["num_envs"] == 8
    assert read.qpos.shape == (1, 2)
    assert read.actions.shape == (1, 1, 2)
    assert np.isfinite(read.qpos).all()
    # Within the square that worlds begin in, widened by five steps of at most 0.1.
    assert 0 < np.abs(read.qpos).max() <= 1.5
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() is None


def test_too_many_skipped_updates_stop_the_run(tmp_path: Path) -> None:
    config = toy_config(4, max_nonfinite_updates=3)
    with config.unlocked():
        # The squared advantage overflows, so that no update of any iteration is finite.
        config.ppo.reward_scale = 1e38
        config.ppo.normalize_advantage = False
    with pytest.raises(runner.NonfiniteError, match=r"gradient steps were skipped as non-finite"):
        train(config, tmp_path / "run", fails_at=10**6)


class Runaway:
    """One coordinate that squares itself each step after the target is added: overflows at a known step."""

    def init(self, qpos: Any, qvel: Any) -> Any:
        return self._state(np.asarray(qpos, np.float32), np.asarray(qvel, np.float32))

    def step(self, state: Any, target: Any) -> Any:
        with np.errstate(over="ignore"):
            return self._state(np.square(state.qpos + target), state.qvel)

    def _state(self, qpos: np.ndarray, qvel: np.ndarray) -> Any:
        force = np.zeros((len(qpos), 1, 3), np.float32)
        return SimpleNamespace(qpos=qpos, qvel=qvel, body_force=force, object_force=force[:, 0])


def example(**changes: Any) -> dump.Dump:
    values: dict[str, Any] = {
        "reason": "test",
        "config": "{}",
        "iteration": 7,
        "world": np.array([5, 2]),
        "count": np.array([3, 1]),
        "qpos": np.array([[9.0], [0.5]], np.float32),
        "qvel": np.array([[0.0], [4.0]], np.float32),
        "actions": np.array([[[1.0], [0.0]]], np.float32),
    }
    return dump.Dump(**values | changes)


def test_replay_names_the_quantity_the_step_and_the_largest_value() -> None:
    findings = {(f.world, f.quantity): f for f in dump.replay(example(), Runaway(), steps=8)}
    # (x + 1)² from 9: 100, 10201, 1.04e8, 1.08e16, 1.17e32, beyond the largest float32 at the sixth step.
    value, steps = 9.0, 0
    while value <= float(np.finfo(np.float32).max):
        largest, value, steps = value, (value + 1.0) ** 2, steps + 1
    assert findings[5, "qpos"].first_step == steps == 6
    assert findings[5, "qpos"].largest == pytest.approx(largest, rel=1e-4)
    assert findings[2, "qpos"].first_step is None
    assert findings[2, "qpos"].largest == 0.5
    assert findings[2, "qvel"].largest == 4.0
    assert findings[5, "body_force"].first_step is None


def test_replay_without_recorded_targets_judges_the_state() -> None:
    recorded = example(qvel=np.array([[np.nan], [4.0]]), actions=np.zeros((0, 2, 0)))
    findings = {(f.world, f.quantity): f.first_step for f in dump.replay(recorded, Runaway(), steps=8)}
    assert findings[5, "qvel"] == 0
    assert findings[5, "qpos"] is None


def test_dump_round_trip_and_refusals(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dump.npz"
    dump.write_dump(example(), path)
    read = dump.read_dump(path)
    for name in ("reason", "config", "iteration"):
        assert getattr(read, name) == getattr(example(), name)
    for name in ("world", "count", "qpos", "qvel", "actions"):
        np.testing.assert_array_equal(getattr(read, name), getattr(example(), name))
    assert [p.name for p in path.parent.iterdir()] == ["dump.npz"]

    np.savez(tmp_path / "other.npz", qpos=np.zeros(3))
    with pytest.raises(dump.DumpFormatError, match=r"it lacks actions, config"):
        dump.read_dump(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(dump.DumpFormatError, match=r"text.npz is no dump"):
        dump.read_dump(tmp_path / "text.npz")
    with np.load(path) as file:
        np.savez(tmp_path / "objects.npz", **{**file, "reason": np.array([{}], object)})
    with pytest.raises(dump.DumpFormatError, match="objects"):
        dump.read_dump(tmp_path / "objects.npz")
    with pytest.raises(FileNotFoundError):
        dump.read_dump(tmp_path / "absent.npz")


KILLED_WHILE_SAVING = """
import os, pathlib, signal, sys, threading
import numpy as np
from mjx_skillmimic.learning.checkpoint import Checkpoints
folder = pathlib.Path(sys.argv[1])
checkpoints = Checkpoints(folder)
checkpoints.save(1, {"x": np.arange(3)}, {})
def kill():
    while not any(p.name.startswith("2.") for p in folder.iterdir()):
        pass
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
checkpoints.save(2, {"x": np.random.default_rng(0).random((3000, 3000))}, {})
"""


def test_a_checkpoint_that_was_killed_half_way_is_never_used(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path)], capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert any(path.name.startswith("2.") for path in tmp_path.iterdir())
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() == 1
    np.testing.assert_array_equal(checkpoints.restore(1, {"x": np.zeros(3, int)})["x"], [0, 1, 2])
    checkpoints.save(2, {"x": np.arange(4)}, {})
    assert Checkpoints(tmp_path).iterations() == [1, 2]
