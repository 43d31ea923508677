"""Hands: frames from finger and palm directions, and fingers that wrap around the ball.

A hand frame is the wrist body's: fingers along +x on the left and −x on the right, the palm faces −y, the thumb is on
the +z side (the T-pose has the palms down). The *grip point* is where the ball's centre is in that frame when held.
"""

from __future__ import annotations

import dataclasses
import functools

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, full_model, unit

FINGERS = ("Index", "Middle", "Pinky", "Ring", "Thumb")
# How deep the palm and the finger segments press into the ball (m).
PALM_PRESS = 0.003
FINGER_PRESS = 0.0025
KNUCKLE_PRESS = 0.002
# Along the hand from the wrist (m): where the palm's capsule ends, and where the ball is centred.
PALM_END = 0.06
GRIP_FORWARD = 0.092
# Sideways direction of each finger's first segment: hand z over the finger direction.
SPREAD = {"Index": 0.20, "Middle": 0.05, "Ring": -0.08, "Pinky": -0.25, "Thumb": 0.9}
# Open and relaxed hands bend this fraction of the wrapped hand.
OPEN_FRACTION = 0.35


def hand_rotation(side: str, fingers: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """World rotation (3, 3) of a wrist whose fingers point along `fingers` and whose palm faces `palm` (3,).

    `palm` is made perpendicular to `fingers` first.
    """
    f = unit(np.asarray(fingers, float))
    p = np.asarray(palm, float)
    p = unit(p - f * (p @ f))
    x = f if side == "L" else -f
    return np.stack([x, -p, np.cross(x, -p)], axis=1)


@dataclasses.dataclass(frozen=True)
class Grip:
    """A hand around the ball: `centre` (3,) m of the ball in the hand frame, and rotation vectors (15, 3) of the finger
    joints in asset order, once wrapped around the ball and once open."""

    side: str
    centre: np.ndarray
    wrapped: np.ndarray
    opened: np.ndarray

    def fingers(self, closure: np.ndarray) -> np.ndarray:
        """Finger rotation vectors (T, 15, 3) for `closure` (T,): 0 open, 1 wrapped."""
        c = closure[:, None, None]
        return self.opened + c * (self.wrapped - self.opened)


def grip_point(side: str, wrist: np.ndarray, fingers: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """Where a ball in the hand's grip would be (3,) for a wrist at `wrist` (3,)."""
    return wrist + hand_rotation(side, fingers, palm) @ grip(side).centre


@functools.cache
def grip(side: str) -> Grip:
    """The grip with the ball under the middle of the hand."""
    model = full_model()
    sign = 1.0 if side == "L" else -1.0
    # The ball sits between the middle and the ring finger, far enough ahead to clear the forearm.
    z = 0.5 * (model.body(f"{side}_Middle1").pos[2] + model.body(f"{side}_Ring1").pos[2])
    supports = [(np.array([sign * PALM_END, 0.0, 0.0]), model.geom(f"{side}_Wrist").size[0] - PALM_PRESS)]
    for finger in FINGERS[:4]:
        supports.append((model.body(f"{side}_{finger}1").pos, model.geom(f"{side}_{finger}1").size[0] - KNUCKLE_PRESS))
    # as near as the palm and the knuckles allow
    heights = [(BALL_RADIUS + r) ** 2 - (p[0] - sign * GRIP_FORWARD) ** 2 - (p[2] - z) ** 2 for p, r in supports]
    centre = np.array([sign * GRIP_FORWARD, -np.sqrt(max(heights)), z])
    wrapped = np.concatenate([_wrap(model, f"{side}_{finger}", sign, centre) for finger in FINGERS])
    return Grip(side, centre, wrapped, _open(wrapped))


def _open(wrapped: np.ndarray) -> np.ndarray:
    opened = OPEN_FRACTION * wrapped
    opened[-3:] = 0.6 * wrapped[-3:]
    return opened


def _wrap(model: mujoco.MjModel, finger: str, sign: float, centre: np.ndarray) -> np.ndarray:
    """Rotation vectors (3, 3) of one finger's joints, each segment bent towards the ball until it presses."""
    origin = np.array(model.body(f"{finger}1").pos)
    straight = np.array([sign, 0.0, 0.0])
    spread = unit(straight + np.array([0.0, 0.0, SPREAD[finger[2:]]]))
    frame = Rotation.align_vectors([spread], [straight])[0]
    before, out = Rotation.identity(), []
    for i in (1, 2, 3):
        geom = model.geom(f"{finger}{i}")
        half = Rotation.from_quat(geom.quat, scalar_first=True).apply([0.0, 0.0, geom.size[1]])
        segment = np.stack([geom.pos - half, geom.pos + half])
        target = BALL_RADIUS + geom.size[0] - FINGER_PRESS
        axis = unit(np.cross(frame.apply(straight), centre - origin))

        def gap(angle: float, axis=axis, segment=segment, origin=origin, frame=frame, target=target) -> float:
            ends = origin + (Rotation.from_rotvec(angle * axis) * frame).apply(segment)
            return _distance(ends, centre) - target

        frame = Rotation.from_rotvec(_first_root(gap) * axis) * frame
        out.append((before.inv() * frame).as_rotvec())
        before = frame
        if i < 3:
            origin = origin + frame.apply(model.body(f"{finger}{i + 1}").pos)
    return np.array(out)


def finger_gap(model: mujoco.MjModel, finger: str, joints: np.ndarray, centre: np.ndarray, segment: int) -> float:
    """Gap (m) between the ball at `centre` (3,) and one of a finger's three segments, in the hand frame, for the
    finger's joint rotation vectors (3, 3)."""
    frame, origin = Rotation.identity(), np.zeros(3)
    for i in range(segment + 1):
        origin = origin + frame.apply(model.body(f"{finger}{i + 1}").pos)
        frame = frame * Rotation.from_rotvec(joints[i])
    geom = model.geom(f"{finger}{segment + 1}")
    half = Rotation.from_quat(geom.quat, scalar_first=True).apply([0.0, 0.0, geom.size[1]])
    ends = origin + frame.apply(np.stack([geom.pos - half, geom.pos + half]))
    return _distance(ends, centre) - geom.size[0] - BALL_RADIUS


def _first_root(gap) -> float:
    """The least angle in [−0.5, 1.5] where the falling `gap` is zero; the end of the range if it never is."""
    low, high = -0.5, 1.5
    if gap(low) <= 0.0 or gap(high) >= 0.0:
        angles = np.linspace(low, high, 81)
        return float(angles[np.argmin([abs(gap(a)) for a in angles])])
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap(middle) > 0.0 else (low, middle)
    return high


def _distance(ends: np.ndarray, point: np.ndarray) -> float:
    """Distance of `point` (3,) from the segment `ends` (2, 3)."""
    along = ends[1] - ends[0]
    s = np.clip((point - ends[0]) @ along / max(along @ along, 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(ends[0] + s * along - point))
