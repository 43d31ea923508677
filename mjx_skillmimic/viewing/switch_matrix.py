"""Heat maps with numbers of a switching evaluation, as a PNG drawn from the JSON of `evaluation.switching`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PANELS = (("standing", "standing 3 s after the switch, %"), ("success", "success of the new skill within 3 s, %"))
V2_PANELS = (("success", "the skill performed for the whole time, %"),)
_INK = "#343a42"


def draw_switch_matrix(
    document: Mapping[str, Any], path: str | Path, panels: Sequence[tuple[str, str]] = PANELS
) -> Path:
    """One row for each policy and engine, by default standing, and success of the new skill; in each cell the share
    and, below, its interval. panels: key of a result's matrix, and title. Raises ValueError for a document without
    results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = document["results"]
    if not results:
        raise ValueError("a switching matrix needs at least one result, got none")
    side = max(3.6, 1.6 + 0.72 * max(len(r["skills"]) for r in results))
    size = (len(panels) * side + 1.2, len(results) * side + 0.3)
    figure, axes = pyplot.subplots(len(results), len(panels), figsize=size, squeeze=False, constrained_layout=True)
    image: Any = None
    for result, row in zip(results, axes, strict=True):
        for axis, (key, title) in zip(row, panels, strict=True):
            image = _heat_map(axis, result["skills"], result[key])
            axis.set_title(f"{result['policy']}, {result['engine']}\n{title}", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.01)
    bar.ax.spines[:].set_visible(False)
    bar.ax.tick_params(labelsize=7.5)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _heat_map(axis: Any, skills: list[str], matrix: list[list[Any]]) -> Any:
    """Cells without a value are hatched."""
    values = np.array(
        [[np.nan if c is None or c["value"] is None else 100 * c["value"] for c in row] for row in matrix]
    )
    axis.set_facecolor("#eceff1")
    image = axis.imshow(np.ma.masked_invalid(values), cmap="YlGnBu", vmin=0, vmax=100)
    for (a, b), value in np.ndenumerate(values):
        entry = matrix[a][b]
        if not np.isfinite(value) or entry is None:
            axis.text(b, a, "not\njudged", ha="center", va="center", fontsize=7, color=_INK)
            continue
        colour = "white" if value > 60 else _INK
        axis.text(b, a - 0.1, f"{value:.0f}", ha="center", va="center", fontsize=10, color=colour)
        span = f"{100 * entry['low']:.0f}–{100 * entry['high']:.0f}"
        axis.text(b, a + 0.26, span, ha="center", va="center", fontsize=6.5, color=colour)
    ticks = np.arange(len(skills))
    axis.set_xticks(ticks, skills, rotation=30, ha="right", fontsize=8)
    axis.set_yticks(ticks, skills, fontsize=8)
    axis.set_xticks(ticks[:-1] + 0.5, minor=True)
    axis.set_yticks(ticks[:-1] + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("to", fontsize=8)
    axis.set_ylabel("from", fontsize=8)
    return image
