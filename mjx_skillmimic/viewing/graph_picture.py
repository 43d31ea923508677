"""A stitched graph as a PNG: which frames lead where, how similar they are, and how long the starts wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.stitching.buffers import MOST_STEPS, buffer_steps
from mjx_skillmimic.stitching.graph_file import GraphFile
from mjx_skillmimic.stitching.summary import summarise

_INK, _PALE, _BAR = "#343a42", "#d5dade", "#2a6f97"
_COLOURS = "viridis_r"
_NAMED = 24  # labels; more names would overlap on an axis


def draw_graph(file: GraphFile, path: str | Path) -> Path:
    """Writes the PNG and returns its path.

    Left: a dot for each record, at the frame that is led to and its donor's, coloured by buffer steps. Right:
    histograms of similarity and of buffer steps; mean buffer steps of each pair of labels.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    summary = summarise(file)
    figure = pyplot.figure(figsize=(14.5, 9.4), constrained_layout=True)
    grid = figure.add_gridspec(3, 2, width_ratios=(1.75, 1.0), height_ratios=(0.8, 0.8, 1.5))
    image = _draw_map(figure.add_subplot(grid[:, 0]), file)
    bar = figure.colorbar(image, ax=figure.axes[0], location="bottom", shrink=0.5, aspect=40, pad=0.01)
    bar.set_label("buffer steps of an episode that begins in the donor", fontsize=8.5)
    bar.set_ticks(range(MOST_STEPS + 1))
    bar.ax.tick_params(labelsize=8, length=0)
    _draw_similarities(figure.add_subplot(grid[0, 1]), summary)
    _draw_steps(figure.add_subplot(grid[1, 1]), summary)
    _draw_pairs(figure.add_subplot(grid[2, 1]), summary)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor="white")
    pyplot.close(figure)
    return path


def _draw_map(axis: Any, file: GraphFile) -> Any:
    """Frames of all clips on both axes, clip behind clip; every label has a unit of length."""
    labels = np.unique(file.skills)
    begins = np.zeros(len(file.skills))
    units = np.zeros(len(file.skills))
    for number, label in enumerate(labels):
        mine = file.skills == label
        units[mine] = 1.0 / file.lengths[mine].sum()
        begins[mine] = number + (np.cumsum(file.lengths[mine]) - file.lengths[mine]) * units[mine]
    place = lambda clip, frame: begins[clip] + (frame + 0.5) * units[clip]  # noqa: E731
    led = [place(clip, np.arange(length)) for clip, length in enumerate(file.lengths)]
    clip, frame = np.asarray(file.graph.clip), np.asarray(file.graph.frame)
    row, column = np.nonzero(clip >= 0)
    steps = np.asarray(buffer_steps(np.asarray(file.graph.similarity)[row, column]))
    # The best on top where dots hide each other.
    top = np.argsort(-steps, kind="stable")
    donors = place(clip[row, column], frame[row, column])
    size = float(np.clip(9000.0 / len(clip), 0.4, 7.0))
    dots = {"s": size, "cmap": _COLOURS, "vmin": -0.5, "vmax": MOST_STEPS + 0.5, "linewidths": 0, "zorder": 3}
    image = axis.scatter(np.concatenate(led)[row][top], donors[top], c=steps[top], **dots)
    for line in (axis.axvline, axis.axhline):
        for begin in begins:
            line(begin, color=_INK if begin in range(len(labels)) else _PALE, linewidth=0.7, zorder=1)
    frames = [int(file.lengths[file.skills == label].sum()) for label in labels]
    names = [f"{label} {skill_name(label)} ({n})" for label, n in zip(labels, frames, strict=True)]
    if len(labels) > _NAMED:
        names = [str(label) for label in labels]
    axis.set_xticks(np.arange(len(labels)) + 0.5, names, rotation=30, ha="right", fontsize=8)
    axis.set_yticks(np.arange(len(labels)) + 0.5, names, fontsize=8)
    axis.set_xlim(0, len(labels))
    axis.set_ylim(0, len(labels))
    axis.set_aspect("equal")
    axis.tick_params(length=0)
    axis.set_xlabel("frame that the episode imitates (frames of the label)", fontsize=9, color=_INK)
    axis.set_ylabel("donor: frame whose state it begins in", fontsize=9, color=_INK)
    whole = summarise(file)["all"]
    title = f"Which frames lead where: {whole['records']} records, {whole['without_donor']} without donor"
    axis.set_title(title, fontsize=11, loc="left", color=_INK)
    return image


def _draw_similarities(axis: Any, summary: dict[str, Any]) -> None:
    counts, whole = summary["histogram"], summary["all"]
    _bars(axis, summary["decade"], counts, width=1.0, offset=0.5)
    axis.set_xticks(range(-10, 1, 2), [f"$10^{{{k}}}$" if k else "1" for k in range(-10, 1, 2)])
    note = f": median {whole['median']:.2g}, greatest {whole['greatest']:.2g}" if whole["median"] is not None else ""
    axis.set_title(f"Similarity of donors{note}", fontsize=10, loc="left", color=_INK)
    axis.set_ylabel("records", fontsize=8.5, color=_INK)


def _draw_steps(axis: Any, summary: dict[str, Any]) -> None:
    counts, whole = summary["buffer_steps"], summary["all"]
    _bars(axis, range(len(counts)), counts)
    axis.set_xticks(range(len(counts)))
    mean = whole["mean_buffer_steps"]
    title = "Buffer steps" + ("" if mean is None else f": {mean:.2f} on average")
    axis.set_title(title, fontsize=10, loc="left", color=_INK)
    axis.set_ylabel("records", fontsize=8.5, color=_INK)


def _bars(axis: Any, x: Any, counts: list[int], width: float = 0.86, offset: float = 0.0) -> None:
    x = np.asarray(x) + offset
    axis.bar(x, counts, width=width, color=_BAR, edgecolor="white", linewidth=0.8, zorder=2)
    for at, count in zip(x, counts, strict=True):
        if count:
            axis.text(at, count, str(count), ha="center", va="bottom", fontsize=7.5, color=_INK)
    axis.margins(y=0.15)
    axis.grid(axis="y", alpha=0.22)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, colors=_INK)


def _draw_pairs(axis: Any, summary: dict[str, Any]) -> None:
    """Mean buffer steps of each pair of labels, and below how many records have no donor."""
    labels = sorted({clip["label"] for clip in summary["clips"]})
    values = np.full((len(labels), len(labels)), np.nan)
    few = len(labels) <= 8  # else there is no room for more than a number
    font = float(np.clip((60.0 if few else 90.0) / len(labels), 3.0, 9.0))
    for pair in summary["pairs"]:
        at = labels.index(pair["from"]), labels.index(pair["to"])
        mean, missing = pair["mean_buffer_steps"], pair["without_donor"]
        text = "none" if mean is None else f"{mean:.1f}" + (f"\n{missing} none" if missing and few else "")
        values[at] = np.nan if mean is None else mean
        dark = mean is not None and mean > 0.48 * MOST_STEPS
        axis.text(at[1], at[0], text, ha="center", va="center", fontsize=font, color="white" if dark else _INK)
    axis.set_facecolor("#eceff1")
    axis.imshow(np.ma.masked_invalid(values), cmap=_COLOURS, vmin=-0.5, vmax=MOST_STEPS + 0.5, origin="lower")
    names = [f"{label} {skill_name(label)}" if few else str(label) for label in labels]
    turned = {"rotation": 30, "ha": "right"} if few else {}
    axis.set_xticks(range(len(labels)), names, fontsize=7.5, **turned)
    axis.set_yticks(range(len(labels)), names, fontsize=7.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("to", fontsize=8.5, color=_INK)
    axis.set_ylabel("from", fontsize=8.5, color=_INK)
    axis.set_title(
        "Mean buffer steps" + ("; records without donor" if few else ""), fontsize=10, loc="left", color=_INK
    )
