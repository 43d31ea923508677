"""Where the published clips are that some golden files refer to by name."""

from __future__ import annotations

import os
from pathlib import Path

DATA_VARIABLE = "MJX_SKILLMIMIC_DATA"


class MissingClip(LookupError):
    """A golden file needs a published clip that is not on this machine. Names the clip and how to give it."""

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(
            f"clip {name!r} is not under {root}: give the folder of the published clips with --data or {DATA_VARIABLE}"
        )


def data_root() -> Path:
    """The folder of the published clips: the environment variable, else `../shared/data` beside the checkout."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "data"


def find_clip(name: str) -> Path:
    """The file called `name` anywhere under `data_root()`. Raises MissingClip.

    Of several with one name the first in order of path is taken, those of BallPlay-M before others.
    """
    root = data_root()
    found = sorted(root.rglob(name), key=lambda path: ("BallPlay-M" not in path.parts, str(path)))
    if not found:
        raise MissingClip(name, root)
    return found[0]
