"""Ctrl-C and SIGTERM as a wish that the training loop reads between iterations."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulStop:
    """A context in which the first SIGINT or SIGTERM sets `requested`; a second SIGINT interrupts at once.

    `notify(name)` is called from the handler with the signal's name. Outside the main thread, where Python allows no
    handlers, only `request()` sets it.
    """

    def __init__(self, notify: Callable[[str], None] | None = None) -> None:
        self._notify = notify
        self._previous: dict[signal.Signals, Any] = {}
        self.requested: str | None = None

    def request(self, name: str) -> None:
        """Asks for a stop after the current iteration, as a signal would; the first name is kept."""
        self.requested = self.requested or name

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(name)
        if self._notify:
            self._notify(name)
