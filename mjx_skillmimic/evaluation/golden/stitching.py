"""Checks of the published search for donors of other skills (v2 §2.2, §2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from mjx_skillmimic.evaluation.golden.locate import MissingClip, data_root
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.pt_reader import read_pt
from mjx_skillmimic.stitching.frames import Frames, frames_of
from mjx_skillmimic.stitching.options import BODY_WEIGHTS, GraphOptions
from mjx_skillmimic.stitching.search import Costs, best_donors

Arrays = dict[str, np.ndarray]

_SIMILARITY = {"atol": 1e-6, "rtol": 2e-5}
_TIE = 1e-5  # relative; either of two frames may be chosen that are that similar, the vectors being float32

# The vectors are runs of today's code, not the graph that the policies were trained with.
_OPTIONS = GraphOptions(without_ball=BODY_WEIGHTS["code"], missing="kept")


@covers("v2_graph_*")
def check_graph(arrays: Arrays) -> Iterator[Quantity]:
    """Who leads where and how similar, as the re-run search and, where it is given, as the authors' file has it."""
    clips = [find_v2_clip(str(name)) for name in arrays["motion_names"]]
    yield Quantity("motion_class", np.array([clip.skill for clip in clips]), arrays["motion_class"])
    yield Quantity("motion_lengths", np.array([clip.num_frames for clip in clips]), arrays["motion_lengths"])
    motions = table.build_table(clips, missing="published")
    frames, labels = frames_of(motions), np.unique(arrays["motion_class"])
    best, similarity = best_donors(frames, labels, _OPTIONS)
    told = "run" if "run_source_id" in arrays else "official"
    row = np.asarray(motions.starts)[arrays[f"{told}_source_id"]] + arrays[f"{told}_source_time"]
    column = np.searchsorted(labels, arrays[f"{told}_target_class"])
    yield Quantity("source_class", frames.label[row], arrays[f"{told}_source_class"])
    for maker in ("run", "official"):
        if f"{maker}_target_id" in arrays:
            clip, time = (arrays[f"{maker}_target_{part}"].astype(int) for part in ("id", "time"))
            expected = np.where(clip >= 0, np.asarray(motions.starts)[clip] + time, -1)
            ours = _settle_ties(frames, row, best[row, column], expected)
            found = ours >= 0
            yield Quantity(f"{maker}_target_id", np.where(found, frames.clip[ours], -1), clip)
            yield Quantity(f"{maker}_target_time", np.where(found, frames.frame[ours], -1), time)
            yield Quantity(f"{maker}_similarity", similarity[row, column], arrays[f"{maker}_similarity"], **_SIMILARITY)


def _settle_ties(frames: Frames, row: np.ndarray, ours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Our donors, or the expected ones where these are as similar."""
    settled = ours.copy()
    for at in np.flatnonzero((ours != expected) & (ours >= 0) & (expected >= 0)):
        costs = Costs(frames, _OPTIONS.weights_of(int(frames.label[row[at]])))
        one, other = costs.of_pairs(np.repeat(row[at], 2), np.array([ours[at], expected[at]]))
        if abs(one - other) <= _TIE and frames.label[ours[at]] == frames.label[expected[at]]:
            settled[at] = expected[at]
    return settled


def find_v2_clip(name: str) -> MotionClip:
    """A clip by the path that the vectors name. Raises MissingClip."""
    wanted = PurePosixPath(name)
    found = sorted(data_root().rglob(wanted.name))
    if not found:
        raise MissingClip(name, data_root())
    # Other sets have clips of the same file name; those of V2 are meant, then those in a folder of the same name.
    best = max(found, key=lambda path: (_is_v2(path), path.parent.name == wanted.parent.name))
    return read_pt(best)


def _is_v2(path: Path) -> bool:
    return any(part.startswith("V2-") for part in path.relative_to(data_root()).parts)
