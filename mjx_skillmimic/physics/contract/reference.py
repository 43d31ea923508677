"""A slow MuJoCo C loop that shares no code with the engines.

It uses no servos and no sensors: the PD is written out in NumPy, forces and edges come from walking through MuJoCo's
contacts.
"""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES, HANDS, NUM_BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import EDGES

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
    return slow_rollout(scene, qpos, qvel, target[None])[0]


def slow_rollout(
    scene: Scene, qpos: np.ndarray, qvel: np.ndarray, targets: np.ndarray, rounded: bool = False
) -> list[Outcome]:
    """T control steps without anything from outside between them: targets (T, N, 156).

    rounded: the coordinates are rounded to float32 after every control step, as the door hands them on.
    """
    model = scene.spec.copy().compile()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
    model.opt.iterations, model.opt.ls_iterations = 100, 50
    data = mujoco.MjData(model)
    worlds = len(qpos)
    outcomes = [
        Outcome(
            np.empty((worlds, model.nq)),
            np.empty((worlds, model.nv)),
            np.zeros((worlds, NUM_BODIES + 1, 3)),
            np.zeros((worlds, len(EDGES)), bool),
        )
        for _ in targets
    ]
    for world in range(worlds):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos[world], qvel[world]
        for outcome, target in zip(outcomes, targets, strict=True):
            for _ in range(scene.substeps):
                _apply_pd(scene, model, data, target[world])
                mujoco.mj_step(model, data)
                _add_contacts(model, data, outcome.force[world], outcome.edges[world])
            if rounded:
                data.qpos[:], data.qvel[:] = np.float32(data.qpos), np.float32(data.qvel)
            outcome.force[world] /= scene.substeps
            outcome.qpos[world], outcome.qvel[world] = data.qpos, data.qvel
    return outcomes


def _apply_pd(scene: Scene, model: mujoco.MjModel, data: mujoco.MjData, target: np.ndarray) -> None:
    rotation_vector = np.empty(3)
    limit = scene.effort_limit or np.inf
    for joint, axis, kp, kd, dof, is_hinge, q in zip(*scene.servos, strict=True):
        error = float(axis @ target[3 * joint : 3 * joint + 3])
        if is_hinge:
            error -= data.qpos[q]
        else:
            mujoco.mju_quat2Vel(rotation_vector, data.qpos[q : q + 4], 1.0)
            error = (error - axis @ rotation_vector + np.pi) % (2 * np.pi) - np.pi
        torque = kp * error - (kd + scene.timestep * kp) * data.qvel[dof]
        data.qfrc_applied[dof] = min(max(torque, -limit), limit)


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
