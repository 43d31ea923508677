"""What runs leave in their folders, as groups of curves: `metrics.jsonl`, `evaluations.jsonl`, `evaluation.json`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

METRICS_FILE = "metrics.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
# Written by `scripts/evaluate.py --policy RUN --json RUN/evaluation.json`.
EVALUATION_FILE = "evaluation.json"
STEPS = "env_steps"


class NoCurvesError(ValueError):
    """A folder or file without anything to draw; the message names it."""


@dataclasses.dataclass(frozen=True)
class Run:
    """training, evaluations: metric → (n,) float64, nan where a line lacks it; evaluations may be empty.

    skills: label → metric → (value, low, high) of the last policy's evaluation, empty without one.
    """

    folder: Path
    training: dict[str, np.ndarray]
    evaluations: dict[str, np.ndarray]
    skills: dict[int, dict[str, tuple[float, float, float]]]

    @property
    def end(self) -> float:
        """Samples (env steps) at the last iteration."""
        return float(self.training[STEPS][-1])


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in their seed, drawn as one."""

    name: str
    runs: tuple[Run, ...]


def read_curves(path: Path) -> dict[str, np.ndarray]:
    """Every numeric metric of a .jsonl file as (n,) float64, nan where a line lacks it.

    Lines that are not whole JSON objects (the last one of a killed run) end the reading.
    """
    from mjx_skillmimic.learning.logging import read_json_lines

    lines = list(read_json_lines(path)) if path.is_file() else []
    names = sorted({name for line in lines for name, value in line.items() if _is_number(value)})
    return {name: np.array([_number(line.get(name)) for line in lines]) for name in names}


def read_groups(runs: Sequence[str | Path]) -> list[Group]:
    """One group a folder, or a "NAME=FOLDER,FOLDER"; a folder of several seeds (`run.seeds`) is a group of its own.

    Raises NoCurvesError for a folder without metrics, ValueError for no runs or equal names.
    """
    groups = []
    for run in runs:
        name, equals, folders = str(run).partition("=")
        if not equals or Path(run).is_dir():
            name, folders = Path(run).resolve().name, str(run)
        members = [member for folder in folders.split(",") if folder for member in _members(Path(folder))]
        if not (name and members):
            raise ValueError(f"expected a run's folder or NAME=FOLDER,FOLDER, got {str(run)!r}")
        groups.append(Group(name, tuple(read_run(member) for member in members)))
    names = [group.name for group in groups]
    if not groups:
        raise ValueError("expected at least one run, got none")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several runs are called {', '.join(repeated)}; name them with NAME=FOLDER")
    return groups


def read_run(folder: Path) -> Run:
    """Reads one run, whole or as far as it is. Raises NoCurvesError without metrics, or for a damaged evaluation."""
    training = read_curves(folder / METRICS_FILE)
    if STEPS not in training:
        raise NoCurvesError(f"{folder / METRICS_FILE} holds no metrics; is {folder} the folder of a run?")
    return Run(folder, training, read_curves(folder / EVALUATIONS_FILE), _skills(folder / EVALUATION_FILE))


def _members(folder: Path) -> list[Path]:
    """The folder, or those of its seeds where it has no metrics of its own."""
    seeds = sorted(folder.glob(f"seed_*/{METRICS_FILE}"), key=lambda path: (len(path.parent.name), path.parent.name))
    return [path.parent for path in seeds] if seeds and not (folder / METRICS_FILE).is_file() else [folder]


def _skills(path: Path) -> dict[int, dict[str, tuple[float, float, float]]]:
    if not path.is_file():
        return {}
    try:
        skills = json.loads(path.read_text())["results"]["skills"]
        return {
            int(label): {name: _interval(entry) for name, entry in numbers.items() if isinstance(entry, dict)}
            for label, numbers in skills.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoCurvesError(f"{path}: expected what scripts/evaluate.py --json writes, found {error!r}") from error


def _interval(entry: dict[str, Any]) -> tuple[float, float, float]:
    value = _number(entry["value"])
    low, high = (_number(entry.get(end)) for end in ("low", "high"))
    return value, value if math.isnan(low) else low, value if math.isnan(high) else high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan
