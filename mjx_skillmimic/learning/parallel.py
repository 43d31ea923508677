"""A training state over devices: its worlds in equal blocks, everything else the same on all of them.

Each device runs the whole iteration on its own worlds (`jax.shard_map`), so that an engine sees local shapes and sizes
its buffers by them; gradients, statistics and metrics are averaged over the axis `AXIS`. Random numbers are a world's
and not a device's (`learning.axis`), and a state is stored in the order of the worlds: a run may be resumed on another
number of devices.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from mjx_skillmimic.learning import seeds
from mjx_skillmimic.learning.options import PPOOptions, check_split, from_mapping
from mjx_skillmimic.learning.ppo import Init, TrainIteration

AXIS = "devices"
MakeTrain = Callable[..., tuple[Init, TrainIteration]]


class DeviceError(ValueError):
    """Devices that are not there, or a number of worlds that does not split over them."""


@dataclasses.dataclass(frozen=True)
class Program:
    """`init(key)` and `train_iteration(state)` for all devices and seeds; with several seeds, init takes keys (S,).

    worlds: a tree like the state, true where a leaf's first axis is the worlds. seeds: how many; above one, leaves get
    a leading axis of seeds, apart from those that no world and no seed changes (`learning.seeds`).
    """

    init: Init
    train_iteration: TrainIteration
    worlds: Any = None
    seeds: int = 1

    def keys(self, seed: int, fold: int | None = None) -> Array:
        """The key of a run's seed, or those of seed, seed + 1, … (S,); `fold` gives other ones."""
        keys = seeds.keys(seed, self.seeds)
        keys = keys if fold is None else jax.vmap(lambda key: jax.random.fold_in(key, fold))(keys)
        return keys if self.seeds > 1 else keys[0]

    def member(self, state: Any, seed: int) -> Any:
        """The state of one seed; the state itself if there is only one."""
        return state if self.seeds == 1 else seeds.member(state, seed, seeds.axes(self.worlds))


def make_mesh(devices: int = 0) -> Mesh | None:
    """A mesh over `devices` devices, 0 for all of all processes; None for a single one.

    Raises DeviceError if there are not that many, or for less than all of them with several processes.
    """
    there = jax.devices()
    count = devices or len(there)
    if count > len(there) or (jax.process_count() > 1 and count != len(there)):
        raise DeviceError(
            f"run.devices = {devices}, but JAX sees {len(there)} {there[0].platform} devices in {jax.process_count()} "
            f"processes: expected {'0' if jax.process_count() > 1 else f'0 (all) to {len(there)}'}"
        )
    return Mesh(np.asarray(there[:count]), (AXIS,)) if count > 1 else None


def assemble(
    make_train: MakeTrain, env: Any, ppo: PPOOptions | Mapping[str, Any], mesh: Mesh | None = None, num_seeds: int = 1
) -> Program:
    """What `make_train(env, ppo)` gives, over the devices of `mesh` and for `num_seeds` seeds at once.

    `make_train` gets the keyword axis_name where there is a mesh. Raises DeviceError if worlds, minibatches and
    `shuffle_groups` do not split over the devices.
    """
    if mesh is None and num_seeds == 1:
        return Program(*make_train(env, ppo))
    options = ppo if isinstance(ppo, PPOOptions) else from_mapping(ppo)
    if mesh is not None:
        try:
            check_split(options, mesh.size)
        except ValueError as error:
            raise DeviceError(f"ppo cannot be split over {mesh.size} devices (run.devices): {error}") from error
    worlds = find_worlds(make_train, env, options)
    folded = seeds.FoldedEnv(env) if num_seeds > 1 else env
    split = {} if mesh is None else {"axis_name": AXIS}
    init, train_iteration = make_train(folded, options, **split)
    if num_seeds > 1:
        init, train_iteration = seeds.vectorize(init, train_iteration, seeds.axes(worlds))
    if mesh is not None:
        block = PartitionSpec(None, AXIS) if num_seeds > 1 else PartitionSpec(AXIS)
        layout = jax.tree.map(lambda per_world: block if per_world else PartitionSpec(), worlds)
        # Unchecked: the engines' calls into C and CUDA carry no proof of what varies over devices.
        over = functools.partial(jax.shard_map, mesh=mesh, check_vma=False)
        init = over(init, in_specs=PartitionSpec(), out_specs=layout)
        train_iteration = over(train_iteration, in_specs=(layout,), out_specs=(layout, PartitionSpec()))
    return Program(init, train_iteration, worlds, num_seeds)


def find_worlds(make_train: MakeTrain, env: Any, options: PPOOptions) -> Any:
    """A tree like the training state: true for leaves with one row a world, which are those that grow with num_envs."""

    def shapes(num_envs: int) -> Any:
        init, _ = make_train(env, dataclasses.replace(options, num_envs=num_envs))
        return jax.eval_shape(init, jax.random.key(0))

    one, two = shapes(options.num_envs), shapes(2 * options.num_envs)
    return jax.tree.map(lambda a, b: a.shape != b.shape, one, two)


def on_first_device(tree: Any) -> Any:
    """Leaves that are the same on all devices, as arrays of this process's first; others as they are."""

    def one(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1 and leaf.is_fully_replicated:
            return leaf.addressable_data(0)
        return leaf

    return jax.tree.map(one, tree)
