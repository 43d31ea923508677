"""On which frames of their clips episodes may start: never on missing ones. All on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mjx_skillmimic.motion.clip import FIRST_START, MotionClip

if TYPE_CHECKING:
    from mjx_skillmimic.motion.table import MotionTable


def pack_start_frames(clips: Sequence[MotionClip]) -> tuple[np.ndarray, np.ndarray]:
    """`start_counts` (C,) and `start_frames` (N,) int32 of a table. Raises ValueError for a clip without any."""
    counts, packed = np.zeros(len(clips), np.int32), []
    for i, clip in enumerate(clips):
        allowed = FIRST_START + np.flatnonzero(clip.valid[FIRST_START:-1])
        if not len(allowed):
            raise ValueError(f"clip {clip.name}: every frame within [{FIRST_START}, T - 2] is missing (all zero)")
        counts[i] = len(allowed)
        packed.append(np.pad(allowed, (0, clip.num_frames - len(allowed)), mode="edge"))
    return counts, np.concatenate(packed).astype(np.int32)


def nearest_start(table: MotionTable, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The frames (N,) int32 of clips (N,), where one is missing the nearest that an episode may start on."""
    starts, counts, packed = (np.asarray(x) for x in (table.starts, table.start_counts, table.start_frames))
    clip, frame = np.asarray(clip), np.array(frame, np.int32)
    for i in np.flatnonzero(~np.asarray(table.valid)[starts[clip] + frame]):
        allowed = packed[starts[clip[i]] :][: counts[clip[i]]]
        frame[i] = allowed[np.abs(allowed - frame[i]).argmin()]
    return frame


def check_start(table: MotionTable, start: int) -> None:
    """Raises ValueError where the fixed start frame of `table.sample` is missing, naming the clip."""
    frame = np.clip(start, 0, np.asarray(table.lengths) - 2)
    missing = ~np.asarray(table.valid)[np.asarray(table.starts) + frame]
    if missing.any():
        raise ValueError(f"start frame {start}: missing (all zero) in clip {table.names[int(missing.argmax())]}")
