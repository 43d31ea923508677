"""The project's own clip file: one `.npz`, described in docs/motion_format.md."""

from __future__ import annotations

import io
import math
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.motion.archive import Archive
from mjx_skillmimic.motion.clip import ARRAYS, MAX_FRAMES, MAX_TEXT, MotionClip, check_clip
from mjx_skillmimic.motion.errors import MotionFormatError

FORMAT = "mjx_skillmimic.motion"
VERSION = 1
_TEXTS = ("format", "name", "source", "licence")
_NUMBERS = ("version", "skill", "fps")
# An array header as NumPy writes it, matched whole: no expression from a file is ever evaluated.
_HEADER = re.compile(
    rb"\{'descr': '([<|=>][a-zA-Z][0-9]{1,6})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,80})\), \} *\n"
)
_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_SCALAR_BYTES = 4 * MAX_TEXT + 256


def save_clip(clip: MotionClip, path: str | os.PathLike[str]) -> Path:
    """Writes the clip; equal clips give equal bytes, and the file appears whole or not at all.

    Raises MotionFormatError if the clip is not sound. Folders are made as needed; an existing file is replaced.
    """
    path = Path(path)
    data = clip_bytes(check_clip(clip))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path


def clip_bytes(clip: MotionClip) -> bytes:
    """The file's bytes: plain members in fixed order with a fixed date, so that they depend on the clip alone."""
    members: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "version": np.array(VERSION, "<i8"),
        "name": np.array(clip.name),
        "skill": np.array(clip.skill, "<i8"),
        "fps": np.array(clip.fps, "<f8"),
        "source": np.array(clip.source),
        "licence": np.array(clip.licence),
    }
    members |= {name: np.ascontiguousarray(array, "<f4") for name, array in clip.arrays().items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            body = io.BytesIO()
            np.lib.format.write_array(body, array, version=(1, 0), allow_pickle=False)
            archive.writestr(info, body.getvalue())
    return buffer.getvalue()


def load_clip_npz(path: str | os.PathLike[str]) -> MotionClip:
    """A clip from its `.npz`, written by `save_clip`, `numpy.savez` or `numpy.savez_compressed`.

    Optional members: name (default: the file's), source, licence. float64 arrays are rounded to float32.

    Raises MotionFormatError for anything else, a newer version included; nothing is unpickled, and no size is believed
    before it is checked.
    """
    archive = Archive(path, compressed=True)
    known = {f"{name}.npy" for name in (*_TEXTS, *_NUMBERS, *ARRAYS)}
    if unknown := sorted(set(archive.names) - known):
        raise MotionFormatError(path, f"members {', '.join(unknown)[:200]}", f"only {', '.join(sorted(known))}")
    _check_version(archive)
    skill = _number(archive, "skill")
    if skill != int(skill):
        raise MotionFormatError(path, f"skill label {skill}", "an integer")
    arrays = {name: _floats(archive, name, trailing) for name, trailing in ARRAYS.items()}
    name = _text(archive, "name", Path(path).stem)
    source, licence = _text(archive, "source", ""), _text(archive, "licence", "")
    return check_clip(MotionClip(name, int(skill), _number(archive, "fps"), source, licence, **arrays), path)


def _check_version(archive: Archive) -> None:
    marker = _text(archive, "format", None)
    if marker != FORMAT:
        raise MotionFormatError(archive.path, f"format {marker[:80]!r}", repr(FORMAT))
    version = _number(archive, "version")
    if version != VERSION:
        raise MotionFormatError(archive.path, f"format version {version:g}", f"{VERSION}, the only one known here")


def _read(archive: Archive, name: str, limit: int) -> tuple[np.dtype, tuple[int, ...], bool, bytes]:
    """Type, shape, column-major flag and raw bytes of a member, which are as many as type and shape say."""
    data = archive.read(f"{name}.npy", limit)
    length = int.from_bytes(data[8:10], "little")
    header = _HEADER.fullmatch(data[10 : 10 + length]) if data.startswith(_MAGIC) else None
    try:
        if header is None:
            raise TypeError
        dtype = np.dtype(header[1].decode())
        shape = tuple(int(n) for n in header[3].replace(b" ", b"").split(b",") if n)
    except (TypeError, ValueError) as error:
        raise MotionFormatError(archive.path, f"an odd header in {name}.npy", "a plain NumPy array") from error
    raw = data[10 + length :]
    if dtype.itemsize * math.prod(shape) != len(raw):
        raise MotionFormatError(archive.path, f"{len(raw)} bytes in {name}.npy", f"{dtype} of shape {shape}")
    return dtype, shape, header[2] == b"True", raw


def _number(archive: Archive, name: str) -> float:
    dtype, shape, _, raw = _read(archive, name, _MAX_SCALAR_BYTES)
    if dtype.kind not in "iuf" or shape != ():
        raise MotionFormatError(archive.path, f"{name} of type {dtype}, shape {shape}", "one number")
    value = float(np.frombuffer(raw, dtype)[0])
    if not math.isfinite(value):
        raise MotionFormatError(archive.path, f"{name} = {value}", "a finite number")
    return value


def _text(archive: Archive, name: str, default: str | None) -> str:
    if default is not None and f"{name}.npy" not in archive.names:
        return default
    dtype, shape, _, raw = _read(archive, name, _MAX_SCALAR_BYTES)
    if dtype.kind != "U" or shape != () or dtype.byteorder == ">":
        raise MotionFormatError(archive.path, f"{name} of type {dtype}, shape {shape}", "one text")
    try:
        return raw.decode("utf-32-le").rstrip("\0")
    except UnicodeDecodeError as error:
        raise MotionFormatError(archive.path, f"{name} that is not Unicode", "one text") from error


def _floats(archive: Archive, name: str, trailing: tuple[int, ...]) -> np.ndarray:
    limit = 8 * MAX_FRAMES * math.prod(trailing) + 256  # float64, and the header
    dtype, shape, fortran, raw = _read(archive, name, limit)
    if dtype not in (np.dtype("<f4"), np.dtype("<f8")):
        raise MotionFormatError(archive.path, f"{name} of type {dtype.str}", "float32 (<f4)")
    if shape[1:] != trailing or len(shape) != 1 + len(trailing) or shape[0] > MAX_FRAMES:
        wanted: tuple[Any, ...] = ("frames", *trailing)
        raise MotionFormatError(archive.path, f"{name} of shape {shape}", f"({', '.join(map(str, wanted))})")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore"):  # becomes infinite, which the clip's check refuses
        return np.ascontiguousarray(array, np.float32)
