"""Starting from another run's checkpoint or from a policy: what is taken, what begins anew, what is refused."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.learning import policy, runner
from mjx_skillmimic.learning.logging import read_json_lines
from mjx_skillmimic.learning.options import from_mapping
from mjx_skillmimic.learning.progress import PlainProgress
from tests.toy import PointEnv, toy_config
from tests.trees import leaves

ITERATIONS = 40


def config(iterations: int, ppo_changes: dict[str, Any] | None = None, **run: Any) -> ConfigDict:
    """The toy with a rate that learns something; "adaptive_kl", so that the rate is part of what was learned."""
    chosen = toy_config(iterations, **run)
    changes = {
        "num_envs": 64,
        "minibatch_size": 64,
        "discount": 0.8,
        "learning_rate": 3e-3,
        "lr_schedule": "adaptive_kl",
        "lr_max": 1e-2,
        "log_std": -1.5,
    }
    with chosen.unlocked():
        chosen.ppo.update(changes | (ppo_changes or {}))
        chosen.run.total_env_steps = iterations * 64 * 4
    return chosen


def train(chosen: ConfigDict, workdir: Path, **options: Any) -> tuple[runner.RunResult, str]:
    """The result and what was said."""
    stream = io.StringIO()
    progress = PlainProgress(stream, interval=0.0)
    result = runner.run(chosen, workdir, **{"env": PointEnv(), "progress": progress} | options)
    return result, stream.getvalue()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, runner.RunResult]:
    """A run that learned, with its policy."""

    def export(state: Any, path: Path, metadata: Any) -> None:
        policy.save_policy(path, policy.bundle(from_mapping(config(1).ppo), state.params, state.obs_moments))

    folder = tmp_path_factory.mktemp("runs") / "source"
    return folder, train(config(ITERATIONS), folder, hooks=runner.Hooks(export=export))[0]


def begun(chosen: ConfigDict, workdir: Path) -> tuple[dict[str, np.ndarray], str]:
    """Leaves of the state that a run starts from, and what was said: a run that is over before its first iteration."""
    with chosen.unlocked():
        chosen.run.total_env_steps = 0
    result, said = train(chosen, workdir)
    return leaves(result.state), said


def test_a_run_gives_all_it_learned(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, ended = source
    last = leaves(ended.state)
    before = sorted(str(path) for path in folder.rglob("*"))
    found, said = begun(config(1, init_from=str(folder)), tmp_path / "run")
    assert f"starting from iteration {ITERATIONS} of {folder}\n" in said
    taken = (".params", ".opt_state", ".obs_moments", ".value_moments", ".learning_rate")
    for name, value in found.items():
        if name.startswith(taken):
            np.testing.assert_array_equal(value, last[name], err_msg=name)
    assert {name for name in last if name.startswith(taken)} <= found.keys()
    # Counters and episodes begin anew, and the other run's folder stays as it was.
    assert found[".iteration"] == found[".steps_low"] == found[".gradient_steps"] == 0
    assert not found[".episodes.episode_return"].any()
    assert last[".learning_rate"] != np.float32(3e-3)
    assert sorted(str(path) for path in folder.rglob("*")) == before
    assert f'"init_from": "{folder}"' in (tmp_path / "run" / "config.json").read_text()


def test_the_reward_is_the_other_runs_at_once(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, _ = source

    def first(name: str, **run: Any) -> float:
        train(config(1, **run), tmp_path / name)
        return next(iter(read_json_lines(tmp_path / name / "metrics.jsonl")))["reward"]

    fresh = first("fresh")
    run = first("run", init_from=str(folder))
    file = first("file", init_from=str(folder / "policy.npz"))
    # Same seed, same worlds: four steps on which the trained policy moves towards the origin.
    assert run > fresh + 0.05
    assert file == pytest.approx(run, rel=1e-5)


def test_a_policy_gives_the_actor_and_a_fresh_critic(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, ended = source
    last = leaves(ended.state)
    found, said = begun(config(1, init_from=str(folder / "policy.npz")), tmp_path / "run")
    fresh, _ = begun(config(1), tmp_path / "fresh")
    assert "policy.npz, with a fresh critic\n" in said
    for name, value in found.items():
        taken = name.startswith((".params['actor']", ".obs_moments"))
        np.testing.assert_array_equal(value, (last if taken else fresh)[name], err_msg=name)


def test_options_of_the_new_run_go_before(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, ended = source
    changes = {"log_std": -2.5, "lr_schedule": "constant", "max_grad_norm": 1.0}
    found, said = begun(config(1, changes, init_from=str(folder)), tmp_path / "run")
    assert "without Adam's moments, which do not fit" in said
    np.testing.assert_array_equal(found[".params['actor']['params']['log_std']"], np.float32(-2.5))
    assert found[".learning_rate"] == np.float32(3e-3)
    assert not any(np.abs(value).any() for name, value in found.items() if name.startswith(".opt_state"))
    name = ".params['critic']['params']['value']['kernel']"
    np.testing.assert_array_equal(found[name], leaves(ended.state)[name])


def test_every_seed_starts_from_a_single_run(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, ended = source
    found, _ = begun(config(1, init_from=str(folder), seeds=2), tmp_path / "run")
    kernel = ".params['actor']['params']['mean']['kernel']"
    assert found[kernel].shape == (2, 16, 2)
    for name in (kernel, ".obs_moments.mean", ".value_moments.var", ".learning_rate"):
        np.testing.assert_array_equal(found[name], np.stack([leaves(ended.state)[name]] * 2), err_msg=name)
    assert not np.array_equal(*found[".env_state.data"])
    with pytest.raises(runner.InitError, match=r"has 2 seeds and this run 1, expected as many or one"):
        train(config(1, init_from=str(tmp_path / "run")), tmp_path / "one")


def test_what_does_not_fit_or_is_not_there_is_refused(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    folder, _ = source

    def refused(message: str, init_from: Path, changes: dict[str, Any] | None = None, name: str = "run") -> None:
        with pytest.raises(runner.InitError, match=message):
            train(config(1, changes, init_from=str(init_from)), tmp_path / name, overwrite=True)

    wide = {"actor_hidden": (24,)}
    refused(r"(?s)does not fit.*gives the actor alone.*\['bias'\]: found \(16,\), expected \(24,\)", folder, wide)
    refused(r"(?s)does not fit this run:.*found \(2, 16\), expected \(2, 24\)", folder / "policy.npz", wide)
    refused("hidden_1.*missing", folder / "policy.npz", {"actor_hidden": (16, 16)})
    refused("does not exist, expected a run's folder or a policy", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    refused("has no checkpoints, expected", tmp_path / "empty")
    (tmp_path / "other.npz").write_bytes(b"no policy")
    refused("other.npz: found no readable .npz", tmp_path / "other.npz")
    # Overwriting must not delete what it was to start from.
    shutil.copytree(folder, tmp_path / "own")
    refused("lies in this run's own folder", tmp_path / "own", name="own")
    refused("lies in this run's own folder", tmp_path / "own" / "policy.npz", name="own")
    assert (tmp_path / "own" / "policy.npz").exists()


def test_a_run_that_has_begun_is_resumed_instead(tmp_path: Path, source: tuple[Path, runner.RunResult]):
    train(config(1), tmp_path / "run")
    chosen = config(2, init_from=str(source[0]))
    resumed, said = train(chosen, tmp_path / "run", resume=True)
    assert "resuming after iteration 1" in said
    assert "does not count: the run has begun" in said
    straight, _ = train(config(2), tmp_path / "straight")
    for name, value in leaves(straight.state).items():
        np.testing.assert_array_equal(leaves(resumed.state)[name], value, err_msg=name)
