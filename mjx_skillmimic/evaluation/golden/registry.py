"""Which function checks which golden file, and the result of one comparison."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One compared array: |ours − expected| ≤ atol + rtol·|expected|, or equality where both are 0."""

    name: str
    ours: np.ndarray
    expected: np.ndarray
    atol: float = 0.0
    rtol: float = 0.0

    @property
    def max_error(self) -> float:
        """Largest absolute difference; infinite if shapes differ or ours is not finite where expected is."""
        ours, expected = np.asarray(self.ours), np.asarray(self.expected)
        if ours.shape != expected.shape:
            return float("inf")
        difference = np.abs(ours.astype(np.float64) - expected.astype(np.float64))
        return float("inf") if np.isnan(difference).any() else float(difference.max(initial=0.0))

    @property
    def passed(self) -> bool:
        if not np.isfinite(self.max_error):
            return False
        ours, expected = (np.asarray(x).astype(np.float64) for x in (self.ours, self.expected))
        return bool(np.all(np.abs(ours - expected) <= self.atol + self.rtol * np.abs(expected)))


Check = Callable[[dict[str, np.ndarray]], Iterator[Quantity]]
_CHECKS: dict[str, Check] = {}
_NEEDS: dict[str, tuple[str, ...]] = {}


def covers(pattern: str, needs: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Registers a check for the golden files whose stem matches `pattern`; the longest matching pattern wins.

    needs: stems of files beside it whose arrays the check is given, too, as "stem/name".
    """

    def register(check: Check) -> Check:
        _CHECKS[pattern] = check
        _NEEDS[pattern] = needs
        return check

    return register


def find(stem: str) -> Check | None:
    """The check for a file stem, or None where the project does not cover it yet."""
    pattern = _pattern(stem)
    return None if pattern is None else _CHECKS[pattern]


def needs(stem: str) -> tuple[str, ...]:
    """Stems of the files that the check of a file stem reads as well."""
    pattern = _pattern(stem)
    return () if pattern is None else _NEEDS[pattern]


def _pattern(stem: str) -> str | None:
    return max((pattern for pattern in _CHECKS if fnmatch.fnmatch(stem, pattern)), key=len, default=None)
