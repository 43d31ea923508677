"""What a training iteration needs on a TPU that is not here: compiled by the TPU's own compiler, without the chip.

The package `libtpu` compiles for a chip that is described and not present. Compiling takes many minutes. Small
iterations tell nothing about large ones: with few worlds most arrays stay in the chip's fast memory.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic import envs
from mjx_skillmimic.benchmark.hlo import Program
from mjx_skillmimic.learning import ppo

Record = dict[str, Any]

# Assumed, not measured: s that an instruction of the program takes even if it has nothing to do.
INSTRUCTION = 1e-6


@dataclasses.dataclass(frozen=True)
class Chip:
    """Ceilings of a chip as its maker gives them: memory in bytes, bytes/s, bfloat16 operations/s."""

    name: str
    topology: str
    memory: float
    bytes_per_s: float
    flops: float


V5E = Chip("TPU v5e", "v5e:2x2", 16 * 2**30, 819e9, 197e12)


def compile_iteration(config: ConfigDict, worlds: int, horizon: int, chip: Chip = V5E) -> Record:
    """Compiles an iteration of a configuration on MJX-JAX for one chip; what the compiler and its program tell.

    memory_bytes: arguments, temporaries, results and code; bytes_moved, operations: of an iteration, the solver's loop
    at its limit. Raises ImportError without libtpu.
    """
    chosen = ConfigDict(config.to_dict())
    steps = config.ppo.num_envs * config.ppo.horizon // config.ppo.minibatch_size
    chosen.physics = {"engine": "mjx-jax", "options": {}}
    # Starts are settled on the host and change no shape.
    chosen.start.max_kick = None
    chosen.ppo.update(num_envs=worlds, horizon=horizon, minibatch_size=worlds * horizon // steps)
    env = envs.load(chosen.env, chosen)
    init, train_iteration = ppo.make_train(
        env, chosen.ppo, initial_action=jnp.asarray(env.initial_action), one_hot_mask=jnp.asarray(env.one_hot_mask)
    )
    place = jax.sharding.SingleDeviceSharding(_device(chip))
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        jax.eval_shape(init, jax.random.key(0)),
    )
    traced = jax.jit(train_iteration, donate_argnums=0).trace(shapes)
    began = time.perf_counter()
    compiled = traced.lower(lowering_platforms=("tpu",)).compile()
    seconds = time.perf_counter() - began
    memory = compiled.memory_analysis()
    held = memory.argument_size_in_bytes + memory.temp_size_in_bytes + memory.output_size_in_bytes
    traffic = Program(compiled.as_text(), trips=int(env.scene.model.opt.iterations)).traffic()
    return {
        "worlds": worlds,
        "horizon": horizon,
        "compile_s": seconds,
        "memory_bytes": int(held - memory.alias_size_in_bytes + memory.generated_code_size_in_bytes),
        "bytes_moved": traffic.bytes_moved,
        "operations": traffic.operations,
        "gathers": traffic.gathers,
        "matrix_flops": matrix_flops(traced.jaxpr),
    }


def estimate_times(record: Record, chip: Chip = V5E) -> Record:
    """memory_share: of the chip's memory. memory_s, matrix_s: estimated time of an iteration for moving what its
    program moves, and for its large products, at the chip's ceilings; launch_s: `INSTRUCTION` for each instruction."""
    return {
        "memory_share": record["memory_bytes"] / chip.memory,
        "memory_s": record["bytes_moved"] / chip.bytes_per_s,
        "matrix_s": record["matrix_flops"] / chip.flops,
        "launch_s": record["operations"] * INSTRUCTION,
    }


def matrix_flops(jaxpr: Any) -> float:
    """Operations of all matrix products of a closed jaxpr, loops of known length counted in full, others once."""
    total = 0.0
    for equation in jaxpr.jaxpr.eqns if hasattr(jaxpr, "jaxpr") else jaxpr.eqns:
        inner = [value for value in equation.params.values() if hasattr(value, "eqns") or hasattr(value, "jaxpr")]
        number = equation.params["length"] if equation.primitive.name == "scan" else 1
        total += number * sum(map(matrix_flops, inner))
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += 2 * np.prod(equation.outvars[0].aval.shape) * np.prod([left[axis] for axis in contracted])
    return float(total)


def _device(chip: Chip) -> Any:
    """One described chip."""
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    try:
        import libtpu  # noqa: F401
    except ImportError as error:
        raise ImportError("compiling for a TPU needs its compiler: pip install libtpu") from error
    from jax.experimental import topologies

    describe: Callable[..., Any] = topologies.get_topology_desc
    return describe(chip.topology, platform="tpu").devices[0]
