"""95 % intervals for what an evaluation reports."""

from __future__ import annotations

import math

import numpy as np

_Z95 = 1.959963984540054
_RESAMPLES = 2000


def wilson(successes: float, trials: int, z: float = _Z95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) for no trials.

    Unlike p ± z·sqrt(p(1−p)/n) it stays in [0, 1] and keeps a width at 0 % and 100 %. Raises ValueError unless
    0 ≤ successes ≤ trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"expected 0 <= successes <= trials, got {successes} of {trials}")
    if trials == 0:
        return 0.0, 1.0
    p, z2 = successes / trials, z * z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_ratio(
    sums: np.ndarray, counts: np.ndarray, seed: int = 0, resamples: int = _RESAMPLES
) -> tuple[float, float]:
    """Percentile interval of Σ sums / Σ counts over independent episodes; (nan, nan) without any count.

    Frames of one episode resemble each other, so whole episodes are drawn again: sums (N,) and counts (N,) are an
    episode's total and number of frames. For a plain mean pass ones. The same seed gives the same interval.
    """
    sums, counts = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    if sums.shape != counts.shape or sums.ndim != 1:
        raise ValueError(f"expected two arrays of one shape (N,), got {sums.shape} and {counts.shape}")
    if counts.sum() <= 0:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    # how often each episode is drawn, so that memory is resamples × N whatever the episodes hold
    weights = rng.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=resamples)
    drawn = weights @ counts
    ratios = (weights @ sums)[drawn > 0] / drawn[drawn > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
