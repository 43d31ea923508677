# mypy: ignore-errors
# Warp reads calls in annotations, such as wp.array(dtype=int); mypy does not know them.
"""What the fused kernels take: Warp structs of constants, sizes and settings.

No `from __future__ import annotations` here: Warp reads the annotations.
"""

from typing import Any

import numpy as np
import warp as wp

from mjx_skillmimic.physics.fused.tree import Blocks

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


@wp.struct
class Sizes:
    """Of the model, and the threads that work on a world in each kernel."""

    nq: int
    nv: int
    ntarget: int
    ngeom: int
    nbody: int
    nlevel: int
    smooth_lanes: int
    contact_lanes: int


@wp.struct
class Servos:
    """gravity m/s²; effort_limit N·m, 0: none."""

    gravity: wp.vec3
    effort_limit: float


@wp.struct
class Room:
    """contacts: of a world, shared_contacts: of all; words: workspace of a thread block; lost_bits: of Warp's overflow
    flag that mean lost contacts."""

    contacts: int
    shared_contacts: int
    words: int
    lost_bits: int


@wp.struct
class Solver:
    """Limits of both loops; the cost's scale and its tolerance; timestep s; fresh: whether forces and edges begin anew;
    share: what a substep's forces count for."""

    iterations: int
    searches: int
    scale: float
    tolerance: float
    timestep: float
    fresh: int
    share: float


def filled(struct: Any, **values: Any) -> Any:
    """An instance of a Warp struct with these fields."""
    made = struct()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def tree_on_device(blocks: Blocks) -> Tree:
    """`blocks` as a kernel argument, on Warp's current device."""
    tree = Tree()
    for name in Tree.vars:
        value = getattr(blocks, name)
        is_int = np.issubdtype(value.dtype, np.integer)
        setattr(tree, name, wp.array(value.astype(np.int32 if is_int else np.float32).reshape(-1)))
    return tree
