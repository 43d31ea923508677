"""Curves of a study against samples and against minutes, with a legend sorted by what they reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.study import Entry, Study, value_at

# Okabe and Ito's colours, told apart with any colour vision; beyond them the dashes change.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
_POINTS = 240

# Title, column, file ("training" or "evaluation"), and whether more is better.
_PANELS = (
    ("training reward a step", "reward", "training", True),
    ("ball error (m), training", "env/error/object_m", "training", False),
    ("body error (m), training", "env/error/body_m", "training", False),
    ("evaluated: Acc", "acc", "evaluation", True),
)


def draw(study: Study, out: str | Path) -> Path:
    """Writes the PNG: a row a quantity, samples on the left and minutes on the right; groups as mean and range."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    incomparable = any(not row["reward_comparable"] for row in study.rows)
    runs = [run for entry in study.entries for run in entry.runs]
    # Runs that were only evaluated at their end have no curve to show there.
    panels = [p for p in _PANELS if p[2] == "training" or any(len(_points(r, "seconds", *p[1:3])[0]) for r in runs)]
    height = max(2.6, 0.55 + 0.19 * len(study.entries))
    size = (12.5, height * len(panels) + 0.5)
    figure, axes = pyplot.subplots(len(panels), 2, figsize=size, constrained_layout=True, sharey="row", squeeze=False)
    for (title, column, source, upwards), (left, right) in zip(panels, axes, strict=True):
        final = {}
        for i, entry in enumerate(study.entries):
            style = {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _DASHES[i // len(_COLOURS) % len(_DASHES)]}
            _curve(left, entry, "env_steps", 1e-6, column, source, style)
            line, value = _curve(right, entry, "seconds", 1 / 60, column, source, style)
            if line is not None:
                final[entry.name] = (value, line)
        note = " (definitions differ: see the table)" if column == "reward" and incomparable else ""
        left.set_title(title + note, fontsize=10, loc="left")
        left.axvline(study.env_steps * 1e-6, color="#9aa3ab", linewidth=0.8, linestyle=":")
        right.axvline(study.minutes, color="#9aa3ab", linewidth=0.8, linestyle=":")
        _legend(right, final, upwards)
        _scale(left, column)
    axes[-1, 0].set_xlabel("samples (M env steps)")
    axes[-1, 1].set_xlabel("minutes of training")
    for axis in axes.flat:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlim(left=0)
    figure.savefig(out, dpi=80)
    pyplot.close(figure)
    return Path(out)


def _curve(
    axis: Any, entry: Entry, x_name: str, scale: float, column: str, source: str, style: dict[str, Any]
) -> tuple[Any, float]:
    """Draws an entry; its line and the last value, (None, nan) where there is nothing to draw."""
    curves = [_points(run, x_name, column, source) for run in entry.runs]
    curves = [(x, y) for x, y in curves if len(x)]
    if not curves:
        return None, float("nan")
    end = min(float(x[-1]) for x, _ in curves)
    begin = max(float(x[0]) for x, _ in curves)
    if source == "evaluation" and len(curves) == 1:
        grid, values = curves[0][0], curves[0][1][None]
    elif source == "evaluation":
        grid = np.unique(np.concatenate([x for x, _ in curves]).clip(begin, end))
        values = np.stack([np.interp(grid, x, y) for x, y in curves])
    else:
        grid = np.linspace(begin, end, _POINTS)
        values = np.stack([value_at(x, y, grid, end / 50) for x, y in curves])
    mean = values.mean(axis=0)
    marker = "o" if source == "evaluation" else None
    (line,) = axis.plot(grid * scale, mean, linewidth=1.7, marker=marker, markersize=4, **style)
    if len(curves) > 1:
        axis.fill_between(
            grid * scale, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.18, linewidth=0
        )
    return line, float(mean[-1])


def _points(run: Any, x_name: str, column: str, source: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) x and y of a run's curve, without missing points."""
    if source == "training":
        x, y = run.column(x_name), run.column(column)
    else:
        pairs = [(line.get(x_name), line.get(column)) for line in run.evaluations]
        known = [pair for pair in pairs if None not in pair and pair[0] > 0]
        x, y = np.array(known, float).reshape(-1, 2).T
    seen = np.isfinite(x) & np.isfinite(y)
    return x[seen], y[seen]


def _legend(axis: Any, final: dict[str, tuple[float, Any]], upwards: bool) -> None:
    """Names with their last values, the best on top, beside the panel."""
    if not final:
        return
    ordered = sorted(final.items(), key=lambda item: item[1][0], reverse=upwards)
    axis.legend(
        [line for _, (_, line) in ordered],
        [f"{value:.3f}  {name}" for name, (value, _) in ordered],
        title="last value",
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        fontsize=8,
        frameon=False,
        handlelength=2.6,
    )


def _scale(axis: Any, column: str) -> None:
    """Fractions from 0 to 1; errors on a logarithmic axis, where early ones do not hide late ones."""
    if column in ("reward", "acc"):
        axis.set_ylim(0.0, 1.02)
    else:
        from matplotlib.ticker import FuncFormatter

        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else ""))
