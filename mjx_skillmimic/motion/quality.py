"""What is odd about a clip: measured numbers and, in words, what a user should know before training on it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Skeleton, forward_kinematics
from mjx_skillmimic.model.assets import assets_dir
from mjx_skillmimic.model.humanoid import BODIES, FEET, HANDS, NUM_JOINTS, indices
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import MotionFrames, derive
from mjx_skillmimic.motion.missing import runs
from mjx_skillmimic.motion.skill_names import WITHOUT_OBJECT

if TYPE_CHECKING:
    import mujoco

BALL_RADIUS = 0.12
GRAVITY = 9.81
# Faster than people and balls move: a sprint is 10 m/s, a hard throw 30 m/s, a snapping wrist 50 rad/s.
MAX_ROOT_SPEED, MAX_OBJECT_SPEED, MAX_JOINT_SPEED = 12.0, 30.0, 60.0
FLOOR_TOLERANCE = 1e-3
FEET_TOLERANCE = 0.01
BODY_TOLERANCE = 0.03  # flesh gives way where people lie; the model's bodies do not
FK_TOLERANCE = 1e-3
REACH_TOLERANCE = 0.10  # published fingers are often frozen, so the hand only comes near the ball
AIRBORNE_HEIGHT = BALL_RADIUS + 0.05
MIN_FLIGHT_FRAMES = 10
GRAVITY_TOLERANCE = 0.15


@dataclasses.dataclass(frozen=True)
class Warn:
    """Something odd: a word or two to group by, and the sentence."""

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class ClipQuality:
    """Numbers of one clip, over the frames that it has; missing ones are `missing` in number.

    contact_fraction: share of frames with the label set. fk_gap_mm, fk_gap_max_mm: distance between stored body
    positions and forward kinematics of the joints, mean and largest over bodies and frames. gravity: m/s² that the
    ball's free flights show, None without a long enough one. rotvec_flips: steps in which a rotation vector jumps
    by more than the rotation itself does (the ‖v‖ = π crossing). ball_lowest_m: of its centre. feet_lowest_m,
    body_lowest_m: lowest point of the feet and of all other bodies. max_joint_speed: rad/s.
    """

    name: str
    skill: int
    frames: int
    missing: int
    seconds: float
    fps: float
    contact_fraction: float
    fk_gap_mm: float
    fk_gap_max_mm: float
    gravity: float | None
    rotvec_flips: int
    ball_lowest_m: float
    feet_lowest_m: float
    body_lowest_m: float
    max_joint_speed: float
    warnings: tuple[Warn, ...]


def measure(clip: MotionClip, skeleton: Skeleton) -> ClipQuality:
    """All numbers and warnings of one clip; `skeleton` is the humanoid's."""
    frames, valid = derive(clip, dtype=np.float64), clip.valid
    kinematics = forward_kinematics(skeleton, frames.root_pos, frames.root_quat, frames.joint_quat)
    gap = 1000.0 * np.linalg.norm(kinematics.pos - frames.body_pos, axis=-1)[valid]
    lowest = lowest_points(kinematics.pos, kinematics.quat)[valid]
    is_foot = np.isin(BODIES, FEET)
    feet, others = lowest[:, is_foot].min(axis=-1), lowest[:, ~is_foot]
    speeds = _largest_speeds(frames)
    flips = count_rotvec_flips(frames, clip.fps)
    ball, with_ball = clip.object_pos[valid, 2], clip.skill not in WITHOUT_OBJECT
    gravity = flight_gravity(clip) if with_ball else None
    warnings = (
        *_missing_warnings(valid),
        *_speed_warnings(speeds),
        *(_ball_warnings(ball) if with_ball else ()),
        *_floor_warnings(feet, others),
        *_label_warnings(clip, with_ball),
        *_rate_warnings(gravity, clip.fps),
        *_consistency_warnings(flips, float(gap.max())),
    )
    return ClipQuality(
        name=clip.name,
        skill=int(clip.skill),
        frames=clip.num_frames,
        missing=int(np.count_nonzero(~valid)),
        seconds=round(clip.seconds, 3),
        fps=float(clip.fps),
        contact_fraction=float(clip.contact[valid].mean()),
        fk_gap_mm=float(gap.mean()),
        fk_gap_max_mm=float(gap.max()),
        gravity=gravity,
        rotvec_flips=flips,
        ball_lowest_m=float(ball.min()),
        feet_lowest_m=float(feet.min()),
        body_lowest_m=float(others.min()),
        max_joint_speed=speeds["joint"][0],
        warnings=warnings,
    )


@functools.cache
def _model() -> mujoco.MjModel:
    import mujoco

    return mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml"))


def lowest_points(pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
    """(T, 53) m: the height of the lowest point of each body's geom, from body poses (T, 53, 3) and (T, 53, 4)."""
    from mjx_skillmimic.model import clearance

    model = _model()
    ids = [model.geom(name).id for name in BODIES]
    pos = pos + rotations.rotate(quat, np.broadcast_to(model.geom_pos[ids], pos.shape))
    return clearance.lowest_points(
        model, pos, rotations.multiply(quat, np.broadcast_to(model.geom_quat[ids], quat.shape))
    )


def count_rotvec_flips(frames: MotionFrames, fps: float) -> int:
    """Steps of the root's or a joint's rotation vector that are more than 1 rad longer than the turn they stand for."""
    track = np.concatenate([frames.root_rotvec[:, None], frames.dof_pos.reshape(-1, NUM_JOINTS, 3)], axis=1)
    step = np.linalg.norm(np.diff(track, axis=0), axis=-1)
    turn = np.concatenate([frames.root_ang_vel[:, None], frames.joint_vel], axis=1)[1:] / fps
    return int(np.count_nonzero(step > np.linalg.norm(turn, axis=-1) + 1.0))


def flights(clip: MotionClip) -> Iterator[slice]:
    """Runs of frames in which the ball is clear of floor and hands: not labelled, nor next to a labelled frame."""
    free = (clip.contact == 0) & (clip.object_pos[:, 2] > AIRBORNE_HEIGHT)
    free[1:] &= clip.contact[:-1] == 0
    free[:-1] &= clip.contact[1:] == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(int), [0]])))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - first >= MIN_FLIGHT_FRAMES:
            yield slice(int(first), int(stop))


def flight_gravity(clip: MotionClip) -> float | None:
    """Downward acceleration (m/s²) of the ball: median, by frames, of parabolas fitted to its flights; None if none."""
    values: list[float] = []
    for run in flights(clip):
        height = clip.object_pos[run, 2].astype(np.float64)
        values += [-2.0 * float(np.polyfit(np.arange(len(height)) / clip.fps, height, 2)[0])] * len(height)
    return float(np.median(values)) if values else None


def _largest_speeds(frames: MotionFrames) -> dict[str, tuple[float, int]]:
    """Largest speed and its frame, by what moves."""
    speeds = {
        "root": np.linalg.norm(frames.root_lin_vel, axis=-1),
        "object": np.linalg.norm(frames.object_lin_vel, axis=-1),
        "joint": np.linalg.norm(frames.joint_vel, axis=-1).max(axis=-1),
    }
    return {name: (float(speed.max()), int(speed.argmax())) for name, speed in speeds.items()}


def _consistency_warnings(flips: int, gap_mm: float) -> Iterator[Warn]:
    if flips:
        yield Warn("flip", f"{flips} rotation-vector flips, where differences of dof_pos are not velocities")
    if gap_mm > 1000 * FK_TOLERANCE:
        yield Warn("FK gap", f"stored bodies up to {gap_mm:.0f} mm from the joints' forward kinematics")


def _speed_warnings(speeds: dict[str, tuple[float, int]]) -> Iterator[Warn]:
    limits = {"root": (MAX_ROOT_SPEED, "m/s"), "object": (MAX_OBJECT_SPEED, "m/s"), "joint": (MAX_JOINT_SPEED, "rad/s")}
    for name, (speed, frame) in speeds.items():
        limit, unit = limits[name]
        if speed > limit:
            yield Warn("jump", f"{name} jumps: {speed:.0f} {unit} at frame {frame}")


def _missing_warnings(valid: np.ndarray) -> Iterator[Warn]:
    if not valid.all():
        which = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs(valid))
        yield Warn("missing", f"{np.count_nonzero(~valid)} of {len(valid)} frames missing (all zero): {which}")


def _ball_warnings(ball: np.ndarray) -> Iterator[Warn]:
    sunk = ball < BALL_RADIUS - FLOOR_TOLERANCE
    if sunk.any():
        depth = 1000 * (BALL_RADIUS - ball.min())
        yield Warn("ball in floor", f"ball in the floor in {sunk.mean():.0%} of frames, up to {depth:.0f} mm")


def _floor_warnings(feet: np.ndarray, others: np.ndarray) -> Iterator[Warn]:
    low = feet < -FEET_TOLERANCE
    if low.any():
        depth = -1000 * feet.min()
        yield Warn("feet in floor", f"feet in the floor in {low.mean():.0%} of frames, up to {depth:.0f} mm")
    deep = others.min(axis=-1) < -BODY_TOLERANCE
    if deep.any():
        worst = [name for name in BODIES if name not in FEET][int(others.min(axis=0).argmin())]
        found = f"{worst} or others in the floor in {deep.mean():.0%} of frames, up to {-1000 * others.min():.0f} mm"
        yield Warn("body in floor", found)


def _label_warnings(clip: MotionClip, with_ball: bool) -> Iterator[Warn]:
    touched = clip.contact == 1
    if not with_ball:
        if touched.any():
            yield Warn("label", f"contact labelled in {touched.sum()} frames, but skill {clip.skill} has no ball")
        return
    if not touched.any() or touched[clip.valid].all():
        yield Warn("label", f"contact label is {int(touched.any())} in every frame")
    hands = clip.body_pos[:, list(indices(HANDS))]
    reach = np.linalg.norm(hands - clip.object_pos[:, None], axis=-1).min(axis=-1) - BALL_RADIUS
    far = touched & (reach > REACH_TOLERANCE)
    if far.any():
        distance = 100 * reach[far].max()
        yield Warn("label", f"contact labelled in {far.sum()} frames with the hands up to {distance:.0f} cm away")


def _rate_warnings(gravity: float | None, fps: float) -> Iterator[Warn]:
    if gravity is None or abs(gravity / GRAVITY - 1.0) <= GRAVITY_TOLERANCE:
        return
    hint = f"; {fps * np.sqrt(GRAVITY / gravity):.0f} fps would fit" if gravity > 0 else ""
    text = f"ball falls at {gravity:.1f} m/s² in free flight: check the frame rate or the contact label{hint}"
    yield Warn("frame rate", text)
