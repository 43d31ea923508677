"""Bounce through MuJoCo's soft contacts, which have no coefficient of restitution.

A contact with solref = (−k, −b) moves like a spring and damper of unit mass whatever the masses are, so one pair of
numbers gives one restitution for every ball. `solimp` ramps the force up over the first millimetres: without a ramp
the depth at which a step happens to find the contact changes the bounce from drop to drop. √k·dt stays below 1; a
stiffer contact gains energy. How the numbers were found: docs/physics.md and scripts/tune_restitution.py.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ContactMaterial:
    """MuJoCo's solref (−stiffness 1/s², −damping 1/s) or (time constant s, damping ratio), and solimp (5,)."""

    solref: tuple[float, float]
    solimp: tuple[float, float, float, float, float]


# Bodies on the floor and on each other: critically damped, 0.02 s, the stiffest that 1/120 s steps follow safely.
BODY = ContactMaterial((0.02, 1.0), (0.9, 0.95, 0.001, 0.5, 2.0))

# e = 0.805 and 0.405: the averages of the materials of ball (0.81), floor (0.8) and body (0), skillmimic.md §2.1. The
# floor's damping is the one with which drops bounce as high as in PhysX (docs/parity.md).
BALL_FLOOR = ContactMaterial((-8815.0, -17.18), (0.1209, 0.9, 0.05068, 0.1205, 2.251))
BALL_BODY = ContactMaterial((-3418.0, -38.36), (0.4219, 0.9, 0.01091, 0.6347, 1.0))

# A basket's board bounces like the floor; its rim takes more, e = 0.4 to 0.6 at 1 to 6 m/s; no figure is published.
BASKET_BOARD = BALL_FLOOR
BASKET_RIM = ContactMaterial((-8815.0, -42.0), (0.1209, 0.9, 0.05068, 0.1205, 2.251))
