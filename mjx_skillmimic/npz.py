"""Reading `.npz` files that may be damaged or somebody else's: all arrays, or one error. Runs in Python 3.8."""

from __future__ import annotations

import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# What NumPy and the zip reader raise for files that are cut off, altered or of another kind.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError),
    *(RuntimeError, ValueError, EOFError, KeyError, MemoryError),
)


class UnreadableError(ValueError):
    """Says what was found in place of an `.npz` file; whoever reads adds the file's name and what was expected."""


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; nothing in it is unpickled. Raises OSError, UnreadableError."""
    # From memory: a damaged directory makes the zip reader seek to places where a real file raises OSError.
    contents = io.BytesIO(Path(path).read_bytes())
    try:
        loaded = np.load(contents, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise UnreadableError("a single array")
        with loaded as file:
            return {name: file[name] for name in file.files}
    except UnreadableError:
        raise
    except _BROKEN as error:
        raise UnreadableError(f"no readable .npz ({error})") from error


class DescriptionError(ValueError):
    """Says what was found in place of a file's description, and what was expected there."""

    def __init__(self, found: str, expected: str):
        super().__init__(f"found {found}, expected {expected}")
        self.found, self.expected = found, expected


def description(arrays: Mapping[str, np.ndarray], name: str, kind: str, version: int) -> dict[str, Any]:
    """The JSON object that says what the arrays of a file are: `arrays[name]`, a text or its UTF-8 bytes.

    Raises DescriptionError: there is none, or it is not of this `kind` ("format") and "version".
    """
    if name not in arrays:
        raise DescriptionError(f"arrays {', '.join(sorted(arrays)) or 'none'}", f"one named {name!r}")
    text = arrays[name]
    try:
        found = json.loads(str(text) if text.dtype.kind == "U" else text.tobytes().decode())
    except ValueError as error:
        raise DescriptionError(f"a description that is no JSON ({error})", "JSON") from error
    if not isinstance(found, dict) or found.get("format") != kind:
        raise DescriptionError("another kind of file", f"format {kind!r}")
    if found.get("version") != version:
        raise DescriptionError(f"version {found.get('version')}", f"version {version}")
    return found
