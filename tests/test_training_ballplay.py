"""The whole chain: clips, MuJoCo C, PPO, checkpoints; a resumed run is the run that was never stopped."""

from __future__ import annotations

import functools
import io
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.config import load_config
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.learning import ppo, runner
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.logging import read_json_lines
from mjx_skillmimic.learning.progress import PlainProgress
from tests.trees import leaves

ROOT = Path(__file__).resolve().parent.parent
ENVS, HORIZON, ITERATIONS, HALF = 16, 4, 20, 10


@pytest.fixture(scope="module")
def config() -> ConfigDict:
    """The `default` preset with tiny networks and few worlds; episodes of at most 8 steps, so that many end."""
    chosen = load_config(ROOT / "configs" / "ballplay.py", check=False)
    with chosen.unlocked():
        chosen.physics.engine = "mujoco"
        chosen.termination.episode_length = 9
        chosen.ppo.update(
            num_envs=ENVS,
            horizon=HORIZON,
            minibatch_size=32,
            num_epochs=2,
            actor_hidden=(32,),
            critic_hidden=(32,),
            learning_rate=1e-4,
        )
        chosen.run.update(
            total_env_steps=ENVS * HORIZON * ITERATIONS,
            checkpoint_every=HALF,
            eval_every=0,
            video_every=0,
            tensorboard=False,
        )
    return chosen


@pytest.fixture(scope="module")
def env(config: ConfigDict) -> BallPlay:
    return BallPlay(config)


def train(config: ConfigDict, env: BallPlay, workdir: Path, resume: bool = False) -> runner.RunResult:
    action, mask = jax.numpy.asarray(env.initial_action), jax.numpy.asarray(env.one_hot_mask)
    make_train = functools.partial(ppo.make_train, initial_action=action, one_hot_mask=mask)
    progress = PlainProgress(io.StringIO(), interval=0.0)
    return runner.run(config, workdir, resume, env=env, make_train=make_train, progress=progress)


def logged(workdir: Path) -> list[dict[str, Any]]:
    """Metrics without what a clock decides."""
    clock = ("seconds", "time", "steps_per_second")
    return [{k: v for k, v in line.items() if k not in clock} for line in read_json_lines(workdir / "metrics.jsonl")]


def test_twenty_iterations_are_ten_resumed_for_ten_bit_for_bit(config: ConfigDict, env: BallPlay, tmp_path: Path):
    """A copy of the run as it was killed after the checkpoint of iteration 10: a third run would only compile again."""
    straight = train(config, env, tmp_path / "straight")
    assert (straight.reason, straight.iteration) == ("finished", ITERATIONS)
    shutil.copytree(tmp_path / "straight", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(ITERATIONS))
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    assert checkpoints.iterations() == [HALF]
    halfway = leaves(checkpoints.restore(HALF, straight.state))

    resumed = train(config, env, tmp_path / "run", resume=True)
    assert (resumed.reason, resumed.iteration) == ("finished", ITERATIONS)
    one, other = leaves(straight.state), leaves(resumed.state)
    assert one.keys() == other.keys() == halfway.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    assert logged(tmp_path / "straight") == logged(tmp_path / "run")

    # Equality would mean little had nothing happened in the second half.
    changed = [name for name, value in one.items() if not np.array_equal(value, halfway[name])]
    for part in (".params", ".opt_state", ".obs_moments", ".value_moments", ".rng", ".env_state.data.qpos"):
        assert any(name.startswith(part) for name in changed), part
    assert not any(name.startswith(".env_state.shared") for name in changed)
    lines = logged(tmp_path / "straight")
    # Worlds end in every window of 8 steps, by time, and training counts them.
    assert sum(line["episode/truncations"] for line in lines) >= ENVS * (HORIZON * ITERATIONS // 8 - 1)
    assert all(line["env/nonfinite"] == 0 for line in lines)
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert lines[-1]["env_steps"] == ENVS * HORIZON * ITERATIONS
