"""Finding clips: a file, a folder, or the name of one that ships with the package."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mjx_skillmimic.motion.clip import MotionClip, check_clip
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.npz_format import load_clip_npz
from mjx_skillmimic.motion.pt_reader import read_pt

# "path": as found. "number": by the number that a clip's name ends with, names without one first; the published order,
# on which clip numbers in its graphs depend (skillmimic_v2.md §1.7). Equal numbers, whose published order is that of
# the directory listing, stay in the order of their paths.
Order = Literal["path", "number"]

SUFFIXES = (".npz", ".pt")
ALL_SHIPPED = "shipped"


def shipped_clips_dir() -> Path:
    """Where the clips that come with the package are."""
    return Path(__file__).resolve().parent / "clips"


def shipped_clip_names() -> list[str]:
    """Names that `load_clips` takes, sorted."""
    return sorted(path.stem for path in shipped_clips_dir().glob("*.npz"))


def clip_files(path: str | os.PathLike[str]) -> list[Path]:
    """The motion files of a file or of a folder (searched recursively), sorted by path from the folder.

    Raises FileNotFoundError if there is no such path.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"no file or folder {path}")
    found = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(found, key=lambda p: p.relative_to(path).as_posix())


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What the user says about clips; None leaves what the file says, or the reader's default."""

    skill: int | None = None
    fps: float | None = None
    source: str | None = None
    licence: str | None = None

    def given(self) -> dict[str, Any]:
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


def load_clip(path: str | os.PathLike[str], metadata: Metadata | None = None) -> MotionClip:
    """One `.npz` or `.pt` file. Raises MotionFormatError for anything that is not a sound clip."""
    suffix = Path(path).suffix.lower()
    given = metadata.given() if metadata else {}
    if suffix not in SUFFIXES:
        raise MotionFormatError(path, f"a file that ends in {suffix!r}", " or ".join(SUFFIXES))
    if suffix == ".pt":
        return read_pt(path, **given)
    return check_clip(dataclasses.replace(load_clip_npz(path), **given), path)


def trailing_number(name: str) -> int:
    """The number that a clip's name ends with; −1 without one."""
    found = re.search(r"[0-9]+$", name)
    return int(found[0]) if found else -1


def load_clips(
    path_or_name: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], order: Order = "path"
) -> list[MotionClip]:
    """Clips of a file, a folder, a shipped clip's name, "shipped" (all of those), or a sequence of these.

    The order is fixed: by path within a folder, parts of a sequence one after the other; with order "number" all of
    them by the number that their names end with.

    Raises:
        FileNotFoundError: neither a path nor a shipped clip, or a folder without clips; lists the shipped names.
        MotionFormatError: a file that is not a sound clip.
        ValueError: another order.
    """
    if order not in get_args(Order):
        raise ValueError(f"order is one of {get_args(Order)}; got {order!r}")
    if order == "number":
        return sorted(load_clips(path_or_name), key=lambda clip: trailing_number(clip.name))
    if not isinstance(path_or_name, str | os.PathLike):
        return [clip for one in path_or_name for clip in load_clips(one)]
    path = clip_place(path_or_name)
    files = clip_files(path)
    if not files:
        raise FileNotFoundError(f"no {' or '.join(SUFFIXES)} file under {path}")
    return [load_clip(file) for file in files]


def clip_place(path_or_name: str | os.PathLike[str]) -> Path:
    """The file or folder of a path, a shipped clip's name or "shipped".

    Raises FileNotFoundError, which lists the shipped names, for anything else.
    """
    name = os.fspath(path_or_name)
    if name == ALL_SHIPPED:
        path = shipped_clips_dir()
    elif name in shipped_clip_names() and not Path(name).exists():
        path = shipped_clips_dir() / f"{name}.npz"
    else:
        path = Path(name)
    if not path.exists():
        names = ", ".join([*shipped_clip_names(), ALL_SHIPPED])
        raise FileNotFoundError(f"{name!r} is neither a file nor a folder nor a shipped clip; those are {names}")
    return path


def motion_hash(clips: Iterable[MotionClip]) -> str:
    """SHA-256 (hex) of names, labels, rates and arrays, in order: equal if and only if the training data are."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.name}\0{int(clip.skill)}\0{float(clip.fps)!r}\0{clip.num_frames}\0".encode())
        for name, array in clip.arrays().items():
            digest.update(name.encode() + b"\0" + np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def recording_hash(clip: MotionClip) -> str:
    """SHA-256 (hex) of the joint angles alone: equal for the same recording under another name, label or placement."""
    return hashlib.sha256(np.ascontiguousarray(clip.dof_pos, "<f4").tobytes()).hexdigest()
