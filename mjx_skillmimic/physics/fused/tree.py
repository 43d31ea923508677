"""A compiled scene as the fused kernels want it: joints of at most three degrees of freedom, sorted by depth."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import variants

TRANSLATION, BALL, HINGE = 0, 1, 2
MAX_BLOCKS = 64  # the ancestors of a block are a 64-bit mask
LEAST_FRICTION = 0.1
_DISABLED = mujoco.mjtDisableBit
_KNOWN_FLAGS = int(_DISABLED.mjDSBL_EULERDAMP) | int(_DISABLED.mjDSBL_NATIVECCD)


@dataclasses.dataclass
class Blocks:
    """B blocks, parents before children, siblings side by side; a free joint is a translation and a ball.

    parent, kind, child (first), children (count), qadr, vadr, root_qadr (of the tree's position), servo (first of its
    three columns of the target, −1: none) are (B,) int; pos (B, 3) m and quat (B, 4) the fixed step from the parent's
    frame; axis and servo_axis (B, 3); mass (B,) kg, com (B, 3) m and inertia (B, 6) kg·m² about it (xx, yy, zz, xy, xz,
    yz) of all bodies rigid on the block; armature, stiffness, damping (B, 3). level_begin (levels + 1,). geom_*: block
    (−1: fixed to the world), place in it, body and contact-graph node. body_invweight (nbody,) 1/kg. edge_bits (16,):
    bit e of entry 4 a + b is set if a contact of nodes a and b is edge e. mask_low, mask_high (B,) int32: the block and
    its ancestors as the bits of one 64-bit number.
    """

    parent: np.ndarray
    kind: np.ndarray
    child: np.ndarray
    children: np.ndarray
    qadr: np.ndarray
    vadr: np.ndarray
    root_qadr: np.ndarray
    servo: np.ndarray
    pos: np.ndarray
    quat: np.ndarray
    axis: np.ndarray
    servo_axis: np.ndarray
    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    armature: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    level_begin: np.ndarray
    geom_block: np.ndarray
    geom_body: np.ndarray
    geom_node: np.ndarray
    geom_pos: np.ndarray
    geom_quat: np.ndarray
    body_invweight: np.ndarray
    edge_bits: np.ndarray
    mask_low: np.ndarray
    mask_high: np.ndarray

    @property
    def count(self) -> int:
        return len(self.parent)

    def chain(self, block: int) -> set[int]:
        """The block and all its ancestors."""
        found: set[int] = set()
        while block >= 0:
            found.add(int(block))
            block = int(self.parent[block])
        return found

    def longest_pair(self) -> int:
        """Blocks on the chains of the two geoms of a contact, at most."""
        chains = [frozenset(self.chain(b)) for b in {int(b) for b in self.geom_block if b >= 0}]
        return max(len(a | b) for a in chains for b in chains)


def check_supported(model: mujoco.MjModel) -> None:
    """Raises ValueError naming what of the model the fused kernels do not compute."""
    unsupported = {
        "equality constraints": model.neq,
        "tendons": model.ntendon,
        "limited joints": int(model.jnt_limited.sum()),
        "friction loss": int(np.count_nonzero(model.dof_frictionloss)),
        "joint damping": int(np.count_nonzero(model.dof_damping)),
        "joint stiffness": int(np.count_nonzero(model.jnt_stiffness)),
        "gravity compensation": int(np.count_nonzero(model.body_gravcomp)),
        "slide joints": int(np.sum(model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE)),
        "actuators": model.nu,
        "joint anchors off the body": int(np.count_nonzero(model.jnt_pos)),
        "contacts other than condim 3": int(
            np.sum((model.geom_condim != 3) & ((model.geom_contype | model.geom_conaffinity) > 0))
            + np.sum(model.pair_dim != 3)
        ),
        # the pyramid's edges become so stiff that Newton's method in float32 no longer ends
        f"friction below {LEAST_FRICTION}": int(np.sum(model.geom_friction[:, 0] < LEAST_FRICTION)),
        "disabled or enabled features": int(bool(model.opt.disableflags & ~_KNOWN_FLAGS or model.opt.enableflags)),
        "elliptic cones": int(model.opt.cone != mujoco.mjtCone.mjCONE_PYRAMIDAL),
        "impratio other than 1": int(model.opt.impratio != 1.0),
        "fluid forces": int(model.opt.density != 0.0 or model.opt.viscosity != 0.0),
        "a solver other than Newton": int(model.opt.solver != mujoco.mjtSolver.mjSOL_NEWTON),
        "an integrator other than Euler": int(model.opt.integrator != mujoco.mjtIntegrator.mjINT_EULER),
        "implicit damping": int(not model.opt.disableflags & _DISABLED.mjDSBL_EULERDAMP),
    }
    if found := [f"{name} ({number})" for name, number in unsupported.items() if number]:
        raise ValueError(f"the fused kernels do not compute {', '.join(found)}; use kernels='mujoco_warp'")


def build_blocks(scene: Scene, model: mujoco.MjModel) -> Blocks:
    """The blocks of `model`, which is `scene` without actuators.

    Raises ValueError for a model that the kernels cannot compute.
    """
    check_supported(model)
    rows: list[dict] = []
    block_of = np.full(model.nbody, -1)
    frame: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(3), np.array([1.0, 0, 0, 0]))]  # body in its block
    for body in range(1, model.nbody):
        parent, joints = int(model.body_parentid[body]), int(model.body_jntnum[body])
        pos, quat = _compose(frame[parent], (model.body_pos[body], model.body_quat[body]))
        if joints > 1 or (joints == 0 and block_of[parent] < 0):
            raise ValueError(f"body {model.body(body).name!r} has {joints} joints; expected one, or a moving parent")
        if joints == 0:
            block_of[body] = block_of[parent]
            frame.append((pos, quat))
            continue
        joint = int(model.body_jntadr[body])
        kind, q, v = int(model.jnt_type[joint]), int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        free = kind == mujoco.mjtJoint.mjJNT_FREE
        if free != (parent == 0):
            raise ValueError(f"body {model.body(body).name!r}: expected free joints on the world and only there")
        if free:
            rows.append(_row(-1, TRANSLATION, q, v, np.zeros(3), np.array([1.0, 0, 0, 0]), root=q))
            pos, quat, q, v = np.zeros(3), np.array([1.0, 0, 0, 0]), q + 3, v + 3
        above = len(rows) - 1 if free else int(block_of[parent])
        hinge = kind == mujoco.mjtJoint.mjJNT_HINGE
        row = _row(above, HINGE if hinge else BALL, q, v, pos, quat, root=rows[above]["root_qadr"])
        dofs = slice(v, v + (1 if hinge else 3))
        row["axis"] = model.jnt_axis[joint] if hinge else np.zeros(3)
        row["armature"][: 1 if hinge else 3] = model.dof_armature[dofs]
        block_of[body] = len(rows)
        rows.append(row)
        frame.append((np.zeros(3), np.array([1.0, 0, 0, 0])))
    for body in range(1, model.nbody):
        _add_body(rows[block_of[body]], model, body, frame[body])
    _add_servos(rows, scene)
    return _sorted(rows, block_of, frame, scene, model)


def _row(parent: int, kind: int, q: int, v: int, pos: np.ndarray, quat: np.ndarray, root: int) -> dict:
    row = {"parent": parent, "kind": kind, "qadr": q, "vadr": v, "pos": pos, "quat": quat, "root_qadr": root}
    row |= {"servo": -1, "mass": 0.0, "moment": np.zeros(3), "about_origin": np.zeros((3, 3))}
    return row | {name: np.zeros(3) for name in ("axis", "servo_axis", "armature", "stiffness", "damping")}


def _compose(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    pos, quat = np.empty(3), np.empty(4)
    mujoco.mju_rotVecQuat(pos, np.asarray(b[0], float), a[1])
    mujoco.mju_mulQuat(quat, a[1], np.asarray(b[1], float))
    return a[0] + pos, quat


def _matrix(quat: np.ndarray) -> np.ndarray:
    out = np.empty(9)
    mujoco.mju_quat2Mat(out, quat)
    return out.reshape(3, 3)


def _add_body(row: dict, model: mujoco.MjModel, body: int, frame: tuple[np.ndarray, np.ndarray]) -> None:
    """Adds mass, first moment and inertia about the block's origin."""
    com, quat = _compose(frame, (model.body_ipos[body], model.body_iquat[body]))
    turn, mass = _matrix(quat), float(model.body_mass[body])
    row["mass"] += mass
    row["moment"] += mass * com
    row["about_origin"] += turn @ np.diag(model.body_inertia[body]) @ turn.T
    row["about_origin"] += mass * (com @ com * np.eye(3) - np.outer(com, com))


def _add_servos(rows: list[dict], scene: Scene) -> None:
    servos = scene.servos
    by_dof = {row["vadr"]: row for row in rows}
    for i, (dof, joint) in enumerate(zip(servos.dof, servos.joint, strict=True)):
        first = int(dof) if servos.is_hinge[i] else int(servos.dof[np.flatnonzero(servos.joint == joint)[0]])
        row = by_dof[first]
        row["servo"] = 3 * int(joint)
        row["servo_axis"] = servos.axis[i] if servos.is_hinge[i] else np.zeros(3)
        row["stiffness"][int(dof) - first] = servos.kp[i]
        row["damping"][int(dof) - first] = servos.kd[i] + scene.timestep * servos.kp[i]


def _sorted(rows: list[dict], block_of: np.ndarray, frame: list, scene: Scene, model: mujoco.MjModel) -> Blocks:
    depth: list[int] = []
    for row in rows:
        depth.append(depth[row["parent"]] + 1 if row["parent"] >= 0 else 0)
    rank: dict[int, int] = {-1: -1}
    for level in range(max(depth) + 1):
        for i in sorted((i for i, d in enumerate(depth) if d == level), key=lambda i: (rank[rows[i]["parent"]], i)):
            rank[i] = len(rank) - 1
    order = sorted(range(len(rows)), key=lambda i: rank[i])
    if len(rows) > MAX_BLOCKS:
        raise ValueError(f"{len(rows)} joints of at most 3 dofs; the fused kernels hold {MAX_BLOCKS}")
    parent = np.array([rank[rows[i]["parent"]] for i in order])
    com = [rows[i]["moment"] / max(rows[i]["mass"], 1e-30) for i in order]
    inertia = []
    for i, c in zip(order, com, strict=True):
        full = rows[i]["about_origin"] - rows[i]["mass"] * (c @ c * np.eye(3) - np.outer(c, c))
        inertia.append(full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]])
    children = [np.flatnonzero(parent == b) for b in range(len(rows))]
    geoms = [_compose(frame[body], (model.geom_pos[g], model.geom_quat[g])) for g, body in enumerate(model.geom_bodyid)]
    field = {
        name: np.array([rows[i][name] for i in order]) for name in rows[0] if name not in ("moment", "about_origin")
    }
    field |= {"parent": parent, "com": np.array(com), "inertia": np.array(inertia)}
    masks = np.zeros(len(rows), np.uint64)
    for b, above in enumerate(parent):
        masks[b] = np.uint64(1 << b) | (masks[above] if above >= 0 else np.uint64(0))
    bits = (variants.edge_table() * (1 << np.arange(3))).sum(axis=-1).reshape(-1)
    return Blocks(
        **field,
        child=np.array([c[0] if len(c) else 0 for c in children]),
        children=np.array([len(c) for c in children]),
        level_begin=np.searchsorted(np.array([depth[i] for i in order]), np.arange(max(depth) + 2)),
        geom_block=np.array([rank[int(block_of[body])] for body in model.geom_bodyid]),
        geom_body=model.geom_bodyid.copy(),
        geom_node=variants.geom_nodes(scene, model),
        geom_pos=np.array([pos for pos, _ in geoms]),
        geom_quat=np.array([quat for _, quat in geoms]),
        body_invweight=model.body_invweight0[:, 0].copy(),
        edge_bits=bits,
        mask_low=(masks & 0xFFFFFFFF).astype(np.uint32).view(np.int32),
        mask_high=(masks >> 32).astype(np.uint32).view(np.int32),
    )
