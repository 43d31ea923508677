"""A plan: where the ball, hands, feet, pelvis, chest and centre of mass go, frame by frame."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mjx_skillmimic.motion.synthesis import paths
from mjx_skillmimic.motion.synthesis.hands import grip, hand_rotation
from mjx_skillmimic.motion.synthesis.rig import FPS, SIDES, UPRIGHT, lean, unit

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Track:
    """Poses over time: `pos` (T, 3) m, `rot` (T, 3, 3), world."""

    pos: np.ndarray
    rot: np.ndarray


@dataclasses.dataclass(frozen=True)
class Ball:
    """The ball's centre `pos` (T, 3), its velocity and acceleration (T, 3), and whether it is `held` (T,) bool."""

    pos: np.ndarray
    vel: np.ndarray
    acc: np.ndarray
    held: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plan:
    """Targets of one clip, T frames at 60 fps.

    `wrists`, `feet`: tracks by side ("L", "R"). `closure`: fingers by side, 0 open to 1 wrapped (T,). `pelvis_height`
    (T,) m, `pelvis`, `chest`: world rotations (T, 3, 3). `balance` (T, 2): where the centre of mass goes, world xy.
    """

    name: str
    skill: int
    ball: Ball
    wrists: dict[str, Track]
    closure: dict[str, np.ndarray]
    feet: dict[str, Track]
    pelvis_height: np.ndarray
    pelvis: np.ndarray
    chest: np.ndarray
    balance: np.ndarray

    @property
    def num_frames(self) -> int:
        return len(self.ball.pos)


def clock(seconds: float) -> np.ndarray:
    """Frame times (T,) from 0 to `seconds`, both ends included."""
    return np.arange(round(seconds * FPS) + 1) / FPS


@dataclasses.dataclass(frozen=True)
class Held:
    """The ball moves with a hand through `via` ((time, point), ...) until time `end` (s).

    `leave`: the velocity it leaves with, or None to come to rest; `point` (3,) is where it is then.
    """

    end: float
    point: np.ndarray
    via: tuple[tuple[float, np.ndarray], ...] = ()
    leave: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Free:
    """The ball flies (and bounces) until time `end`; or lies still if `still`."""

    end: float
    still: bool = False


def ball_path(times: np.ndarray, start: np.ndarray, phases: list[Held | Free], velocity=None, acc=None) -> Ball:
    """The ball's motion from `start` (3,) through `phases`.

    It leaves a hand and arrives in one with gravity as its acceleration, so that the hand force starts and ends at
    zero. Frames at a boundary belong to the hand.
    """
    state = (
        np.asarray(start, float),
        np.zeros(3) if velocity is None else velocity,
        np.zeros(3) if acc is None else acc,
    )
    pos, vel, out_acc = (np.zeros((len(times), 3)) for _ in range(3))
    held = np.zeros(len(times), bool)
    now = 0.0
    for phase in phases:
        inside = (times >= now - 1e-9) & (times <= phase.end + 1e-9)
        if isinstance(phase, Held):
            end = paths.resting(phase.point)
            if phase.leave is not None:
                end = (np.asarray(phase.point, float), np.asarray(phase.leave, float), paths.GRAVITY)
            t = times[inside]
            knots = (state, end, now, phase.end, phase.via)
            pos[inside] = paths.spline(t, *knots)
            vel[inside] = _slope(lambda s, k=knots: paths.spline(s, *k), t)
            out_acc[inside] = _curvature(lambda s, k=knots: paths.spline(s, *k), t)
            held |= inside
            state = end
        elif phase.still:
            inside &= ~held
            pos[inside] = state[0]
        else:
            flight = paths.Flight(now, state[0], state[1])
            later = inside & (times > now + 1e-9 if now > 0 else inside)
            for i in np.flatnonzero(later):
                pos[i], vel[i], out_acc[i] = flight.at(times[i])
            state = flight.at(phase.end)
        now = phase.end
    return Ball(pos, vel, out_acc, held)


def _slope(curve, t: np.ndarray, h: float = 1e-4) -> np.ndarray:
    return (curve(t + h) - curve(t - h)) / (2 * h)


def _curvature(curve, t: np.ndarray, h: float = 1e-3) -> np.ndarray:
    return (curve(t + h) - 2 * curve(t) + curve(t - h)) / (h * h)


@dataclasses.dataclass(frozen=True)
class Reach:
    """A hand without the ball passes `via` ((time, grip point), ...) and rests at `stops` (same form).

    It leaves the ball with the acceleration `away` (m/s²) along its back relative to the ball and arrives the same way.
    """

    via: tuple[tuple[float, np.ndarray], ...] = ()
    stops: tuple[tuple[float, np.ndarray], ...] = ()
    away: float = 40.0


def hand_track(
    side: str,
    times: np.ndarray,
    ball: Ball,
    touching: np.ndarray,
    directions: list[tuple[float, np.ndarray, np.ndarray]],
    reaches: list[Reach],
    rest: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    drift: np.ndarray | None = None,
) -> Track:
    """The wrist's track.

    Args:
        touching: (T,) bool, when this hand holds the ball.
        directions: (time, finger direction, palm direction), eased between.
        reaches: one for each stretch of frames in which the hand is away from the ball, in order.
        rest: grip points (3,) of a hand that starts or ends away from the ball.
        drift: (3,) m/s, velocity of a hand at rest (a walking character).
    """
    rot = paths.eased_rotation(times, [(t, hand_rotation(side, f, p)) for t, f, p in directions])
    back = rot[:, :, 1]  # the palm faces the hand's −y
    point = ball.pos.copy()
    stretches = _stretches(~touching)
    if len(stretches) != len(reaches):
        raise ValueError(f"{side} hand is away from the ball {len(stretches)} times, found {len(reaches)} reaches")
    speed = np.zeros(3) if drift is None else np.asarray(drift, float)
    for (first, last), reach in zip(stretches, reaches, strict=True):
        a, b = first - 1, last + 1
        start = _edge(ball, back, a, reach.away) if a >= 0 else (np.asarray(rest[0], float), speed, np.zeros(3))
        end = _edge(ball, back, b, reach.away) if b < len(times) else (np.asarray(rest[1], float), speed, np.zeros(3))
        t0, t1 = times[max(a, 0)], times[min(b, len(times) - 1)]
        knots = [(t0, start), *((t, paths.resting(p)) for t, p in reach.stops), (t1, end)]
        for (ta, sa), (tb, sb) in itertools.pairwise(knots):
            inside = (times >= max(ta, times[first]) - 1e-9) & (times <= min(tb, times[last]) + 1e-9)
            via = tuple(v for v in reach.via if ta < v[0] < tb)
            point[inside] = paths.spline(times[inside], sa, sb, ta, tb, via)
    return Track(point - np.einsum("tij,j->ti", rot, grip(side).centre), rot)


def _edge(ball: Ball, back: np.ndarray, i: int, away: float) -> paths.State:
    return ball.pos[i], ball.vel[i], ball.acc[i] + away * back[i]


def _stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def closure(touching: np.ndarray, frames: float = 7.0) -> np.ndarray:
    """Finger closure (T,): 1 while touching, easing to 0 within `frames` frames before and after."""
    index = np.arange(len(touching))
    away = np.full(len(touching), np.inf)
    for i in np.flatnonzero(touching):
        away = np.minimum(away, np.abs(index - i))
    return 1.0 - paths.minimum_jerk(np.where(np.isinf(away), frames, away) / frames)


def constant(times: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`value` for every frame."""
    return np.broadcast_to(value, (len(times), *np.shape(value))).copy()


def leaning(times: np.ndarray, knots: list[tuple[float, float]], yaw: float = 0.0) -> np.ndarray:
    """World rotations (T, 3, 3) of an upright segment whose forward pitch (rad) goes through the `knots`."""
    return paths.eased_rotation(times, [(t, lean(pitch, yaw)) for t, pitch in knots])


def gaze(eyes: np.ndarray, target: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """Head rotations (T, 3, 3) that look from `eyes` (T, 3) towards `target` (T, 3), smoothly and within a neck's range
    of the `trunk` (T, 3, 3): 0.6 rad up or down, 0.7 rad to the sides."""
    forward = gaussian_filter1d(unit(target - eyes), sigma=6.0, axis=0, mode="nearest")
    local = np.einsum("tij,ti->tj", trunk, unit(forward))
    pitch = np.clip(-np.arcsin(np.clip(local[:, 1], -1, 1)), -0.6, 0.6)
    yaw = np.clip(np.arctan2(local[:, 0], local[:, 2]), -0.7, 0.7)
    turns = np.stack([UPRIGHT.T @ lean(p, y) for p, y in zip(pitch, yaw, strict=True)])
    return trunk @ turns


def both(build: Callable[[str], T]) -> dict[str, T]:
    """{"L": build("L"), "R": build("R")}."""
    return {side: build(side) for side in SIDES}
