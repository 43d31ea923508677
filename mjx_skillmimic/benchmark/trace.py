"""One traced stretch of a program: the kernels that ran, from the file that JAX's profiler writes."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
from jax.profiler import ProfileData

# Operations that contain others, which are in the trace as well (CPU only).
_CONTAINERS = re.compile(r"^(while|call|conditional|async-start)[.\d]*$")
_API = re.compile(r"^cu(da)?[A-Z]\w+$")


@dataclasses.dataclass(frozen=True)
class Event:
    """name: a kernel's, a copy's or a host call's. start, duration: ns. operation: the HLO operation that it belongs
    to, "" where the trace does not tell. lane: its stream or thread."""

    name: str
    start: float
    duration: float
    operation: str
    lane: str


@dataclasses.dataclass(frozen=True)
class Trace:
    """kernels: what the device did. api: calls of the host into CUDA. device: the name of the traced plane."""

    kernels: tuple[Event, ...]
    api: tuple[Event, ...]
    device: str

    @property
    def span(self) -> float:
        """ns from the first kernel's start to the last one's end."""
        return max(e.start + e.duration for e in self.kernels) - min(e.start for e in self.kernels)

    @property
    def busy(self) -> float:
        """ns in which at least one kernel ran."""
        return union((e.start, e.start + e.duration) for e in self.kernels)


def record(run: Callable[[], Any], folder: Path | None = None) -> Trace:
    """Traces `run()`, which must wait for its results. folder: where the profiler's files stay; absent: nowhere."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as scratch:
        target = folder or Path(scratch)
        with jax.profiler.trace(str(target), profiler_options=options):
            run()
        return read(target)


def read(folder: Path) -> Trace:
    """The newest trace under a folder.

    The first device's own plane is read where there is any; on a CPU the operations that its threads executed. Raises
    FileNotFoundError without a trace, ValueError for one in which no kernel was recorded.
    """
    files = sorted(folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no .xplane.pb under {folder}; expected a folder that jax.profiler.trace wrote")
    planes = list(ProfileData.from_file(str(files[-1])).planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    host = [event for plane in planes if plane.name.startswith("/host:") for event in _events(plane)]
    by_device = {plane.name: _events(plane, "Stream") for plane in devices}
    name, kernels = next(((name, found) for name, found in by_device.items() if found), ("/host:CPU", []))
    kernels = kernels or [event for event in host if event.operation and not _CONTAINERS.match(event.operation)]
    if not kernels:
        found = ", ".join(plane.name for plane in planes)
        raise ValueError(f"{files[-1]} holds no kernels; its planes are {found}. Is profiling permitted here?")
    return Trace(tuple(kernels), tuple(event for event in host if _API.match(event.name)), name)


def union(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals (start, end)."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _events(plane: Any, lanes: str = "") -> list[Event]:
    """The events of a plane's lines whose names begin with `lanes`; the profiler derives others from those."""
    found = []
    for line in plane.lines:
        if not line.name.startswith(lanes):
            continue
        for event in line.events:
            operation = next((str(value) for key, value in event.stats if key == "hlo_op"), "")
            found.append(Event(event.name, event.start_ns, event.duration_ns, operation, line.name))
    return found
