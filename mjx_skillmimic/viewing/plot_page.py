"""The plots of runs as one HTML page that works without a network: plotly, with its script inside.

Curves can be zoomed, read off by pointing, and switched off in the legend; the page is 5 MB: all of plotly is in it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mjx_skillmimic.viewing.panels import Panel, Section
from mjx_skillmimic.viewing.series import Line

_ROW, _MARGINS = 270, 110  # pixels
_INK, _GRID = "#343a42", "#e6e9ec"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #343a42; max-width: 1500px; margin: 1.5rem auto;
  padding: 0 1.5rem; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .2rem; }}
h2 {{ font-size: 1.15rem; margin: 2rem 0 0; }}
p {{ color: #6b7580; margin: 0 0 .4rem; }}
</style></head><body>
<h1>{title}</h1>
<p>{hint}</p>
{body}
</body></html>
"""
# without the buttons that lead to plotly's services
_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]]}
_HINT = "Drag to zoom, double-click to go back; a name in a legend switches its curves off."


class PlotPageError(ImportError):
    """The optional library that the page needs is not there; the message says how to install it."""


def library() -> tuple[ModuleType, Any]:
    """plotly's `graph_objects` and `make_subplots`. Raises PlotPageError with the command that installs it."""
    try:
        import plotly.graph_objects as graph_objects
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise PlotPageError("a page of plots needs plotly: pip install 'mjx_skillmimic[plots]'") from error
    return graph_objects, make_subplots


def write_page(sections: Sequence[Section], names: Sequence[str], out: str | Path) -> Path:
    """Writes the page; names: the groups, in order. Raises ValueError for nothing to show, PlotPageError."""
    if not sections:
        raise ValueError("expected something to draw, got no section with data")
    library()
    parts = []
    for i, section in enumerate(sections):
        picture = _figure(section).to_html(full_html=False, include_plotlyjs=i == 0, config=_CONFIG)
        parts.append(f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.note)}</p>{picture}")
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    title = html.escape(", ".join(names))
    out.write_text(_PAGE.format(title=title, hint=_HINT, body="\n".join(parts)), encoding="utf-8")
    return out


def _figure(section: Section) -> Any:
    _, make_subplots = library()
    panels = section.panels
    columns = section.columns
    rows = math.ceil(len(panels) / columns)
    height = rows * _ROW + _MARGINS
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[panel.title for panel in panels],
        vertical_spacing=80 / height,
        horizontal_spacing=0.19 / columns,
    )
    named: set[int] = set()
    for i, panel in enumerate(panels):
        place = {"row": i // columns + 1, "col": i % columns + 1}
        for line in panel.lines:
            for trace in _traces(section.kind, panel, line, line.group not in named):
                figure.add_trace(trace, **place)
            named.add(line.group)
        _axes(figure, section.kind, panel, place, i + columns >= len(panels))
    figure.update_layout(
        height=height,
        template="plotly_white",
        font={"color": _INK, "size": 12},
        margin={"l": 60, "r": 20, "t": 70, "b": 60},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0 + 36 / (height - 130), "x": 0.0},
        barmode="group",
        hoverlabel={"namelength": -1},
    )
    figure.update_annotations(font_size=13)
    return figure


def _axes(figure: Any, kind: str, panel: Panel, place: dict[str, int], lowest: bool) -> None:
    limits = {"range": list(panel.y_range)} if panel.y_range else {"rangemode": "tozero"}
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, **place)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, **place)
    if kind == "comparison":
        figure.update_xaxes(title_text=panel.y_label, title_standoff=4, **limits, **place)
        figure.update_yaxes(autorange="reversed", showticklabels=place["col"] == 1, **place)
    else:
        figure.update_xaxes(title_text=panel.x_label if lowest else "", title_standoff=6, **place)
        figure.update_yaxes(title_text=panel.y_label, title_standoff=4, **limits, **place)


def _traces(kind: str, panel: Panel, line: Line, named: bool) -> list[Any]:
    go, _ = library()
    name = line.name if line.runs == 1 else f"{line.name} ({line.runs} seeds)"
    shared = {"name": name, "legendgroup": str(line.group), "showlegend": named}
    down, up = (line.mean - line.low).clip(0.0), (line.high - line.mean).clip(0.0)
    whiskers = {"type": "data", "array": up, "arrayminus": down, "symmetric": False, "thickness": 1.5}
    if kind == "comparison":
        marker = {"color": line.colour, "size": 10}
        where = [panel.categories[int(i)] for i in line.x]
        return [go.Scatter(x=line.mean, y=where, error_x=whiskers, mode="markers", marker=marker, **shared)]
    if panel.categories:
        where = [panel.categories[int(i)] for i in line.x]
        return [go.Bar(x=where, y=line.mean, error_y=whiskers, marker_color=line.colour, **shared)]
    stroke = {"color": line.colour, "dash": line.dash, "width": 2}
    mode = "lines+markers" if line.points or len(line.x) == 1 else "lines"
    reading = f"%{{y:.4g}} at %{{x:.4g}}<extra>{html.escape(name)}</extra>"
    traces = [go.Scatter(x=line.x, y=line.mean, mode=mode, line=stroke, hovertemplate=reading, **shared)]
    if line.runs > 1:
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"} | shared | {"showlegend": False}
        traces.insert(0, go.Scatter(x=line.x, y=line.low, **edge))
        traces.insert(1, go.Scatter(x=line.x, y=line.high, fill="tonexty", fillcolor=_pale(line.colour), **edge))
    return traces


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"
