"""Clips with a badly captured ball: noise on its positions, and frames that are lost where it bounces.

The three kinds of skillmimic_v2.md §8, made anew from any clips. "uniform": U[−σ, σ] on each axis of each frame,
standard deviation 0.577 σ. "summed" (published under the name "clamped"): the sum of two of these, 0.816 σ. "masked":
uniform, and up to three frames a clip missing altogether, those in which the velocity of the ball changes most. Nothing
but the ball's position and the lost frames differs from the clip.
"""

from __future__ import annotations

import dataclasses
import os
import zlib
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mjx_skillmimic.motion.clip import MAX_TEXT, MotionClip, check_clip
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import clip_files, clip_place, load_clip
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.motion.report import refuse_existing

Kind = Literal["uniform", "summed", "masked"]

MOST_LOST = 3
# m/s from one frame to the next: more than falling, rolling and being dribbled with the hand, less than a bounce. On
# V2-BallPlay this takes the published frames (skillmimic_v2.md §8) and one more.
BOUNCE = 4.3


@dataclasses.dataclass(frozen=True)
class Corrupted:
    """One written clip. moved_m: standard deviation of the ball's displacement on an axis; lost: its missing frames."""

    file: str
    output: str
    frames: int
    moved_m: float
    lost: tuple[int, ...]


def bounces(clip: MotionClip) -> list[int]:
    """The frames, at most three, in which the ball's velocity changes by more than BOUNCE m/s; ascending."""
    change = np.zeros(clip.num_frames)
    ball, valid = clip.object_pos.astype(np.float64), clip.valid
    change[1:-1] = np.linalg.norm(np.diff(ball, n=2, axis=0), axis=-1) * clip.fps
    change[1:-1] *= valid[:-2] & valid[1:-1] & valid[2:]
    largest = np.argsort(-change, kind="stable")[:MOST_LOST]
    return sorted(int(frame) for frame in largest if change[frame] > BOUNCE)


def corrupt(clip: MotionClip, kind: Kind, sigma: float, seed: int = 0) -> MotionClip:
    """The clip with corrupted ball positions; its name and label stay, its source says what was done.

    Args:
        sigma: m. seed: of the random numbers, which also depend on the clip's name and on nothing else; all kinds
            begin with the same numbers.

    Raises:
        ValueError: another kind, or a sigma that is not positive.
        MotionFormatError: too few frames would be left.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is one of {get_args(Kind)}; got {kind!r}")
    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma: expected a positive number of metres, got {sigma!r}")
    rng = np.random.default_rng([seed, zlib.crc32(clip.name.encode())])
    noise = rng.uniform(-sigma, sigma, clip.object_pos.shape)
    if kind == "summed":
        noise += rng.uniform(-sigma, sigma, noise.shape)
    arrays: dict[str, Any] = {name: array.copy() for name, array in clip.arrays().items()}
    arrays["object_pos"] = np.where(clip.valid[:, None], clip.object_pos + noise, 0.0).astype(np.float32)
    lost = bounces(clip) if kind == "masked" else []
    for array in arrays.values():
        array[lost] = 0.0
    missing = f", frames {', '.join(map(str, lost))} lost" if lost else ""
    note = f"ball positions with {kind} noise, sigma {sigma:g} m, seed {seed}{missing}"
    source = "; ".join(filter(None, (clip.source[: MAX_TEXT - len(note) - 2], note)))
    return check_clip(dataclasses.replace(clip, source=source, **arrays))


def corrupt_clips(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    kind: Kind,
    sigma: float,
    *,
    seed: int = 0,
    force: bool = False,
) -> list[Corrupted]:
    """Writes every clip of `source` corrupted into `output`, as `.npz` under the same relative path.

    source: a file, a folder or a shipped clip's name; it is only read.

    Raises:
        FileNotFoundError: no clips there.
        FileExistsError: something would be overwritten and `force` is not set; nothing has been written then.
        MotionFormatError: a file that is not a sound clip, found before anything is written.
        ValueError: as `corrupt`; `output` lies within `source`; two clips would become one file.
    """
    place, target = clip_place(source), Path(output)
    files = clip_files(place)
    if not files:
        raise FileNotFoundError(f"no clip under {source}")
    root = place if place.is_dir() else place.parent
    if place.is_dir() and target.resolve().is_relative_to(place.resolve()):
        raise ValueError(f"output {output} lies within {source}, whose clips it would join; choose a folder beside it")
    targets = [(target / file.relative_to(root)).with_suffix(".npz") for file in files]
    if len(set(targets)) < len(targets):
        twice = next(path for path in targets if targets.count(path) > 1)
        raise ValueError(f"two clips of {source} would be written to {twice}")
    if not force:
        refuse_existing(targets)
    if any(path.resolve() in {file.resolve() for file in files} for path in targets):
        raise ValueError(f"output {output} would replace clips of {source}; choose another folder")
    clips = [load_clip(file) for file in files]
    made = [corrupt(clip, kind, sigma, seed) for clip in clips]
    result = []
    for file, path, clip, worse in zip(files, targets, clips, made, strict=True):
        try:
            save_clip(worse, path)
        except OSError as error:
            raise MotionFormatError(path, f"no way to write it ({error.strerror})", "a writable folder") from error
        kept = worse.valid
        moved = float(np.std((worse.object_pos - clip.object_pos)[kept]))
        lost = tuple(int(frame) for frame in np.flatnonzero(~kept))
        result.append(Corrupted(file.relative_to(root).as_posix(), str(path), clip.num_frames, moved, lost))
    return result
