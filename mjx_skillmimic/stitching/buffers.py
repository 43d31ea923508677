"""How long an episode that begins in another skill's state waits for its reference (v2 §2.4 item 5)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.rotations import Array

MOST_STEPS = 10
Preset = Literal["reference", "default"]

# In float32, as the published code compares: 0.1 itself has one step.
_DECADES = tuple(float(np.float32(f"1e-{k}")) for k in range(MOST_STEPS))


def buffer_steps(similarity: Array, preset: Preset = "default") -> Array:
    """Buffer nodes N (...) int32 for starts of similarity (...) to the frame that they are to go on from.

    0 above 0.5, else −⌊log10 similarity⌋, at most 10: 1 down to 0.1, 2 down to 0.01, … Episodes that begin in their own
    reference have none, whatever is asked here.

    preset: what similarity 0 means. "reference": no start to judge, or one so dissimilar that the exponential is zero,
    both without buffer. "default": dissimilar, 10 steps (§12 item 6).

    Raises:
        ValueError: an unknown preset.
    """
    if preset not in get_args(Preset):
        raise ValueError(f"preset is one of {', '.join(get_args(Preset))}, got {preset!r}")
    xp = rotations.namespace(similarity)
    value = xp.asarray(similarity, xp.float32)
    # A logarithm would round to the wrong side of a power of ten.
    steps = sum(((value < bound).astype(xp.int32) for bound in _DECADES), start=xp.zeros(value.shape, xp.int32))
    none = value > 0.5
    if preset == "reference":
        none = none | (value == 0.0)
    return xp.where(none, 0, steps)
