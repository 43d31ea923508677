"""How a run ended, and reasons to end it by itself: too much non-finite, contacts lost for want of room."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

NONFINITE_ENDS, SKIPPED_UPDATES, OVERFLOWS = "env/nonfinite", "nonfinite_updates", "env/overflow"

MORE_ROOM = (
    "the same command with --resume continues, with more room or with --config.run.max_overflow_fraction=1, which "
    "takes any loss"
)


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended: reason "finished", "SIGINT", "SIGTERM" or "time", with its last state and metrics.

    metrics: of the last iteration, means over the seeds.
    """

    reason: str
    iteration: int
    env_steps: int
    state: Any
    metrics: Mapping[str, float]

    @property
    def finished(self) -> bool:
        return self.reason == "finished"


class NonfiniteError(RuntimeError):
    """A run stopped because too much became non-finite; `dump` is the file to replay, None if there was nothing."""

    def __init__(self, reason: str, dump: Path | None) -> None:
        super().__init__(f"{reason}; " + (f"worlds are in {dump}" if dump else "the state holds no worlds to dump"))
        self.dump = dump


class ContactOverflowError(RuntimeError):
    """A run stopped, saved, because its engine lost contacts for want of room."""


def nonfinite(metrics: Mapping[str, float], skipped: float, iteration: int, limits: ConfigDict) -> str | None:
    """Why an iteration with these metrics must be the last, None if it need not; limits: `config.run`.

    skipped: gradient steps that were skipped as non-finite up to then.
    """
    fraction = metrics.get(NONFINITE_ENDS, 0.0)
    if not fraction <= limits.max_nonfinite_fraction:
        return (
            f"{fraction:.2%} of the env steps of iteration {iteration} ended non-finite, tolerated are "
            f"{limits.max_nonfinite_fraction:.2%} (run.max_nonfinite_fraction)"
        )
    if skipped > limits.max_nonfinite_updates:
        return (
            f"{skipped:.0f} gradient steps were skipped as non-finite up to iteration {iteration}, "
            f"tolerated are {limits.max_nonfinite_updates} (run.max_nonfinite_updates)"
        )
    return None


def overflow(metrics: Mapping[str, float], env_steps: int, iteration: int, limits: ConfigDict) -> str | None:
    """Whether contacts were lost in more of the iteration's `env_steps` than tolerated, and in how many."""
    fraction, tolerated = metrics.get(OVERFLOWS, 0.0), limits.max_overflow_fraction
    if fraction <= tolerated:
        return None
    return (
        f"{fraction * env_steps:.0f} of the {env_steps} env steps of iteration {iteration} lost contacts for want of "
        f"room, tolerated are {tolerated:.2%}"
    )
