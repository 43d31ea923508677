"""The ball against floor and body, through the door: bounce, and friction that slows it until it rolls."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.contract.reference import Outcome
from mjx_skillmimic.physics.contract.stepper import Check, Stepper, floating, object_addresses

# The averages of the published materials (skillmimic.md §2.1), and how far mean and scatter of some dozens of impacts
# may lie from what 300 impacts gave (docs/physics.md).
RESTITUTION = {"floor": (0.805, 0.02, 0.03), "body": (0.405, 0.03, 0.05)}
_HIT = "Pelvis"
_FAST, _SLOW = 100.0, 3.0  # m/s


def restitution(stepper: Stepper, impacts: int = 28, seed: int = 0) -> list[Check]:
    """`impacts` of 1–6 m/s on the floor, and as many on the pelvis of the humanoid, who falls as the ball does.

    They begin anywhere within a physics step. On the floor heights are turned into speeds, with what Euler's steps lose
    on the way: v²/2 + g h − g dt v/2 stays the same in flight. On the body relative speeds along the normal count. The
    limbs pull on the pelvis meanwhile: its mean is a little below that of a fixed body.
    """
    scene, rng = stepper.scene, np.random.default_rng(seed)
    qpos, qvel, target = floating(scene, 2 * impacts)
    adr, dof = object_addresses(scene)
    floor, body = np.arange(impacts), np.arange(impacts, 2 * impacts)
    speed = np.tile(np.linspace(1.0, 6.0, impacts), 2)
    gap = speed * scene.timestep * rng.uniform(0.0, 1.0, 2 * impacts)
    qvel[:, dof + 2] = -speed
    qpos[floor, adr + 2] = scene.object_radius + gap[floor]
    reach = scene.object_radius + _pelvis(scene, qpos, qvel)[2]
    qpos[body, adr : adr + 3] = _pelvis(scene, qpos, qvel)[0][body]
    qpos[body, adr + 2] += reach + gap[body]
    outcomes, _ = stepper.rollout(qpos, qvel, target, steps=16)

    gravity = -scene.model.opt.gravity[2]
    lost = gravity * scene.timestep
    before = np.where(np.arange(2 * impacts) < impacts, np.sqrt(speed**2 + 2 * gravity * gap + lost * speed), speed)
    ratio, touched = np.full(2 * impacts, np.nan), np.zeros(2 * impacts, bool)
    for outcome in outcomes:
        height = outcome.qpos[floor, adr + 2] - scene.object_radius
        up = outcome.qvel[floor, dof + 2]
        leaving = np.sqrt(np.maximum(up**2 + 2 * gravity * height - lost * up, 0.0))
        distance, relative = _apart(scene, outcome)
        distance, leaving = np.concatenate([height, distance[body]]), np.concatenate([leaving, relative[body]])
        away = touched & (distance > 0) & np.isnan(ratio)
        ratio[away] = leaving[away] / before[away]
        touched |= distance < 0
    return [_bounce(name, ratio[rows]) for name, rows in (("floor", floor), ("body", body))]


def _bounce(name: str, ratio: np.ndarray) -> Check:
    wanted, off, scatter = RESTITUTION[name]
    passed = bool(np.isfinite(ratio).all() and abs(ratio.mean() - wanted) < off and ratio.std() < scatter)
    figures = {"mean": ratio.mean(), "std": ratio.std(), "least": ratio.min(), "most": ratio.max()}
    return Check(f"restitution on {name}", passed, {key: float(value) for key, value in figures.items()})


def _pelvis(scene: Scene, qpos: np.ndarray, qvel: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre (N, 3) and velocity (N, 3) of the pelvis, a sphere, and its radius."""
    c = scene.unpack(np.asarray(qpos, np.float64), np.asarray(qvel, np.float64))
    bodies = forward_kinematics(
        scene.skeleton, c.root_pos, c.root_quat, c.joint_quat, c.root_lin_vel, c.root_ang_vel, c.joint_vel
    )
    geom, body = scene.model.geom(_HIT), scene.skeleton.index(_HIT)
    arm = rotations.rotate(bodies.quat[:, body], np.broadcast_to(geom.pos, (len(qpos), 3)))
    velocity = bodies.lin_vel[:, body] + np.cross(bodies.ang_vel[:, body], arm)
    return bodies.pos[:, body] + arm, velocity, float(geom.size[0])


def _apart(scene: Scene, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) m between the surfaces of ball and pelvis, and the speed (N,) m/s at which it grows."""
    adr, dof = object_addresses(scene)
    centre, velocity, radius = _pelvis(scene, outcome.qpos, outcome.qvel)
    apart = outcome.qpos[:, adr : adr + 3] - centre
    length = np.linalg.norm(apart, axis=-1)
    speed = np.sum((outcome.qvel[:, dof : dof + 3] - velocity) * apart, axis=-1) / length
    return length - radius - scene.object_radius, speed


def friction(stepper: Stepper) -> list[Check]:
    """Balls on the floor, along its axes: four that slide at 100 m/s, four that slide at 3 m/s until they roll.

    MuJoCo's friction pyramid gives μ times the normal force only while the contact slides fast: Δv along the floor is
    then μ (Δv upwards + g t). At a few m/s the soft contact of the ball gives less (docs/physics.md), never
    more. In the end the ball rolls with v₀ / (1 + I / m r²) whatever the law of friction: angular momentum about the
    line of contact is kept.
    """
    scene = stepper.scene
    model = scene.model
    qpos, qvel, target = floating(scene, 8)
    adr, dof = object_addresses(scene)
    along = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]] * 2, float)
    before = np.repeat([_FAST, _SLOW], 4)
    qpos[:, adr + 2] = scene.object_radius - 0.004
    qvel[:, dof : dof + 2] = along * before[:, None]
    outcomes, _ = stepper.rollout(qpos, qvel, target, steps=40)
    after = np.stack([np.sum(outcome.qvel[:, dof : dof + 2] * along, axis=-1) for outcome in outcomes])
    up = np.stack([outcome.qvel[:, dof + 2] for outcome in outcomes])

    wanted = scene.options.friction
    seconds = 3 * scene.control_dt
    ratio = ((before - after[2]) / (up[2] - model.opt.gravity[2] * seconds))[:4]
    found = [Check("friction of a fast ball", bool(np.all(np.abs(ratio - wanted) < 0.02 * wanted)), _range(ratio))]

    force = np.stack([outcome.force[:, -1] for outcome in outcomes]).astype(np.float64)
    excess = np.abs(force[..., :2]).max(axis=-1) - wanted * force[..., 2]
    inside = bool((excess < 1e-3 * np.maximum(force[..., 2], 1.0)).all())
    found.append(Check("friction inside the cone", inside, {"most_excess_N": float(excess.max())}))

    ball = model.body("object")
    rolling = 1.0 / (1.0 + float(ball.inertia[0] / (ball.mass[0] * scene.object_radius**2)))
    left = after[-1, 4:] / _SLOW
    close = bool(np.all(np.abs(left - rolling) < 0.03 * rolling))
    return [*found, Check("speed left when it rolls", close, _range(left) | {"wanted": rolling})]


def _range(x: np.ndarray) -> dict[str, float | list[float]]:
    return {"least": float(x.min()), "most": float(x.max())}
