"""Smooth paths through time: minimum-jerk splines, eased rotations and the ball's ballistic flight with bounces."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation, Slerp

from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, GRAVITY

# Speed ratio of a bounce on the floor (skillmimic.md §2: the mean of ball 0.81 and floor 0.8).
RESTITUTION = 0.805

State = tuple[np.ndarray, np.ndarray, np.ndarray]  # position, velocity, acceleration, each (3,)


def minimum_jerk(x: np.ndarray | float) -> np.ndarray:
    """The minimum-jerk step from 0 to 1 for x in [0, 1], clamped outside."""
    x = np.clip(np.asarray(x, float), 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 + x * (6.0 * x - 15.0)))


def eased(times: np.ndarray, knots: list[tuple[float, object]]) -> np.ndarray:
    """Values (T, ...) that rest at each knot (time, value) and go minimum-jerk between them; constant outside."""
    when = [k[0] for k in knots]
    values = [np.asarray(k[1], float) for k in knots]
    out = np.broadcast_to(values[0], (len(times), *values[0].shape)).copy()
    for t0, t1, a, b in zip(when, when[1:], values, values[1:], strict=False):
        s = minimum_jerk((times - t0) / (t1 - t0)).reshape(-1, *([1] * a.ndim))
        after = (times > t0).reshape(s.shape)
        out = np.where(after, a + s * (b - a), out)
    return out


def eased_rotation(times: np.ndarray, knots: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Rotations (T, 3, 3) that rest at each knot (time, matrix) and turn minimum-jerk between them."""
    if len(knots) == 1:
        return np.broadcast_to(knots[0][1], (len(times), 3, 3)).copy()
    clock = eased(times, [(t, float(i)) for i, (t, _) in enumerate(knots)])
    turn = Slerp(np.arange(len(knots)), Rotation.from_matrix([k[1] for k in knots]))
    return turn(clock).as_matrix()


def spline(times: np.ndarray, start: State, end: State, t0: float, t1: float, via=()) -> np.ndarray:
    """Quintic spline (T, 3) from `start` at t0 to `end` at t1 through `via` = ((time, point), ...).

    It is the least integral of squared jerk among the paths that meet these conditions: continuous in position,
    velocity and acceleration at both ends, and up to the fourth derivative inside.
    """
    knots = [(t0, start[0]), *via, (t1, end[0])]
    curve = make_interp_spline(
        [k[0] for k in knots],
        np.array([k[1] for k in knots]),
        k=5,
        bc_type=([(1, start[1]), (2, start[2])], [(1, end[1]), (2, end[2])]),
    )
    return curve(times)


def resting(point: np.ndarray) -> State:
    """The state of a body that rests at `point` (3,)."""
    return np.asarray(point, float), np.zeros(3), np.zeros(3)


@dataclasses.dataclass(frozen=True)
class Flight:
    """Free flight from `position`, `velocity` (3,) at time `start` (s), with bounces on the floor.

    A bounce reverses the vertical speed times RESTITUTION and keeps the horizontal velocity (no spin).
    """

    start: float
    position: np.ndarray
    velocity: np.ndarray

    def at(self, time: float) -> State:
        """State at `time` >= start."""
        p, v, left = np.array(self.position, float), np.array(self.velocity, float), time - self.start
        while True:
            g = -GRAVITY[2]
            impact = (v[2] + np.sqrt(max(v[2] ** 2 + 2 * g * (p[2] - BALL_RADIUS), 0.0))) / g
            if left <= impact + 1e-9:
                return p + v * left + 0.5 * GRAVITY * left**2, v + GRAVITY * left, GRAVITY.copy()
            p = p + v * impact + 0.5 * GRAVITY * impact**2
            v = v + GRAVITY * impact
            p[2], v[2] = BALL_RADIUS, -RESTITUTION * v[2]
            left -= impact


def launch(p0: np.ndarray, p1: np.ndarray, seconds: float) -> np.ndarray:
    """Velocity (3,) that flies from p0 to p1 in `seconds` without a bounce."""
    return (np.asarray(p1) - np.asarray(p0)) / seconds - 0.5 * GRAVITY * seconds
