"""Chest pass: draw the ball to the chest and push it forward with both hands; it bounces once."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, paths, plan
from mjx_skillmimic.motion.synthesis.hands import grip_point
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, at

NAME = "chest_pass"
SKILL = 4
SECONDS = 2.1

HOLD = at(0.40, 0.0, 1.16)
DRAWN = at(0.33, 0.0, 1.19)
RELEASE = at(0.60, 0.0, 1.26)
RELEASED, BOUNCED = 51 / 60, 85 / 60
SPEED = 3.5
SHEET = {"frames": [0, 38, 46, 51, 56, 66, 120], "distance": 3.0}


def behind(side: str, inward: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of a hand at the side of and behind the ball, thumbs up."""
    s = 1.0 if side == "L" else -1.0
    return at(0.60, 0.10 * s, 0.75), at(0.65, -inward * s, 0.10)


def after(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of the follow-through: palms turned down and out."""
    s = 1.0 if side == "L" else -1.0
    return at(1.0, 0.0, 0.05), at(0.1, -0.25 * s, -1.0)


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(SECONDS)
    flight = BOUNCED - RELEASED
    landing = at(RELEASE[1] * -1.0 + SPEED * flight, 0.0, BALL_RADIUS)
    ball = plan.ball_path(
        t,
        HOLD,
        [
            plan.Held(0.12, HOLD),
            plan.Held(0.50, DRAWN),
            plan.Held(0.66, DRAWN),
            plan.Held(RELEASED, RELEASE, leave=paths.launch(RELEASE, landing, flight)),
            plan.Free(SECONDS),
        ],
    )
    feet = footsteps.planted(t, forward={"L": 0.14, "R": -0.10})

    def wrist(side: str) -> plan.Track:
        s = 1.0 if side == "L" else -1.0
        low = at(0.30, 0.25 * s, 1.02)
        return plan.hand_track(
            side,
            t,
            ball,
            ball.held,
            [(0.0, *behind(side)), (RELEASED + 0.02, *behind(side)), (1.15, *after(side)), (1.9, *after(side))],
            [
                plan.Reach(
                    via=(
                        (RELEASED + 0.10, RELEASE + at(0.12, 0.06 * s, 0.0)),
                        (RELEASED + 0.45, grip_point(side, at(0.44, 0.22 * s, 1.20), *after(side))),
                    ),
                    away=60.0,
                )
            ],
            rest=(None, grip_point(side, low, *after(side))),
        )

    mid = footsteps.midpoint(feet)
    shift = paths.eased(t, [(0.1, 0.0), (0.5, -0.03), (0.86, 0.06), (1.8, 0.0)])
    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=ball,
        wrists=plan.both(wrist),
        closure=plan.both(lambda _: plan.closure(ball.held)),
        feet=feet,
        pelvis_height=paths.eased(t, [(0.1, 0.92), (0.5, 0.90), (0.9, 0.91), (1.8, 0.92)]),
        pelvis=plan.leaning(t, [(0.1, 0.08), (0.5, 0.06), (0.9, 0.16), (1.8, 0.10)]),
        chest=plan.leaning(t, [(0.1, 0.14), (0.5, 0.06), (0.9, 0.36), (1.8, 0.16)]),
        balance=mid + shift[:, None] * at(1.0, 0.0, 0.0)[:2],
    )
