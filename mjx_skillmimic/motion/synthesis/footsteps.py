"""Feet: planted stances and a walking gait of flat-footed steps."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.motion.synthesis import paths
from mjx_skillmimic.motion.synthesis.plan import Track, constant
from mjx_skillmimic.motion.synthesis.rig import ANKLE_HEIGHT, SIDES, STANCE_HALF_WIDTH, at, lean

# A swinging foot first rises, then travels: the part of the swing before and after which it does not travel.
LIFT_PART = 0.12
STEP_HEIGHT = 0.10
# The centre of mass stands this far ahead of the ankles (m), over the middle of the soles.
SOLE_CENTRE = 0.06
TOE_OUT = 0.12
# How far the centre of mass moves over the standing foot in a walk (m).
SWAY = 0.035


def foot_rotation(side: str, turn_out: float = TOE_OUT) -> np.ndarray:
    """World rotation (3, 3) of a flat foot turned outwards by `turn_out` rad."""
    return lean(0.0, yaw=turn_out if side == "L" else -turn_out)


def planted(
    times: np.ndarray,
    forward: dict[str, float] | None = None,
    half_width: float = STANCE_HALF_WIDTH,
    turn_out: float = TOE_OUT,
) -> dict[str, Track]:
    """Tracks by side of feet that stand still; `forward` puts a foot ahead (m)."""
    ahead = forward or {"L": 0.0, "R": 0.0}
    return {
        side: Track(
            constant(times, at(ahead[side], half_width * (1 if side == "L" else -1), ANKLE_HEIGHT)),
            constant(times, foot_rotation(side, turn_out)),
        )
        for side in SIDES
    }


def walking(
    times: np.ndarray, speed: float, cycle: float, swing: float, half_width: float = 0.11
) -> tuple[dict[str, Track], np.ndarray]:
    """Tracks by side of a steady walk, and the path (T, 2) that the balance follows.

    Args:
        speed: m/s forward. cycle: seconds of a left and a right step. swing: seconds a foot is in the air, at most
            cycle / 2 so that one foot is always planted.
    """
    tracks = {}
    for side, phase in zip(SIDES, (0.0, 0.5), strict=True):
        step = np.floor(times / cycle + phase)
        within = times - (step - phase) * cycle
        progress = np.clip(within / swing, 0.0, 1.0)
        travel = paths.minimum_jerk((progress - LIFT_PART) / (1.0 - 2.0 * LIFT_PART))
        # a foot lands half a stance ahead of the body and leaves the floor half a stance behind
        landing = speed * ((step - phase) * cycle + swing + 0.5 * (cycle - swing)) - SOLE_CENTRE
        ahead = landing + speed * cycle * (travel - 1.0)
        up = ANKLE_HEIGHT + STEP_HEIGHT * np.sin(np.pi * progress) ** 2
        left = np.full_like(times, half_width if side == "L" else -half_width)
        tracks[side] = Track(np.stack([left, -ahead, up], axis=1), constant(times, foot_rotation(side, 0.06)))
    # over the right foot in the middle of the left one's swing
    sway = -SWAY * np.cos(2 * np.pi * (times - 0.5 * swing) / cycle)
    return tracks, np.stack([sway, -speed * times], axis=1)


def midpoint(feet: dict[str, Track]) -> np.ndarray:
    """World xy (T, 2) between the feet, moved forward from the ankles to the middle of the soles."""
    return 0.5 * (feet["L"].pos[:, :2] + feet["R"].pos[:, :2]) + at(SOLE_CENTRE, 0.0, 0.0)[:2]
