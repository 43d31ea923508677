"""Work for those worlds only that need it, some at a time: cheap where few do, right where all do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from mjx_skillmimic.rotations import Array

T = TypeVar("T")

_SHARE, _LEAST = 128, 8


def chunk_size(worlds: int, share: int = _SHARE) -> int:
    """How many of so many worlds are worked on at a time: one in `share`."""
    return min(worlds, max(worlds // share, _LEAST))


def for_worlds(needed: Array, work: Callable[[Array], T], into: T, size: int | None = None) -> T:
    """`into`, a tree of (N, …), with the rows of the worlds `needed` (N,) bool replaced by `work(worlds (K,))`.

    `work` is called on K = `size` worlds at a time until all that need it have had it; what it answers for others is
    dropped. The results depend on a world alone if `work` does.
    """
    count = needed.shape[0]
    size = size or chunk_size(count)
    order = jnp.argsort(jnp.logical_not(needed), stable=True)
    order = jnp.concatenate([order, jnp.zeros(-count % size, order.dtype)])
    wanted = jnp.sum(needed)

    def more(carry: tuple[Array, T]) -> Array:
        return carry[0] < wanted

    def some(carry: tuple[Array, T]) -> tuple[Array, T]:
        first, into = carry
        worlds = jax.lax.dynamic_slice_in_dim(order, first, size)
        place = jnp.where(first + jnp.arange(size) < wanted, worlds, count)
        into = jax.tree.map(lambda x, new: x.at[place].set(new.astype(x.dtype), mode="drop"), into, work(worlds))
        return first + size, into

    return jax.lax.while_loop(more, some, (jnp.int32(0), into))[1]
