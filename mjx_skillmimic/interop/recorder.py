"""Traces of the engines behind the door, and the way back from a trace to a scene's coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.interop.trace import STATES, STEPS, Trace
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import EDGES, Physics
from mjx_skillmimic.physics.contract.stepper import Stepper

_WORLDS = 64


def record(
    physics: Physics,
    scene: Scene,
    qpos: np.ndarray,
    qvel: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
    meta: dict[str, Any] | None = None,
    lengths: np.ndarray | None = None,
    stepper: Stepper | None = None,
) -> Trace:
    """What an engine makes of C courses.

    Args:
        qpos: (C, nq). qvel: (C, nv). targets: (C, T, 156) rad. names: C, "group/name".
        lengths: (C,) control steps of each course; absent: T. Courses of one length run together.
        stepper: the engine, compiled; absent: up to 64 worlds at a time.
    """
    count, steps = targets.shape[:2]
    lengths = np.full(count, steps) if lengths is None else np.asarray(lengths)
    stepper = stepper or Stepper(physics, min(count, _WORLDS))
    arrays = {name: np.full((count, steps + 1, *shape), np.nan) for name, shape in STATES.items()}
    arrays |= {name: np.full((count, steps, *shape), np.nan) for name, shape in STEPS.items()}
    edges, lost = np.zeros((count, steps, len(EDGES)), bool), 0
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        goals = targets[rows, :length]
        outcomes, overflow = stepper.rollout(qpos[rows], qvel[rows], np.swapaxes(goals, 0, 1))
        lost += int(overflow.sum())
        states = [states_of(scene, qpos[rows], qvel[rows]), *(states_of(scene, o.qpos, o.qvel) for o in outcomes)]
        for name in STATES:
            arrays[name][rows, : length + 1] = np.stack([state[name] for state in states], axis=1)
        force = np.stack([o.force for o in outcomes], axis=1)
        arrays["target"][rows, :length] = goals
        arrays["body_force"][rows, :length], arrays["object_force"][rows, :length] = force[:, :, :-1], force[:, :, -1]
        edges[rows, :length] = np.stack([o.edges for o in outcomes], axis=1)
    return Trace(
        engine=physics.name,
        control_dt=scene.control_dt,
        names=tuple(names),
        lengths=lengths,
        meta={"lost_contacts": lost, **(meta or {})},
        edges=edges,
        **arrays,
    )


def states_of(scene: Scene, qpos: np.ndarray, qvel: np.ndarray) -> dict[str, np.ndarray]:
    """The state arrays (..., ·) of a trace at qpos (..., nq), qvel (..., nv)."""
    c = scene.unpack(np.asarray(qpos, np.float64), np.asarray(qvel, np.float64))
    lead = c.root_pos.shape[:-1]
    return {
        "root_pos": c.root_pos,
        "root_quat": c.root_quat,
        "root_lin_vel": c.root_lin_vel,
        "root_ang_vel": rotations.rotate(c.root_quat, c.root_ang_vel),
        "dof_pos": rotations.log(c.joint_quat).reshape(*lead, -1),
        "dof_vel": c.joint_vel.reshape(*lead, -1),
        "object_pos": c.object_pos,
        "object_quat": c.object_quat,
        "object_lin_vel": c.object_lin_vel,
        "object_ang_vel": c.object_ang_vel,
    }


def coordinates_of(scene: Scene, trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """qpos (C, T + 1, nq) and qvel (C, T + 1, nv) of a trace's states, float64; NaN behind a course's end."""
    x = {name: np.asarray(getattr(trace, name), np.float64) for name in STATES}
    lead = x["root_pos"].shape[:-1]
    return scene.pack(
        x["root_pos"],
        rotations.normalize(x["root_quat"]),
        rotations.exp(x["dof_pos"].reshape(*lead, -1, 3)),
        x["root_lin_vel"],
        rotations.rotate_inverse(x["root_quat"], x["root_ang_vel"]),
        x["dof_vel"].reshape(*lead, -1, 3),
        x["object_pos"],
        rotations.normalize(x["object_quat"]),
        x["object_lin_vel"],
        x["object_ang_vel"],
    )
