"""One right-handed dribble in a frame that may move forward: the rhythm that both dribbling skills share."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic.motion.synthesis import paths, plan
from mjx_skillmimic.motion.synthesis.hands import grip_point
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, FPS, GRAVITY, at

# Frames of one dribble: from the hand to the floor, back to the hand, and in the hand.
DOWN, UP, PUSH = 10, 17, 20
CYCLE = (DOWN + UP + PUSH) / FPS
# The first push from rest, and the height of the ball's centre where it leaves the hand and at the top (m).
FIRST = 14
RELEASE_HEIGHT, TOP = 0.80, 0.97


@dataclasses.dataclass(frozen=True)
class Rhythm:
    """The ball in the moving frame, and the drift (3,) m/s of that frame."""

    ball: plan.Ball
    drift: np.ndarray


def seconds(dribbles: int) -> float:
    """Length of a clip with so many dribbles, from the ball at the top to the ball at the top."""
    return (FIRST + dribbles * (DOWN + UP + PUSH)) / FPS


def rhythm(t: np.ndarray, place: np.ndarray, dribbles: int, speed: float = 0.0) -> Rhythm:
    """The ball dribbled at `place` (3,) (its height is ignored) that moves forward with `speed` m/s.

    A bounce keeps RESTITUTION of the speed, so each push has to add what the last one lost: release speed, return
    height and return speed follow from the two flight times.
    """
    g, fall, rise = -GRAVITY[2], DOWN / FPS, UP / FPS
    down = (RELEASE_HEIGHT - BALL_RADIUS) / fall - 0.5 * g * fall
    rebound = paths.RESTITUTION * (down + g * fall)
    caught = BALL_RADIUS + rebound * rise - 0.5 * g * rise**2
    ground = np.array([place[0], place[1], 0.0])
    up = np.array([0.0, 0.0, 1.0])
    release = plan.Held(FIRST / FPS, ground + RELEASE_HEIGHT * up, leave=-down * up)
    phases: list[plan.Held | plan.Free] = [release]
    now = FIRST / FPS
    for i in range(dribbles):
        back = now + fall + rise
        now = back + PUSH / FPS
        phases.append(plan.Free(back))
        if i + 1 < dribbles:
            top = (back + 0.42 * PUSH / FPS, ground + TOP * up)
            phases.append(plan.Held(now, ground + RELEASE_HEIGHT * up, via=(top,), leave=-down * up))
        else:
            phases.append(plan.Held(now, ground + TOP * up))
    ball = plan.ball_path(t, ground + TOP * up, phases)
    if caught > TOP:
        raise ValueError(f"the ball returns to {caught:.2f} m, above the hand's top of {TOP} m")
    drift = at(speed, 0.0, 0.0)
    return Rhythm(plan.Ball(ball.pos + t[:, None] * drift, ball.vel + drift, ball.acc, ball.held), drift)


def right_hand(t: np.ndarray, beat: Rhythm, dribbles: int) -> plan.Track:
    """The pushing hand, palm down on top of the ball."""
    return plan.hand_track(
        "R",
        t,
        beat.ball,
        beat.ball.held,
        [(0.0, at(1.0, 0.25, -0.05), at(0.0, 0.08, -1.0))],
        [plan.Reach(away=70.0)] * dribbles,
        drift=beat.drift,
    )


def left_hand(t: np.ndarray, beat: Rhythm, swing: float = 0.0) -> plan.Track:
    """The other arm, bent before the body as a guard, swinging `swing` m forward and back once a dribble."""
    directions = (at(1.0, -0.25, 0.15), at(0.0, -1.0, -0.6))
    point = grip_point("L", at(0.24, 0.30, 1.00), *directions)
    track = plan.hand_track(
        "L",
        t,
        beat.ball,
        np.zeros(len(t), bool),
        [(0.0, *directions)],
        [plan.Reach()],
        rest=(point, point + t[-1] * beat.drift),
        drift=beat.drift,
    )
    wave = swing * np.sin(2 * np.pi * t / CYCLE)
    return plan.Track(track.pos + wave[:, None] * at(1.0, 0.0, 0.4), track.rot)
