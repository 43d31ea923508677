"""Learning curves of one or several runs as a PNG, from the JSON lines that training writes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

METRICS_FILE = "metrics.jsonl"
EVALUATIONS_FILE = "evaluations.jsonl"
STEPS = "env_steps"
# Names that training logs; see learning/rollout.py.
_REWARD, _LENGTH, _FACTOR_PREFIX = "reward", "episode/length", "env/reward/"
_COLOURS = (
    "#2a6f97",
    "#d1495b",
    "#3a8f5d",
    "#e09f3e",
    "#7a5195",
    "#4f5d75",
    "#9c6644",
    "#00798c",
    "#b56576",
    "#6c757d",
)
_MAX_CURVES = len(_COLOURS)


class NoCurvesError(ValueError):
    """A folder or file without any metrics to draw; the message names it."""


def read_curves(path: Path) -> dict[str, np.ndarray]:
    """Every numeric metric of a .jsonl file as (n,) float64, nan where a line lacks it.

    Lines that are not whole JSON objects (the last one of a killed run) end the reading.
    """
    from mjx_skillmimic.learning.logging import read_json_lines

    lines = list(read_json_lines(path)) if path.is_file() else []
    names = sorted({name for line in lines for name, value in line.items() if _is_number(value)})
    return {name: np.array([_number(line.get(name)) for line in lines]) for name in names}


def plot_runs(runs: Sequence[str | Path], out: str | Path, labels: Sequence[str] | None = None) -> Path:
    """Draws reward, episode length, reward factors and evaluation points of run folders into one PNG.

    Factors are drawn for a single run only; several runs are overlaid panel by panel. Raises `NoCurvesError` for a run
    without metrics, ValueError for a wrong number of labels.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folders = [Path(run) for run in runs]
    names = list(labels) if labels else [folder.name for folder in folders]
    if not folders or len(names) != len(folders):
        raise ValueError(f"expected one label a run, got {len(names)} labels and {len(folders)} runs")
    training = [read_curves(folder / METRICS_FILE) for folder in folders]
    evaluations = [read_curves(folder / EVALUATIONS_FILE) for folder in folders]
    for folder, curves in zip(folders, training, strict=True):
        if not curves:
            raise NoCurvesError(f"{folder / METRICS_FILE} holds no metrics; is {folder} the folder of a run?")
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    _draw_metric(axes[0, 0], "reward a step", _REWARD, names, training, evaluations)
    _draw_metric(axes[0, 1], "episode length (steps)", _LENGTH, names, training, None)
    if len(folders) == 1:
        _draw_factors(axes[1, 0], training[0])
    else:
        _draw_metric(axes[1, 0], "evaluation: Acc", "acc", names, evaluations, None, marker="o")
    _draw_evaluations(axes[1, 1], names, evaluations)
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.set_xlabel("environment steps")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(", ".join(names), fontsize=12)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    pyplot.close(figure)
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan


def _steps(curves: Mapping[str, np.ndarray]) -> np.ndarray:
    return curves[STEPS] if STEPS in curves else curves["iteration"]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Centred moving mean over 2 % of the points, gaps left out."""
    half = len(values) // 100
    if half < 1:
        return values
    padded = np.pad(values, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    seen = np.isfinite(windows)
    return np.where(seen, windows, 0.0).sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan)


def _draw_metric(
    axis: Any,
    title: str,
    key: str,
    names: Sequence[str],
    runs: Sequence[Mapping[str, np.ndarray]],
    evaluations: Sequence[Mapping[str, np.ndarray]] | None,
    marker: str | None = None,
) -> None:
    axis.set_title(title, fontsize=10)
    for i, (name, curves) in enumerate(zip(names, runs, strict=True)):
        colour = _COLOURS[i % _MAX_CURVES]
        if key in curves:
            if marker is None and len(curves[key]) > 100:
                axis.plot(_steps(curves), curves[key], color=colour, alpha=0.2, linewidth=0.8)
            axis.plot(_steps(curves), _smooth(curves[key]), color=colour, label=name, marker=marker, linewidth=1.6)
        if evaluations is not None and "reward" in evaluations[i]:
            points = evaluations[i]
            axis.plot(_steps(points), points["reward"], "o", color=colour, markersize=5, label=f"{name}, evaluated")
    if axis.lines:
        axis.legend(fontsize=8, frameon=False)


def _draw_factors(axis: Any, curves: Mapping[str, np.ndarray]) -> None:
    axis.set_title("reward factors", fontsize=10)
    moving = [
        name
        for name in curves
        if name.startswith(_FACTOR_PREFIX)
        and name != f"{_FACTOR_PREFIX}total"
        and np.nanmin(curves[name], initial=1.0) < 1.0
    ]
    for i, name in enumerate(moving[:_MAX_CURVES]):
        axis.plot(_steps(curves), _smooth(curves[name]), color=_COLOURS[i], label=name.removeprefix(_FACTOR_PREFIX))
    if moving:
        axis.legend(fontsize=8, frameon=False, ncols=2)
        axis.set_ylim(0.0, 1.02)


def _draw_evaluations(axis: Any, names: Sequence[str], evaluations: Sequence[Mapping[str, np.ndarray]]) -> None:
    axis.set_title("evaluation: survived (solid), success (dashed), Acc (dotted)", fontsize=10)
    for i, (name, points) in enumerate(zip(names, evaluations, strict=True)):
        for key, style in (("survived", "-"), ("success", "--"), ("acc", ":")):
            if key in points:
                label = name if key == "survived" else None
                axis.plot(
                    _steps(points),
                    points[key],
                    style,
                    marker="o",
                    markersize=4,
                    color=_COLOURS[i % _MAX_CURVES],
                    label=label,
                )
    if axis.lines:
        axis.legend(fontsize=8, frameon=False)
        axis.set_ylim(-0.02, 1.05)
    else:
        axis.text(0.5, 0.5, "no evaluations", ha="center", va="center", transform=axis.transAxes, color="#6b7580")
