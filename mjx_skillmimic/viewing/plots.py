"""The plots of runs as one PNG: sections of panels, one legend on top for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.viewing.panels import Panel, Section
from mjx_skillmimic.viewing.series import DASHES, Line

_INK, _PALE = "#343a42", "#6b7580"
_STYLES: dict[str, Any] = dict(zip(DASHES, ("-", (0, (5, 2)), (0, (1.2, 1.4))), strict=True))
_MARKERS = ("o", "s", "D")
_WIDTH, _ROW, _HEAD, _LEGEND = 13.0, 2.5, 0.62, 0.3  # inches
_LEGEND_COLUMNS = 4


def draw(sections: Sequence[Section], names: Sequence[str], out: str | Path) -> Path:
    """Writes the PNG; names: the groups, in order. Raises ValueError for nothing to draw."""
    if not sections:
        raise ValueError("expected something to draw, got no section with data")
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights = [_head(names), *(_height(section, len(names)) for section in sections)]
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.05)
    figure = pyplot.figure(figsize=(_WIDTH, sum(heights)), layout=layout)
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    _draw_legend(parts[0], sections, names)
    for part, section in zip(parts[1:], sections, strict=True):
        _draw_section(part, section)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, facecolor="white")
    pyplot.close(figure)
    return out


def _head(names: Sequence[str]) -> float:
    return _LEGEND * math.ceil(len(names) / _LEGEND_COLUMNS) + 0.2


def _height(section: Section, groups: int) -> float:
    rows = math.ceil(len(section.panels) / section.columns)
    row = max(1.5, 0.9 + 0.24 * groups) if section.kind == "comparison" else _ROW
    return _HEAD + rows * row


def _draw_legend(part: Any, sections: Sequence[Section], names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = {line.group: line for section in sections for panel in section.panels for line in panel.lines}
    runs = {g: max(_runs(sections, g)) for g in lines}
    handles = [
        Line2D([], [], color=line.colour, linestyle=_STYLES[line.dash], linewidth=2.4, label=_label(names[g], runs[g]))
        for g, line in sorted(lines.items())
    ]
    columns = min(_LEGEND_COLUMNS, len(handles))
    part.legend(handles=handles, loc="center", ncols=columns, fontsize=11, frameon=False, handlelength=2.6)


def _runs(sections: Sequence[Section], group: int) -> list[int]:
    return [line.runs for s in sections for panel in s.panels for line in panel.lines if line.group == group]


def _label(name: str, runs: int) -> str:
    return name if runs == 1 else f"{name} ({runs} seeds)"


def _draw_section(part: Any, section: Section) -> None:
    wide = section.columns
    axes = part.subplots(math.ceil(len(section.panels) / wide), wide, squeeze=False)
    part.suptitle(section.title, x=0.008, ha="left", fontsize=13, fontweight="bold", color=_INK)
    part.text(0.992, 0.995, section.note, ha="right", va="top", fontsize=8.5, color=_PALE)
    for axis in axes.flat[len(section.panels) :]:
        axis.set_visible(False)
    for i, (axis, panel) in enumerate(zip(axes.flat, section.panels, strict=False)):
        axis.set_title(panel.title, fontsize=10, loc="left", color=_INK)
        axis.grid(alpha=0.22, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8.5, colors=_INK)
        if section.kind == "comparison":
            _draw_values(axis, panel, first=i % wide == 0)
        else:
            (_draw_categories if panel.categories else _draw_lines)(axis, panel)
            below = i + wide >= len(section.panels)
            axis.set_xlabel(panel.x_label if below else "", fontsize=8.5, color=_INK)
            axis.set_ylabel(panel.y_label, fontsize=8.5, color=_INK)
            axis.set_ylim(panel.y_range or (0.0, None))


def _draw_lines(axis: Any, panel: Panel) -> None:
    for line in panel.lines:
        marker = {"marker": "o", "markersize": 3.5} if line.points or len(line.x) == 1 else {}
        style = {"color": line.colour, "linestyle": _STYLES[line.dash], "linewidth": 1.7}
        axis.plot(line.x, line.mean, zorder=3, **style, **marker)
        if line.runs > 1:
            axis.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.2, linewidth=0)
    axis.set_xlim(left=0.0)


def _draw_categories(axis: Any, panel: Panel) -> None:
    """Bars side by side at each category, with whiskers and numbers."""
    width = 0.8 / len(panel.lines)
    for i, line in enumerate(panel.lines):
        x = line.x + width * (i - (len(panel.lines) - 1) / 2)
        axis.bar(x, line.mean, 0.92 * width, color=line.colour, alpha=0.85, zorder=2)
        axis.errorbar(x, line.mean, _whiskers(line), fmt="none", ecolor=_INK, elinewidth=1.1, capsize=2.5, zorder=3)
        for xi, value in zip(x, line.mean, strict=True):
            inside = value > 12
            axis.text(xi, 1.5 if inside else value + 1.5, f"{value:.0f}", ha="center", va="bottom", fontsize=8,
                      color="white" if inside else _INK, zorder=4)  # fmt: skip
    turned = {"rotation": 20, "ha": "right"} if len(panel.categories) > 6 else {}
    axis.set_xticks(range(len(panel.categories)), panel.categories, fontsize=8.5, **turned)
    axis.set_xlim(-0.6, len(panel.categories) - 0.4)
    axis.grid(axis="x", visible=False)


def _draw_values(axis: Any, panel: Panel, first: bool) -> None:
    """One row a group: its value as a dot with whiskers, and in figures beside it."""
    for line in panel.lines:
        marker = _MARKERS[DASHES.index(line.dash)]
        style = {"color": line.colour, "fmt": marker, "markersize": 6.5, "elinewidth": 2.0, "capsize": 3.5}
        axis.errorbar(line.mean, line.x, xerr=_whiskers(line), **style)
        text = f"{line.mean[0]:#.3g}".rstrip(".")
        axis.annotate(text, (1.05, line.x[0]), xycoords=("axes fraction", "data"), va="center", fontsize=8.5,
                      color=_INK, annotation_clip=False)  # fmt: skip
    axis.set_yticks(range(len(panel.categories)), panel.categories if first else [""] * len(panel.categories))
    axis.set_ylim(len(panel.categories) - 0.5, -0.5)
    axis.set_xlim(*(panel.y_range or (0.0, 1.06 * max(line.high[0] for line in panel.lines))))
    axis.set_xlabel(panel.y_label, fontsize=8.5, color=_INK)
    axis.grid(axis="y", visible=False)


def _whiskers(line: Line) -> np.ndarray:
    """Lengths (2, n) of the bars below and above the values."""
    return np.maximum(np.stack([line.mean - line.low, line.high - line.mean]), 0.0)
