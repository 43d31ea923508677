"""`Episodes`: what an evaluation keeps of every control step, padded to one length."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Episodes:
    """N episodes of up to T control steps, NumPy. Step k (0-based) is the state after k + 1 control steps.

    valid (N, T) bool: the clip was not over and the person had not fallen before this step (the step of the fall
    counts). possible (N,) int: steps until the clip's end. fell (N,) bool. clip, start, skill (N,) int.
    root_pos, object_pos, object_lin_vel, reference_object_pos (N, T, 3); wrist_pos (N, T, 2, 3), left and right;
    in m and m/s. hands_object (N, T) bool: a hand touches the ball; reference_contact (N, T): the clip's label; reward
    (N, T).
    body_error, body_error_rooted, object_error (N, T) mm; contact_error, accurate (N, T) with the published node
    flags; edge_error, edge_accurate (N, T) with the paper's contact graph. peak_target, final_target (N, 3) m: the
    reference ball at the highest and at the last frame of what was to be imitated.
    """

    valid: np.ndarray
    possible: np.ndarray
    fell: np.ndarray
    clip: np.ndarray
    start: np.ndarray
    skill: np.ndarray
    root_pos: np.ndarray
    object_pos: np.ndarray
    object_lin_vel: np.ndarray
    wrist_pos: np.ndarray
    hands_object: np.ndarray
    reference_object_pos: np.ndarray
    reference_contact: np.ndarray
    reward: np.ndarray
    body_error: np.ndarray
    body_error_rooted: np.ndarray
    object_error: np.ndarray
    contact_error: np.ndarray
    accurate: np.ndarray
    edge_error: np.ndarray
    edge_accurate: np.ndarray
    peak_target: np.ndarray
    final_target: np.ndarray

    def __len__(self) -> int:
        return len(self.possible)

    def select(self, which: np.ndarray) -> Episodes:
        """The episodes of a mask or index array (N,)."""
        return Episodes(**{f.name: getattr(self, f.name)[which] for f in dataclasses.fields(self)})

    @property
    def steps(self) -> np.ndarray:
        """(N,) control steps that count."""
        return self.valid.sum(axis=1)

    @property
    def survived(self) -> np.ndarray:
        """(N,) steps before the fall ÷ steps possible; 1 without a fall."""
        lasted = self.steps - self.fell.astype(int)
        return lasted / np.maximum(self.possible, 1)

    def totals(self, name: str) -> np.ndarray:
        """(N,) sum of a per-step quantity over an episode's valid steps."""
        return np.where(self.valid, getattr(self, name), 0.0).sum(axis=1, dtype=np.float64)


def concatenate(parts: list[Episodes]) -> Episodes:
    """One batch of several; shorter ones are padded with invalid steps. Raises ValueError for none."""
    if not parts:
        raise ValueError("no episodes to concatenate")
    length = max(part.valid.shape[1] for part in parts)

    def join(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        if name in _PER_EPISODE:
            return np.concatenate(arrays)
        pads = [[(0, 0), (0, length - a.shape[1]), *[(0, 0)] * (a.ndim - 2)] for a in arrays]
        return np.concatenate([np.pad(a, pad) for a, pad in zip(arrays, pads, strict=True)])

    return Episodes(**{f.name: join(f.name) for f in dataclasses.fields(Episodes)})


_PER_EPISODE = ("possible", "fell", "clip", "start", "skill", "peak_target", "final_target")
