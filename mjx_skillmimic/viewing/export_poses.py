"""Poses of every body as plain arrays in one .npz, for renderers and analysis outside (docs/pictures.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.trajectory import Trajectory

FORMAT_VERSION = 1
# Labels of a trajectory that are fields of their own, or belong to the pictures only.
_NO_MEASURE = ("contact", "reference_contact", "episode")


@dataclasses.dataclass(frozen=True)
class Poses:
    """T frames of B bodies and a ball; world frame, z up, m, quaternions wxyz with continuous signs.

    names: B names, in depth-first order; parents (B,) int32, −1 for the root. body_pos (T, B, 3), body_quat (T, B, 4),
    ball_pos (T, 3), ball_quat (T, 4) float32; ball_radius m; fps 1/s. body_contact (T, B) bool: a contact force above
    1 N; None for a clip without physics. ball_contact (T,) bool: hands on the ball (of a clip: its label).
    reference_*: the clip's at the same instants, None where nothing was imitated. measures: name → (T,) float32, such
    as "reward" and "E_b mm".
    """

    names: tuple[str, ...]
    parents: np.ndarray
    fps: float
    body_pos: np.ndarray
    body_quat: np.ndarray
    ball_pos: np.ndarray
    ball_quat: np.ndarray
    ball_radius: float
    ball_contact: np.ndarray
    body_contact: np.ndarray | None = None
    reference_body_pos: np.ndarray | None = None
    reference_body_quat: np.ndarray | None = None
    reference_ball_pos: np.ndarray | None = None
    reference_ball_quat: np.ndarray | None = None
    reference_ball_contact: np.ndarray | None = None
    measures: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    title: str = ""
    notes: str = ""


_OPTIONAL = tuple(f.name for f in dataclasses.fields(Poses) if f.default is None)
_ARRAYS = ("parents", "body_pos", "body_quat", "ball_pos", "ball_quat", "ball_contact", *_OPTIONAL)
_SCALARS = ("fps", "ball_radius", "title", "notes")


def poses(t: Trajectory, names: Sequence[str], parents: np.ndarray) -> Poses:
    """The arrays of a trajectory whose bodies are those of a skeleton.

    Raises ValueError for another number of names or parents than bodies, or a parent that does not come before its
    child.
    """
    bodies = t.body_pos.shape[1]
    parents = np.asarray(parents, np.int32)
    if len(names) != bodies or parents.shape != (bodies,):
        raise ValueError(f"expected {bodies} names and parents, got {len(names)} and {parents.shape}")
    if np.any(parents >= np.arange(bodies)) or np.any(parents < -1):
        raise ValueError(f"expected each parent before its child and −1 for roots, got {parents.tolist()}")
    has_reference = t.reference_body_pos is not None
    return Poses(
        names=tuple(names),
        parents=parents,
        fps=float(t.fps),
        body_pos=_float(t.body_pos),
        body_quat=continuous(t.body_quat),
        ball_pos=_float(t.object_pos),
        ball_quat=continuous(t.object_quat),
        ball_radius=float(t.object_radius),
        ball_contact=t.label("contact") > 0.5,
        body_contact=t.body_contact,
        reference_body_pos=_float(t.reference_body_pos),
        reference_body_quat=continuous(t.reference_body_quat),
        reference_ball_pos=_float(t.reference_object_pos),
        reference_ball_quat=continuous(t.reference_object_quat),
        reference_ball_contact=t.label("reference_contact") > 0.5 if has_reference else None,
        measures={name: _float(values) for name, values in t.labels.items() if name not in _NO_MEASURE},
        title=t.title,
        notes=t.notes,
    )


def _float(array: Any) -> Any:
    return None if array is None else np.asarray(array, np.float32)


def continuous(quat: Any) -> Any:
    """Unit quaternion tracks (T, 4) or (T, B, 4) float32 whose neighbours in time lie in one hemisphere, so that
    interpolation takes the short way; None for None."""
    if quat is None:
        return None
    quat = rotations.normalize(np.asarray(quat, np.float64))
    tracks = quat.reshape(len(quat), -1, 4)
    tracks = np.stack([rotations.continuous_signs(tracks[:, i]) for i in range(tracks.shape[1])], axis=1)
    return tracks.reshape(quat.shape).astype(np.float32)


def write_npz(p: Poses, path: str | Path) -> Path:
    """Writes one array a field, `measure_<name>` a measure, and `version`; nothing that needs pickle."""
    arrays: dict[str, Any] = {name: getattr(p, name) for name in _ARRAYS if getattr(p, name) is not None}
    arrays |= {name: np.array(getattr(p, name)) for name in _SCALARS}
    arrays |= {f"measure_{name}": values for name, values in p.measures.items()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, version=np.array(FORMAT_VERSION), names=np.array(p.names), **arrays)
    return path


def read_npz(path: str | Path) -> Poses:
    """Reads what `write_npz` wrote. Raises ValueError for another version, or a file without one."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    version = arrays.get("version")
    if version is None or int(version) != FORMAT_VERSION:
        raise ValueError(f"{path}: expected exported poses of version {FORMAT_VERSION}, found {version}")
    return Poses(
        names=tuple(map(str, arrays["names"])),
        **{name: arrays.get(name) for name in _ARRAYS},  # type: ignore[arg-type]
        **{name: arrays[name].item() for name in _SCALARS},
        measures={k.removeprefix("measure_"): v for k, v in arrays.items() if k.startswith("measure_")},
    )
