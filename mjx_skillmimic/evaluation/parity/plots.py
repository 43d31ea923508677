"""Pictures of a document of dynamics: step responses, bouncing balls, how runs part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.parity.scenarios import JOINT_GROUPS
from mjx_skillmimic.viewing.series import COLOURS

_INK, _PALE = "#343a42", "#6b7580"
_BASE = {"color": "#9aa3ad", "linewidth": 4.0, "alpha": 0.55}
_LEAST = 1e-4  # mm, the foot of the logarithmic axis

PICTURES = ("pd", "drop", "divergence")


def draw(document: Mapping[str, Any], out: str | Path, which: Sequence[str] = PICTURES) -> list[Path]:
    """Writes OUT_pd.png, OUT_drop.png and OUT_divergence.png, those of `which` that there is something to show in."""
    import matplotlib

    matplotlib.use("Agg")
    out, made = Path(out), []
    out.parent.mkdir(parents=True, exist_ok=True)
    for name, make in zip(PICTURES, (_responses, _drops, _divergence), strict=True):
        figure = make(document) if name in which else None
        if figure is not None:
            made.append(out.with_name(f"{out.name}_{name}.png"))
            figure.savefig(made[-1], dpi=110, facecolor="white")
            _pyplot().close(figure)
    return made


def _responses(document: Mapping[str, Any]) -> Any:
    """One panel a group of joints: the axis on which some engine is furthest from the base."""
    base, engines = document["base"], document["engines"]
    shown = []
    for group in JOINT_GROUPS:
        names = [f"{group} {axis}" for axis in "xyz" if f"{group} {axis}" in base["curves"]["pd"]]
        if names:
            worst = lambda name: max((e["pd"].get(name, {}).get("most", 0.0) for e in engines.values()), default=0.0)  # noqa: E731
            shown.append(max(names, key=worst))
    if not shown:
        return None
    figure, axes = _grid(len(shown), 4, "Steps of 0.2 rad in the air, % of the step", _label(document))
    for axis, name in zip(axes, shown, strict=True):
        _plot(axis, base["curves"]["pd"][name], "base", document)
        for engine, found in engines.items():
            if name in found["curves"]["pd"]:
                _plot(axis, found["curves"]["pd"][name], engine, document)
        axis.set_title(name, fontsize=10, loc="left", color=_INK)
    return figure


def _drops(document: Mapping[str, Any]) -> Any:
    base, engines = document["base"], document["engines"]
    if not base["curves"]["drop"]:
        return None
    names = list(base["curves"]["drop"])
    figure, axes = _grid(
        len(names), len(names), "Ball dropped on the floor: height of its lowest point, m", _label(document)
    )
    for axis, name in zip(axes, names, strict=True):
        _plot(axis, base["curves"]["drop"][name], "base", document)
        for engine, found in engines.items():
            _plot(axis, found["curves"]["drop"].get(name, []), engine, document)
        axis.set_title(f"from {name}", fontsize=10, loc="left", color=_INK)
    return figure


def _divergence(document: Mapping[str, Any]) -> Any:
    engines = document["engines"]
    groups = [g for g in document["base"]["courses"] if any(g in e["curves"]["divergence"] for e in engines.values())]
    if not groups:
        return None
    title = "Open loop: median distance from the base, mm (bodies; where a ball alone moves, the ball)"
    figure, axes = _grid(len(groups), 4, title, _label(document, base=False))
    for axis, group in zip(axes, groups, strict=True):
        for engine, found in engines.items():
            values = [None if x is None else max(1e3 * x, _LEAST) for x in found["curves"]["divergence"].get(group, [])]
            _plot(axis, values, engine, document)
        axis.set_yscale("log")
        axis.set_ylim(_LEAST / 2, 1e4)
        axis.set_title(group, fontsize=10, loc="left", color=_INK)
    return figure


def _plot(axis: Any, values: list[float | None], name: str, document: Mapping[str, Any]) -> None:
    y = np.array([np.nan if v is None else v for v in values], float)
    if name == "base":
        axis.plot(np.arange(len(y)), y, **_BASE)
        return
    colour = COLOURS[list(document["engines"]).index(name) % len(COLOURS)]
    axis.plot(np.arange(len(y)), y, color=colour, linewidth=1.5)


def _label(document: Mapping[str, Any], base: bool = True) -> list[tuple[str, dict[str, Any]]]:
    first = [(f"{document['base']['engine']} (base)", _BASE)] if base else []
    return first + [
        (name, {"color": COLOURS[i % len(COLOURS)], "linewidth": 2.0}) for i, name in enumerate(document["engines"])
    ]


def _grid(panels: int, columns: int, title: str, labels: list[tuple[str, dict[str, Any]]]) -> tuple[Any, list[Any]]:
    """A figure with that many axes in house style, a legend on top."""
    from matplotlib.lines import Line2D

    columns = min(columns, panels)
    lines = -(-panels // columns)
    figure, axes = _pyplot().subplots(lines, columns, figsize=(3.3 * columns, 0.9 + 2.3 * lines), squeeze=False,
                                      layout="constrained")  # fmt: skip
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=_INK)
    handles = [Line2D([], [], label=name, **style) for name, style in labels]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9.5, frameon=False)
    for i, axis in enumerate(axes.flat):
        axis.set_visible(i < panels)
        axis.grid(alpha=0.22, linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8.5, colors=_INK)
        if i >= panels - columns:
            axis.set_xlabel("control steps (1/60 s)", fontsize=8.5, color=_PALE)
    return figure, list(axes.flat[:panels])


def _pyplot() -> Any:
    from matplotlib import pyplot

    return pyplot
