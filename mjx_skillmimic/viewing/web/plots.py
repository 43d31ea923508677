"""Live curves: every reward factor, and how high ball and root are."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import viser

    from mjx_skillmimic.viewing.session import Status

TOTAL = "total"
SECONDS = 8.0  # of simulated time in a plot
_EVERY = 4  # control steps between two points
# uPlot's range: from 0, up to the data and 10 % more, at least to 2 m
_FROM_FLOOR: Any = {"min": {"pad": 0.0, "hard": 0.0}, "max": {"pad": 0.1, "soft": 2.0, "mode": 1}}
# the same up to 1; what a task pays at once for a goal goes beyond the picture
_REWARDS: Any = {"min": {"pad": 0.0, "hard": 0.0}, "max": {"pad": 0.02, "soft": 1.02, "hard": 1.5, "mode": 1}}
_BLACK, _BALL, _ROOT = "#1f2933", "#e8702a", "#6b85a8"
_COLOURS = (
    "#2f6fb3",
    "#38a89d",
    "#9b59b6",
    "#d64545",
    "#c99a2e",
    "#5a9e4b",
    "#d46a9f",
    "#7a6a5a",
    "#5bb8e0",
    "#99a1ad",
)


class History:
    """Points of the last `SECONDS` since the last reset; factors that are not there are NaN."""

    def __init__(self) -> None:
        self.factors: tuple[str, ...] = ()
        self._rows: collections.deque[tuple[float, dict[str, float], float, float]] = collections.deque()
        self._step = -_EVERY
        self._clip = -1

    def add(self, status: Status) -> None:
        """Takes a status in if it is due; a step that goes back, or another clip, begins anew."""
        if status.step < self._step or status.clip != self._clip:
            self._rows.clear()
            self._step, self._clip = status.step - _EVERY, status.clip
        if status.step < self._step + _EVERY:
            return
        self._step = status.step
        factors = tuple(sorted(status.rewards, key=lambda name: (name != TOTAL, name)))
        if factors and factors != self.factors:
            self.factors = factors
        self._rows.append((status.time, dict(status.rewards), status.ball_height, status.root_height))
        while self._rows[0][0] < status.time - SECONDS:
            self._rows.popleft()

    def rewards(self) -> tuple[np.ndarray, ...]:
        """Times (T,) s, then one (T,) for each of `factors`."""
        curves = [np.array([row[1].get(name, np.nan) for row in self._rows]) for name in self.factors]
        return (self._times(), *curves)

    def heights(self) -> tuple[np.ndarray, ...]:
        """Times (T,) s, heights (T,) m of ball and root."""
        return self._times(), *(np.array([row[i] for row in self._rows]) for i in (2, 3))

    def _times(self) -> np.ndarray:
        return np.array([row[0] for row in self._rows])


class Plots:
    """The two charts; to be made where they shall be, and `show`n a few times a second."""

    def __init__(self, server: viser.ViserServer) -> None:
        self.history = History()
        self._gui = server.gui
        self._place = server.gui.add_folder(None)
        self._shown: tuple[str, ...] = ()
        self._rewards: Any = None
        with self._place:
            self._heights = self._gui.add_uplot(
                _drawable(self.history.heights()),
                ({"label": "time, s"}, _line("ball", _BALL, 2.0), _line("root", _ROOT, 1.5)),
                title="height, m",
                scales={"x": {"time": False}, "y": {"range": _FROM_FLOOR}},
                height=170,
                order=1.0,
            )

    def show(self) -> None:
        """Sends the curves as they are now."""
        if self.history.factors != self._shown:
            self._make_rewards()
        self._heights.data = _drawable(self.history.heights())
        if self._rewards is not None:
            self._rewards.data = _drawable(self.history.rewards())

    def _make_rewards(self) -> None:
        """A chart for another set of factors; viser's charts keep the lines they were made with."""
        if self._rewards is not None:
            self._rewards.remove()
        self._shown = self.history.factors
        lines = [
            _line(name, _BLACK if name == TOTAL else _COLOURS[i % len(_COLOURS)], 2.5 if name == TOTAL else 1.4)
            for i, name in enumerate(self._shown)
        ]
        with self._place:
            self._rewards = self._gui.add_uplot(
                _drawable(self.history.rewards()),
                ({"label": "time, s"}, *lines),
                title="reward and its factors",
                scales={"x": {"time": False}, "y": {"range": _REWARDS}},
                height=230,
                order=0.0,
            )


def _line(label: str, colour: str, width: float) -> Any:
    return {"label": label, "stroke": colour, "width": width, "points": {"show": False}}


def _drawable(data: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The data, or a second without any curve where there is nothing yet: a chart without times has no axes."""
    times, *curves = data
    return data if len(times) > 1 else (np.array([0.0, 1.0]), *(np.full(2, np.nan) for _ in curves))
