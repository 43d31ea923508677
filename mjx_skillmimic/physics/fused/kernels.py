# mypy: ignore-errors
# Warp reads calls in annotations, such as wp.array(dtype=int), and overloads wp.tid(); mypy knows neither.
"""The fused kernels as Warp kernels: native text from the .cu files of this folder, sized for one tree.

No `from __future__ import annotations` here: Warp reads the annotations of kernels and native functions.
Warp wants the arguments written out twice, for the native function and for the kernel that calls it.
"""

import functools
from importlib import resources
from typing import Any

import warp as wp

from mjx_skillmimic.physics.fused.arguments import Contacts, Room, Servos, Sizes, Solver, Tree

RECORD = 54  # floats that smooth.cu keeps a block: Y 18, Z 18, C^-1 6, velocity 6, acceleration 6
CONTACT_WORDS = 57  # words that rows.cu keeps a contact, besides the matrices
TREE_WORDS = 51  # words that advance.cu keeps a block
SMOOTH_LANES = 32
CONTACT_LANES = 64
SHARED_WORDS = 5000  # of a world's contacts; more shared memory would leave room for fewer worlds on a multiprocessor


def words(contacts: int, blocks: int, slots: int) -> int:
    """Words that a world with this many contacts, each with `slots` blocks on its chains, needs in `rows.cu`."""
    n = 3 * contacts
    matrix, widest = -(-n * (n + 1) // 2 // 4) * 4, -(-n // 4) * 4
    matrices = matrix + max((widest + 1) * (widest + 4), 9 * contacts * slots)
    return -(-(max(matrices, TREE_WORDS * blocks) + CONTACT_WORDS * contacts + 4) // 4) * 4


def _text(*names: str, **sizes: int) -> str:
    folder = resources.files(__package__)
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in ("common.cuh", *names))
    for name, value in sizes.items():
        text = text.replace(f"@{name}@", str(value))
    return text


@functools.cache
def smooth_kernel(blocks: int) -> Any:
    """Kernel of `smooth.cu` for trees of this many blocks; launch with SMOOTH_LANES threads a world."""

    @wp.func_native(_text("smooth.cu", BLOCKS=blocks, RECORD=RECORD))
    def smooth_world(
        world: int,
        sizes: Sizes,
        servos: Servos,
        tree: Tree,
        qpos: wp.array2d(dtype=float),
        qvel: wp.array2d(dtype=float),
        target: wp.array2d(dtype=float),
        record: wp.array(dtype=float),
        qacc_smooth: wp.array2d(dtype=float),
        geom_xpos: wp.array2d(dtype=wp.vec3),
        geom_xmat: wp.array2d(dtype=wp.mat33),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def smooth(
        sizes: Sizes,
        servos: Servos,
        tree: Tree,
        qpos: wp.array2d(dtype=float),
        qvel: wp.array2d(dtype=float),
        target: wp.array2d(dtype=float),
        record: wp.array(dtype=float),
        qacc_smooth: wp.array2d(dtype=float),
        geom_xpos: wp.array2d(dtype=wp.vec3),
        geom_xmat: wp.array2d(dtype=wp.mat33),
    ):
        world = wp.tid() // sizes.smooth_lanes
        smooth_world(world, sizes, servos, tree, qpos, qvel, target, record, qacc_smooth, geom_xpos, geom_xmat)

    return smooth


@functools.cache
def contact_kernel(blocks: int) -> Any:
    """Kernel of `rows.cu`, `newton.cu` and `advance.cu`; launch with CONTACT_LANES threads a slot of the workspace."""
    sizes = {"BLOCKS": blocks, "RECORD": RECORD, "CONTACT_WORDS": CONTACT_WORDS, "TREE_WORDS": TREE_WORDS * blocks}
    sizes["WORDS"] = max(SHARED_WORDS, TREE_WORDS * blocks)

    @wp.func_native(_text("rows.cu", "newton.cu", "advance.cu", **sizes))
    def contact_worlds(
        slot: int,
        nworld: int,
        sizes: Sizes,
        room: Room,
        solver: Solver,
        tree: Tree,
        contacts: Contacts,
        nacon: wp.array(dtype=int),
        ncollision: wp.array(dtype=int),
        engine_overflow: wp.array(dtype=int),
        next_world: wp.array(dtype=int),
        count: wp.array(dtype=int),
        list: wp.array(dtype=int),
        record: wp.array(dtype=float),
        workspace: wp.array(dtype=float),
        qpos: wp.array2d(dtype=float),
        qvel: wp.array2d(dtype=float),
        qacc_smooth: wp.array2d(dtype=float),
        qpos_out: wp.array2d(dtype=float),
        qvel_out: wp.array2d(dtype=float),
        body_force: wp.array3d(dtype=float),
        edges: wp.array2d(dtype=int),
        overflow: wp.array(dtype=int),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def contact(
        nworld: int,
        sizes: Sizes,
        room: Room,
        solver: Solver,
        tree: Tree,
        contacts: Contacts,
        nacon: wp.array(dtype=int),
        ncollision: wp.array(dtype=int),
        engine_overflow: wp.array(dtype=int),
        next_world: wp.array(dtype=int),
        count: wp.array(dtype=int),
        list: wp.array(dtype=int),
        record: wp.array(dtype=float),
        workspace: wp.array(dtype=float),
        qpos: wp.array2d(dtype=float),
        qvel: wp.array2d(dtype=float),
        qacc_smooth: wp.array2d(dtype=float),
        qpos_out: wp.array2d(dtype=float),
        qvel_out: wp.array2d(dtype=float),
        body_force: wp.array3d(dtype=float),
        edges: wp.array2d(dtype=int),
        overflow: wp.array(dtype=int),
    ):
        slot = wp.tid() // sizes.contact_lanes
        contact_worlds(
            slot, nworld, sizes, room, solver, tree, contacts, nacon, ncollision, engine_overflow, next_world, count,
            list, record, workspace, qpos, qvel, qacc_smooth, qpos_out, qvel_out, body_force, edges, overflow,
        )  # fmt: skip

    return contact


@wp.kernel(enable_backward=False)
def sort_by_world(
    limit: int,
    naconmax: int,
    nacon: wp.array(dtype=int),
    dist: wp.array(dtype=float),
    margin: wp.array(dtype=float),
    kind: wp.array(dtype=int),
    world_of: wp.array(dtype=int),
    count: wp.array(dtype=int),
    list: wp.array(dtype=int),
):
    """Lists the contacts of each world; `count` is zero before. One thread a place in the contact buffer."""
    contact = wp.tid()
    if contact >= wp.min(nacon[0], naconmax):
        return
    if (kind[contact] & 1) == 0 or not (dist[contact] < margin[contact]):
        return
    world = world_of[contact]
    place = wp.atomic_add(count, world, 1)
    if place < limit:
        list[world * limit + place] = contact
