"""Checkpoints of a whole training state with Orbax: every array by position, and a JSON record of what it was.

Leaves are stored as a flat list of host arrays instead of as the tree itself, because an engine's data may be a type
that no checkpoint library knows. The record names each leaf, so a tree of another shape is refused leaf by leaf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.learning import hosts

Tree = TypeVar("Tree")
_STATE, _RECORD = "state", "record"


class CheckpointError(RuntimeError):
    """A checkpoint that is missing or does not fit the training state it should fill."""


class Checkpoints:
    """The checkpoints of one run in a folder, the last `keep` and every multiple of `keep_every` (0: none) iterations.

    A checkpoint is written under a temporary name and renamed when it is whole, so that what is listed is complete.
    read_only: the folder is there and stays as it is, even while another process writes checkpoints into it.
    """

    def __init__(self, folder: Path, keep: int = 3, keep_every: int = 0, read_only: bool = False) -> None:
        import orbax.checkpoint as ocp

        self._ocp = ocp
        self.folder = Path(folder).absolute()
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
        own = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
        )
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=None if read_only else keep,
                keep_period=keep_every or None,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                enable_async_checkpointing=False,
                create=False,
                # Each process reads by itself, and only the first one writes.
                multiprocessing_options=alone,
            ),
        )

    def iterations(self) -> list[int]:
        """Iterations with a complete checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def latest(self) -> int | None:
        """The last of `iterations`, None if there is none."""
        return max(self.iterations(), default=None)

    def save(self, iteration: int, state: Any, record: Mapping[str, Any], omit: tuple[str, ...] = ()) -> None:
        """Writes a state and a JSON-able record; nothing happens if that iteration is there already.

        Leaves whose path starts with one of `omit` (such as ".env_state") are left out and made anew on restoring. With
        several processes, all of them must call it, and the first one writes.
        """
        if jax.process_count() == 1 and iteration in self.iterations():
            return
        arrays: dict[str, np.ndarray] = {}
        leaves: list[dict[str, Any]] = []
        for position, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(state)):
            name = jax.tree_util.keystr(path)
            described, array = _to_host(leaf)
            omitted = name.startswith(omit)
            leaves.append({"name": name, "omitted": omitted, **described})
            # Orbax refuses arrays without elements; the shape alone restores them.
            if not omitted and array.size:
                arrays[f"{position:05d}"] = array
        if not hosts.is_primary():
            return
        self._manager.save(
            iteration,
            args=self._ocp.args.Composite(
                **{
                    _STATE: self._ocp.args.StandardSave(arrays),
                    _RECORD: self._ocp.args.JsonSave({**record, "leaves": leaves}),
                }
            ),
        )
        self._manager.wait_until_finished()

    def record(self, iteration: int) -> dict[str, Any]:
        """What `save` was given as the record, with `leaves` added. Raises CheckpointError if there is no such one."""
        if iteration not in self.iterations():
            raise CheckpointError(
                f"{self.folder} has no checkpoint of iteration {iteration}; it has {self.iterations()}"
            )
        restored = self._manager.restore(
            iteration, args=self._ocp.args.Composite(**{_RECORD: self._ocp.args.JsonRestore()})
        )
        return restored[_RECORD]

    def restore(self, iteration: int, template: Tree) -> Tree:
        """The state of an iteration, in the tree of `template` (arrays, or shapes from `jax.eval_shape`).

        Omitted leaves are taken from the template, which then must hold arrays there; leaves come to lie on the devices
        that the template's lie on. Raises CheckpointError that names
        every leaf whose path, shape or type differs.
        """
        stored = self.record(iteration)["leaves"]
        paths, structure = jax.tree_util.tree_flatten_with_path(template)
        _compare([(jax.tree_util.keystr(path), leaf) for path, leaf in paths], stored, self.folder / str(iteration))
        arrays = self._arrays(iteration, stored)
        leaves = [
            leaf if described["omitted"] else _to_device(described, arrays.get(f"{position:05d}"), leaf)
            for position, (described, (_, leaf)) in enumerate(zip(stored, paths, strict=True))
        ]
        return jax.tree_util.tree_unflatten(structure, leaves)

    def read(self, iteration: int, prefixes: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The stored arrays by path, of those whose path starts with one of `prefixes`."""
        stored = self.record(iteration)["leaves"]
        arrays = self._arrays(iteration, stored)
        named = ((leaf["name"], arrays.get(f"{position:05d}")) for position, leaf in enumerate(stored))
        return {name: array for name, array in named if array is not None and name.startswith(prefixes)}

    def _arrays(self, iteration: int, stored: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """All arrays of a checkpoint by the number of their leaf."""
        targets = {
            f"{position:05d}": np.empty(leaf["shape"], leaf["dtype"])
            for position, leaf in enumerate(stored)
            if not leaf["omitted"] and 0 not in leaf["shape"]
        }
        return self._manager.restore(
            iteration, args=self._ocp.args.Composite(**{_STATE: self._ocp.args.StandardRestore(targets)})
        )[_STATE]

    def close(self) -> None:
        self._manager.close()


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_host(leaf: Any) -> tuple[dict[str, Any], np.ndarray]:
    """A leaf's description and its values; typed random keys as the integers they are made of."""
    impl = str(jax.random.key_impl(leaf)) if isinstance(leaf, jax.Array) and _is_key(leaf) else None
    array = hosts.fetch(jax.random.key_data(leaf) if impl else leaf)
    return {"shape": list(array.shape), "dtype": str(array.dtype), "key": impl}, array


def place(values: np.ndarray, template: Any) -> jax.Array:
    """An array of these values on the devices that the template lies on."""
    sharding = getattr(template, "sharding", None)
    if isinstance(sharding, jax.sharding.NamedSharding):
        return jax.make_array_from_callback(values.shape, sharding, lambda index: np.array(values[index]))
    # A copy: on the CPU, XLA may otherwise alias memory that the reader frees or reuses.
    return jnp.array(values, copy=True)


def _to_device(described: Mapping[str, Any], array: np.ndarray | None, template: Any) -> jax.Array:
    """The stored values, on the devices that the template lies on, if it lies on several."""
    placed = place(np.zeros(described["shape"], described["dtype"]) if array is None else array, template)
    return jax.random.wrap_key_data(placed, impl=described["key"]) if described["key"] else placed


def _compare(template: list[tuple[str, Any]], stored: list[Mapping[str, Any]], place: Path) -> None:
    """Raises CheckpointError unless paths, shapes and types are equal, leaf by leaf."""
    expected = dict(template)
    found = {leaf["name"]: leaf for leaf in stored}
    complaints = [f"{name}: not in the checkpoint" for name in expected if name not in found]
    complaints += [f"{name}: only in the checkpoint" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        leaf, there = expected[name], found[name]
        if not hasattr(leaf, "dtype"):
            leaf = np.asarray(leaf)
        is_key = _is_key(leaf)
        shape = tuple(there["shape"][: leaf.ndim]) if is_key else tuple(there["shape"])
        if leaf.shape != shape or is_key != bool(there["key"]) or not (is_key or str(leaf.dtype) == there["dtype"]):
            complaints.append(f"{name}: stored {there['dtype']}{shape}, expected {leaf.dtype}{leaf.shape}")
    if complaints:
        shown = "\n".join(f"  - {text}" for text in sorted(complaints)[:20])
        raise CheckpointError(f"{place} does not fit the training state ({len(complaints)} leaves differ):\n{shown}")
