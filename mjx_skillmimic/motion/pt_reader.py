"""Published `.pt` clips, read without torch and without unpickling (skillmimic.md §3.1)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mjx_skillmimic.motion.archive import MAX_FILE_BYTES, Archive
from mjx_skillmimic.motion.clip import MAX_FRAMES, MIN_FRAMES, MotionClip
from mjx_skillmimic.motion.columns import NUM_COLUMNS, clip_from_matrix, skill_of_name
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.torch_pickle import MAX_PICKLE_BYTES, Tensor, TensorPickleError, read_tensor_pickle

PUBLISHED_FPS = 60.0
_ITEM = 4  # bytes of a float32


def read_pt(
    path: str | os.PathLike[str],
    *,
    skill: int | None = None,
    fps: float = PUBLISHED_FPS,
    source: str = "",
    licence: str = "",
) -> MotionClip:
    """A clip from a `torch.save`d (T, 337) float32 tensor, saved on any device.

    Args:
        skill: the label; by default the three digits that the file name begins with.
        fps, source, licence: what the format does not hold.

    Raises:
        MotionFormatError: anything else is in the file, or it is damaged. Nothing in the file is ever executed, and no
            more memory is taken than a few times its size.
    """
    stem = Path(path).stem
    matrix = read_pt_matrix(path)
    label = skill_of_name(stem, path) if skill is None else skill
    return clip_from_matrix(matrix, name=stem, skill=label, fps=fps, source=source, licence=licence, path=path)


def read_pt_matrix(path: str | os.PathLike[str]) -> np.ndarray:
    """The (T, 337) float32 matrix of a `.pt` file, not yet checked for its contents. Raises MotionFormatError."""
    archive = Archive(path, compressed=False)
    pickles = [name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        found = f"{len(pickles)} members <name>/data.pkl among {', '.join(archive.names)[:200]}"
        raise MotionFormatError(path, found, "one, as torch.save writes it")
    prefix = pickles[0].removesuffix("data.pkl")
    _check_byte_order(archive, prefix)
    try:
        tensor = read_tensor_pickle(archive.read(pickles[0], MAX_PICKLE_BYTES))
    except TensorPickleError as error:
        raise MotionFormatError(path, str(error), error.expected) from error
    _check_tensor(path, tensor)
    raw = archive.read(f"{prefix}data/{tensor.storage.key}", MAX_FILE_BYTES)
    if len(raw) != tensor.storage.count * _ITEM:
        raise MotionFormatError(path, f"{len(raw)} bytes of numbers", f"{tensor.storage.count} float32 as declared")
    flat = np.frombuffer(raw, "<f4")[tensor.offset :]
    strides = tuple(_ITEM * step for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(flat, tensor.size, strides, writeable=False).astype(np.float32)


def _check_byte_order(archive: Archive, prefix: str) -> None:
    name = f"{prefix}byteorder"
    order = archive.read(name, 64) if name in archive.names else b"little"
    if order != b"little":
        raise MotionFormatError(archive.path, f"byte order {order[:20]!r}", "little")


def _check_tensor(path: str | os.PathLike[str], tensor: Tensor) -> None:
    """Sizes first, so that no more than the file's own numbers can be asked for; then the view's last element."""
    if len(tensor.size) != 2 or tensor.size[1] != NUM_COLUMNS:
        raise MotionFormatError(path, f"a tensor of {_shape(tensor.size)}", f"(frames, {NUM_COLUMNS})")
    rows, columns = tensor.size
    if not MIN_FRAMES <= rows <= MAX_FRAMES:
        raise MotionFormatError(path, f"{_shape((rows,))} frames", f"{MIN_FRAMES} to {MAX_FRAMES} frames")
    last = tensor.offset + (rows - 1) * tensor.stride[0] + (columns - 1) * tensor.stride[1]
    if rows * columns > tensor.storage.count or last >= tensor.storage.count:
        count, strides = _shape((tensor.storage.count,)), _shape(tensor.stride)
        found = f"a {_shape(tensor.size)} view with strides {strides} of {count} numbers"
        raise MotionFormatError(path, found, "a view inside its numbers")


def _shape(numbers: tuple[int, ...]) -> str:
    """Numbers from the file, cut to a readable length: they may have thousands of digits."""
    text = "×".join(hex(n) if n >> 64 else str(n) for n in numbers[:8])
    return text if len(text) <= 80 else f"{text[:80]}…"
