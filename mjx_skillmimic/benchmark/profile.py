"""Where the time of a workload goes: kernels, groups of kernels, files of the package, launches, waiting."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from mjx_skillmimic.benchmark import sources, trace
from mjx_skillmimic.benchmark.trace import Event
from mjx_skillmimic.benchmark.workloads import Workload

Row = dict[str, Any]

_WARP = re.compile(r"_(?:[0-9a-f]{6,}_)?cuda_kernel_(forward|backward)$")
_WARP_CPU = re.compile(r"_(?:[0-9a-f]{6,}_)?cpu_kernel_(forward|backward)$")
# In this order: the first pattern that a kernel's name matches decides.
_GROUPS = (
    ("copy", re.compile(r"^(Memcpy|Memset|memset|memcpy)|^copy[._\d]*$", re.IGNORECASE)),
    ("matrix product", re.compile(r"gemm|cutlass|cublas|xmma|nvjet|^dot[._\d]*$|dot_fusion", re.IGNORECASE)),
    ("sort", re.compile(r"sort|radix", re.IGNORECASE)),
    ("random numbers", re.compile(r"threefry|rng_bit|philox", re.IGNORECASE)),
)


def profile(workload: Workload, calls: int = 1, folder: Path | None = None) -> Row:
    """Runs the workload warm, then `calls` calls under the profiler; takes the workload's carry.

    Times in ms, counts and times also for one control step of all worlds. folder: keeps the profiler's own files.
    Returns a JSON-able report with the lists "groups", "files", "kernels", "api", each longest first.
    """
    for _ in range(2):
        workload.carry, _ = jax.block_until_ready(workload.call(workload.carry))

    def run() -> None:
        for _ in range(calls):
            workload.carry, _ = workload.call(workload.carry)
        jax.block_until_ready(workload.carry)

    recorded = trace.record(run, folder)
    steps = calls * workload.steps // workload.worlds
    return report(recorded, sources.sources(workload.program.as_text()), steps) | {
        "level": workload.level,
        "worlds": workload.worlds,
        "calls": calls,
    }


def report(recorded: trace.Trace, origins: dict[str, sources.Source], steps: int) -> Row:
    """The report of a trace of `steps` control steps, with the origins of the program's operations."""
    by_kernel = {sources.kernel_name(name): source for name, source in origins.items()}

    def origin(event: Event) -> sources.Source | None:
        return origins.get(event.operation) or by_kernel.get(sources.kernel_name(event.name))

    def file(event: Event) -> str:
        kind = group(event)
        found = origin(event)
        return kind if found is None or kind == "Warp" else found.file or kind

    kernels = _table(recorded.kernels, lambda event: plain_name(event.name), steps)
    about = {plain_name(event.name): event for event in recorded.kernels}
    for row in kernels:
        event = about[row["name"]]
        found = origin(event)
        row["group"] = group(event)
        row["origin"] = f"{found.file}:{found.line} {found.function}" if found and found.file else ""
        row["operation"] = found.operation if found else ""
    return {
        "device": recorded.device,
        "control_steps": steps,
        "span_ms": recorded.span / 1e6,
        "busy_ms": recorded.busy / 1e6,
        "kernel_ms": sum(event.duration for event in recorded.kernels) / 1e6,
        "launches": len(recorded.kernels),
        "launches_per_step": len(recorded.kernels) / steps,
        "groups": _table(recorded.kernels, group, steps),
        "files": _table(recorded.kernels, file, steps),
        "kernels": kernels,
        "api": _table(recorded.api, lambda event: event.name, steps),
    }


def plain_name(name: str) -> str:
    """A kernel's name without what Warp appends to it."""
    return _WARP_CPU.sub("", _WARP.sub("", name))


def group(event: Event) -> str:
    """The kind of a kernel: "Warp", one of `_GROUPS`, "XLA" for other kernels of XLA's, or "other"."""
    if _WARP.search(event.name) or _WARP_CPU.search(event.name):
        return "Warp"
    for name, pattern in _GROUPS:
        if pattern.search(event.name):
            return name
    return "XLA" if event.operation or re.search(r"fusion|^wrapped_|^input_|^loop_", event.name) else "other"


def _table(events: Iterable[Event], name: Callable[[Event], str], steps: int) -> list[Row]:
    """Time and number of events by name, longest first; share of the sum."""
    time: collections.Counter[str] = collections.Counter()
    count: collections.Counter[str] = collections.Counter()
    for event in events:
        key = name(event)
        time[key] += event.duration  # type: ignore[assignment]
        count[key] += 1
    total = sum(time.values()) or 1.0
    return [
        {
            "name": key,
            "ms": value / 1e6,
            "share": value / total,
            "count": count[key],
            "us_per_step": value / 1e3 / steps,
            "per_step": count[key] / steps,
        }
        for key, value in time.most_common()
    ]


def text(found: Row, top: int = 30) -> str:
    """The report as lines for a terminal."""
    idle = 1.0 - found["busy_ms"] / max(found["span_ms"], 1e-9)
    lines = [
        f"{found.get('level', '')} {found.get('worlds', '')} worlds, {found['control_steps']} control steps on "
        f"{found['device']}: {found['span_ms']:.2f} ms, a kernel running {found['busy_ms']:.2f} ms, waiting {idle:.1%}",
        f"{found['launches']} launches, {found['launches_per_step']:.1f} a control step",
    ]
    for title in ("groups", "files", "kernels", "api"):
        shown = found[title][:top]
        if not shown:
            continue
        lines += ["", f"{title:<58s} {'share':>6s} {'us/step':>9s} {'n/step':>8s} {'ms':>9s}"]
        for row in shown:
            lines.append(
                f"{row['name'][:58]:<58s} {row['share']:6.1%} {row['us_per_step']:9.1f} {row['per_step']:8.1f} "
                f"{row['ms']:9.2f}  {row.get('origin', '')}"
            )
    return "\n".join(lines)
