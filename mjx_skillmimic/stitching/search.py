"""The most similar frame of each other label for every frame: exact, with few pairs looked at closely (v2 §2.2).

The cost of a pair, −log sim, is a squared distance of two rows plus the joints' squared angles θ², which no row
gives. But θ² ≥ 4 sin²(θ/2), and that is half the squared distance of the rotation matrices: with these beside the other
columns, one matrix product bounds the costs of all pairs from below. Only pairs whose bound is under the cost of
some pair already known are computed as defined; poses that resemble each other differ by small angles, where the bound
is tight, so these are few.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.stitching.frames import Frames
from mjx_skillmimic.stitching.options import GraphOptions, SimilarityWeights

Progress = Callable[[int, int], None]  # how many of how many records are found

_CHUNK = 256
_PAIRS = 20_000  # at once
_SLACK = 1e-6  # rounding of the matrix product; a few pairs more are looked at


class Costs:
    """−log sim of pairs of rows of some frames, led and donor, by one set of weights."""

    def __init__(self, frames: Frames, weights: SimilarityWeights) -> None:
        self._weight = weights.joint_rot
        self._quat = frames.joint_quat
        self._columns = frames.columns(weights)
        matrices = np.stack([rotations.rotate(self._quat, axis) for axis in np.eye(3)], axis=-1)
        scale = np.sqrt(0.5 * self._weight / self._quat.shape[1])
        bounded = np.concatenate([self._columns, scale * matrices.reshape(len(matrices), -1)], axis=1)
        # Differences of squares lose the digits that are the same everywhere.
        self._rows = bounded - bounded.mean(axis=0)
        self._squares = np.sum(self._rows**2, axis=1)

    def of_pairs(self, led: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """(K,) float64 of K pairs, as defined."""
        costs = np.empty(len(led))
        for start in range(0, len(led), _PAIRS):
            some = slice(start, start + _PAIRS)
            a, b = led[some], donors[some]
            # Half the angle; in float64 the arc cosine loses nothing that matters, θ² is right to 1e-15.
            half = np.arccos(np.minimum(np.abs(np.einsum("kji,kji->kj", self._quat[a], self._quat[b])), 1.0))
            moved = self._columns[a] - self._columns[b]
            costs[some] = np.sum(moved**2, axis=1) + 4.0 * self._weight * np.mean(half**2, axis=1)
        return costs

    def bounds(self, led: np.ndarray, donors: np.ndarray) -> np.ndarray:
        """(R, D) float64: none of the costs of R rows with D donors is lower."""
        products = self._rows[led] @ self._rows[donors].T
        return self._squares[led][:, None] + self._squares[donors] - 2.0 * products - _SLACK


def best_donors(
    frames: Frames, labels: np.ndarray, options: GraphOptions, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """For each of F frames and C labels the row of the best donor, −1 without one, (F, C) int, and its similarity.

    Of equally similar donors the first is taken. A frame has no donor of its own label.
    """
    best = np.full((len(frames.clip), len(labels)), -1)
    similarity = np.zeros(best.shape)
    usable = frames.valid if options.missing == "excluded" else np.ones_like(frames.valid)
    costs = {weights: Costs(frames, weights) for weights in {options.weights_of(int(label)) for label in labels}}
    done, records = 0, len(frames.clip) * (len(labels) - 1)
    for own in labels:
        mine = np.flatnonzero(frames.label == own)
        for column in np.flatnonzero(labels != own):
            donors = np.flatnonzero((frames.label == labels[column]) & frames.may_donate & usable)
            for start in range(0, len(mine), _CHUNK):
                led = mine[start : start + _CHUNK]
                done += len(led)
                led = led[usable[led]]
                if len(led) and len(donors):
                    found = _best(costs[options.weights_of(int(own))], led, donors, options.least_similarity)
                    best[led, column], similarity[led, column] = found
                if progress is not None:
                    progress(done, records)
    return best, similarity


def _best(costs: Costs, led: np.ndarray, donors: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """The best donor (R,) of R rows, −1 where its similarity is below `least`, and the similarity, 0 there."""
    bounds = costs.bounds(led, donors)
    known = costs.of_pairs(led, donors[np.argmin(bounds, axis=1)])
    rows, candidates = np.nonzero(bounds <= np.minimum(known, -np.log(least))[:, None])
    cost = costs.of_pairs(led[rows], donors[candidates])
    order = np.lexsort((candidates, cost, rows))
    # With each row's pairs together and its cheapest first, that is the first of each row.
    found, first = np.unique(rows[order], return_index=True)
    best, similarity = np.full(len(led), -1), np.zeros(len(led))
    best[found] = donors[candidates[order][first]]
    similarity[found] = np.exp(-cost[order][first])
    enough = similarity >= least
    return np.where(enough, best, -1), np.where(enough, similarity, 0.0)
