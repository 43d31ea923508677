"""A basket of matter: board, bracket and rim as fixed geoms that only the ball touches.

Its place is the same in every world: the middle of the ring stands on the vertical through the origin, the board behind
it towards −x, facing +x. A world whose basket should be elsewhere moves and turns its person and ball instead, which no
law of motion notices. Proportions are those of FIBA's rules; only the height is an option, and the board is thicker, so
that no fast ball comes through. There is no net, no pole, and a person passes through all of it.
"""

from __future__ import annotations

import itertools

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model import restitution
from mjx_skillmimic.model.options import SceneOptions

INNER_RADIUS = 0.2285  # m, of the ring; the inner diameter is 0.457 m
TUBE_RADIUS = 0.009  # m
BOARD_SIZE = (0.05, 1.80, 1.05)  # m
_BOARD_BELOW = 0.15  # m, from its lower edge up to the plane of the rim
_BOARD_GAP = 0.151  # m, from its face to the nearest point of the ring's inner edge
_BRACKET_WIDTH = 0.10  # m
_SEGMENTS = 16  # capsules of the ring; they leave a circle by 2 mm at most
# Pairs of geoms and contacts that a ball at the basket adds, at most; a test counts them.
MOST_PAIRS, MOST_CONTACTS = 10, 6

NAME = "basket"
_WHITE, _RED = (0.93, 0.94, 0.95, 1.0), (0.80, 0.25, 0.10, 1.0)


def face() -> float:
    """x of the board's face, m."""
    return -(INNER_RADIUS + _BOARD_GAP)


def reach(options: SceneOptions) -> float:
    """Horizontal distance in m from the ring's middle beyond which a ball cannot touch the basket."""
    return float(np.hypot(face() - BOARD_SIZE[0], BOARD_SIZE[1] / 2)) + options.ball_radius


def geoms(model: mujoco.MjModel) -> np.ndarray:
    """Ids of the basket's geoms in a compiled model, none if it has no basket."""
    return np.array([i for i in range(model.ngeom) if model.geom(i).name.startswith(f"{NAME}_")], int)


def add_basket(spec: mujoco.MjSpec, options: SceneOptions, ball: str) -> None:
    """Adds the geoms `basket_board`, `basket_bracket` and `basket_rim0` …, and a pair of each with the geom `ball`.

    Not by geoms' priorities: MuJoCo Warp of mujoco-mjx 3.17 takes the lesser of two negative `solref` all the same.
    """
    height, (depth, width, tall) = options.basket_height, BOARD_SIZE
    spec.worldbody.add_geom(
        name=f"{NAME}_board",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[face() - depth / 2, 0.0, height - _BOARD_BELOW + tall / 2],
        size=[depth / 2, width / 2, tall / 2],
        rgba=_WHITE,
    )
    outer = -(INNER_RADIUS + TUBE_RADIUS)
    spec.worldbody.add_geom(
        name=f"{NAME}_bracket",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=[(face() + outer) / 2, 0.0, height],
        size=[(outer - face()) / 2, _BRACKET_WIDTH / 2, TUBE_RADIUS],
        rgba=_RED,
    )
    for i, (start, end) in enumerate(_ring(height)):
        spec.worldbody.add_geom(
            name=f"{NAME}_rim{i}",
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=[*start, *end],
            size=[TUBE_RADIUS, 0, 0],
            rgba=_RED,
        )
    for geom in [geom for geom in spec.worldbody.geoms if geom.name.startswith(f"{NAME}_")]:
        geom.contype = geom.conaffinity = 0
        pair = spec.add_pair(name=f"{ball}-{geom.name}", geomname1=ball, geomname2=geom.name, condim=3)
        pair.friction = [options.friction, options.friction, 0.005, 0.0001, 0.0001]
        material = restitution.BASKET_BOARD if geom.name == f"{NAME}_board" else restitution.BASKET_RIM
        pair.solref, pair.solimp = list(material.solref), list(material.solimp)


def _ring(height: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ends of the segments: a polygon that is as far outside the circle of the tube's middle as inside."""
    half = np.pi / _SEGMENTS
    angle = 2 * half * np.arange(_SEGMENTS + 1)
    radius = (INNER_RADIUS + TUBE_RADIUS) * 2 / (1 + np.cos(half))
    corner = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full_like(angle, height)], axis=-1)
    return list(itertools.pairwise(corner))


def falls_through(before: rotations.Array, after: rotations.Array, height: float) -> rotations.Array:
    """(...) bool: a ball went down through the ring between the positions before and after (..., 3) m.

    Its centre crosses the plane of the rim downwards, on the straight line between them, inside the ring. Were ball and
    rim rigid, a ball of radius r would then be less than the inner radius minus r from the middle, and one that passes
    outside farther than the inner radius plus r and the tube: the limit between them holds for dents of several cm on
    both sides, and for balls of all sizes. At 60 Hz the line is within a millimetre of the fall.
    """
    xp = rotations.namespace(before, after)
    high, low = before[..., 2] - height, after[..., 2] - height
    crosses = (high > 0.0) & (low <= 0.0)
    share = high / xp.where(crosses, high - low, 1.0)
    place = before[..., :2] + share[..., None] * (after[..., :2] - before[..., :2])
    return crosses & (xp.sum(place * place, axis=-1) < INNER_RADIUS**2)
