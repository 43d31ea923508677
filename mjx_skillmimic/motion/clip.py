"""One motion clip as named arrays, and what every clip must satisfy."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from mjx_skillmimic.model.humanoid import NUM_BODIES, NUM_DOFS
from mjx_skillmimic.motion.errors import MotionFormatError

FIRST_START = 2  # the published law never starts on the two first frames, whose velocities are made up
MIN_FRAMES = 5  # the sampling law of skillmimic.md §3.5 draws from [2, T − 2] and needs T > 4
MAX_FRAMES = 100_000  # 28 minutes at 60 fps; more is a wrong file, not a skill
NUM_SKILLS = 64  # width of the one-hot label in the observation
MAX_TEXT = 4096
# Metres or radians. Far beyond any capture volume, near enough that no derived quantity overflows float32.
MAX_MAGNITUDE = 1e4
MIN_FPS, MAX_FPS = 1.0, 1000.0

# Name and shape of each array after the leading T frames.
ARRAYS: dict[str, tuple[int, ...]] = {
    "root_pos": (3,),
    "root_rotvec": (3,),
    "dof_pos": (NUM_DOFS,),
    "body_pos": (NUM_BODIES, 3),
    "object_pos": (3,),
    "object_rotvec": (3,),
    "contact": (),
}


@dataclasses.dataclass(frozen=True, eq=False)
class MotionClip:
    """A human and one object, frame by frame; NumPy float32, world frame z up, metres and radians.

    name: unique within a set. skill: label 0…63. fps: frames a second. source, licence: where it comes from and under
    which terms it may be used.
    root_pos (T, 3) m; root_rotvec (T, 3) rad, as a rotation vector; dof_pos (T, 156) rad, 52 rotation vectors child
    in parent; body_pos (T, 53, 3) m, body origins as captured, which in the published clips are not exactly the
    forward kinematics of the joints (skillmimic.md §3.4); object_pos (T, 3) m; object_rotvec (T, 3) rad, with the
    published sign: the object's orientation is exp(−object_rotvec) unless `derive` is told otherwise; contact (T,)
    0 or 1: a hand touches the object. A frame in which all of these are zero is missing (skillmimic_v2.md §1.7).
    """

    name: str
    skill: int
    fps: float
    source: str
    licence: str
    root_pos: np.ndarray
    root_rotvec: np.ndarray
    dof_pos: np.ndarray
    body_pos: np.ndarray
    object_pos: np.ndarray
    object_rotvec: np.ndarray
    contact: np.ndarray

    @property
    def num_frames(self) -> int:
        return len(self.root_pos)

    @property
    def valid(self) -> np.ndarray:
        """(T,) bool: the frames that are not missing."""
        return np.any([array.reshape(self.num_frames, -1).any(axis=1) for array in self.arrays().values()], axis=0)

    @property
    def seconds(self) -> float:
        """Time from the first frame to the end of the last one."""
        return self.num_frames / self.fps

    def arrays(self) -> dict[str, np.ndarray]:
        """The per-frame arrays by name, in the order of ARRAYS."""
        return {name: getattr(self, name) for name in ARRAYS}


def check_clip(clip: MotionClip, path: str | os.PathLike[str] | None = None) -> MotionClip:
    """The clip itself if it is sound. Raises MotionFormatError (naming `path`, else the clip) with the first fault."""
    where = clip.name if path is None else path
    _check_metadata(clip, where)
    frames = clip.num_frames
    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise MotionFormatError(where, f"{frames} frames", f"{MIN_FRAMES} to {MAX_FRAMES} frames")
    for name, trailing in ARRAYS.items():
        _check_array(where, name, getattr(clip, name), (frames, *trailing))
    if not np.isin(clip.contact, (0.0, 1.0)).all():
        odd = clip.contact[~np.isin(clip.contact, (0.0, 1.0))][0]
        raise MotionFormatError(where, f"contact label {odd:g}", "0 or 1")
    _check_missing(clip, where)
    return clip


def _check_missing(clip: MotionClip, where: str | os.PathLike[str]) -> None:
    """Enough frames to derive velocities from, and one to start on."""
    valid = clip.valid
    if valid.sum() < MIN_FRAMES or not valid[FIRST_START:-1].any():
        found = f"{np.count_nonzero(~valid)} of {clip.num_frames} frames missing (all zero)"
        raise MotionFormatError(
            where, found, f"at least {MIN_FRAMES} that are not, one of them within [{FIRST_START}, T - 2]"
        )


def _check_metadata(clip: MotionClip, where: str | os.PathLike[str]) -> None:
    for field in ("name", "source", "licence"):
        text = getattr(clip, field)
        if not isinstance(text, str) or len(text) > MAX_TEXT or not text.isprintable():
            raise MotionFormatError(where, f"{field} that is not plain text", f"up to {MAX_TEXT} printable characters")
    if not clip.name or "/" in clip.name or "\\" in clip.name:
        raise MotionFormatError(where, f"clip name {clip.name[:80]!r}", "a name without path separators")
    if isinstance(clip.skill, bool) or not isinstance(clip.skill, int | np.integer) or not 0 <= clip.skill < NUM_SKILLS:
        raise MotionFormatError(where, f"skill label {str(clip.skill)[:20]}", f"an integer from 0 to {NUM_SKILLS - 1}")
    if not MIN_FPS <= float(clip.fps) <= MAX_FPS:  # also refuses NaN
        raise MotionFormatError(where, f"{clip.fps} frames a second", f"{MIN_FPS:g} to {MAX_FPS:g}")


def _check_array(where: str | os.PathLike[str], name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        found = str(array.dtype) if isinstance(array, np.ndarray) else type(array).__name__
        raise MotionFormatError(where, f"{name} of type {found}", "float32")
    if array.shape != shape:
        raise MotionFormatError(where, f"{name} of shape {array.shape}", f"{shape}")
    finite = np.isfinite(array)
    if not finite.all():
        bad = np.argwhere(~finite)
        found = f"{len(bad)} non-finite values in {name}, the first in frame {bad[0][0]}"
        raise MotionFormatError(where, found, "finite numbers")
    peak = float(np.abs(array).max())
    if peak > MAX_MAGNITUDE:
        raise MotionFormatError(where, f"{name} of magnitude {peak:.3g}", f"at most {MAX_MAGNITUDE:g} m or rad")
