"""Starting from what another run has learned: its latest checkpoint, or a policy's file (`run.init_from`).

| taken from | a run's folder | a policy `.npz` |
|---|---|---|
| actor, statistics of the observations | yes | yes |
| critic, statistics of the values and of what only the critic sees | yes | begin anew |
| Adam's moments | if they fit (`max_grad_norm` on or off in both) | begin anew |
| learning rate | with `lr_schedule` "adaptive_kl", within its bounds | the configuration's |
| log σ | with `learn_log_std` | with `learn_log_std` |
| worlds, episodes, random numbers, counters | begin anew | begin anew |

The statistics keep their counts, so that they follow new clips as slowly as the other run's would have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from mjx_skillmimic.learning.checkpoint import CheckpointError, Checkpoints, place
from mjx_skillmimic.learning.options import PPOOptions
from mjx_skillmimic.learning.policy import PolicyFormatError, load_policy
from mjx_skillmimic.learning.workdir import Workdir

State = TypeVar("State")

_ACTOR, _RATE, _MOMENTS = (".params['actor']", ".obs_moments"), ".learning_rate", ".opt_state"
_CRITIC = (".params['critic']", ".value_moments", ".privileged_moments")
_LOG_STD = ".params['actor']['params']['log_std']"


class InitError(RuntimeError):
    """A source that cannot be read or does not fit; the message says what was found and expected."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What there is to inherit: arrays by their path in the training state; seeds: their leading axis, if above one.

    parts: paths whose leaves must all be there and fit. metadata: names the low-level policy, if any.
    """

    name: str
    arrays: Mapping[str, np.ndarray]
    parts: tuple[str, ...]
    seeds: int = 1
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def check(source: Path, root: Path) -> None:
    """Raises InitError where there is nothing to start from, or where the run in `root` would overwrite it."""
    if not source.exists():
        raise InitError(f"run.init_from = {source} does not exist, expected a run's folder or a policy's .npz")
    if source.resolve() == root.resolve() or root.resolve() in source.resolve().parents:
        raise InitError(f"run.init_from = {source} lies in this run's own folder {root}: name another --workdir")


def read(path: Path) -> Source:
    """The latest checkpoint of a run's folder, or a policy's file. Raises InitError."""
    if not path.is_dir():
        return _read_policy(path)
    folder = Workdir(path).checkpoints
    if not folder.is_dir():
        policies = sorted(str(file) for file in path.glob("**/policy.npz"))
        hint = f"; there are {', '.join(policies)}" if policies else ""
        raise InitError(f"run.init_from = {path} has no checkpoints, expected a run's folder or a policy's .npz{hint}")
    checkpoints = Checkpoints(folder, read_only=True)
    try:
        latest = checkpoints.latest()
        if latest is None:
            raise InitError(f"run.init_from = {path} has no complete checkpoint yet")
        record = checkpoints.record(latest)
        seeds = int(record["config"].get("run", {}).get("seeds", 1))
        arrays = checkpoints.read(latest, (*_ACTOR, *_CRITIC, _RATE, _MOMENTS))
    except CheckpointError as error:
        raise InitError(f"run.init_from = {path}: {error}") from error
    finally:
        checkpoints.close()
    return Source(f"iteration {latest} of {path}", arrays, (*_ACTOR, *_CRITIC), seeds, record)


def _read_policy(path: Path) -> Source:
    try:
        policy = load_policy(path)
    except (OSError, PolicyFormatError) as error:
        raise InitError(f"run.init_from: {error}") from error
    trees = zip(_ACTOR, (policy.actor, policy.moments), strict=True)
    arrays = {name + jax.tree_util.keystr(at): np.asarray(leaf) for name, tree in trees for at, leaf in _leaves(tree)}
    return Source(f"{path}, with a fresh critic", arrays, _ACTOR, metadata=policy.metadata)


def apply(state: State, source: Source, options: PPOOptions, seeds: int = 1) -> tuple[State, str]:
    """The training state with what it inherits, and a line that says so.

    seeds: leading axis of the state's leaves, if above one; the leaves of a single run are given to all of them.

    Raises InitError that names every leaf that is missing, left over or of another shape, or other numbers of seeds.
    """
    if source.seeds not in (1, seeds):
        raise InitError(
            f"run.init_from: {source.name} has {source.seeds} seeds and this run {seeds}, expected as many or one; "
            "a single seed's policy is in its folder seed_N/policy.npz"
        )
    arrays = _spread(source, seeds)
    shapes = {jax.tree_util.keystr(at): leaf.shape for at, leaf in _leaves(state)}
    if complaints := _misfits(shapes, arrays, source.parts):
        shown = "\n".join(f"  - {text}" for text in complaints[:20])
        advice = "" if source.parts == _ACTOR else "; a policy's .npz gives the actor alone"
        raise InitError(f"run.init_from: {source.name} does not fit this run{advice}:\n{shown}")
    taken = {name for name in arrays if name.startswith(source.parts)}
    adam = {name for name in arrays if name.startswith(_MOMENTS)}
    with_adam = bool(adam) and not _misfits(shapes, arrays, (_MOMENTS,))
    taken |= adam if with_adam else set()
    if not options.learn_log_std:
        taken.discard(_LOG_STD)
    if options.lr_schedule == "adaptive_kl" and _RATE in arrays:
        arrays[_RATE] = np.clip(arrays[_RATE], options.lr_min, options.lr_max).astype(np.float32)
        taken.add(_RATE)

    def one(at: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(at)
        return place(arrays[name].astype(leaf.dtype), leaf) if name in taken else leaf

    fresh = "" if with_adam or not adam else ", without Adam's moments, which do not fit"
    return jax.tree_util.tree_map_with_path(one, state), f"starting from {source.name}{fresh}"


def _spread(source: Source, seeds: int) -> dict[str, np.ndarray]:
    """The arrays with a leading axis of seeds where the state has one."""
    if source.seeds == seeds:
        return dict(source.arrays)
    return {name: np.broadcast_to(array, (seeds, *array.shape)) for name, array in source.arrays.items()}


def _misfits(
    shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray], parts: tuple[str, ...]
) -> list[str]:
    """What differs between a state's leaves and the arrays, among those whose path starts with one of `parts`."""
    wanted = {name: shape for name, shape in shapes.items() if name.startswith(parts)}
    given = {name: array.shape for name, array in arrays.items() if name.startswith(parts)}
    found = [f"{name}: missing, expected {wanted[name]}" for name in sorted(wanted.keys() - given.keys())]
    found += [f"{name}: found {given[name]}, expected none" for name in sorted(given.keys() - wanted.keys())]
    both = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name])
    return found + [f"{name}: found {given[name]}, expected {wanted[name]}" for name in both]


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_flatten_with_path(tree)[0]
