"""Throw-up-and-catch: hold the ball before the chest, toss it half a metre up and catch it with both hands."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, paths, plan
from mjx_skillmimic.motion.synthesis.rig import at

NAME = "throw_catch"
SKILL = 50
SECONDS = 2.2

SHEET = {"frames": [0, 22, 33, 42, 51, 66, 78]}

HOLD = at(0.39, 0.0, 1.15)
DIP = at(0.41, 0.0, 1.10)
RELEASE = at(0.39, 0.0, 1.28)
# Frames 33 to 69: 0.6 s of flight, 0.44 m up and back to the height of the release.
THROWN, CAUGHT = 33 / 60, 69 / 60


def cradle(side: str, forward: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of a hand under the side of the ball."""
    s = 1.0 if side == "L" else -1.0
    return at(forward, 0.12 * s, 0.05), at(0.05, -0.75 * s, 0.65)


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(SECONDS)
    up = paths.launch(RELEASE, RELEASE, CAUGHT - THROWN)
    ball = plan.ball_path(
        t,
        HOLD,
        [
            plan.Held(THROWN, RELEASE, via=((0.33, DIP),), leave=up),
            plan.Free(CAUGHT),
            plan.Held(CAUGHT + 0.20, DIP),
            plan.Held(CAUGHT + 0.70, HOLD),
            plan.Held(SECONDS, HOLD),
        ],
    )
    feet = footsteps.planted(t)
    waiting = (0.5 * (THROWN + CAUGHT), at(0.39, 0.0, 1.16))

    def wrist(side: str) -> plan.Track:
        s = 1.0 if side == "L" else -1.0
        return plan.hand_track(
            side,
            t,
            ball,
            ball.held,
            [(0.0, *cradle(side))],
            [plan.Reach(via=((waiting[0], waiting[1] + at(0.0, 0.07 * s, 0.0)),))],
        )

    height = paths.eased(t, [(0.0, 0.93), (0.30, 0.90), (0.58, 0.94), (1.0, 0.93), (1.40, 0.90), (2.1, 0.93)])
    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=ball,
        wrists=plan.both(wrist),
        closure=plan.both(lambda _: plan.closure(ball.held)),
        feet=feet,
        pelvis_height=height,
        pelvis=plan.leaning(t, [(0.0, 0.10)]),
        chest=plan.leaning(t, [(0.0, 0.16), (0.30, 0.20), (0.60, 0.06), (1.0, 0.08), (1.40, 0.20), (2.1, 0.16)]),
        balance=footsteps.midpoint(feet),
    )
