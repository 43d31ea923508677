"""Metrics on disk: one JSON line an iteration, and TensorBoard."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class JsonLines:
    """Appends one JSON object a line to a file, each with its `iteration`; lines survive a killed process.

    Opening with `keep_until` drops a half-written last line and every line of a later iteration, so that a resumed run
    continues the file as if it had never been further. Non-finite numbers are written as null.
    """

    def __init__(self, path: Path, keep_until: int | None = None) -> None:
        self.path = path
        if path.exists():
            kept = [line for line in read_json_lines(path) if keep_until is None or line["iteration"] <= keep_until]
            temporary = path.with_name(f"{path.name}.tmp")
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
            os.replace(temporary, path)
        self._file = path.open("a")

    def write(self, iteration: int, values: Mapping[str, Any]) -> None:
        """Appends {"iteration": iteration, **values} and flushes it."""
        line = {"iteration": iteration} | {key: _finite(value) for key, value in values.items()}
        self._file.write(f"{json.dumps(line)}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, up to the first line that is not a whole JSON object with an `iteration`."""
    with path.open() as file:
        for text in file:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                return
            if not text.endswith("\n") or not isinstance(line, dict) or "iteration" not in line:
                return
            yield line


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class TensorBoard:
    """Scalars against environment steps; points beyond `purge_step` of an earlier run are hidden."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, env_steps: int, values: Mapping[str, Any], prefix: str = "") -> None:
        for key, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"{prefix}{key}", value, env_steps)

    def close(self) -> None:
        self._writer.close()
