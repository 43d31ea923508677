"""Dribble in place: four dribbles with the right hand, knees bent, feet planted."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import footsteps, plan
from mjx_skillmimic.motion.synthesis.rig import at
from mjx_skillmimic.motion.synthesis.skills import dribble

NAME = "dribble_in_place"
SKILL = 51
DRIBBLES = 4
PLACE = at(0.44, -0.30, 0.0)
SHEET = {"frames": [0, 14, 24, 36, 44, 52, 61]}


def make() -> plan.Plan:
    """The plan of the clip."""
    t = plan.clock(dribble.seconds(DRIBBLES))
    beat = dribble.rhythm(t, PLACE, DRIBBLES)
    feet = footsteps.planted(t, forward={"L": 0.10, "R": -0.08}, half_width=0.16)
    bob = 0.012 * np.cos(2 * np.pi * t / dribble.CYCLE)
    return plan.Plan(
        name=NAME,
        skill=SKILL,
        ball=beat.ball,
        wrists={"L": dribble.left_hand(t, beat, swing=0.02), "R": dribble.right_hand(t, beat, DRIBBLES)},
        closure={"L": np.zeros(len(t)), "R": plan.closure(beat.ball.held)},
        feet=feet,
        pelvis_height=0.86 + bob,
        pelvis=plan.leaning(t, [(0.0, 0.22)]),
        chest=plan.leaning(t, [(0.0, 0.36)], yaw=0.10),
        balance=footsteps.midpoint(feet),
    )
