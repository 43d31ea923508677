"""Curves of groups of runs on common samples: mean, lowest and highest of the runs, and single values off them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mjx_skillmimic.viewing.curves import STEPS, Group, Run

# Okabe and Ito's colours, told apart with any colour vision; beyond them the dashes change.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES = ("solid", "dash", "dot")
_POINTS = 300
Curves = Sequence[tuple[np.ndarray, np.ndarray]]
Reader = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve: x (n,), mean, low and high (n,) over the runs of a group; group: its index; points: marked ones."""

    name: str
    group: int
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int
    points: bool = False

    @property
    def colour(self) -> str:
        return COLOURS[self.group % len(COLOURS)]

    @property
    def dash(self) -> str:
        return DASHES[self.group // len(COLOURS) % len(DASHES)]


def lines(
    groups: Sequence[Group], key: str, scale: float, factor: float = 1.0, evaluated: bool = False
) -> tuple[Line, ...]:
    """The metric of every group that has it, on a grid of samples that all its runs cover."""
    found = []
    for g, group in enumerate(groups):
        curves = [_known(run.evaluations if evaluated else run.training, key) for run in group.runs]
        curves = [(x, y) for x, y in curves if len(x)]
        if not curves:
            continue
        grid, read = (_evaluation_grid if evaluated else _training_grid)(curves)
        values = factor * np.stack([read(x, y) for x, y in curves])
        bounds = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
        found.append(Line(group.name, g, grid / scale, *bounds, runs=len(curves), points=evaluated))
    return tuple(found)


def _training_grid(curves: Curves) -> tuple[np.ndarray, Reader]:
    from mjx_skillmimic.evaluation.study import WINDOW, value_at

    begin, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.linspace(begin, end, min(_POINTS, min(len(x) for x, _ in curves)))
    return grid, lambda x, y: value_at(x, y, grid, WINDOW * end)


def _evaluation_grid(curves: Curves) -> tuple[np.ndarray, Reader]:
    begin, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.unique(np.concatenate([x for x, _ in curves]).clip(begin, end))
    return grid, lambda x, y: np.interp(grid, x, y)


def _known(curves: dict[str, np.ndarray], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples and values of a metric where both are known."""
    if key not in curves or STEPS not in curves:
        return np.empty(0), np.empty(0)
    seen = np.isfinite(curves[STEPS]) & np.isfinite(curves[key])
    return curves[STEPS][seen], curves[key][seen]


def value(run: Run, key: str, at: float, evaluated: bool) -> float:
    """A metric of one run when it had taken `at` samples: of training the mean over the 2 % before, of evaluations the
    last one up to there; nan where there is none."""
    from mjx_skillmimic.evaluation.study import WINDOW, value_at

    curves = run.evaluations if evaluated else run.training
    if key not in curves or STEPS not in curves:
        return float("nan")
    if not evaluated:
        return float(value_at(curves[STEPS], curves[key], at, WINDOW * at))
    before = curves[key][(curves[STEPS] <= at) & np.isfinite(curves[key])]
    return float(before[-1]) if len(before) else float("nan")


def skill(group: Group, label: int) -> tuple[float, float, float] | None:
    """Success at a skill: value, low, high: of the one run that was evaluated, or mean and range of several."""
    values = [run.skills[label]["success"] for run in group.runs if "success" in run.skills.get(label, {})]
    if len(values) < 2:
        return values[0] if values else None
    middles = [value for value, _, _ in values]
    return float(np.mean(middles)), min(middles), max(middles)
