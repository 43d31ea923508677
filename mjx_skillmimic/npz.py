"""Reading `.npz` files that may be damaged or somebody else's: all arrays, or one error. Runs in Python 3.8."""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

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
