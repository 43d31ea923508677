"""The same global batch gives the same update on one device, on four, among other seeds, and on two hosts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from mjx_skillmimic.learning import compiling, hosts, parallel, ppo, runner
from mjx_skillmimic.learning.logging import read_json_lines
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.learning.update import own_minibatch_indices
from tests.toy import PointEnv, quiet, toy_config
from tests.trees import leaves

ROOT = Path(__file__).resolve().parent.parent
ITERATIONS = 3
OPTIONS = default_ppo(
    num_envs=16,
    horizon=4,
    minibatch_size=16,
    num_epochs=2,
    actor_hidden=(16,),
    critic_hidden=(16,),
    learning_rate=1e-3,
    lr_max=1e-2,
    shuffle_groups=4,
)
# Steps of the rate, of the normalisers and of everything else are the same sums in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}

WORKER = """
import sys
import numpy as np
from tests import test_learning_parallel as here
np.savez(sys.argv[1], **here.trained(int(sys.argv[2]), int(sys.argv[3])))
"""
HOST = """
import sys
from pathlib import Path
from mjx_skillmimic.learning import hosts, runner
from tests.toy import PointEnv, quiet, toy_config
hosts.connect(*hosts.parse(sys.argv[1]))
for iterations in (2, 3):
    config = toy_config(iterations)
    with config.unlocked():
        config.ppo.shuffle_groups = 2
    result = runner.run(config, Path(sys.argv[2]), iterations == 3, env=PointEnv(), progress=quiet())
    assert result.iteration == iterations, result
"""


def trained(devices: int, seeds: int) -> dict[str, np.ndarray]:
    """Leaves of the state, and the metrics, after some iterations from seed 0."""
    program = parallel.assemble(ppo.make_train, PointEnv(), OPTIONS, parallel.make_mesh(devices), seeds)
    state = compiling.compile_init(program.init)(program.keys(0))
    iterate = compiling.compile_iteration(program.train_iteration, state)
    for _ in range(ITERATIONS):
        state, metrics = iterate(state)
    return leaves(state) | {f"metrics/{name}": np.asarray(value) for name, value in metrics.items()}


def environment(devices: int) -> dict[str, str]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def single() -> dict[str, np.ndarray]:
    return trained(1, 1)


@pytest.mark.parametrize(("devices", "seeds"), [(4, 1), (4, 2)])
def test_devices_and_seeds_change_nothing(tmp_path: Path, single: dict[str, np.ndarray], devices: int, seeds: int):
    file = tmp_path / "state.npz"
    command = [sys.executable, "-c", WORKER, str(file), str(devices), str(seeds)]
    subprocess.run(command, env=environment(devices), check=True, timeout=120)
    with np.load(file) as found:
        assert set(found.files) == single.keys()
        for name, expected in single.items():
            # A seed's axis is where a single run has none; what all worlds share has none in either.
            value = found[name][0] if found[name].ndim > expected.ndim else found[name]
            np.testing.assert_allclose(value, expected, **CLOSE, err_msg=name)
        if seeds > 1:
            name = ".params['actor']['params']['mean']['kernel']"
            assert np.abs(found[name][1] - found[name][0]).max() > 1e-3
    # Equality would mean little had nothing been learned or no episode ended.
    assert single[".gradient_steps"] == ITERATIONS * OPTIONS.num_epochs * OPTIONS.num_minibatches
    assert single[".steps_low"] == ITERATIONS * OPTIONS.batch_size
    assert single["metrics/episode/finished"] > 0
    assert single[".obs_moments.count"] == 1 + 16 + ITERATIONS * OPTIONS.batch_size


def test_a_minibatch_takes_an_equal_share_of_each_group_and_an_epoch_takes_every_sample_once():
    rows = np.asarray(own_minibatch_indices(jax.random.key(0), OPTIONS))
    assert rows.shape == (4, 16)
    assert sorted(rows.ravel().tolist()) == list(range(64))
    groups = rows % OPTIONS.num_envs // 4
    assert all(np.bincount(row, minlength=4).tolist() == [4] * 4 for row in groups)
    # Not merely the same order in every group.
    places = [[(row // 16, row % 4) for row in rows.ravel()[groups.ravel() == group].tolist()] for group in range(4)]
    assert len({tuple(place) for place in places}) == 4


def test_several_seeds_write_what_runs_of_their_own_write(tmp_path: Path):
    def export(state, path, metadata):
        kernel = state.params["actor"]["params"]["mean"]["kernel"]
        np.savez(path.open("wb"), kernel=kernel, seed=metadata["config"]["run"]["seed"])

    def evaluate(state, iteration):
        return {"count": float(state.obs_moments.count)}

    hooks = runner.Hooks(evaluate=evaluate, export=export)

    def train(name: str, iterations: int, resume: bool = False, **run: object) -> runner.RunResult:
        config = toy_config(iterations, eval_every=2, **run)
        return runner.run(config, tmp_path / name, resume, env=PointEnv(), hooks=hooks, progress=quiet())

    train("both", 2, seeds=2, seed=5)
    train("both", 4, resume=True, seeds=2, seed=5)
    train("alone", 4, seed=6)
    alone, first, second = tmp_path / "alone", tmp_path / "both" / "seed_5", tmp_path / "both" / "seed_6"
    with (
        np.load(first / "policy.npz") as other,
        np.load(second / "policy.npz") as found,
        np.load(alone / "policy.npz") as expected,
    ):
        np.testing.assert_allclose(found["kernel"], expected["kernel"], **CLOSE)
        assert np.abs(found["kernel"] - other["kernel"]).max() > 1e-3
        assert (found["seed"], other["seed"]) == (6, 5)
    for file in ("metrics.jsonl", "evaluations.jsonl"):
        for line, wanted in zip(read_json_lines(second / file), read_json_lines(alone / file), strict=True):
            assert line.keys() == wanted.keys()
            for key in wanted.keys() - {"seconds", "time", "steps_per_second"}:
                assert line[key] == pytest.approx(wanted[key], rel=1e-3, abs=1e-5), key
    assert json.loads((second / "config.json").read_text()) == json.loads((alone / "config.json").read_text())
    with pytest.raises(runner.ResumeError, match="seeds: 2 -> 3"):
        train("both", 5, resume=True, seeds=3, seed=5)


def test_two_hosts_train_and_resume_and_one_continues_what_they_began(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    commands = [[sys.executable, "-c", HOST, f"{address},2,{number}", str(tmp_path / "run")] for number in range(2)]
    running = [subprocess.Popen(command, env=environment(1)) for command in commands]
    assert [process.wait(timeout=120) for process in running] == [0, 0]

    config = toy_config(4)
    with config.unlocked():
        config.ppo.shuffle_groups = 2
    ended = runner.run(config, tmp_path / "run", True, env=PointEnv(), progress=quiet())
    straight = runner.run(config, tmp_path / "straight", env=PointEnv(), progress=quiet())
    found = leaves(ended.state)
    for name, expected in leaves(straight.state).items():
        np.testing.assert_allclose(found[name], expected, **CLOSE, err_msg=name)
    assert [line["iteration"] for line in read_json_lines(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 3, 4]


def test_refusals_name_what_was_found_and_expected(tmp_path: Path):
    with pytest.raises(parallel.DeviceError, match=r"run.devices = 3, but JAX sees 1 cpu devices"):
        runner.run(toy_config(1, devices=3), tmp_path / "run", env=PointEnv(), progress=quiet())
    mesh = jax.sharding.AbstractMesh((3,), (parallel.AXIS,))
    with pytest.raises(parallel.DeviceError, match="num_envs is 16, expected a multiple of the 3 devices"):
        parallel.assemble(ppo.make_train, PointEnv(), default_ppo(num_envs=16, minibatch_size=64, horizon=4), mesh)
    with pytest.raises(parallel.DeviceError, match=r"shuffle_groups is 4, expected 0 or a multiple of .* 3"):
        parallel.assemble(ppo.make_train, PointEnv(), OPTIONS, mesh)
    for text in ("node0,2,1", "node0:1,2,2", "node0:1,two,0"):
        with pytest.raises(ValueError, match="expected HOST:PORT,PROCESSES,NUMBER"):
            hosts.parse(text)
