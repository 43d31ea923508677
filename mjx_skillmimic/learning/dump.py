"""What is kept of worlds that became non-finite, as a file that another engine can replay.

An environment carries a `NonfiniteRecord` in `state.info` and calls `record_nonfinite` once a step; the outer loop
finds it in the training state and writes a dump when a run must stop. A dump is an `.npz` without pickled objects:

| key | content |
|---|---|
| `format` | the number 1 |
| `reason` | why the run stopped |
| `config` | the resolved configuration as JSON |
| `iteration` | the iteration in which it happened |
| `world` (K,) | numbers of the worlds kept, those with most failures first |
| `count` (K,) | how many episodes of each ended non-finite since the run began |
| `qpos` (K, nq), `qvel` (K, nv) | generalised coordinates before the step that failed last |
| `actions` (T, K, nu) | PD targets in rad of the steps from there; T = 0 when no failing step was recorded |
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjx_skillmimic.envs.nonfinite import NonfiniteRecord
from mjx_skillmimic.physics.base import Physics

FORMAT = 1
MAX_WORLDS = 64
_FIELDS = ("reason", "config", "iteration", "world", "count", "qpos", "qvel", "actions")


class DumpFormatError(ValueError):
    """A file that is not a dump of this format."""


@dataclasses.dataclass(frozen=True)
class Dump:
    """The content of a dump file, see the module's table."""

    reason: str
    config: str
    iteration: int
    world: np.ndarray
    count: np.ndarray
    qpos: np.ndarray
    qvel: np.ndarray
    actions: np.ndarray


def dump_from_state(state: Any, reason: str, config: str, iteration: int) -> Dump | None:
    """The worst worlds of any training state: of its first NonfiniteRecord, else of its first physics as it stands.

    None if the tree has neither.
    """
    record = _first(state, lambda node: isinstance(node, NonfiniteRecord))
    if record is not None and int(np.sum(record.count)):
        count = np.asarray(record.count)
        world = np.argsort(-count, kind="stable")[: min(MAX_WORLDS, int((count > 0).sum()))]
        actions = np.asarray(record.target)[world][None]
    else:
        record = _first(state, lambda node: hasattr(node, "qpos") and hasattr(node, "qvel"))
        if record is None:
            return None
        finite = np.isfinite(record.qpos).all(-1) & np.isfinite(record.qvel).all(-1)
        world = np.argsort(finite, kind="stable")[:MAX_WORLDS]
        count = np.zeros(finite.shape, np.int32)
        actions = np.zeros((0, len(world), 0), np.float32)
    return Dump(
        reason=reason,
        config=config,
        iteration=iteration,
        world=world,
        count=count[world],
        qpos=np.asarray(record.qpos)[world],
        qvel=np.asarray(record.qvel)[world],
        actions=actions,
    )


def _first(tree: Any, wanted: Any) -> Any:
    nodes = jax.tree.leaves(tree, is_leaf=wanted)
    return next((node for node in nodes if wanted(node)), None)


def write_dump(dump: Dump, path: Path) -> None:
    """Writes a dump, whole or not at all."""
    temporary = path.with_suffix(".tmp.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(temporary, format=FORMAT, **{name: getattr(dump, name) for name in _FIELDS})
    os.replace(temporary, path)


def read_dump(path: Path) -> Dump:
    """Reads a dump. Raises DumpFormatError naming what is missing or of another format, FileNotFoundError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = sorted({"format", *_FIELDS} - set(file.files))
            if missing:
                raise DumpFormatError(f"{path} is no dump: it lacks {', '.join(missing)}")
            if int(file["format"]) != FORMAT:
                raise DumpFormatError(f"{path} has dump format {int(file['format'])}, expected {FORMAT}")
            values = {name: file[name] for name in _FIELDS}
    except (OSError, ValueError) as error:
        if isinstance(error, DumpFormatError | FileNotFoundError):
            raise
        raise DumpFormatError(f"{path} is no dump: {error}") from error
    return Dump(
        **values | {name: str(values[name]) for name in ("reason", "config")} | {"iteration": int(values["iteration"])}
    )


@dataclasses.dataclass(frozen=True)
class Finding:
    """A quantity of a replayed world: when it first was non-finite (None: never) and its largest finite magnitude."""

    world: int
    quantity: str
    first_step: int | None
    largest: float


def replay(dump: Dump, physics: Physics, steps: int | None = None) -> Iterator[Finding]:
    """Replays a dump: step 0 is the recorded state, step t that after t control steps.

    The last targets are held when `steps` exceeds the recorded ones; without any recorded, the state alone is judged.
    """
    state = physics.init(dump.qpos, dump.qvel)
    history = [_quantities(state)]
    recorded = len(dump.actions)
    for step in range((recorded if steps is None else steps) if recorded else 0):
        state = physics.step(state, dump.actions[min(step, recorded - 1)])
        history.append(_quantities(state))
    for index, world in enumerate(dump.world):
        for quantity in history[0]:
            track = np.stack([np.asarray(moment[quantity][index], np.float64).ravel() for moment in history])
            finite = np.isfinite(track)
            bad = np.flatnonzero(~finite.all(-1))
            largest = float(np.abs(track[finite]).max(initial=0.0))
            yield Finding(int(world), quantity, int(bad[0]) if bad.size else None, largest)


def _quantities(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("qpos", "qvel", "body_force", "object_force")}
