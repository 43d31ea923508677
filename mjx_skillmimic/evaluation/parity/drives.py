"""With which gains MuJoCo's servos would answer as another engine's do: a factor for each group of joints and axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.evaluation.parity import responses
from mjx_skillmimic.evaluation.parity.machines import machine
from mjx_skillmimic.evaluation.parity.replay import Replay
from mjx_skillmimic.evaluation.parity.scenarios import Courses, pd_steps
from mjx_skillmimic.evaluation.parity.tables import Table, number
from mjx_skillmimic.interop.recorder import record
from mjx_skillmimic.interop.trace import STATES, STEPS, Trace
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import Scene

FORMAT = "mjx_skillmimic parity drives"
FACTORS = np.geomspace(0.15, 1.0, 13)
_FINER = 4  # factors tried between the best one and each of its neighbours
ENOUGH = 2.0  # %: responses that are nearer than that keep their gains


def fit(
    engine: Engine, options: SceneOptions | None = None, say: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """The document: each course of "PD step" in `engine`, the factor that brings MuJoCo C nearest, and how near.

    One group and axis at a time, all others with their own gains; the measure is `responses.step_response`'s "most".
    """
    other = Replay(engine.name, options, worlds=8, **dict(engine.options))
    courses = pd_steps(other.scene)
    wanted = steps_of(other, courses, np.arange(len(courses.names)))
    other.close()
    mujoco = Replay("mujoco", options, worlds=1)
    own = steps_of(mujoco, courses, np.arange(len(courses.names)))
    rows = []
    for row, name in enumerate(courses.names):
        before = responses.step_response(wanted, own, row)["most"]
        factor, after = (1.0, before) if before <= ENOUGH else best_factor(mujoco, courses, row, wanted, before)
        rows.append({"course": name.partition("/")[2], "before": before, "factor": factor, "after": after})
        if factor != 1.0:
            say(f"{rows[-1]['course']}: {before:.1f} % → {after:.1f} % with {factor:.2f} of the gains")
    return {"format": FORMAT, "engines": {str(engine): {"machine": machine(), "rows": rows}}}


def tables(document: Mapping[str, Any]) -> list[Table]:
    """The groups and axes whose gains change."""
    found = document["engines"]
    rows = tuple(
        (name, r["course"], number(r["before"]), number(r["factor"], 2), number(r["after"]))
        for name, entry in found.items()
        for r in entry["rows"]
        if r["factor"] != 1.0
    )
    heads = ("engine", "joints", "difference, % of the step", "factor of kp and kd", "difference with it, %")
    note = f"Groups and axes that differ by more than {ENOUGH:g} %; one at a time, the others with their own gains."
    return [Table("Gains with which MuJoCo C answers like it", heads, rows, note, words=2)]


def scale_gains(model: Any, scene: Scene, factor: np.ndarray) -> None:
    """Gives a compiled model with folded servos kp and kd (S,) times `factor` (S,), folded anew."""
    servos, dt = scene.servos, scene.timestep
    kp, kd = servos.kp * factor, servos.kd * factor
    authored = scene.model.dof_armature[servos.dof] - dt * servos.kd - dt * dt * servos.kp
    model.actuator_gainprm[:, 0], model.actuator_biasprm[:, 1] = kp, -kp
    model.actuator_biasprm[:, 2] = -(kd + dt * kp)
    model.dof_armature[servos.dof] = authored + dt * kd + dt * dt * kp


def best_factor(mujoco: Replay, courses: Courses, row: int, wanted: Trace, before: float) -> tuple[float, float]:
    """The factor of the gains of the joints that a course steps, and the difference that is left, %.

    mujoco: one world of MuJoCo C; its gains are as before when this returns. row: of courses and wanted. before: the
    difference with factor 1.
    """
    start = mujoco.scene.servo_positions(courses.qpos[row])
    stepped = np.abs(mujoco.scene.servo_targets(courses.targets[row, 0]) - start) > 1e-3
    tried = {1.0: before}

    def left(factor: float) -> float:
        if factor not in tried:
            scale_gains(mujoco.physics.model, mujoco.scene, np.where(stepped, factor, 1.0))  # type: ignore[attr-defined]
            alone = steps_of(mujoco, courses, np.array([row]))
            tried[factor] = responses.step_response(_only(wanted, row), alone, 0)["most"]
        return tried[factor]

    best = int(np.argmin([left(float(f)) for f in FACTORS]))
    low, high = FACTORS[max(best - 1, 0)], FACTORS[min(best + 1, len(FACTORS) - 1)]
    for factor in np.geomspace(low, high, 2 * _FINER + 1):
        left(float(factor))
    scale_gains(mujoco.physics.model, mujoco.scene, np.ones(len(stepped)))  # type: ignore[attr-defined]
    return min(tried.items(), key=lambda item: item[1])


def steps_of(replay: Replay, courses: Courses, rows: np.ndarray) -> Trace:
    """Some of the courses, open loop."""
    names = [courses.names[row] for row in rows]
    arrays = courses.qpos[rows], courses.qvel[rows], courses.targets[rows]
    return record(replay.physics, replay.scene, *arrays, names, stepper=replay.stepper)


def _only(trace: Trace, row: int) -> Trace:
    arrays = {name: getattr(trace, name)[[row]] for name in (*STATES, *STEPS)}
    return Trace(trace.engine, trace.control_dt, (trace.names[row],), trace.lengths[[row]], **arrays)
