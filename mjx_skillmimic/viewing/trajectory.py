"""`Trajectory`: everything that a picture needs, detached from engine, environment and policy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.viewing.shapes import Shapes
from mjx_skillmimic.viewing.surroundings import GoalTrack, Scenery

FORMAT_VERSION = 1
_NESTED: dict[str, Any] = {"shape": Shapes, "scenery": Scenery, "goal": GoalTrack}


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """T frames of B bodies and a ball, with an optional reference of the same length to draw as a ghost.

    World frame, z up, m, quaternions wxyz. body_pos (T, B, 3), body_quat (T, B, 4), object_pos (T, 3), object_quat
    (T, 4); reference_*: likewise or None. labels: name → (T,) float, shown beside each frame; the names "contact" and
    "reference_contact" (0 or 1) colour the two balls, and "episode" marks where a new one starts. body_contact (T, B)
    bool or None: bodies to highlight. fps: frames a second; title and notes: for people. scenery: what stands there and
    never moves; goal: what a task wants in each frame.
    """

    body_pos: np.ndarray
    body_quat: np.ndarray
    object_pos: np.ndarray
    object_quat: np.ndarray
    shapes: Shapes
    fps: float
    reference_body_pos: np.ndarray | None = None
    reference_body_quat: np.ndarray | None = None
    reference_object_pos: np.ndarray | None = None
    reference_object_quat: np.ndarray | None = None
    labels: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    body_contact: np.ndarray | None = None
    object_radius: float = 0.12
    title: str = ""
    notes: str = ""
    scenery: Scenery | None = None
    goal: GoalTrack | None = None

    def __post_init__(self) -> None:
        frames, bodies = self.body_pos.shape[:2]
        expected: dict[str, tuple[int, ...]] = {"body_pos": (frames, bodies, 3), "body_quat": (frames, bodies, 4)}
        expected |= {"object_pos": (frames, 3), "object_quat": (frames, 4)}
        expected |= {f"reference_{name}": shape for name, shape in expected.items()}
        expected["body_contact"] = (frames, bodies)
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {np.shape(value)}")
        if self.goal is not None and np.shape(self.goal.pos) != (frames, 3):
            raise ValueError(f"goal: expected positions {(frames, 3)}, got {np.shape(self.goal.pos)}")
        for name, values in self.labels.items():
            if np.shape(values) != (frames,):
                raise ValueError(f"label {name!r}: expected shape {(frames,)}, got {np.shape(values)}")
        if frames == 0:
            raise ValueError("a trajectory needs at least one frame")

    @property
    def num_frames(self) -> int:
        return len(self.body_pos)

    def label(self, name: str, default: float = 0.0) -> np.ndarray:
        """The label (T,), or `default` everywhere if there is none of that name."""
        return self.labels.get(name, np.full(self.num_frames, default, np.float32))


def cut(t: Trajectory, frames: int) -> Trajectory:
    """The first frames of a trajectory."""
    changed: dict[str, object] = {}
    for field in dataclasses.fields(t):
        value = getattr(t, field.name)
        if isinstance(value, np.ndarray):
            changed[field.name] = value[:frames]
    labels = {name: values[:frames] for name, values in t.labels.items()}
    goal = None if t.goal is None else t.goal.cut(frames)
    return dataclasses.replace(t, labels=labels, goal=goal, **changed)  # type: ignore[arg-type]


def save(trajectory: Trajectory, path: str | Path) -> None:
    """Writes a compressed .npz: one array a field, `shape_*`, `scenery_*`, `goal_*`, `label_<name>`, and `meta` (a JSON
    text: the rest)."""
    arrays: dict[str, np.ndarray] = {}
    meta: dict[str, object] = {"version": FORMAT_VERSION}
    for field in dataclasses.fields(trajectory):
        value = getattr(trajectory, field.name)
        if isinstance(value, tuple(_NESTED.values())):
            prefix = next(prefix for prefix, kind in _NESTED.items() if isinstance(value, kind))
            arrays |= {f"{prefix}_{k}": v for k, v in vars(value).items()}
        elif isinstance(value, dict):
            arrays |= {f"label_{k}": np.asarray(v, np.float32) for k, v in value.items()}
        elif field.name in ("fps", "object_radius", "title", "notes"):
            meta[field.name] = value
        elif value is not None:
            value = np.asarray(value)
            arrays[field.name] = value if value.dtype == bool else value.astype(np.float32)
    np.savez_compressed(path, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]


def load(path: str | Path) -> Trajectory:
    """Reads what `save` wrote. Raises ValueError for another version of the format."""
    with np.load(path, allow_pickle=False) as data:
        meta = json.loads(str(data["meta"]))
        version = meta.pop("version", None)
        if version != FORMAT_VERSION:
            raise ValueError(f"{path}: expected trajectory format {FORMAT_VERSION}, found {version}")
        arrays = {name: data[name] for name in data.files if name != "meta"}

    def taken(prefix: str) -> dict[str, np.ndarray]:
        found = [name for name in arrays if name.startswith(f"{prefix}_")]
        return {name.removeprefix(f"{prefix}_"): arrays.pop(name) for name in found}

    labels, nested = taken("label"), {prefix: taken(prefix) for prefix in _NESTED}
    made: dict[str, Any] = {name: kind(**nested[name]) if nested[name] else None for name, kind in _NESTED.items()}
    rest: dict[str, Any] = meta | arrays | made
    return Trajectory(shapes=rest.pop("shape"), labels=labels, **rest)
