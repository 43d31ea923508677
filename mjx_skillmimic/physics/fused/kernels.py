# mypy: ignore-errors
# Warp reads calls in annotations, such as wp.array(dtype=int), and overloads wp.tid(); mypy knows neither.
"""The fused kernels as Warp kernels: native text from the .cu files of this folder, sized for one tree.

No `from __future__ import annotations` here: Warp reads the annotations of kernels and native functions.
"""

import functools
from importlib import resources
from typing import Any

import numpy as np
import warp as wp

from mjx_skillmimic.physics.fused.tree import Blocks

RECORD = 54  # floats that smooth.cu keeps a block: Y 18, Z 18, C^-1 6, velocity 6, acceleration 6
CONTACT_WORDS = 57  # words that rows.cu keeps a contact, besides the matrices
TREE_WORDS = 51  # words that advance.cu keeps a block
SMOOTH_LANES = 32
CONTACT_LANES = 64
SHARED_WORDS = 5000  # of a world's contacts; more shared memory would leave room for fewer worlds on a multiprocessor

vec5 = wp.types.vector(length=5, dtype=float)


@wp.struct
class Tree:
    """`tree.Blocks` on the device."""

    parent: wp.array(dtype=int)
    kind: wp.array(dtype=int)
    child: wp.array(dtype=int)
    children: wp.array(dtype=int)
    qadr: wp.array(dtype=int)
    vadr: wp.array(dtype=int)
    root_qadr: wp.array(dtype=int)
    servo: wp.array(dtype=int)
    pos: wp.array(dtype=float)
    quat: wp.array(dtype=float)
    axis: wp.array(dtype=float)
    servo_axis: wp.array(dtype=float)
    mass: wp.array(dtype=float)
    com: wp.array(dtype=float)
    inertia: wp.array(dtype=float)
    armature: wp.array(dtype=float)
    stiffness: wp.array(dtype=float)
    damping: wp.array(dtype=float)
    level_begin: wp.array(dtype=int)
    geom_block: wp.array(dtype=int)
    geom_body: wp.array(dtype=int)
    geom_node: wp.array(dtype=int)
    geom_pos: wp.array(dtype=float)
    geom_quat: wp.array(dtype=float)
    body_invweight: wp.array(dtype=float)
    edge_bits: wp.array(dtype=int)
    mask_low: wp.array(dtype=int)
    mask_high: wp.array(dtype=int)


@wp.struct
class Contacts:
    """The fields of MuJoCo Warp's contact buffer that the solver reads; `number` counts the contacts of a pair."""

    dist: wp.array(dtype=float)
    margin: wp.array(dtype=float)
    pos: wp.array(dtype=wp.vec3)
    frame: wp.array(dtype=wp.mat33)
    friction: wp.array(dtype=vec5)
    solref: wp.array(dtype=wp.vec2)
    solimp: wp.array(dtype=vec5)
    geom: wp.array(dtype=wp.vec2i)
    number: wp.array(dtype=int)


def tree_on_device(blocks: Blocks) -> Tree:
    """`blocks` as a kernel argument, on Warp's current device."""
    tree = Tree()
    for name in Tree.vars:
        value = getattr(blocks, name)
        is_int = np.issubdtype(value.dtype, np.integer)
        setattr(tree, name, wp.array(value.astype(np.int32 if is_int else np.float32).reshape(-1)))
    return tree


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
        nq: int,
        nv: int,
        ntarget: int,
        ngeom: int,
        nlevel: int,
        gravity: wp.vec3,
        effort_limit: float,
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
        lanes: int,
        nq: int,
        nv: int,
        ntarget: int,
        ngeom: int,
        nlevel: int,
        gravity: wp.vec3,
        effort_limit: float,
        tree: Tree,
        qpos: wp.array2d(dtype=float),
        qvel: wp.array2d(dtype=float),
        target: wp.array2d(dtype=float),
        record: wp.array(dtype=float),
        qacc_smooth: wp.array2d(dtype=float),
        geom_xpos: wp.array2d(dtype=wp.vec3),
        geom_xmat: wp.array2d(dtype=wp.mat33),
    ):
        world = wp.tid() // lanes
        smooth_world(
            world, nq, nv, ntarget, ngeom, nlevel, gravity, effort_limit, tree, qpos, qvel, target, record,
            qacc_smooth, geom_xpos, geom_xmat,
        )  # fmt: skip

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
        nq: int,
        nv: int,
        ngeom: int,
        nbody: int,
        nlevel: int,
        limit: int,
        workspace_words: int,
        naconmax: int,
        iterations: int,
        searches: int,
        lost_bits: int,
        fresh: int,
        timestep: float,
        share: float,
        scale: float,
        tolerance: float,
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
        lanes: int,
        nworld: int,
        nq: int,
        nv: int,
        ngeom: int,
        nbody: int,
        nlevel: int,
        limit: int,
        workspace_words: int,
        naconmax: int,
        iterations: int,
        searches: int,
        lost_bits: int,
        fresh: int,
        timestep: float,
        share: float,
        scale: float,
        tolerance: float,
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
        slot = wp.tid() // lanes
        contact_worlds(
            slot, nworld, nq, nv, ngeom, nbody, nlevel, limit, workspace_words, naconmax, iterations, searches,
            lost_bits, fresh, timestep, share, scale, tolerance, tree, contacts, nacon, ncollision, engine_overflow,
            next_world, count, list, record, workspace, qpos, qvel, qacc_smooth, qpos_out, qvel_out, body_force, edges,
            overflow,
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
