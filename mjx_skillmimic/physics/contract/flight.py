"""The humanoid in the air, where formulas say what happens: the implicit PD, momentum, energy, action and reaction."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model.humanoid import BODIES, HANDS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.contract.reference import Outcome
from mjx_skillmimic.physics.contract.stepper import Check, Stepper, floating, object_addresses

_STEPS = 8


class Flight(NamedTuple):
    """Where N floating worlds start, what holds for them, and the control steps that an engine made of it.

    In the first half the ball flies and turns alone, in the second it is thrown at the pelvis.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    target: np.ndarray
    outcomes: list[Outcome]


def fly(stepper: Stepper, count: int = 8, seed: int = 0) -> Flight:
    """Zero poses with the legs apart, random targets and velocities, but fingers at rest, for nothing may touch itself;
    10 m above the floor, for 8 control steps."""
    scene, rng = stepper.scene, np.random.default_rng(seed)
    qpos, qvel, target = floating(scene, count)
    adr, dof = object_addresses(scene)
    apart = scene.unpack(qpos, qvel)
    for name, side in (("L_Hip", 1.0), ("R_Hip", -1.0)):
        joint, turn = BODIES.index(name) - 1, np.array([0.0, 0.0, 0.3 * side])
        apart.joint_quat[:, joint] = rotations.exp(turn)
        target[:, 3 * joint : 3 * joint + 3] = turn
    qpos, qvel = scene.pack(*apart)
    loose = np.repeat([name not in HANDS for name in BODIES[1:]], 3)
    target = target + 0.05 * rng.normal(size=target.shape) * loose
    qvel[:, :6] = 0.3 * rng.normal(size=(count, 6))
    servo = scene.servos
    qvel[:, servo.dof] = 0.1 * rng.normal(size=(count, len(servo.dof))) * loose[3 * servo.joint]
    qvel[:, dof : dof + 6] = 3.0 * rng.normal(size=(count, 6))
    thrown = np.arange(count) >= count // 2
    qpos[thrown, adr : adr + 3] = qpos[thrown, :3] + (0.0, 0.0, 0.3)
    qvel[thrown, dof : dof + 3] = (0.0, 0.0, -4.0)
    qpos, qvel, target = (x.astype(np.float32).astype(np.float64) for x in (qpos, qvel, target))
    outcomes, _ = stepper.rollout(qpos, qvel, target, steps=_STEPS)
    return Flight(qpos, qvel, target, outcomes)


def servos(scene: Scene, flight: Flight) -> Check:
    """The joints against the analytic implicit update, without folding: at the end of every physics step
    (M + dt kd + dt² kp) a = kp (target − q − dt ω) − kd ω − c, M and c of the model as authored, solved densely."""
    alone = len(flight.qpos) // 2
    wanted = implicit_course(scene, flight.qpos[:alone], flight.qvel[:alone], flight.target[:alone], _STEPS)
    moved = np.abs(scene.servo_positions(wanted[-1]) - scene.servo_positions(flight.qpos[:alone])).max()
    error = max(float(np.abs(o.qpos[:alone] - q).max()) for o, q in zip(flight.outcomes, wanted, strict=True))
    untouched = max(float(np.abs(o.force[:alone]).max()) for o in flight.outcomes) == 0.0
    figures: dict[str, float | list[float]] = {"most_error_of_qpos": error, "most_turn_rad": float(moved)}
    return Check("servos in the air", bool(error < 2e-5 and moved > 0.1 and untouched), figures)


def implicit_course(
    scene: Scene, qpos: np.ndarray, qvel: np.ndarray, target: np.ndarray, steps: int
) -> list[np.ndarray]:
    """qpos (N, nq) after each of `steps` control steps by the implicit update, contacts left out."""
    model = scene.spec.copy().compile()
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION | mujoco.mjtDisableBit.mjDSBL_CONTACT
    servo, dt, limit = scene.servos, scene.timestep, scene.effort_limit or np.inf
    extra = dt * servo.kd + dt * dt * servo.kp
    model.dof_armature[servo.dof] -= extra
    data, mass = mujoco.MjData(model), np.empty((model.nv, model.nv))
    course = [np.empty_like(qpos) for _ in range(steps)]
    goals = scene.servo_targets(target)
    for world in range(len(qpos)):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos[world], qvel[world]
        for after in course:
            for _ in range(scene.substeps):
                mujoco.mj_forward(model, data)
                mujoco.mj_fullM(model, data, mass)
                error = goals[world] - scene.servo_positions(data.qpos)
                error = np.where(servo.is_hinge, error, (error + np.pi) % (2 * np.pi) - np.pi)
                rate = data.qvel[servo.dof]
                force = np.clip(servo.kp * (error - dt * rate) - servo.kd * rate, -limit, limit)
                right = -data.qfrc_bias
                right[servo.dof] += force
                left = mass.copy()
                left[servo.dof, servo.dof] += extra
                data.qvel[:] += dt * np.linalg.solve(left, right)
                mujoco.mj_integratePos(model, data.qpos, data.qvel, dt)
            after[world] = data.qpos
    return course


def conservation(scene: Scene, flight: Flight) -> list[Check]:
    """Momentum of everything, whatever servos and contacts do; of the lonely ball also spin and energy; forces between
    ball and body that cancel, and impulses that are what the ball's velocity says."""
    _, dof = object_addresses(scene)
    model, half = scene.model, len(flight.qpos) // 2
    gravity, mass = model.opt.gravity, model.body("object").mass[0]
    before = _momentum(scene, flight.qpos, flight.qvel)
    total, drift = float(model.body_mass.sum()), 0.0
    spin, energy, reaction, impulse, push = 0.0, 0.0, 0.0, 0.0, 0.0
    last = flight.qvel
    for number, outcome in enumerate(flight.outcomes, start=1):
        seconds = number * scene.control_dt
        change = _momentum(scene, outcome.qpos, outcome.qvel) - before - total * gravity * seconds
        drift = max(drift, float(np.abs(change).max() / total))
        ball, start = outcome.qvel[:half, dof:], flight.qvel[:half, dof:]
        spin = max(spin, float(np.abs(ball[:, 3:] - start[:, 3:]).max()))
        # a semi-implicit step loses exactly g² dt² / 2 a step
        lost = 0.5 * gravity @ gravity * scene.timestep**2 * number * scene.substeps
        found = _energy(scene, outcome.qpos[:half], outcome.qvel[:half]) + lost
        energy = max(energy, float(np.abs(found - _energy(scene, flight.qpos[:half], flight.qvel[:half])).max()))
        force = outcome.force.astype(np.float64)
        push = max(push, float(np.abs(force[half:, -1]).max()))
        reaction = max(reaction, float(np.abs(force.sum(axis=1)).max()))
        gained = mass * (outcome.qvel[:, dof : dof + 3] - last[:, dof : dof + 3] - gravity * scene.control_dt)
        impulse = max(impulse, float(np.abs(gained - force[:, -1] * scene.control_dt).max() / scene.control_dt))
        last = outcome.qvel
    return [
        Check("momentum of all", drift < 5e-3, {"most_drift_m_per_s": drift}),
        Check("spin of the ball", spin < 2e-4, {"most_change_rad_per_s": spin}),
        Check("energy of the ball", energy < 1e-3, {"most_change_J_per_kg": energy}),
        Check("action and reaction", push > 50.0 and reaction < 1e-4 * push, {"most_sum_N": reaction, "most_N": push}),
        Check("force is change of momentum", impulse < 1e-3 * push, {"most_error_N": impulse, "most_N": push}),
    ]


def _momentum(scene: Scene, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Linear momentum (N, 3) kg m/s of humanoid and ball."""
    model, data = scene.model, mujoco.MjData(scene.model)
    found = np.empty((len(qpos), 3))
    for world in range(len(qpos)):
        data.qpos[:], data.qvel[:] = qpos[world], qvel[world]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        mujoco.mj_subtreeVel(model, data)
        found[world] = data.subtree_linvel[0] * model.body_subtreemass[0]
    return found


def _energy(scene: Scene, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
    """Energy (N,) J/kg of the ball's flight."""
    adr, dof = object_addresses(scene)
    height, speed = qpos[:, adr + 2].astype(np.float64), qvel[:, dof : dof + 3].astype(np.float64)
    return 0.5 * np.sum(speed**2, axis=-1) - scene.model.opt.gravity[2] * height
