"""Dribble walking forward: a steady walk with the ball at the right side, one dribble a stride."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, plan
from mjx_skillmimic.motion.synthesis.rig import at, lean
from mjx_skillmimic.motion.synthesis.skills import dribble

NAME = "dribble_forward"
SKILL = 13
DRIBBLES = 4
SPEED = 0.7
SWING = 0.36
PLACE = at(0.40, -0.33, 0.0)
SHEET = {"frames": [0, 14, 24, 36, 44, 52, 61], "distance": 2.9}


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(dribble.seconds(DRIBBLES))
    beat = dribble.rhythm(t, PLACE, DRIBBLES, SPEED)
    feet, balance = footsteps.walking(t, SPEED, dribble.CYCLE, SWING)
    stride = np.sin(2 * np.pi * (t - 0.5 * SWING) / dribble.CYCLE)
    height = 0.875 + 0.008 * np.cos(4 * np.pi * (t - 0.5 * SWING) / dribble.CYCLE)
    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=beat.ball,
        wrists={"L": dribble.left_hand(t, beat, swing=0.06), "R": dribble.right_hand(t, beat, DRIBBLES)},
        closure={"L": np.zeros(len(t)), "R": plan.closure(beat.ball.held)},
        feet=feet,
        pelvis_height=height,
        pelvis=np.stack([lean(0.16, yaw=-0.08 * s) for s in stride]),
        chest=np.stack([lean(0.32, yaw=0.06 * s) for s in stride]),
        balance=balance,
    )
