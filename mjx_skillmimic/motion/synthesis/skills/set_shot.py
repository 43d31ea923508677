"""Set shot: one push from the chest past the forehead, the right hand under the ball, the left one at its side."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, paths, plan
from mjx_skillmimic.motion.synthesis.hands import grip_point
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, at
from mjx_skillmimic.motion.synthesis.skills.throw_catch import cradle

NAME = "set_shot"
SKILL = 5
SECONDS = 2.8

HOLD = at(0.39, 0.0, 1.15)
POCKET = at(0.44, -0.13, 1.18)
RELEASE = at(0.45, -0.17, 1.69)
RELEASED, GUIDED, BOUNCED = 63 / 60, 60 / 60, 124 / 60
SPEED = 1.1
SHEET = {"frames": [0, 40, 54, 63, 72, 105, 160], "distance": 3.2}


def setting(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions with the ball before the chest, ready to shoot."""
    if side == "R":
        return at(-0.22, -0.20, 0.90), at(0.75, 0.25, 0.45)
    return at(0.40, 0.10, 1.0), at(0.15, -1.0, 0.25)


def after(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of the follow-through."""
    if side == "R":
        return at(0.45, 0.0, 0.85), at(0.85, 0.1, -0.45)
    return at(0.4, 0.0, 1.0), at(0.4, -1.0, 0.0)


def lowered(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of a hand that waits before the body."""
    s = 1.0 if side == "L" else -1.0
    return at(1.0, -0.1 * s, 0.1), at(0.1, -s, -0.3)


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(SECONDS)
    flight = BOUNCED - RELEASED
    landing = at(-RELEASE[1] + SPEED * flight, RELEASE[0], BALL_RADIUS)
    ball = plan.ball_path(
        t,
        HOLD,
        [
            plan.Held(0.10, HOLD),
            plan.Held(0.60, POCKET),
            plan.Held(0.69, POCKET),
            plan.Held(RELEASED, RELEASE, leave=paths.launch(RELEASE, landing, flight)),
            plan.Free(SECONDS),
        ],
    )
    feet = footsteps.planted(t, forward={"L": -0.05, "R": 0.05})
    touching = {"R": ball.held, "L": ball.held & (t <= GUIDED + 1e-9)}
    high = {"L": at(0.26, 0.20, 1.56), "R": at(0.28, -0.17, 1.66)}
    times = {"L": GUIDED, "R": RELEASED}
    left = ball.pos[round(GUIDED * 60)] + at(0.04, 0.10, 0.13)
    brake = {"L": left, "R": RELEASE + at(0.03, 0.0, 0.14)}

    def wrist(side: str) -> plan.Track:
        s = 1.0 if side == "L" else -1.0
        end = grip_point(side, at(0.30, 0.26 * s, 1.02), *lowered(side))
        return plan.hand_track(
            side,
            t,
            ball,
            touching[side],
            [
                (0.10, *cradle(side)),
                (0.62, *setting(side)),
                (RELEASED + 0.04, *setting(side)),
                (RELEASED + 0.35, *after(side)),
                (RELEASED + 0.60, *after(side)),
                (2.3, *lowered(side)),
            ],
            [
                plan.Reach(
                    stops=(
                        (times[side] + 0.12, brake[side]),
                        (RELEASED + 0.45, grip_point(side, high[side], *after(side))),
                        (RELEASED + 0.70, grip_point(side, high[side], *after(side))),
                    ),
                    away=70.0,
                )
            ],
            rest=(None, end),
        )

    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=ball,
        wrists=plan.both(wrist),
        closure=plan.both(lambda side: plan.closure(touching[side])),
        feet=feet,
        pelvis_height=paths.eased(
            t, [(0.05, 0.93), (0.62, 0.86), (0.84, 0.86), (1.20, 0.955), (1.6, 0.95), (2.4, 0.93)]
        ),
        pelvis=plan.leaning(t, [(0.05, 0.08), (0.62, 0.14), (1.0, 0.0), (2.4, 0.08)]),
        chest=plan.leaning(t, [(0.05, 0.14), (0.62, 0.20), (1.05, 0.06), (1.5, 0.04), (2.4, 0.12)]),
        balance=footsteps.midpoint(feet),
    )
