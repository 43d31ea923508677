"""Showing a run: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

FACTOR_PREFIX = "env/reward/"


@dataclasses.dataclass(frozen=True)
class Row:
    """What is shown of an iteration; `metrics` as they are logged, seconds and eta in s (None: not yet known)."""

    iteration: int
    env_steps: int
    total_env_steps: int
    steps_per_second: float
    seconds: float
    eta: float | None
    metrics: Mapping[str, float]

    def cells(self) -> dict[str, str]:
        """Columns in order: steps, speed, reward and each of its factors, episodes, trouble, time left."""
        metrics = self.metrics
        cells = {
            "iteration": str(self.iteration),
            "env steps": f"{_count(self.env_steps)}/{_count(self.total_env_steps)}",
            "steps/s": _count(self.steps_per_second),
        }
        if "reward" in metrics:
            cells["reward"] = f"{metrics['reward']:.4f}"
        for name, value in metrics.items():
            # A factor of exactly 1 is switched off; the total is the reward itself.
            if name.startswith(FACTOR_PREFIX) and value != 1.0 and name != f"{FACTOR_PREFIX}total":
                cells[name.removeprefix(FACTOR_PREFIX)] = f"{value:.3f}"
        if "episode/length" in metrics:
            cells["episode"] = f"{metrics['episode/length']:.1f}"
        if "episode/falls" in metrics:
            cells["falls"] = f"{metrics['episode/falls']:.0f}"
        for name, label in (
            ("env/nonfinite", "nonfinite"),
            ("nonfinite_updates", "skipped"),
            ("env/overflow", "overflow"),
        ):
            if metrics.get(name):
                cells[label] = f"{metrics[name]:.2g}"
        cells["ETA"] = "-" if self.eta is None else duration(self.eta)
        return cells


class Progress(Protocol):
    """Where the training loop tells what happens."""

    def message(self, text: str) -> None:
        """Something worth a line of its own."""

    def update(self, row: Row) -> None:
        """An iteration has ended."""

    def close(self) -> None:
        """Nothing more will come."""


class PlainProgress:
    """One line an iteration, at most one every `interval` seconds apart from the first two and the last."""

    def __init__(self, stream: TextIO | None = None, interval: float = 5.0) -> None:
        self._stream = stream or sys.stdout
        self._interval = interval
        self._shown = 0
        self._next = 0.0
        self._waiting: Row | None = None

    def message(self, text: str) -> None:
        self._flush()
        self._write(text)

    def update(self, row: Row) -> None:
        self._waiting = row
        if self._shown < 2 or time.monotonic() >= self._next:
            self._flush()

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._waiting is not None:
            self._write("  ".join(f"{name} {cell}" for name, cell in self._waiting.cells().items()))
            self._waiting = None
            self._shown += 1
            self._next = time.monotonic() + self._interval

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Silent:
    """Tells nobody: for processes beside the first."""

    def message(self, text: str) -> None:
        pass

    def update(self, row: Row) -> None:
        pass

    def close(self) -> None:
        pass


class LiveProgress:
    """A table of the latest iterations that redraws itself on a terminal, messages above it."""

    ROWS = 12

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._rows: list[Row] = []
        self._live = Live(console=console or Console(), refresh_per_second=4)
        self._started = False

    def message(self, text: str) -> None:
        self._live.console.print(text, highlight=False, markup=False)

    def update(self, row: Row) -> None:
        if not self._started:
            self._live.start()
            self._started = True
        self._rows = [*self._rows, row][-self.ROWS :]
        self._live.update(self._table())

    def close(self) -> None:
        if self._started:
            self._live.stop()
            self._started = False

    def _table(self) -> Any:
        from rich.table import Table

        rows = [row.cells() for row in self._rows]
        columns = list(dict.fromkeys(name for cells in rows for name in cells if name != "ETA"))
        table = Table(box=None, pad_edge=False)
        for name in [*columns, "ETA"]:
            table.add_column(name, justify="right", overflow="fold")
        for cells in rows:
            table.add_row(*(cells.get(name, "") for name in [*columns, "ETA"]))
        return table


def make_progress() -> Progress:
    """A live table if standard output is a terminal, plain lines otherwise."""
    return LiveProgress() if sys.stdout.isatty() else PlainProgress()


def duration(seconds: float) -> str:
    """'1:02:03' or '2:03'."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _count(number: float) -> str:
    """'950', '12.3k', '1.50M', '2.40G'."""
    for size, unit, digits in ((1e9, "G", 2), (1e6, "M", 2), (1e3, "k", 1)):
        if number >= size:
            return f"{number / size:.{digits}f}{unit}"
    return f"{number:.0f}"
