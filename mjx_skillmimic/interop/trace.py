"""Traces: what a simulator did with start states and PD targets, as one file that every engine here can replay.

Runs in Python 3.8 with NumPy alone, for the recorder beside Isaac Gym shares it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import npz

FORMAT = "mjx_skillmimic trace"
VERSION = 1

# Trailing shape of the state arrays (C, T + 1, ...): bodies are the humanoid's 53, in the asset's order.
STATES: dict[str, tuple[int, ...]] = {
    "root_pos": (3,),
    "root_quat": (4,),
    "root_lin_vel": (3,),
    "root_ang_vel": (3,),
    "dof_pos": (156,),
    "dof_vel": (156,),
    "object_pos": (3,),
    "object_quat": (4,),
    "object_lin_vel": (3,),
    "object_ang_vel": (3,),
}
# Trailing shape of what belongs to a control step (C, T, ...).
STEPS: dict[str, tuple[int, ...]] = {"target": (156,), "body_force": (53, 3), "object_force": (3,)}


class TraceError(ValueError):
    """A file that is no trace, or one whose arrays do not fit together; names the file."""


@dataclasses.dataclass
class Trace:
    """C courses of T control steps each; course c is valid up to lengths[c] steps, NaN behind.

    States (C, T + 1, ·), world frame, SI units: root_pos, root_quat (wxyz), root_lin_vel, root_ang_vel; dof_pos
    (C, T + 1, 156) rotation vectors and dof_vel relative angular velocities in each child's frame, 52 joints in the
    asset's order; object_*. target (C, T, 156) rad: PD targets of the step from t to t + 1. body_force (C, T, 53, 3),
    object_force (C, T, 3): net contact forces in N after that step, the floor included. edges (C, T, 3) bool, None
    where the simulator has no pairwise contacts: which nodes touched, in the order of `physics.base.EDGES`.

    names: of the courses, "group/name" (the group sorts them in reports). engine: who made it. control_dt: s.
    meta: anything JSON holds: versions, settings, which policy.
    """

    engine: str
    control_dt: float
    names: tuple[str, ...]
    lengths: np.ndarray
    root_pos: np.ndarray
    root_quat: np.ndarray
    root_lin_vel: np.ndarray
    root_ang_vel: np.ndarray
    dof_pos: np.ndarray
    dof_vel: np.ndarray
    object_pos: np.ndarray
    object_quat: np.ndarray
    object_lin_vel: np.ndarray
    object_ang_vel: np.ndarray
    target: np.ndarray
    body_force: np.ndarray
    object_force: np.ndarray
    meta: dict[str, Any] = dataclasses.field(default_factory=dict)
    edges: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Raises TraceError for shapes that do not fit together."""
        self.names = tuple(self.names)
        self.lengths = np.asarray(self.lengths, np.int32)
        courses, steps = len(self.names), np.shape(self.target)[1] if np.ndim(self.target) == 3 else -1
        for group, time in ((STATES, steps + 1), (STEPS, steps)):
            for name, shape in group.items():
                array, expected = np.asarray(getattr(self, name)), (courses, time, *shape)
                if array.shape != expected:
                    raise TraceError(f"{name} has shape {array.shape}, expected {expected}")
                setattr(self, name, array)
        if self.edges is not None and np.shape(self.edges) != (courses, steps, 3):
            raise TraceError(f"edges has shape {np.shape(self.edges)}, expected {(courses, steps, 3)}")
        if self.lengths.shape != (courses,) or (courses and not 1 <= self.lengths.min() <= self.lengths.max() <= steps):
            raise TraceError(f"lengths are {self.lengths}, expected {courses} between 1 and {steps}")


def write_trace(path: str | Path, trace: Trace) -> None:
    """Writes a compressed .npz without pickle, arrays as float32."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "engine": trace.engine,
        "control_dt": trace.control_dt,
        "names": list(trace.names),
        "meta": trace.meta,
    }
    arrays: dict[str, Any] = {name: np.asarray(getattr(trace, name), np.float32) for name in {**STATES, **STEPS}}
    if trace.edges is not None:
        arrays["edges"] = np.asarray(trace.edges, bool)
    with open(path, "wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), lengths=trace.lengths, **arrays)


def read_trace(path: str | Path) -> Trace:
    """Reads what `write_trace` wrote. Raises FileNotFoundError, and TraceError that names file, found and expected."""
    try:
        arrays = npz.read_arrays(path)
    except npz.UnreadableError as error:
        raise TraceError(f"{path}: found {error}, expected a {FORMAT}") from error
    try:
        header = json.loads(str(arrays.pop("header")))
        found = f"{header['format']} version {header['version']}"
    except (KeyError, ValueError, TypeError) as error:
        raise TraceError(f"{path}: found no header, expected a {FORMAT}") from error
    if found != f"{FORMAT} version {VERSION}":
        raise TraceError(f"{path}: found a {found}, expected a {FORMAT} version {VERSION}")
    missing = sorted({*STATES, *STEPS, "lengths"} - set(arrays))
    if missing:
        raise TraceError(f"{path}: found no {', '.join(missing)}, expected every array of a trace")
    chosen = {name: arrays[name] for name in {**STATES, **STEPS}}
    try:
        return Trace(
            engine=str(header["engine"]),
            control_dt=float(header["control_dt"]),
            names=tuple(header["names"]),
            lengths=arrays["lengths"],
            meta=header.get("meta", {}),
            edges=arrays.get("edges"),
            **chosen,
        )
    except (TraceError, KeyError, TypeError) as error:
        raise TraceError(f"{path}: {error}") from error
