"""What every clip of our own must hold, measured on the finished clip alone."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.humanoid import BODIES, BODY_CONTACT, FEET, HANDS, indices
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.synthesis.paths import RESTITUTION
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, GRAVITY, full_skeleton
from mjx_skillmimic.motion.synthesis.stage import coordinates, stage

# A foot whose lowest point is below this is planted (m).
PLANTED = 0.01
# The ball is touched where a hand geom is nearer than TOUCH, and on the floor where its gap is below FLOOR_TOUCH (m).
TOUCH = 0.001
FLOOR_TOUCH = 5e-4
# Frames after or before which a hand that is not in contact must be CLEAR (m) away from the ball.
CLEAR, CLEAR_AFTER = 0.01, 3
# Balance matters while the centre of mass is slower than this (m/s).
SLOW = 0.3


@dataclasses.dataclass(frozen=True)
class Check:
    """One measured number of a clip and the range it must lie in."""

    name: str
    value: float
    low: float
    high: float
    unit: str

    @property
    def passed(self) -> bool:
        return bool(self.low <= self.value <= self.high)


def check(clip: MotionClip) -> list[Check]:
    """All checks of one clip, in a fixed order."""
    scene = replay(clip)
    return [
        *_feet(scene),
        *_ball(clip),
        *_contact(clip, scene),
        *_joints(clip),
        Check("self-penetration", scene.self_penetration.max(), -np.inf, 0.001, "m"),
        Check("body below the floor", -scene.lowest_other.min(), -np.inf, 0.001, "m"),
        *_balance(clip, scene),
    ]


@dataclasses.dataclass(frozen=True)
class Scene:
    """The clip replayed in MuJoCo: `corners` (T, 4, 8, 3) of the foot boxes, `gap` (T, 53) of the ball to each body's
    geom, `self_penetration` (T,), `lowest_other` (T,) of everything but the feet, `com` (T, 3)."""

    corners: np.ndarray
    gap: np.ndarray
    self_penetration: np.ndarray
    lowest_other: np.ndarray
    com: np.ndarray


def replay(clip: MotionClip) -> Scene:
    """The clip's geometry, frame by frame."""
    model = stage()
    data = mujoco.MjData(model)
    ball = model.geom("Ball").id
    geoms = [model.geom(name).id for name in BODIES]
    feet = [model.geom(name).id for name in FEET]
    others = [g for g in geoms if g not in feet]
    watched = {model.body(name).id for name in BODY_CONTACT}
    ignored = {0, model.body("Ball").id}
    frames = clip.num_frames
    corners, gap = np.zeros((frames, 4, 8, 3)), np.zeros((frames, len(BODIES)))
    overlap, lowest, com = np.zeros(frames), np.zeros(frames), np.zeros((frames, 3))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for t in range(frames):
        data.qpos[:] = coordinates(clip, t)
        mujoco.mj_forward(model, data)
        for i, g in enumerate(feet):
            corners[t, i] = data.geom_xpos[g] + (signs * model.geom_size[g]) @ data.geom_xmat[g].reshape(3, 3).T
        gap[t] = [mujoco.mj_geomDistance(model, data, ball, g, 1.0, None) for g in geoms]
        overlap[t] = _overlap(model, data, watched, ignored)
        lowest[t] = min(_lowest(model, data, g) for g in others)
        com[t] = data.subtree_com[model.body("Pelvis").id]
    return Scene(corners, gap, overlap, lowest, com)


def _overlap(model: mujoco.MjModel, data: mujoco.MjData, watched: set[int], ignored: set[int]) -> float:
    """Deepest penetration (m) of a watched body with another body of the humanoid."""
    deepest = 0.0
    for contact in data.contact:
        bodies = {int(model.geom_bodyid[g]) for g in contact.geom}
        if bodies & watched and not bodies & ignored:
            deepest = max(deepest, -float(contact.dist))
    return deepest


def _lowest(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> float:
    """Height (m) of the lowest point of a sphere or capsule."""
    half = model.geom_size[geom, 1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
    return data.geom_xpos[geom, 2] - half * abs(data.geom_xmat[geom, 8]) - model.geom_size[geom, 0]


def _feet(scene: Scene) -> list[Check]:
    sides = scene.corners.reshape(len(scene.corners), 2, 16, 3)
    low = sides[..., 2].min(axis=2)
    down = low < PLANTED
    both_times = down[1:] & down[:-1]
    step = np.linalg.norm(np.diff(sides[..., :2], axis=0), axis=-1)
    near = (sides[1:, :, :, 2] < PLANTED) & (sides[:-1, :, :, 2] < PLANTED) & both_times[..., None]
    slide = 60.0 * np.where(near, step, 0.0).max()
    return [
        Check("feet below the floor", float(-low.min()), -np.inf, 0.01, "m"),
        Check("sliding while planted", float(slide), 0.0, 0.03, "m/s"),
        Check("feet on the floor, least", float(down.sum(axis=1).min()), 1, 2, ""),
    ]


def _ball(clip: MotionClip) -> list[Check]:
    z = clip.object_pos.astype(float)
    dt = 1.0 / clip.fps
    acceleration = (z[2:] - 2 * z[1:-1] + z[:-2]) / dt**2
    free = clip.contact < 0.5
    floor = z[:, 2] < BALL_RADIUS + FLOOR_TOUCH
    flying = free[2:] & free[1:-1] & free[:-2] & ~floor[1:-1]
    error = np.linalg.norm(acceleration - GRAVITY, axis=1) / np.linalg.norm(GRAVITY)
    checks = [
        Check("ball below the floor", float(BALL_RADIUS - z[:, 2].min()), -np.inf, 0.001, "m"),
    ]
    if flying.any():  # a check of nothing would pass
        checks.append(Check("flight against gravity", float(error[flying].max()), 0.0, 0.02, ""))
    bounces = [i for i in np.flatnonzero(floor[1:-1] & ~floor[2:] & ~floor[:-2]) + 1 if free[i - 1 : i + 2].all()]
    g = -GRAVITY[2]
    for i in bounces:
        # speeds at the floor, from the mean speeds of the frames on both sides
        before, after = (z[i - 1, 2] - z[i, 2]) / dt + 0.5 * g * dt, (z[i + 1, 2] - z[i, 2]) / dt + 0.5 * g * dt
        checks.append(
            Check(f"restitution at frame {i}", float(after / before), RESTITUTION - 0.02, RESTITUTION + 0.02, "")
        )
    return checks


def _contact(clip: MotionClip, scene: Scene) -> list[Check]:
    hands = np.array(indices(HANDS))
    rest = np.setdiff1d(np.arange(len(BODIES)), hands)
    nearest = scene.gap[:, hands].min(axis=1)
    label = clip.contact > 0.5
    touching = (scene.gap[:, hands] < TOUCH).sum(axis=1)
    frames = np.arange(clip.num_frames)
    since = np.abs(frames[:, None] - frames[label]).min(axis=1, initial=clip.num_frames)
    clear = nearest[since >= CLEAR_AFTER]
    return [
        Check("frames of wrong contact label", float(np.sum(label != (nearest < TOUCH))), 0, 0, ""),
        Check("hand bodies on the ball, least", float(touching[label].min(initial=99)), 3, 99, ""),
        Check("ball into the hands", float(-nearest.min()), -np.inf, 0.01, "m"),
        Check("gap 3 frames from contact", float(clear.min(initial=1.0)), CLEAR, np.inf, "m"),
        Check("ball to the rest of the body", float(scene.gap[:, rest].min()), 0.003, np.inf, "m"),
    ]


def _joints(clip: MotionClip) -> list[Check]:
    dof = clip.dof_pos.astype(float).reshape(clip.num_frames, -1, 3)
    root = clip.root_rotvec.astype(float)[:, None]
    vectors = np.concatenate([root, dof], axis=1)
    quats = rotations.exp(vectors)
    speed = clip.fps * rotations.geodesic(quats[:-1], quats[1:])
    angular = clip.fps * rotations.log(rotations.multiply(rotations.conjugate(quats[:-1]), quats[1:]))
    acceleration = clip.fps * np.linalg.norm(np.diff(angular, axis=0), axis=-1)
    fk = forward_kinematics(full_skeleton(), clip.root_pos.astype(float), quats[:, 0], quats[:, 1:])
    return [
        Check("joint speed", float(speed.max()), 0.0, 15.0, "rad/s"),
        Check("rotation vector step", float(np.linalg.norm(np.diff(vectors, axis=0), axis=-1).max()), 0.0, 0.3, "rad"),
        Check("joint acceleration", float(acceleration.max()), 0.0, 450.0, "rad/s²"),
        Check("forward kinematics gap", float(np.abs(fk.pos - clip.body_pos).max()), 0.0, 1e-5, "m"),
    ]


def _balance(clip: MotionClip, scene: Scene) -> list[Check]:
    """How far (m) the centre of mass is outside the planted soles while it is slow (negative: inside); nothing for a
    clip that is never slow, as a walk."""
    velocity = clip.fps * np.linalg.norm(np.gradient(scene.com, axis=0)[:, :2], axis=1)
    slow = np.flatnonzero(velocity < SLOW)
    worst = -np.inf
    for t in slow:
        sole = scene.corners[t].reshape(2, 16, 3)
        points = sole[sole[..., 2].min(axis=1) < PLANTED].reshape(-1, 3)[:, :2]
        worst = max(worst, _outside(points, scene.com[t, :2]) if len(points) else np.inf)
    return [Check("balance outside the feet", float(worst), -np.inf, 0.03, "m")] if len(slow) else []


def _outside(points: np.ndarray, p: np.ndarray) -> float:
    """Signed distance of p (2,) from the convex hull of `points` (N, 2), in the direction that separates it most."""
    angles = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return float(np.max(normals @ p - (points @ normals.T).max(axis=0)))


def describe(clip: MotionClip, checks: list[Check]) -> str:
    """A table of the checks of one clip."""
    head = f"{clip.name}: label {clip.skill}, {clip.num_frames} frames, {clip.contact.mean():.2f} in contact"
    rows = [
        f"  {'ok ' if c.passed else 'BAD'} {c.name:32s} {c.value:10.4g} {c.unit:7s} in [{c.low:g}, {c.high:g}]"
        for c in checks
    ]
    return "\n".join([head, *rows])
