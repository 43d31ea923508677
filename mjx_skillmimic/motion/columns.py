"""The published 337-column frame (skillmimic.md §3.1), by name."""

from __future__ import annotations

import os
import re

import numpy as np

from mjx_skillmimic.model.humanoid import NUM_BODIES, NUM_DOFS
from mjx_skillmimic.motion.clip import MAX_FRAMES, MIN_FRAMES, NUM_SKILLS, MotionClip, check_clip
from mjx_skillmimic.motion.errors import MotionFormatError

_WIDTHS = (
    ("root_pos", 3),
    ("root_rotvec", 3),
    ("root_rotvec_copy", 3),  # equal to root_rotvec in every published clip; ignored there
    ("dof_pos", NUM_DOFS),
    ("body_pos", 3 * NUM_BODIES),
    ("object_pos", 3),
    ("object_rotvec", 3),
    ("unused", 6),
    ("contact", 1),
)
NUM_COLUMNS = sum(width for _, width in _WIDTHS)
_STOPS = np.cumsum([width for _, width in _WIDTHS])
COLUMNS: dict[str, slice] = {
    name: slice(int(stop) - width, int(stop)) for (name, width), stop in zip(_WIDTHS, _STOPS, strict=True)
}
_UNREAD = ("root_rotvec_copy", "unused")


def column_name(column: int) -> str:
    """The block that a column belongs to."""
    return next(name for name, where in COLUMNS.items() if where.start <= column < where.stop)


def skill_of_name(stem: str, path: str | os.PathLike[str] | None = None) -> int:
    """The label in a file name's first three characters. Raises MotionFormatError unless it is 000…063."""
    label = re.match(r"[0-9]{3}", stem)
    if label is None:
        raise MotionFormatError(
            path or stem, f"no label in the name {stem[:80]!r}", "three leading digits, or a skill given"
        )
    if int(label[0]) >= NUM_SKILLS:
        raise MotionFormatError(path or stem, f"skill label {int(label[0])}", f"an integer from 0 to {NUM_SKILLS - 1}")
    return int(label[0])


def clip_from_matrix(
    matrix: np.ndarray,
    *,
    name: str,
    skill: int,
    fps: float = 60.0,
    source: str = "",
    licence: str = "",
    path: str | os.PathLike[str] | None = None,
) -> MotionClip:
    """A clip from the (T, 337) float32 matrix. The contact label is rounded.

    Raises MotionFormatError (naming `path`, else `name`) for any other shape or type and for unsound contents.
    """
    where = name if path is None else path
    if matrix.ndim != 2 or matrix.shape[1] != NUM_COLUMNS:
        raise MotionFormatError(where, f"an array of shape {matrix.shape}", f"(frames, {NUM_COLUMNS})")
    if not MIN_FRAMES <= len(matrix) <= MAX_FRAMES:
        raise MotionFormatError(where, f"{len(matrix)} frames", f"{MIN_FRAMES} to {MAX_FRAMES} frames")
    if matrix.dtype != np.float32:
        raise MotionFormatError(where, f"numbers of type {matrix.dtype}", "float32")
    if not np.isfinite(matrix).all():
        frame, column = np.argwhere(~np.isfinite(matrix))[0]
        found = f"a non-finite value in frame {frame}, column {column} ({column_name(int(column))})"
        raise MotionFormatError(where, found, "finite numbers")
    parts = {key: np.ascontiguousarray(matrix[:, at]) for key, at in COLUMNS.items() if key not in _UNREAD}
    parts["body_pos"] = parts["body_pos"].reshape(-1, NUM_BODIES, 3)
    # adding 0 turns the −0 that rounding a small negative label gives into 0
    parts["contact"] = np.round(parts["contact"][:, 0]) + np.float32(0.0)
    return check_clip(MotionClip(name, skill, fps, source, licence, **parts), where)


def matrix_from_clip(clip: MotionClip) -> np.ndarray:
    """The (T, 337) float32 matrix of a clip; the inverse of `clip_from_matrix`."""
    matrix = np.zeros((clip.num_frames, NUM_COLUMNS), np.float32)
    for name, array in clip.arrays().items():
        matrix[:, COLUMNS[name]] = array.reshape(clip.num_frames, -1)
    matrix[:, COLUMNS["root_rotvec_copy"]] = clip.root_rotvec
    return matrix
