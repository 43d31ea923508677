"""Several processes that train one policy together (`jax.distributed`): who writes, and how they agree.

All processes run the same program. The first one writes logs, evaluations and checkpoints; the work folder must be one
that all of them see. Whatever is decided from metrics is decided alike, because metrics are the same everywhere; what
comes from a clock or a signal is decided by the first process.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

_TEXT = 32


def connect(address: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the other processes; call it before anything else of JAX.

    address "host:port" of the first process, number of processes, own number; all None: what the cluster's scheduler
    (SLURM, Open MPI, a TPU pod) tells.
    """
    jax.distributed.initialize(address, processes, process)


def parse(text: str) -> tuple[str | None, int | None, int | None]:
    """`connect`'s arguments from "host:port,processes,process", all None from "". Raises ValueError for other texts."""
    if not text:
        return None, None, None
    address, _, numbers = text.partition(",")
    processes, _, process = numbers.partition(",")
    if ":" not in address or not (processes.isdigit() and process.isdigit()) or int(process) >= int(processes):
        raise ValueError(
            f"--distributed={text}, expected HOST:PORT,PROCESSES,NUMBER with NUMBER below PROCESSES, such as "
            "node0:8476,2,1"
        )
    return address, int(processes), int(process)


def is_primary() -> bool:
    """Whether this is the process that writes; the only one always is."""
    return jax.process_index() == 0


def agree(text: str | None) -> str | None:
    """The first process's text, in all processes. Every process must call it, as often as the others."""
    if jax.process_count() == 1:
        return text
    from jax.experimental import multihost_utils

    letters = np.frombuffer((text or "").encode().ljust(_TEXT, b"\0")[:_TEXT], np.uint8)
    told = bytes(np.asarray(multihost_utils.broadcast_one_to_all(letters)))
    return told.rstrip(b"\0").decode() or None


def wait(name: str) -> None:
    """Returns once every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def fetch(leaf: Any) -> np.ndarray:
    """A whole array on the host, wherever its parts lie. Every process must call it."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def gathered(tree: Any) -> Any:
    """A tree that this process can read: as it is with one process, else on the host, random keys left out (None)."""
    if jax.process_count() == 1:
        return tree

    def one(leaf: Any) -> Any:
        return None if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else fetch(leaf)

    return jax.tree.map(one, tree)
