"""The one exception a motion file can raise."""

from __future__ import annotations

import os


class MotionFormatError(ValueError):
    """A motion file, or a clip about to be written, that does not hold what it must.

    `path` names the file (or the clip), `found` what is there and `expected` what should be.
    """

    def __init__(self, path: str | os.PathLike[str], found: str, expected: str):
        self.path, self.found, self.expected = str(path), found, expected
        super().__init__(f"{self.path}: found {found}; expected {expected}")

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.found, self.expected)
