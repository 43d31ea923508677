"""Training runs side by side at equal samples and at equal training time: what differs, and what came of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.run_record import WARM_UP, RunRecord, preset_config, read_run

# Keys of `config.run` that say where and how long a run went on, not what it learned.
MACHINE = (
    "run.seeds",
    "run.devices",
    "run.total_env_steps",
    "run.max_minutes",
    "run.checkpoint_every",
    "run.checkpoint_keep",
    "run.checkpoint_keep_every",
    "run.checkpoint_env_state",
    "run.eval_every",
    "run.eval_episodes",
    "run.video_every",
    "run.max_nonfinite_fraction",
    "run.max_overflow_fraction",
    "run.max_nonfinite_updates",
    "run.tensorboard",
)
SEED = "run.seed"
# Sections that decide which frames training visits: its errors are then means over other frames.
FRAMES = ("motion", "start", "termination")
# Sections whose difference makes training rewards incomparable.
REWARD = ("reward", "weights", *FRAMES)
# Width of the window that a curve is averaged over, as a share of the point where it is read, and how finely.
WINDOW = 0.02
_POINTS = 33

METRICS = {
    "reward": "reward",
    "label_agrees": "env/contact/label_agrees",
    "body_error_m": "env/error/body_m",
    "object_error_m": "env/error/object_m",
}
EVALUATED = ("success", "survived", "acc", "e_b_mpjpe_mm", "e_o_mpjpe_mm")
# Written by `scripts/evaluate.py --policy RUN --json RUN/evaluation.json`.
FINAL = "evaluation.json"


class StudyError(ValueError):
    """Runs that cannot be compared as asked; the message names them."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row: a run, or several that differ in their seed and are folded into one. name: unique among the entries."""

    name: str
    runs: tuple[RunRecord, ...]


@dataclasses.dataclass(frozen=True)
class Study:
    """rows: one dictionary an entry (`_row`), in order. env_steps, minutes: where they are read. baseline: a name."""

    entries: tuple[Entry, ...]
    rows: tuple[dict[str, Any], ...]
    env_steps: float
    minutes: float
    baseline: str


def read_entries(folders: Sequence[str | Path], groups: Sequence[tuple[str, Sequence[str | Path]]] = ()) -> list[Entry]:
    """Entries of run folders and of groups (name, folders), groups last; unfinished runs are read as far as they are.

    A folder of several seeds (`run.seeds`) is a group of its own. Raises StudyError for no runs or equal names, and
    what `read_run` raises.
    """
    entries = [_entry(_own_name(folder), [folder]) for folder in folders]
    entries += [_entry(name, members) for name, members in groups]
    names = [entry.name for entry in entries]
    if not entries:
        raise StudyError("expected at least one run or group, got none")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise StudyError(f"several runs are called {', '.join(repeated)}; name them with --group NAME=RUN")
    return entries


def compare(
    entries: Sequence[Entry], at: float | None = None, minutes: float | None = None, baseline: str | None = None
) -> Study:
    """The study of entries at `at` samples (env steps) and after `minutes` of training.

    at, minutes: None is the most that every run reached. baseline: the entry that the others' configurations are
    compared with; None is the first. Raises StudyError for a baseline that is none of them, or a point ≤ 0.
    """
    names = [entry.name for entry in entries]
    if baseline is not None and baseline not in names:
        raise StudyError(f"no run called {baseline!r} to compare with; there are {', '.join(names)}")
    runs = [run for entry in entries for run in entry.runs]
    at = min(run.column("env_steps")[-1] for run in runs) if at is None else at
    minutes = min(run.column("seconds")[-1] for run in runs) / 60 if minutes is None else minutes
    if at <= 0 or minutes <= 0:
        raise StudyError(f"expected positive numbers of samples and minutes, got {at:g} and {minutes:g}")
    against = entries[names.index(baseline) if baseline else 0]
    rows = tuple(_row(entry, against, at, minutes) for entry in entries)
    return Study(tuple(entries), rows, float(at), float(minutes), against.name)


def value_at(x: np.ndarray, y: np.ndarray, at: float | np.ndarray, width: float) -> np.ndarray:
    """Mean of a curve over the window of `width` that ends at each point of `at`, linear between its points.

    The window is in units of x, so runs with iterations of different sizes are averaged over the same stretch; it is
    cut where the curve begins. nan where `at` lies outside the curve, or where the curve has no points. Points with a
    missing y are left out.
    """
    at = np.asarray(at, float)
    seen = np.isfinite(x) & np.isfinite(y)
    x, y = x[seen], y[seen]
    if not len(x):
        return np.full(at.shape, np.nan)
    back = width * np.linspace(0.0, 1.0, _POINTS)
    values = np.interp(np.maximum(at[..., None] - back, x[0]), x, y).mean(axis=-1)
    return np.where((at >= x[0]) & (at <= x[-1]), values, np.nan)


def differing(run: RunRecord, against: RunRecord) -> dict[str, tuple[Any, Any]]:
    """Keys of the configuration with (the other's value, this run's), the MACHINE ones left out.

    A key that one of them lacks, for it is older than the option, counts as what the code of before did, else as
    today's default of its preset.
    """
    from mjx_skillmimic.config import differences
    from mjx_skillmimic.config.compare import ABSENT, flatten
    from mjx_skillmimic.learning.workdir import SINCE

    defaults = [{**flatten(preset_config(record.config)), **SINCE} for record in (against, run)]
    found = {}
    for difference in differences(against.config, run.config, free=MACHINE):
        old, new = (
            default.get(difference.key, ABSENT) if value == ABSENT else value
            for value, default in zip((difference.old, difference.new), defaults, strict=True)
        )
        if old != new:
            found[difference.key] = (old, new)
    return found


def fold(values: Iterable[float | None]) -> dict[str, float | int] | None:
    """{"mean", "half_range", "count"} of the numbers there are; None if there are none."""
    known = [float(value) for value in values if value is not None and np.isfinite(value)]
    if not known:
        return None
    return {"mean": float(np.mean(known)), "half_range": (max(known) - min(known)) / 2, "count": len(known)}


def _entry(name: str, folders: Sequence[str | Path]) -> Entry:
    members = [member for folder in folders for member in _members(Path(folder))]
    return Entry(name, tuple(read_run(member, finished=False) for member in members))


def _own_name(folder: str | Path) -> str:
    folder = Path(folder).resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name.startswith("seed_") else folder.name


def _members(folder: Path) -> list[Path]:
    """The folder, or its seeds' folders if it has no metrics of its own."""
    seeds = sorted(folder.glob("seed_*/metrics.jsonl"), key=lambda path: (len(path.parent.name), path.parent.name))
    return [path.parent for path in seeds] if seeds and not (folder / "metrics.jsonl").is_file() else [folder]


def _row(entry: Entry, against: Entry, at: float, minutes: float) -> dict[str, Any]:
    """What the table says of an entry. Numbers are `fold`ed over its runs; differs: key → [baseline's, values here]."""
    found = [differing(run, against.runs[0]) for run in entry.runs]
    keys = sorted({key for differences in found for key in differences})
    if len(entry.runs) > 1 or len(against.runs) > 1:
        keys = [key for key in keys if key != SEED]
    differs = {key: [_baseline_value(found, key), _values(found, key)] for key in keys}
    sections = {key.split(".")[0] for key in keys}
    return {
        "name": entry.name,
        "runs": len(entry.runs),
        "seeds": [run.seed for run in entry.runs],
        "devices": sorted({device for run in entry.runs for device in run.description.get("devices", [])}),
        "differs": differs,
        "reward_comparable": not sections & set(REWARD),
        "errors_comparable": not sections & set(FRAMES),
        "env_steps": fold(run.column("env_steps")[-1] for run in entry.runs),
        "minutes": fold(run.column("seconds")[-1] / 60 for run in entry.runs),
        "env_steps_per_second": fold(_speed(run) for run in entry.runs),
        "at_env_steps": _read(entry, "env_steps", at),
        "at_minutes": _read(entry, "seconds", minutes * 60),
        "evaluation": _evaluation(entry, at),
        "evaluation_intervals": [_intervals(run) for run in entry.runs],
    }


def _read(entry: Entry, axis: str, at: float) -> dict[str, Any]:
    """METRICS of an entry where `axis` is `at`."""
    return {
        name: fold(float(value_at(run.column(axis), run.column(column), at, WINDOW * at)) for run in entry.runs)
        for name, column in METRICS.items()
    }


def _evaluation(entry: Entry, at: float) -> dict[str, Any]:
    """Of each run what `scripts/evaluate.py` wrote to FINAL in its folder, else its own last evaluation at or before
    `at` samples; None where there is neither."""
    last = [_final(run) or _latest(run, at) for run in entry.runs]
    return {name: fold(line.get(name) for line in last) for name in ("env_steps", *EVALUATED)}


def _final(run: RunRecord) -> dict[str, float]:
    """The evaluation of the run's last policy, from its file; empty without one."""
    total = _final_numbers(run)
    return (
        {"env_steps": float(run.column("env_steps")[-1]), **{k: v["value"] for k, v in total.items()}} if total else {}
    )


def _intervals(run: RunRecord) -> dict[str, list[float]]:
    """95 % intervals of that evaluation, over its episodes."""
    return {name: [number["low"], number["high"]] for name, number in _final_numbers(run).items()}


def _final_numbers(run: RunRecord) -> dict[str, dict[str, float]]:
    """value, low and high of EVALUATED in the run's FINAL; empty without that file."""
    file = run.folder / FINAL
    if not file.is_file():
        return {}
    try:
        total = json.loads(file.read_text())["results"]["total"]
        return {name: {part: total[name][part] for part in ("value", "low", "high")} for name in EVALUATED}
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{file}: expected what scripts/evaluate.py --json writes, found {error!r}") from error


def _latest(run: RunRecord, at: float) -> dict[str, float]:
    earlier = [line for line in run.evaluations if line.get("env_steps", np.inf) <= at]
    return earlier[-1] if earlier else {}


def _speed(run: RunRecord) -> float:
    speed = run.column("steps_per_second")
    return float(np.nanmedian(speed[WARM_UP:] if len(speed) > WARM_UP else speed))


def _baseline_value(found: Sequence[dict[str, tuple[Any, Any]]], key: str) -> Any:
    return next(differences[key][0] for differences in found if key in differences)


def _values(found: Sequence[dict[str, tuple[Any, Any]]], key: str) -> Any:
    """The one value of all runs of an entry, or those of each."""
    old = _baseline_value(found, key)
    values = [differences[key][1] if key in differences else old for differences in found]
    return values[0] if all(value == values[0] for value in values) else {"one a run": values}
