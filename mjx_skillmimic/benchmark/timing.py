"""Repeated timing of a compiled call: warm-up, repeats of equal length, their median and spread."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

from mjx_skillmimic.benchmark.workloads import Workload

REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Timing:
    """rates: control steps a second of every repeat, over all worlds. calls: in one repeat. seconds: of all repeats.
    overflow, nonfinite: the worst call's count of worlds that lost contacts, of worlds that became non-finite."""

    rates: tuple[float, ...]
    calls: int
    seconds: float
    overflow: int
    nonfinite: int

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    @property
    def spread(self) -> float:
        """Fastest minus slowest repeat, as a part of the median."""
        return (max(self.rates) - min(self.rates)) / self.median


def measure(
    workload: Workload, seconds: float, repeats: int = REPEATS, clock: Callable[[], float] = time.perf_counter
) -> Timing:
    """Times `repeats` stretches of about `seconds` each after two warm-up calls; takes the workload's carry.

    Calls follow one another without waiting, but for the level train, whose metrics are fetched after every call, as
    the training loop does. Raises ValueError for a time or a number of repeats that is not positive.
    """
    if seconds <= 0 or repeats < 1:
        raise ValueError(f"seconds={seconds}, repeats={repeats}; expected both above zero")
    outputs: list[dict[str, Any]] = []

    def stretch(calls: int) -> float:
        began = clock()
        for _ in range(calls):
            workload.carry, output = workload.call(workload.carry)
            outputs.append({name: output[name] for name in ("overflow", "nonfinite")})
            if workload.level == "train":
                jax.device_get(output)
        jax.block_until_ready(workload.carry)
        return clock() - began

    stretch(1)
    calls = max(1, round(seconds / max(stretch(1), 1e-9)))
    times = [stretch(calls) for _ in range(repeats)]
    found = jax.device_get(outputs)
    return Timing(
        rates=tuple(calls * workload.steps / elapsed for elapsed in times),
        calls=calls,
        seconds=sum(times),
        overflow=max(round(float(output["overflow"])) for output in found),
        nonfinite=max(round(float(output["nonfinite"])) for output in found),
    )
