"""Pick up: squat to a ball on the floor, take it between the palms, stand up and hold it before the chest."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, paths, plan
from mjx_skillmimic.motion.synthesis.hands import grip_point
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, at, lean
from mjx_skillmimic.motion.synthesis.skills.throw_catch import HOLD, cradle

NAME = "pick_up"
SKILL = 1
SECONDS = 3.4

SHEET = {"frames": [0, 35, 60, 84, 105, 125, 180], "azimuth": 20.0, "distance": 3.0}

LYING = at(0.47, 0.0, BALL_RADIUS)
TOUCHED, LIFTED, UP = 84 / 60, 93 / 60, 2.75


def sides(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of a hand at the side of the ball on the floor."""
    s = 1.0 if side == "L" else -1.0
    return at(1.0, 0.0, -0.45), at(0.0, -s, 0.18)


def hanging(side: str) -> tuple[np.ndarray, np.ndarray]:
    """Finger and palm directions of a hand beside the thigh."""
    s = 1.0 if side == "L" else -1.0
    return at(0.45, 0.0, -1.0), at(0.1, -s, 0.0)


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(SECONDS)
    ball = plan.ball_path(
        t,
        LYING,
        [
            plan.Free(TOUCHED, still=True),
            plan.Held(LIFTED, LYING),
            plan.Held(UP, HOLD, via=((0.5 * (LIFTED + UP), at(0.46, 0.0, 0.62)),)),
            plan.Held(SECONDS, HOLD),
        ],
    )
    feet = footsteps.planted(t, half_width=0.29, turn_out=0.80)

    def wrist(side: str) -> plan.Track:
        s = 1.0 if side == "L" else -1.0
        start = grip_point(side, at(0.26, 0.20 * s, 0.95), *hanging(side))
        lower = at(0.47, -0.02 * s, 0.62)
        ready = LYING + at(-0.01, 0.06 * s, 0.03)
        return plan.hand_track(
            side,
            t,
            ball,
            ball.held,
            [(0.1, *hanging(side)), (1.1, *sides(side)), (LIFTED, *sides(side)), (UP, *cradle(side))],
            [
                plan.Reach(
                    via=((0.45, start + at(0.09, -0.03 * s, -0.12)), (0.75, lower)), stops=((1.2, ready),), away=60.0
                )
            ],
            rest=(start, None),
        )

    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=ball,
        wrists=plan.both(wrist),
        closure=plan.both(lambda _: plan.closure(ball.held, frames=14)),
        feet=feet,
        pelvis_height=paths.eased(t, [(0.05, 0.94), (1.25, 0.62), (LIFTED, 0.62), (UP, 0.92)]),
        pelvis=paths.eased_rotation(
            t, [(0.05, lean(0.06)), (1.25, lean(0.85)), (LIFTED, lean(0.85)), (UP, lean(0.10))]
        ),
        chest=paths.eased_rotation(t, [(0.05, lean(0.10)), (1.25, lean(1.40)), (LIFTED, lean(1.40)), (UP, lean(0.16))]),
        balance=footsteps.midpoint(feet),
    )
