"""Compiling `init` and `train_iteration` once each, with states that always fit the compiled program."""

from __future__ import annotations

from typing import Any

import jax

from mjx_skillmimic.learning.ppo import Init, TrainIteration, unalias


def compile_init(init: Init) -> Init:
    """`init`, compiled on its first call; its arrays have strong types."""
    return jax.jit(lambda rng: _strong(init(rng)))


def compile_iteration(train_iteration: TrainIteration, state: Any) -> TrainIteration:
    """`train_iteration` compiled now for states like this one, whose buffers it takes: use only the returned state."""

    def strong(state: Any) -> Any:
        state, metrics = train_iteration(state)
        return _strong(state), metrics

    program = jax.jit(strong, donate_argnums=0).lower(unalias(state)).compile()
    return lambda state: program(unalias(state))


def _strong(tree: Any) -> Any:
    """Arrays with strong types: else the state after an iteration would not fit the program compiled for the first."""

    def strong(leaf: Any) -> Any:
        extended = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.extended)
        return leaf if extended else jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(strong, tree)
