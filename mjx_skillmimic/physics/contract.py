"""What every engine promises, checked against a slow MuJoCo C loop that shares no code with the engines.

The loop uses no servos and no sensors: the PD is written out in NumPy, forces and edges come from walking through
MuJoCo's contacts.
"""

from __future__ import annotations

import dataclasses

import jax
import mujoco
import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES, HANDS, NUM_BODIES, NUM_JOINTS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import EDGES, Physics

FLAG_FORCE = 0.1  # N, the published threshold of "in contact" (skillmimic.md §6.3)
_LEGS = tuple(name for name in BODIES if name[2:] in ("Hip", "Knee", "Ankle", "Toe"))
_EDGE_OF = {
    frozenset(("hand", "object")): "hands_object",
    frozenset(("body", "object")): "body_object",
    frozenset(("hand", "body")): "hands_body",
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One control step of N worlds: qpos (N, nq), qvel (N, nv), force (N, 54, 3) on the bodies and, last, the object;
    edges (N, 3)."""

    qpos: np.ndarray
    qvel: np.ndarray
    force: np.ndarray
    edges: np.ndarray


def slow_step(scene: Scene, qpos: np.ndarray, qvel: np.ndarray, target: np.ndarray) -> Outcome:
    """The reference: qpos (N, nq), qvel (N, nv), target (N, 156), world by world and joint by joint."""
    model = scene.spec.copy().compile()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    model.opt.iterations, model.opt.ls_iterations = 100, 50
    data = mujoco.MjData(model)
    outcome = Outcome(
        np.empty((len(qpos), model.nq)),
        np.empty((len(qpos), model.nv)),
        np.zeros((len(qpos), NUM_BODIES + 1, 3)),
        np.zeros((len(qpos), len(EDGES)), bool),
    )
    for world in range(len(qpos)):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos[world], qvel[world]
        for _ in range(scene.substeps):
            _apply_pd(scene, model, data, target[world])
            mujoco.mj_step(model, data)
            _add_contacts(model, data, outcome.force[world], outcome.edges[world])
        outcome.qpos[world], outcome.qvel[world] = data.qpos, data.qvel
    outcome.force[:] /= scene.substeps
    return outcome


def _apply_pd(scene: Scene, model: mujoco.MjModel, data: mujoco.MjData, target: np.ndarray) -> None:
    rotation_vector = np.empty(3)
    for joint, name in enumerate(BODIES[1:]):
        q, v = int(model.joint(name).qposadr[0]), int(model.joint(name).dofadr[0])
        mujoco.mju_quat2Vel(rotation_vector, data.qpos[q : q + 4], 1.0)
        for axis in range(3):
            dof = 3 * joint + axis
            error = (target[dof] - rotation_vector[axis] + np.pi) % (2 * np.pi) - np.pi
            velocity = data.qvel[v + axis]
            torque = scene.kp[dof] * error - (scene.kd[dof] + scene.timestep * scene.kp[dof]) * velocity
            limit = scene.effort_limit or np.inf
            data.qfrc_applied[v + axis] = min(max(torque, -limit), limit)


def _add_contacts(model: mujoco.MjModel, data: mujoco.MjData, force: np.ndarray, edges: np.ndarray) -> None:
    names = (*BODIES, OBJECT)
    wrench = np.empty(6)
    for i, contact in enumerate(data.contact):
        mujoco.mj_contactForce(model, data, i, wrench)
        world = contact.frame.reshape(3, 3).T @ wrench[:3]
        nodes = []
        for geom, sign in ((contact.geom1, -1.0), (contact.geom2, 1.0)):
            body = model.body(model.geom_bodyid[geom]).name
            nodes.append("object" if body == OBJECT else "hand" if body in HANDS else "body")
            if body in names:
                force[names.index(body)] += sign * world
            else:
                nodes[-1] = "world"
        edge = _EDGE_OF.get(frozenset(nodes))
        if edge is not None:
            edges[EDGES.index(edge)] = True


def engine_step(physics: Physics, qpos: np.ndarray, qvel: np.ndarray, target: np.ndarray) -> tuple[Outcome, np.ndarray]:
    """The same step by an engine, and its overflow (N,)."""
    state = jax.jit(physics.step)(physics.init(qpos, qvel), np.asarray(target, np.float32))
    force = np.concatenate([state.body_force, state.object_force[:, None]], axis=1)
    outcome = Outcome(np.asarray(state.qpos), np.asarray(state.qvel), force, np.asarray(state.edges))
    return outcome, np.asarray(state.overflow)


def compare(engine: Outcome, reference: Outcome) -> dict[str, np.ndarray]:
    """Per world (N,): greatest error of qpos, qvel (m/s, rad/s) and force (N), fraction of equal 0.1 N contact flags,
    and whether all edges are equal."""
    flags = [np.any(np.abs(o.force) >= FLAG_FORCE, axis=-1) for o in (engine, reference)]
    return {
        "qpos": np.abs(engine.qpos - reference.qpos).max(axis=-1),
        "qvel": np.abs(engine.qvel - reference.qvel).max(axis=-1),
        "force": np.abs(engine.force - reference.force).max(axis=(-1, -2)),
        "flags": (flags[0] == flags[1]).mean(axis=-1),
        "edges": (engine.edges == reference.edges).all(axis=-1).astype(float),
    }


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """qvel (m/s, rad/s) and force (N): what `share` of the worlds must keep; flags: mean fraction of equal contact
    flags; edges: fraction of worlds with equal edges."""

    qvel: float
    force: float
    share: float
    flags: float
    edges: float


# The MJX engines solve in float32; box against box gives other contact points than in C (docs/physics.md).
TOLERANCES = {
    "mujoco": Tolerance(qvel=2e-3, force=1.0, share=0.99, flags=0.9999, edges=1.0),
    "mjx-warp": Tolerance(qvel=5e-3, force=2.0, share=0.98, flags=0.999, edges=0.99),
    "mjx-jax": Tolerance(qvel=3e-2, force=20.0, share=0.97, flags=0.999, edges=0.99),
}


def passes(engine: str, errors: dict[str, np.ndarray]) -> bool:
    """Whether the errors of `compare` keep the engine's tolerance."""
    limit = TOLERANCES[engine]
    kept = (errors["qvel"] <= limit.qvel) & (errors["force"] <= limit.force)
    enough = bool(kept.mean() >= limit.share)
    return enough and errors["flags"].mean() >= limit.flags and errors["edges"].mean() >= limit.edges


def synthetic_states(scene: Scene, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States rich in contacts, as float32 numbers: qpos (count, nq), qvel (count, nv) and targets (count, 156).

    Standing with the feet a little in the floor, random joints, the ball at a wrist, a thigh or the floor.
    """
    from mjx_skillmimic import rotations
    from mjx_skillmimic.kinematics import forward_kinematics

    rng = np.random.default_rng(seed)
    upright = rotations.multiply(
        rotations.about_z(rng.uniform(-3, 3, count)), rotations.exp(np.array([np.pi / 2, 0, 0]))
    )
    root_pos = np.stack([*rng.normal(size=(2, count)), rng.uniform(0.93, 0.99, count)], axis=-1)
    joints = rng.normal(size=(count, NUM_JOINTS, 3)) * rng.uniform(0.02, 0.25, (count, 1, 1))
    # nearly straight legs: engines disagree about boxes deep inside each other, and no clip crosses the feet
    joints[:, [BODIES.index(name) - 1 for name in _LEGS]] *= 0.05
    # every fifth world holds a hand against the hip
    joints[::5, BODIES.index("L_Shoulder") - 1] = (0.0, 0.0, -1.7)
    joints[::5, BODIES.index("L_Elbow") - 1, 2] -= rng.uniform(0.0, 0.3, len(joints[::5]))
    bodies = forward_kinematics(scene.skeleton, root_pos, upright, rotations.exp(joints))
    place = rng.choice([scene.skeleton.index(name) for name in ("L_Wrist", "R_Wrist", "L_Middle2", "R_Hip")], count)
    ball = bodies.pos[np.arange(count), place] + rng.normal(size=(count, 3)) * 0.08
    ball[::4, 2] = scene.object_radius - rng.uniform(0.0, 0.01, len(ball[::4]))
    qpos, qvel = scene.pack(
        root_pos,
        upright,
        rotations.exp(joints),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, NUM_JOINTS, 3)),
        ball,
        rotations.normalize(rng.normal(size=(count, 4))),
        rng.normal(size=(count, 3)) * 2,
        rng.normal(size=(count, 3)),
    )
    target = rng.uniform(-np.pi, np.pi, (count, 3 * NUM_JOINTS)) * rng.uniform(0, 1, (count, 1))
    return tuple(x.astype(np.float32).astype(np.float64) for x in (qpos, qvel, target))  # type: ignore[return-value]
