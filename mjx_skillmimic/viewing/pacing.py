"""Real time: control steps as the clock asks for them, pictures at the screen's rate, frames dropped before time is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

# Control steps between two pictures at most, so that a slow machine still draws.
MAX_STEPS = 6
# s behind the clock; more is given up: after a stall nobody wants to see the past in fast motion.
MAX_DEBT = 0.1
_WINDOW = 1.0  # s, over which the real-time factor is measured
_NAP = 0.05  # s, the longest sleep: a pause must end soon after its key


class Paced(Protocol):
    """What can be paced: a `session.Session`. speed: simulated seconds a second that are asked for."""

    paused: bool
    speed: float
    real_time_factor: float

    @property
    def control_dt(self) -> float:
        """Seconds between two control steps."""

    def step(self) -> None:
        """One control step."""


def run(
    session: Paced,
    draw: Callable[[], None],
    rate: float = 60.0,
    stop: threading.Event | None = None,
) -> None:
    """Steps the session at its speed and calls `draw()` at most `rate` times a second, until `stop` is set.

    `session.real_time_factor` is kept at simulated ÷ elapsed seconds over the last second; 0 while paused. A session
    that is too slow loses time, not pictures.
    """
    stop = stop or threading.Event()
    due = shown = since = time.perf_counter()
    steps = 0
    while not stop.is_set():
        now = time.perf_counter()
        if session.paused:
            due = now
        else:
            due = max(due, now - MAX_DEBT)
            for _ in range(MAX_STEPS):
                if due > now or session.paused:
                    break
                session.step()
                steps += 1
                due += session.control_dt / session.speed
        if now >= shown:
            draw()
            shown = max(shown + 1.0 / rate, time.perf_counter())
        now = time.perf_counter()
        if now - since >= _WINDOW:
            session.real_time_factor = steps * session.control_dt / (now - since)
            steps, since = 0, now
        wake = shown if session.paused else min(due, shown)
        stop.wait(min(max(wake - now, 0.0), _NAP))
