"""What a finished run's folder says about itself: configuration, hardware, learning curve, its own evaluations."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

WARM_UP = 5  # iterations left out of the speed: the first ones compile
LAST = 10  # iterations that "final" is the mean of
_FACTOR = "env/reward/"
_TOTAL = "total"


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """name: the folder's. config, description: `config.json` and `run.json`. metrics, evaluations: the lines of the
    .jsonl files, the latter possibly none."""

    folder: Path
    name: str
    config: ml_collections.ConfigDict
    description: dict[str, Any]
    metrics: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]

    @property
    def seed(self) -> int:
        return int(self.config.run.seed)

    def column(self, name: str) -> np.ndarray:
        """A metric of every iteration, float64, nan where it is missing."""
        values = [line.get(name) for line in self.metrics]
        return np.array([np.nan if value is None else float(value) for value in values])


def read_run(folder: str | Path, finished: bool = True) -> RunRecord:
    """Reads a run's folder; only a finished one must hold a policy.

    Raises FileNotFoundError naming what is missing, ValueError for a run without metrics.
    """
    from mjx_skillmimic.config import from_json
    from mjx_skillmimic.learning.logging import read_json_lines

    folder = Path(folder)
    for name in ("config.json", "run.json", "metrics.jsonl", *(("policy.npz",) if finished else ())):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}; expected the folder of a {'finished ' * finished}run")
    metrics = list(read_json_lines(folder / "metrics.jsonl"))
    if not metrics:
        raise ValueError(f"{folder / 'metrics.jsonl'} holds no iteration")
    evaluations = folder / "evaluations.jsonl"
    return RunRecord(
        folder=folder,
        name=folder.resolve().name,
        config=from_json((folder / "config.json").read_text()),
        description=json.loads((folder / "run.json").read_text()),
        metrics=metrics,
        evaluations=list(read_json_lines(evaluations)) if evaluations.is_file() else [],
    )


def preset_config(config: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """What `configs/ballplay.py`, or `configs/high_level.py` for a task that chooses among skills, gives today for the
    preset of a run's configuration, `ppo` and `run` included.

    Raises ConfigError for a high-level task that the latter does not know, or where it is not there.
    """
    from mjx_skillmimic import envs
    from mjx_skillmimic.config import load_config, run_defaults
    from mjx_skillmimic.learning.options import default_ppo, reference_ppo

    if "low_level" in config:
        # The file is the repository's: an installed package has none.
        root = Path(__file__).resolve().parents[2]
        return load_config(root / _config_file(config), check=False)
    preset = str(config.get("preset", "default"))
    default = envs.default_config(config.get("env", "BallPlay"), preset)
    with default.unlocked():
        default.ppo = dataclasses.asdict({"reference": reference_ppo}.get(preset, default_ppo)())
        default.run = run_defaults()
    return default


def _config_file(config: Mapping[str, Any]) -> str:
    """What `--config` of the training command names."""
    preset = str(config.get("preset", "default"))
    last = "" if preset == "default" else f":{preset}"
    if "low_level" in config:
        return f"configs/high_level.py:{str(config['env']).lower()}{last}"
    return f"configs/ballplay.py{last}"


def command_line(config: Mapping[str, Any], name: str) -> tuple[str, list[str]]:
    """The training command that gives this configuration, and keys that only it or only today's defaults have.

    Reconstructed: the file of `preset_config` in the run's preset, and every key that differs from it.
    """
    from mjx_skillmimic.config import differences
    from mjx_skillmimic.config.compare import ABSENT

    words = ["python", "scripts/train.py", f"--config={_config_file(config)}"]
    changed = differences(preset_config(config), config)
    for key, old, new in changed:
        if ABSENT not in (old, new):
            words.append(f"--config.{key.removesuffix('.path')}={new}")
    words.append(f"--workdir=runs/{name}")
    return shlex.join(words), [key for key, old, new in changed if ABSENT in (old, new)]


def training_summary(run: RunRecord) -> dict[str, Any]:
    """Numbers of the learning curve.

    env_steps_per_second: median over iterations after the first `WARM_UP`, rollout and update together. seconds: of all
    iterations; compiling, evaluations and checkpoints are not in it. reward, factors, label_agrees, episode_length,
    terminated_per_episode: means of the last `LAST` iterations. overflow (env steps that lost contacts),
    nonfinite_worlds, skipped_updates: counts of the whole run. greatest_kl: of any iteration's mean over its steps.
    terminated_per_episode: share of episodes that ended before their time, by a fall or another limit of
    `config.termination`.
    """
    steps = run.column("env_steps")
    per_iteration = np.diff(steps, prepend=0.0)
    speed = run.column("steps_per_second")
    names = sorted(name.removeprefix(_FACTOR) for name in run.metrics[-1] if name.startswith(_FACTOR))
    finished = run.column("episode/finished")[-LAST:].sum()
    return {
        "iterations": int(run.metrics[-1]["iteration"]),
        "env_steps": int(steps[-1]),
        "seconds": round(float(run.metrics[-1]["seconds"]), 1),
        "env_steps_per_second": round(float(np.nanmedian(speed[WARM_UP:] if len(speed) > WARM_UP else speed))),
        "reward": _final(run, "reward"),
        "factors": {name: _final(run, _FACTOR + name) for name in names if name != _TOTAL},
        "label_agrees": _final(run, "env/contact/label_agrees"),
        "episode_length": _final(run, "episode/length"),
        "terminated_per_episode": _rounded(run.column("episode/falls")[-LAST:].sum() / max(finished, 1.0)),
        "overflow": round(float(np.nansum(run.column("env/overflow") * per_iteration))),
        "nonfinite_worlds": round(float(np.nansum(run.column("env/nonfinite") * per_iteration))),
        "skipped_updates": round(float(np.nansum(run.column("nonfinite_updates")))),
        "greatest_kl": _rounded(np.nan_to_num(run.column("kl")).max()),
    }


def reward_at(run: RunRecord, env_steps: float) -> float | None:
    """Training reward when `env_steps` had been reached: mean of the `LAST` iterations up to there; None if never."""
    reached = np.flatnonzero(run.column("env_steps") >= env_steps)
    if not len(reached):
        return None
    end = int(reached[0]) + 1
    return _rounded(np.nanmean(run.column("reward")[max(end - LAST, 0) : end]))


def _final(run: RunRecord, name: str) -> float | None:
    values = run.column(name)[-LAST:]
    return _rounded(np.nanmean(values)) if np.isfinite(values).any() else None


def _rounded(value: Any) -> float:
    return round(float(value), 5)
