"""What a notebook shows inside itself: the page that plays trajectories, and a training run while it goes on."""

from __future__ import annotations

import html
import io
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from mjx_skillmimic.learning.progress import FACTOR_PREFIX, Row
from mjx_skillmimic.viewing.html import page
from mjx_skillmimic.viewing.series import COLOURS, DASHES
from mjx_skillmimic.viewing.trajectory import Trajectory

_STYLES = dict(zip(DASHES, ("-", "--", ":"), strict=True))
_REWARD, _LENGTH, _TOTAL = "reward", "episode/length", f"{FACTOR_PREFIX}total"
_TOLD = ("env steps", "steps/s", "nonfinite", "skipped", "overflow", "ETA")  # above the picture


def inline_page(trajectories: Trajectory | Sequence[Trajectory], height: int = 520) -> Any:
    """The page of `html.page` as an IPython output of `height` pixels, in a frame of its own.

    Raises ValueError for no trajectories, ImportError outside an environment with IPython.
    """
    from IPython.display import HTML

    text = html.escape(page(trajectories))
    # not the iframe alone: IPython would warn of it
    return HTML(f'<div><iframe srcdoc="{text}" width="100%" height="{height}" style="border:0"></iframe></div>')


class LiveCurve:
    """A `learning.progress.Progress` that draws reward, episode length and reward factors while training goes on.

    Messages are written as lines. The picture is made anew at most every `interval` s, and at the end. show(png): puts
    a picture in the place of the one before; absent: an output of the notebook's cell. earlier: the curve of the part
    of the run that this one goes on from.
    """

    def __init__(
        self,
        interval: float = 5.0,
        earlier: LiveCurve | None = None,
        show: Callable[[bytes], None] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self._interval, self._show, self._stream = interval, show or _Output().show, stream or sys.stdout
        self._rows: list[Row] = list(earlier._rows) if earlier else []
        self._next, self._drawn = 0.0, len(self._rows)

    def message(self, text: str) -> None:
        """A line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def update(self, row: Row) -> None:
        """An iteration has ended."""
        self._rows.append(row)
        if time.monotonic() >= self._next:
            self._draw()
            self._next = time.monotonic() + self._interval

    def close(self) -> None:
        """Draws what has not been drawn."""
        if self._drawn < len(self._rows):
            self._draw()

    def _draw(self) -> None:
        self._show(draw_rows(self._rows))
        self._drawn = len(self._rows)


def draw_rows(rows: Sequence[Row]) -> bytes:
    """A PNG of the iterations so far. Raises ValueError for none."""
    if not rows:
        raise ValueError("expected at least one iteration, got none")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 3.1), layout="constrained")
    reward, length, factors = figure.subplots(1, 3)
    steps = [row.env_steps for row in rows]
    for axis, name, title in ((reward, _REWARD, "reward a step"), (length, _LENGTH, "episode length (steps)")):
        axis.plot(steps, _values(rows, name), color=COLOURS[0], marker=_marker(rows))
        axis.set_title(title, fontsize=10)
    for i, name in enumerate(_moving_factors(rows)):
        style = {"color": COLOURS[i % len(COLOURS)], "linestyle": _STYLES[DASHES[i // len(COLOURS) % len(DASHES)]]}
        label = name.removeprefix(FACTOR_PREFIX)
        factors.plot(steps, _values(rows, name), label=label, marker=_marker(rows), **style)
    factors.set_title("factors of the reward", fontsize=10)
    if factors.lines:
        factors.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    last = rows[-1]
    for axis in (reward, length, factors):
        axis.set(xlabel="env steps", xlim=(0, max(last.total_env_steps, last.env_steps)))
        axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 5))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    told = (f"{name} {cell}" for name, cell in last.cells().items() if name in _TOLD)
    figure.suptitle(" · ".join(told), fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, facecolor="white")
    return buffer.getvalue()


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [row.metrics.get(name, math.nan) for row in rows]


def _marker(rows: Sequence[Row]) -> str | None:
    return "o" if len(rows) < 10 else None


def _moving_factors(rows: Sequence[Row]) -> list[str]:
    """Those that were ever not exactly 1: a factor of 1 is switched off."""
    names = dict.fromkeys(name for row in rows for name in row.metrics if name.startswith(FACTOR_PREFIX))
    return [n for n in names if n != _TOTAL and any(row.metrics.get(n, 1.0) != 1.0 for row in rows)]


class _Output:
    """One output of a cell, whose picture changes."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, png: bytes) -> None:
        from IPython.display import Image, display

        if self._handle is None:
            self._handle = display(Image(png), display_id=True)
        else:
            self._handle.update(Image(png))
