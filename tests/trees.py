"""Training states as plain arrays, to be compared leaf by leaf."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def leaves(state: Any) -> dict[str, np.ndarray]:
    """Every leaf by path, keys as the integers they are made of."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found[jax.tree_util.keystr(path)] = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
    return found
