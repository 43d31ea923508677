"""Arithmetic over worlds that may be split over devices: the same call with or without a mapped axis.

`axis_name` None means that this program sees all worlds. Otherwise it sees one of `size` equal blocks of them, in the
order of the devices, and whatever concerns all worlds is a collective over the axis.
"""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

T = TypeVar("T")


def size(axis_name: str | None) -> int:
    """Members of the axis, a Python number; 1 without one."""
    return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def own_rows(rows: Array, axis_name: str | None) -> Array:
    """The block of (N, …) that belongs to this member, (N / size, …)."""
    if axis_name is None:
        return rows
    block = rows.shape[0] // size(axis_name)
    return jax.lax.dynamic_slice_in_dim(rows, jax.lax.axis_index(axis_name) * block, block)


def normal(rng: Array, shape: tuple[int, ...], axis_name: str | None) -> Array:
    """Standard normal numbers (N / size, …) for this member's rows.

    Drawn for the rows of all members, of which each keeps its own: a world meets the same noise on any number of
    devices.
    """
    return own_rows(jax.random.normal(rng, (shape[0] * size(axis_name), *shape[1:])), axis_name)


def gumbel(rng: Array, shape: tuple[int, ...], axis_name: str | None) -> Array:
    """Standard Gumbel numbers (N / size, …) for this member's rows, drawn as in `normal`."""
    return own_rows(jax.random.gumbel(rng, (shape[0] * size(axis_name), *shape[1:])), axis_name)


def mean(tree: T, axis_name: str | None) -> T:
    """The mean over the members, of each leaf."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def total(tree: T, axis_name: str | None) -> T:
    """The sum over the members, of each leaf."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def variance(x: Any, axis_name: str | None) -> Array:
    """The biased variance () of all elements of all members."""
    return mean(jnp.mean((x - mean(jnp.mean(x), axis_name)) ** 2), axis_name)
