"""Zip archives from strangers: read into memory, never unpacked to disk, every size checked before it is believed."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from mjx_skillmimic.motion.clip import MAX_FRAMES
from mjx_skillmimic.motion.errors import MotionFormatError

MAX_FILE_BYTES = 4 * 337 * MAX_FRAMES + (1 << 20)  # the longest clip, and room for the wrapping
_CENTRAL_HEADER = b"PK\x01\x02"
_ENCRYPTED = 0x1
# What zipfile raises for malformed archives; RuntimeError and its kin are features that it does not support.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most bytes and members that a file may have; kind: what it should be, largest: the same in words."""

    max_bytes: int
    max_members: int
    kind: str
    largest: str


CLIP = Limits(MAX_FILE_BYTES, 64, "a motion file", f"a clip of at most {MAX_FRAMES} frames")


def read_file(path: str | os.PathLike[str], limits: Limits = CLIP) -> bytes:
    """The contents of a regular file. Raises MotionFormatError if there is none, or it is empty or too large."""
    try:
        status = os.stat(path)  # before opening, which would wait for a pipe's other end
        if not stat.S_ISREG(status.st_mode):
            raise MotionFormatError(path, "something that is not a regular file", limits.kind)
        if status.st_size > limits.max_bytes:
            raise MotionFormatError(path, f"a file of {status.st_size} bytes", limits.largest)
        with Path(path).open("rb") as file:
            data = file.read(status.st_size)
    except OSError as error:
        raise MotionFormatError(path, f"no readable file ({error.strerror})", limits.kind) from error
    if not data:
        raise MotionFormatError(path, "an empty file", limits.kind)
    return data


class Archive:
    """Members of a zip file by name.

    Args:
        path: the file, for reading and for messages.
        compressed: whether deflated members are accepted, as NumPy may write them; torch stores plainly.
        limits: how large it may be.

    Raises MotionFormatError for anything but a plain zip of a few members with plain relative names.
    """

    def __init__(self, path: str | os.PathLike[str], *, compressed: bool, limits: Limits = CLIP):
        self.path = path
        data = read_file(path, limits)
        if not data.startswith(b"PK\x03\x04"):
            raise MotionFormatError(path, f"a file that begins with {data[:4].hex(' ')}", "a zip archive (50 4b 03 04)")
        # zipfile makes an object of every entry in the directory, so bound their number before it looks.
        if (headers := data.count(_CENTRAL_HEADER)) > limits.max_members:
            raise MotionFormatError(path, f"a zip archive of {headers} members", f"at most {limits.max_members}")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise MotionFormatError(path, f"a damaged zip archive ({error})", "a whole zip archive") from error
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            self._check(info, len(data), compressed)
            self._infos[info.filename] = info

    def _check(self, info: zipfile.ZipInfo, file_size: int, compressed: bool) -> None:
        name = info.orig_filename
        parts = name.split("/")
        if name != info.filename or not name.isprintable() or "\\" in name or ":" in name or {"", ".", ".."} & {*parts}:
            raise MotionFormatError(self.path, f"a member called {name[:80]!r}", "plain relative names")
        if name in self._infos:
            raise MotionFormatError(self.path, f"two members called {name[:80]!r}", "each name once")
        if info.flag_bits & _ENCRYPTED:
            raise MotionFormatError(self.path, f"an encrypted member {name[:80]!r}", "plain members")
        allowed = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if compressed else (zipfile.ZIP_STORED,)
        if info.compress_type not in allowed:
            found = f"member {name[:80]!r} with compression {info.compress_type}"
            raise MotionFormatError(self.path, found, f"compression {' or '.join(map(str, allowed))}")
        stored = info.compress_type == zipfile.ZIP_STORED
        if info.compress_size > file_size or (stored and info.file_size != info.compress_size):
            found = f"member {name[:80]!r} that declares {info.file_size} bytes in {info.compress_size}"
            raise MotionFormatError(self.path, found, f"sizes that fit a file of {file_size} bytes")

    @property
    def names(self) -> list[str]:
        return list(self._infos)

    def read(self, name: str, limit: int) -> bytes:
        """A member's bytes. Raises MotionFormatError if it is missing, damaged, or longer than `limit`."""
        info = self._infos.get(name)
        if info is None:
            raise MotionFormatError(self.path, f"no member {name[:80]!r}", f"it among {', '.join(self.names)[:200]}")
        if info.file_size > limit:
            raise MotionFormatError(self.path, f"member {name[:80]!r} of {info.file_size} bytes", f"at most {limit}")
        try:
            with self._zip.open(info) as member:
                data = member.read(limit + 1)  # bounded: a declared size proves nothing about a deflated stream
        except _BROKEN as error:
            raise MotionFormatError(self.path, f"a damaged member {name[:80]!r} ({error})", "whole members") from error
        if len(data) != info.file_size:
            found = f"{len(data)} bytes in member {name[:80]!r}"
            raise MotionFormatError(self.path, found, f"the {info.file_size} that it declares")
        return data
