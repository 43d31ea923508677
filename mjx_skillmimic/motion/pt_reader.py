"""Published `.pt` clips, read without torch and without unpickling (skillmimic.md §3.1)."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from mjx_skillmimic.motion.archive import MAX_FILE_BYTES, Archive
from mjx_skillmimic.motion.clip import MAX_FRAMES, MIN_FRAMES, MotionClip
from mjx_skillmimic.motion.columns import NUM_COLUMNS, clip_from_matrix, skill_of_name
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.torch_pickle import MAX_PICKLE_BYTES, Tensor, TensorPickleError, read_tensor_pickle

PUBLISHED_FPS = 60.0


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
    prefix = pickle_prefix(archive)
    try:
        tensor = read_tensor_pickle(archive.read(f"{prefix}data.pkl", MAX_PICKLE_BYTES))
    except TensorPickleError as error:
        raise MotionFormatError(path, str(error), error.expected) from error
    _check_tensor(path, tensor)
    return read_tensor(archive, prefix, tensor, MAX_FILE_BYTES).astype(np.float32)


def pickle_prefix(archive: Archive) -> str:
    """The folder, with its slash, in which a torch archive keeps its pickle. Raises MotionFormatError."""
    pickles = [name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        found = f"{len(pickles)} members <name>/data.pkl among {', '.join(archive.names)[:200]}"
        raise MotionFormatError(archive.path, found, "one, as torch.save writes it")
    prefix = pickles[0].removesuffix("data.pkl")
    name = f"{prefix}byteorder"
    order = archive.read(name, 64) if name in archive.names else b"little"
    if order != b"little":
        raise MotionFormatError(archive.path, f"byte order {order[:20]!r}", "little")
    return prefix


def read_tensor(archive: Archive, prefix: str, tensor: Tensor, limit: int) -> np.ndarray:
    """A view of a tensor's numbers, once they are known to be at most `limit` bytes. Raises MotionFormatError."""
    storage, item = tensor.storage, np.dtype(tensor.storage.dtype)
    raw = archive.read(f"{prefix}data/{storage.key}", limit)
    if len(raw) != storage.count * item.itemsize:
        raise MotionFormatError(
            archive.path, f"{len(raw)} bytes of numbers", f"{storage.count} {item.name} as declared"
        )
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if math.prod(tensor.size) > storage.count or (0 not in tensor.size and last >= storage.count):
        count, strides = shape_text((storage.count,)), shape_text(tensor.stride)
        found = f"a {shape_text(tensor.size)} view with strides {strides} of {count} numbers"
        raise MotionFormatError(archive.path, found, "a view inside its numbers")
    if 0 in tensor.size:
        return np.zeros(tensor.size, item)
    strides_in_bytes = tuple(item.itemsize * step for step in tensor.stride)
    flat = np.frombuffer(raw, item)[tensor.offset :]
    return np.lib.stride_tricks.as_strided(flat, tensor.size, strides_in_bytes, writeable=False)


def _check_tensor(path: str | os.PathLike[str], tensor: Tensor) -> None:
    """Sizes first, so that no more than the file's own numbers can be asked for."""
    if len(tensor.size) != 2 or tensor.size[1] != NUM_COLUMNS:
        raise MotionFormatError(path, f"a tensor of {shape_text(tensor.size)}", f"(frames, {NUM_COLUMNS})")
    if not MIN_FRAMES <= tensor.size[0] <= MAX_FRAMES:
        frames = shape_text(tensor.size[:1])
        raise MotionFormatError(path, f"{frames} frames", f"{MIN_FRAMES} to {MAX_FRAMES} frames")


def shape_text(numbers: tuple[int, ...]) -> str:
    """Numbers from a file as 8×337, cut to a readable length: they may have thousands of digits."""
    text = "×".join(hex(n) if n >> 64 else str(n) for n in numbers[:8])
    return text if len(text) <= 80 else f"{text[:80]}…"
