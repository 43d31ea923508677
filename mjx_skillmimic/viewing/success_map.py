"""Where balls were picked up, seen from above, as a PNG drawn from the JSON of `evaluation.reproduce_fig8`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

YES, NO, INK, PALE = "#2a6f97", "#d1495b", "#343a42", "#9aa3ab"
_RIM = 5.6  # m, half the width of a map
_LABEL_ANGLE = 2.75  # rad from ahead, to the right: where the rings are labelled
_SHOWN = 1000  # balls on a map; more hide one another
_CURVES = (YES, "#e09f3e", "#3a8f5d", "#7a5195", NO, "#4f5d75")
_COLUMN = 3.9  # inches


def draw_success_map(document: Mapping[str, Any], path: str | Path) -> Path:
    """One row for each policy, engine and kind of ball: the map, success by distance and by direction; several policies
    get success beside one another in a last row. Raises ValueError for a document without results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    results = document["results"]
    if not results:
        raise ValueError("a success map needs at least one result, got none")
    policies = list(dict.fromkeys(r["policy"] for r in results))
    curve = len(policies) > 1
    heights = [_COLUMN] * len(results) + [2.6] * curve
    figure = pyplot.figure(figsize=(11.5, sum(heights) + 0.5), constrained_layout=True)
    grid = figure.add_gridspec(len(heights), 3, height_ratios=heights, width_ratios=(1.15, 1.0, 1.25))
    for i, result in enumerate(results):
        _map(figure.add_subplot(grid[i, 0]), result)
        _by_distance(figure.add_subplot(grid[i, 1]), result)
        _by_direction(figure.add_subplot(grid[i, 2]), result)
    if curve:
        _by_policy(figure.add_subplot(grid[-1, :2]), results, policies, document["paper"]["SkillMimic"])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.12)
    pyplot.close(figure)
    return path


def _map(axis: Any, result: Mapping[str, Any]) -> None:
    balls = np.array(result["balls"][:_SHOWN], float)
    hit = balls[:, 2] > 0.5
    size = float(np.clip(9000.0 / len(balls), 7.0, 40.0))
    for mask, colour, marker, label in ((~hit, NO, "X", "not"), (hit, YES, "o", "picked up")):
        x, y = balls[mask, :2].T
        axis.scatter(x, y, s=size, color=colour, marker=marker, alpha=0.8, linewidths=0, zorder=2, label=label)
    circle = np.linspace(0.0, 2.0 * np.pi, 200)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    for radius in range(1, 6):
        axis.plot(radius * np.sin(circle), radius * np.cos(circle), color=INK, linewidth=0.7, alpha=0.55, zorder=3)
        x, y = radius * np.sin(_LABEL_ANGLE), radius * np.cos(_LABEL_ANGLE)
        axis.text(x, y, f"{radius} m", fontsize=7, color=INK, zorder=4, ha="center", va="center", bbox=box)
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 2.2, "mutation_scale": 13}
    axis.annotate("", xy=(0.0, 1.0), xytext=(0.0, -0.1), zorder=5, arrowprops=arrow)
    axis.plot(0.0, 0.0, "o", color=INK, markersize=8, zorder=5)
    axis.text(0.0, 5.12, "where the person faces", ha="center", va="bottom", fontsize=7.5, color=INK)
    for x, side in ((-5.35, "left"), (5.35, "right")):
        axis.text(x, 0.0, side, ha="center", va="center", rotation=90, fontsize=7.5, color=INK)
    axis.set_xlim(-_RIM, _RIM)
    axis.set_ylim(-_RIM, _RIM)
    axis.set_aspect("equal")
    axis.axis("off")
    shown = f", {_SHOWN} of them shown" if len(result["balls"]) > _SHOWN else ""
    title = f"{result['policy']}, {result['engine']}: {result['motion']} balls"
    axis.set_title(f"{title}\n{_share(result['success'])}{shown}", fontsize=9)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.045), "ncols": 2}
    close = {"handletextpad": 0.2, "columnspacing": 1.2, "markerscale": (30.0 / size) ** 0.5}
    axis.legend(fontsize=7.5, frameon=False, **place, **close)


def _by_distance(axis: Any, result: Mapping[str, Any]) -> None:
    groups = result["by_distance"]
    names = [f"{g['from_m']:g}–{g['to_m']:g}" for g in groups]
    bars(axis, names, groups)
    axis.set_xlabel("distance, m", fontsize=8)


def _by_direction(axis: Any, result: Mapping[str, Any]) -> None:
    groups = sorted(result["by_direction"], key=lambda g: -g["centre_degrees_left"])
    names = {0: "ahead", 90: "left", -90: "right", 180: "behind"}
    bars(axis, [names.get(g["centre_degrees_left"], f"{g['centre_degrees_left']}°") for g in groups], groups)
    axis.set_xlabel("direction (degrees to the left)", fontsize=8)


def _by_policy(axis: Any, results: Sequence[Mapping[str, Any]], policies: list[str], paper: float) -> None:
    kinds = list(dict.fromkeys((r["motion"], r["engine"]) for r in results))
    for i, (motion, engine) in enumerate(kinds):
        chosen = {r["policy"]: r["success"] for r in results if (r["motion"], r["engine"]) == (motion, engine)}
        x = np.array([policies.index(p) for p in chosen]) + 0.12 * (i - (len(kinds) - 1) / 2)
        y, error = _bars_of(list(chosen.values()))
        style = {"color": _CURVES[i % len(_CURVES)], "fmt": "o-" if motion == "still" else "s--"}
        axis.errorbar(x, y, error, capsize=3, linewidth=1.4, label=f"{motion}, {engine}", **style)
    axis.axhline(100 * paper, color=PALE, linewidth=1.2, zorder=0)
    axis.text(
        len(policies) - 0.62, 100 * paper + 1.5, f"paper {100 * paper:.1f} %", fontsize=7.5, color=INK, ha="right"
    )
    axis.set_xticks(range(len(policies)), policies, fontsize=8)
    axis.set_xlim(-0.5, len(policies) - 0.5)
    axis.legend(fontsize=8, frameon=False)
    _percent(axis)


def bars(axis: Any, names: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> None:
    """Shares with their intervals as bars, each with its number."""
    y, error = _bars_of(groups)
    x = np.arange(len(names))
    axis.bar(x, y, color=YES, alpha=0.85, width=0.72)
    axis.errorbar(x, y, error, fmt="none", ecolor=INK, capsize=3, linewidth=1.1)
    for xi, yi, up in zip(x, y, error[1], strict=True):
        axis.text(xi, min(yi + up, 100.0) + 1.5, f"{yi:.0f}", ha="center", va="bottom", fontsize=7.5, color=INK)
    axis.set_xticks(x, names, fontsize=7.5)
    _percent(axis)


def _bars_of(groups: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Values (K,) and lengths (2, K) of the error bars, in percent; empty groups at 0 without a bar."""
    value, low, high = (
        np.array([100.0 * (g[key] if g["value"] is not None else 0.0) for g in groups])
        for key in ("value", "low", "high")
    )
    empty = np.array([g["value"] is None for g in groups])
    lengths = np.maximum(np.stack([value - low, high - value]), 0.0)
    return np.where(empty, 0.0, value), np.where(empty, 0.0, lengths)


def _percent(axis: Any) -> None:
    axis.set_ylim(0, 112)
    axis.set_yticks(range(0, 101, 25))
    axis.tick_params(labelsize=7.5)
    axis.set_ylabel("picked up, %", fontsize=8)
    axis.grid(axis="y", alpha=0.25)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _share(entry: Mapping[str, Any]) -> str:
    return f"{100 * entry['value']:.1f} % [{100 * entry['low']:.1f}, {100 * entry['high']:.1f}] of {entry['n']}"
