"""What a compiled engine says of its model, in one form for all engines; read back from it, never from options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import mujoco
import numpy as np

from mjx_skillmimic.model.build import FLOOR, OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import pd

NAMES = (*BODIES, OBJECT)
# Kinds of contacts that have materials of their own, with a pair of geoms of each.
MATERIALS = {
    "ball on floor": (OBJECT, FLOOR),
    "ball on body": (OBJECT, "Pelvis"),
    "body on floor": ("Pelvis", FLOOR),
    "body on body": ("L_Hip", "R_Hip"),
}
_PROBE = 0.01  # rad and rad/s


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of 53 bodies and, last, the object: mass (54,) kg, com (54, 3) m and inertia (54, 3, 3) kg·m² about it, both in
    the body's axes. Of 52 joints: joint_place (52, 3) m and joint_turn (52, 4), the child's frame in its parent's at
    rest. Of 156 dofs: stiffness N·m/rad, damping N·m·s/rad, armature kg·m², effort_limit N·m, range rad and
    speed_limit rad/s (± from zero), inf without a limit. folded: damping and armature carry the implicit PD step.
    shapes: by geom the kind and its sizes, m. pairs: pairs of bodies that may touch. friction, restitution: by kind of
    contact, numbers or words. settings: everything else, by name.
    """

    engine: str
    folded: bool
    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    joint_place: np.ndarray
    joint_turn: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    armature: np.ndarray
    effort_limit: np.ndarray
    range: np.ndarray
    speed_limit: np.ndarray
    shapes: Mapping[str, tuple[str, tuple[float, ...]]]
    pairs: frozenset[frozenset[str]]
    friction: Mapping[str, float | str]
    restitution: Mapping[str, float | str]
    settings: Mapping[str, float | str]

    def unfolded(self, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """kp, kd and armature (156,) of the servo that is meant (docs/physics.md)."""
        if not self.folded:
            return self.stiffness, self.damping, self.armature
        kd = self.damping - dt * self.stiffness
        return self.stiffness, kd, self.armature - dt * kd - dt * dt * self.stiffness


def facts_of(physics: Any) -> Facts:
    """The facts of an engine behind the door. Raises ValueError for an engine that nobody wrote them for."""
    found: dict[str, Callable[[Any], Facts]] = {"mujoco": _mujoco, "mjx-jax": _mjx_jax, "mjx-warp": _mjx_warp}
    if physics.name == "physx":
        from mjx_skillmimic.evaluation.parity.facts_physx import facts

        return facts(physics)
    if physics.name not in found:
        raise ValueError(f"no facts of the engine {physics.name!r}; there are {', '.join(found)}, physx")
    return found[physics.name](physics)


def _mujoco(physics: Any) -> Facts:
    """From the model that MuJoCo C simulates, servos as its actuators."""
    model: mujoco.MjModel = physics.model
    order = np.argsort(physics.scene.servos.dof)
    limited = model.actuator_forcelimited.astype(bool)
    return _common(
        physics.scene,
        model,
        engine="mujoco",
        stiffness=model.actuator_gainprm[order, 0],
        damping=-model.actuator_biasprm[order, 2],
        effort_limit=np.where(limited, model.actuator_forcerange[:, 1], np.inf)[order],
    )


def _mjx_jax(physics: Any) -> Facts:
    """From the arrays on the JAX side; the servos by trying them out."""
    device = physics._model
    names = ("body_mass", "body_ipos", "body_inertia", "body_iquat", "body_pos", "body_quat", "dof_armature")
    arrays = {name: np.asarray(getattr(device, name), np.float64) for name in names}
    return _common(physics.scene, physics._model, "mjx-jax", **_probed(physics.scene), **arrays)


def _mjx_warp(physics: Any) -> Facts:
    """With fused kernels from their own blocks, which carry mass properties and servos; else from MJX's arrays."""
    if physics.kernels != "fused":
        names = ("body_mass", "body_ipos", "body_inertia", "body_iquat", "body_pos", "body_quat", "dof_armature")
        arrays = {name: np.asarray(getattr(physics._model, name), np.float64) for name in names}
        return _common(physics.scene, physics._mj_model, "mjx-warp", **_probed(physics.scene), **arrays)
    facts = _common(physics.scene, physics._mj_model, "mjx-warp", **_probed(physics.scene))
    blocks, model = physics._fused.blocks, physics._mj_model
    by_dof = {int(adr): i for i, adr in enumerate(blocks.vadr)}
    ids = [*physics.scene.humanoid_body_ids, physics.scene.object_body_id]
    # a free joint is a translation and a ball; the ball carries the body
    of = [by_dof[int(model.body_dofadr[b]) + (3 if model.body_dofnum[b] == 6 else 0)] for b in ids]
    xx, yy, zz, xy, xz, yz = blocks.inertia[of].T
    rows = of[1:-1]
    return dataclasses.replace(
        facts,
        mass=blocks.mass[of],
        com=blocks.com[of],
        inertia=np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), -1, 0),
        joint_place=blocks.pos[rows],
        joint_turn=blocks.quat[rows],
        stiffness=blocks.stiffness[rows].ravel(),
        damping=blocks.damping[rows].ravel(),
        armature=blocks.armature[rows].ravel(),
    )


def _common(scene: Scene, model: Any, engine: str, **given: np.ndarray) -> Facts:
    """What all engines with MuJoCo's model share; `given` replaces arrays of the model, or adds those of the servos."""
    compiled = model if isinstance(model, mujoco.MjModel) else scene.model
    read = lambda name: given.pop(name) if name in given else getattr(compiled, name)  # noqa: E731
    ids = np.array([*scene.humanoid_body_ids, scene.object_body_id])
    turn = np.array([_matrix(quat) for quat in read("body_iquat")[ids]])
    moments = read("body_inertia")[ids]
    return Facts(
        engine=engine,
        folded=True,
        mass=read("body_mass")[ids],
        com=read("body_ipos")[ids],
        inertia=np.einsum("bij,bj,bkj->bik", turn, moments, turn),
        joint_place=read("body_pos")[ids[1:-1]],
        joint_turn=read("body_quat")[ids[1:-1]],
        armature=read("dof_armature")[scene.servos.dof],
        range=np.where(compiled.jnt_limited[compiled.dof_jntid[scene.servos.dof]], np.pi, np.inf),
        speed_limit=np.full(len(scene.servos.dof), np.inf),
        shapes=_shapes(compiled),
        pairs=_pairs(compiled),
        friction={kind: _material(compiled, *pair)[0] for kind, pair in MATERIALS.items()},
        restitution={kind: _material(compiled, *pair)[1] for kind, pair in MATERIALS.items()},
        settings=_settings(scene, compiled),
        **given,
    )


def _probed(scene: Scene) -> dict[str, np.ndarray]:
    """Stiffness and damping (S,) of the torque that the MJX engines apply, by its differences, and its limit."""
    qpos, qvel = scene.model.qpos0.copy(), np.zeros(scene.model.nv)
    rest = pd.servo_torque(scene, qpos, qvel, np.zeros(156))
    stiffness, damping = np.empty(len(rest)), np.empty(len(rest))
    for i, (joint, axis, dof) in enumerate(zip(scene.servos.joint, scene.servos.axis, scene.servos.dof, strict=True)):
        target, rate = np.zeros(156), qvel.copy()
        target[3 * joint : 3 * joint + 3], rate[dof] = _PROBE * axis, _PROBE
        stiffness[i] = (pd.servo_torque(scene, qpos, qvel, target) - rest)[i] / _PROBE
        damping[i] = -(pd.servo_torque(scene, qpos, rate, np.zeros(156)) - rest)[i] / _PROBE
    most = np.abs(pd.servo_torque(scene, qpos, qvel - 1e9, np.zeros(156)))
    return {"stiffness": stiffness, "damping": damping, "effort_limit": np.where(most < 1e8, most, np.inf)}


def _matrix(quat: np.ndarray) -> np.ndarray:
    out = np.empty(9)
    mujoco.mju_quat2Mat(out, np.asarray(quat, np.float64))
    return out.reshape(3, 3)


def _shapes(model: mujoco.MjModel) -> dict[str, tuple[str, tuple[float, ...]]]:
    used = {mujoco.mjtGeom.mjGEOM_SPHERE: 1, mujoco.mjtGeom.mjGEOM_CAPSULE: 2, mujoco.mjtGeom.mjGEOM_BOX: 3}
    found = {}
    for geom in range(model.ngeom):
        kind = mujoco.mjtGeom(int(model.geom_type[geom]))
        size = tuple(float(x) for x in model.geom_size[geom][: used.get(kind, 0)])
        found[model.geom(geom).name] = (kind.name.removeprefix("mjGEOM_").lower(), size)
    return found


def _pairs(model: mujoco.MjModel) -> frozenset[frozenset[str]]:
    """MuJoCo's rule: bits of the geoms, explicit pairs, no excluded ones, no parent with its child."""
    of = model.geom_bodyid
    name = lambda body: model.body(int(body)).name if body else FLOOR  # noqa: E731
    pairs = {frozenset((name(of[a]), name(of[b]))) for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)}
    out = {frozenset((int(s) >> 16, int(s) & 0xFFFF)) for s in model.exclude_signature}
    types, affinities = model.geom_contype, model.geom_conaffinity
    meet = (types[:, None] & affinities) | (types & affinities[:, None])
    for a, b in zip(*np.nonzero(np.triu(meet, 1)), strict=True):
        first, second = int(of[a]), int(of[b])
        parents = {(int(model.body_parentid[x]), x) for x in (first, second) if model.body_parentid[x]}
        near = first == second or (first, second) in parents or (second, first) in parents
        if not near and frozenset((first, second)) not in out:
            pairs.add(frozenset((name(first), name(second))))
    return frozenset(pairs)


def _material(model: mujoco.MjModel, first: str, second: str) -> tuple[float, str]:
    """Friction coefficient, and what stands for restitution, of a contact of two geoms."""
    a, b = model.geom(first).id, model.geom(second).id
    for pair in range(model.npair):
        if {int(model.pair_geom1[pair]), int(model.pair_geom2[pair])} == {a, b}:
            return float(model.pair_friction[pair, 0]), _soft(model.pair_solref[pair], model.pair_solimp[pair])
    priority = model.geom_priority
    if priority[a] != priority[b]:
        geom = a if priority[a] > priority[b] else b
        return float(model.geom_friction[geom, 0]), _soft(model.geom_solref[geom], model.geom_solimp[geom])
    friction = max(float(model.geom_friction[a, 0]), float(model.geom_friction[b, 0]))
    solref, solimp = (0.5 * (x[a] + x[b]) for x in (model.geom_solref, model.geom_solimp))
    return friction, _soft(solref, solimp)


def _soft(solref: np.ndarray, solimp: np.ndarray) -> str:
    return f"solref {solref[0]:g} {solref[1]:g}, solimp {' '.join(f'{x:g}' for x in solimp)}"


def _settings(scene: Scene, model: mujoco.MjModel) -> dict[str, float | str]:
    option = model.opt
    return {
        "gravity m/s²": float(option.gravity[2]),
        "physics step s": float(option.timestep),
        "physics steps a control step": scene.substeps,
        "solver": mujoco.mjtSolver(int(option.solver)).name.removeprefix("mjSOL_").title(),
        "iterations": int(option.iterations),
        "friction cone": mujoco.mjtCone(int(option.cone)).name.removeprefix("mjCONE_").lower(),
        "contact margin m": float(model.geom_margin.max()),
        "linear damping 1/s": 0.0,
        "angular damping 1/s": 0.0,
    }
