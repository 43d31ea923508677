"""Balls that lie elsewhere than in the clip, and a reference that goes there: picking up, learned around the clips.

Where the ball lies or rolls on the floor and is touched only later, an episode may start with the ball turned about the
person and shifted. From the start frame to the touch the body of the reference takes up the same turn and shift bit by
bit, so that it arrives at the ball as the clip does; from there on the whole clip is moved. The person's start state is
the clip's. Not part of the published method: its clips show the ball in a few dozen places.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.motion import moved, table
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array

# The ball's centre is at 0.12 m when it lies on the floor.
ON_FLOOR = 0.2  # m
# The body has taken up the whole move so long before the touch: the last half step and the grip are the clip's.
SETTLED = 12  # frames
# A placed ball must lie outside the feet: distance in m from the tracked points as seen from above.
CLEAR = 0.35


@struct.dataclass
class Placement:
    """Of each world: where the ball was put, and by when the body follows.

    turn (N,) rad about the vertical through pivot (N, 2) m, then shift (N, 2) m; frames (N,) float32: control steps
    from the start within which the body takes both up. Zero turn and shift: the clip as it is.
    """

    turn: Array
    shift: Array
    pivot: Array
    frames: Array


def nothing_placed(count: int) -> Placement:
    """Of N worlds, each with the clip's own ball."""
    zero, pair = jnp.zeros(count, jnp.float32), jnp.zeros((count, 2), jnp.float32)
    return Placement(zero, pair, pair, zero + 1.0)


def frames_before_touch(motions: table.MotionTable) -> np.ndarray:
    """(F,) int32: frames until the ball is touched next, where it stays on the floor until then; else 0."""
    contact = np.asarray(motions.reference.contact) > 0.5
    floor = np.asarray(motions.reference.object_pos)[:, 2] < ON_FLOOR
    left = np.zeros(len(contact), np.int32)
    for first, length in zip(np.asarray(motions.starts), np.asarray(motions.lengths), strict=True):
        for row in range(first + length - 2, first - 1, -1):
            if floor[row] and not contact[row] and (contact[row + 1] or left[row + 1]):
                left[row] = left[row + 1] + 1
    return left


def build_frames_before_touch(motions: table.MotionTable) -> Array:
    """`frames_before_touch` for the device.

    Raises:
        ValueError: there is no frame that an episode with a placed ball may start on.
    """
    left = frames_before_touch(motions)
    if left.max() <= SETTLED:
        raise ValueError(
            f"start.placement_probability > 0 needs a ball on the floor (centre below {ON_FLOOR:g} m) for more than "
            f"{SETTLED} frames before it is touched; in these {motions.num_clips} clips it is for at most {left.max()}"
        )
    return jnp.asarray(left)


def draw(
    motions: table.MotionTable, before_touch: Array, options: StartOptions, rng: Array, row: Array, may: Array
) -> Placement:
    """Placements of episodes that start in the rows (N,) with keys (N,); may (N,) bool: of which there may be one.

    Turn and shift are uniform within `placement_turn` rad and a disc of `placement_radius` m, both no more than what
    the body can take up at a mean `placement_turn_rate` rad/s and `placement_speed` m/s. No placement where the ball is
    touched too soon, or would lie under the person.
    """
    u = jax.vmap(lambda key: jax.random.uniform(key, (4,)))(rng)
    frames = jnp.maximum(before_touch[row] - SETTLED, 0).astype(jnp.float32)
    seconds = frames / motions.fps
    turn = (2.0 * u[:, 0] - 1.0) * jnp.minimum(options.placement_turn, options.placement_turn_rate * seconds)
    reach = jnp.sqrt(u[:, 1]) * jnp.minimum(options.placement_radius, options.placement_speed * seconds)
    angle = 2.0 * jnp.pi * u[:, 2]
    shift = reach[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    start = jax.tree.map(lambda x: x[row], motions.reference)
    chosen = Placement(turn, shift, start.root_pos[:, :2], jnp.maximum(frames, 1.0))
    ball = moved.moved(start, _move(chosen, jnp.ones_like(turn))).object_pos
    points = jnp.concatenate([start.root_pos[:, None], start.key_body_pos], axis=1)
    distance = jnp.sqrt(jnp.min(jnp.sum((points - ball[:, None])[..., :2] ** 2, axis=-1), axis=-1))
    used = may & (u[:, 3] < options.placement_probability) & (frames > 0) & (distance > CLEAR)
    return Placement(
        jnp.where(used, turn, 0.0),
        jnp.where(used[:, None], shift, 0.0),
        chosen.pivot,
        jnp.where(used, chosen.frames, 1.0),
    )


def placed(features: Features, placement: Placement, progress: Array) -> Features:
    """Reference rows (N,) of control step `progress` (N,): the ball moved wholly, the body as far as it is by then.

    Rows that are padding (all zeros) stay so. The body's share of the move is 3s² − 2s³ of the time s: it begins and
    ends at rest, and is half as fast again as its mean in between.
    """
    padding = ~jnp.any(features.object_quat != 0.0, axis=-1)
    placement = placement.replace(  # type: ignore[attr-defined]
        turn=jnp.where(padding, 0.0, placement.turn), shift=jnp.where(padding[:, None], 0.0, placement.shift)
    )
    whole = moved.moved(features, _move(placement, jnp.ones_like(placement.turn)))
    done = jnp.clip(progress / placement.frames, 0.0, 1.0)
    body = moved.moved(features, _move(placement, done * done * (3.0 - 2.0 * done)))
    return whole.replace(  # type: ignore[attr-defined]
        root_pos=body.root_pos, root_rotvec=body.root_rotvec, key_body_pos=body.key_body_pos
    )


def _move(placement: Placement, share: Array) -> moved.Move:
    """A share (N,) of the turn about the pivot and of the shift."""
    turn = share * placement.turn
    pivot = jnp.concatenate([placement.pivot, jnp.zeros_like(placement.pivot[:, :1])], axis=-1)
    about = (pivot - rotations.rotate(rotations.about_z(turn), pivot))[:, :2]
    return moved.Move(turn, about + share[:, None] * placement.shift)


def move_ball(placement: Placement, qpos: Array, qvel: Array, body: BodyState) -> tuple[Array, Array, BodyState]:
    """Start states (N, nq), (N, nv) and their body states with the ball where it was put; the person stays."""
    move = _move(placement, jnp.ones_like(placement.turn))
    turn = rotations.about_z(move.turn)
    shift = jnp.concatenate([move.shift, jnp.zeros_like(move.shift[:, :1])], axis=-1)
    pos = rotations.rotate(turn, body.object_pos) + shift
    quat = rotations.multiply(turn, body.object_quat)
    velocity = rotations.rotate(turn, body.object_lin_vel)
    # The ball's spin is in its own frame there, which turns with it.
    qpos = jnp.concatenate([qpos[:, :-7], pos, quat], axis=-1)
    qvel = jnp.concatenate([qvel[:, :-6], velocity, qvel[:, -3:]], axis=-1)
    spin = rotations.rotate(turn, body.object_ang_vel)
    return (
        qpos,
        qvel,
        body.replace(  # type: ignore[attr-defined]
            object_pos=pos, object_quat=quat, object_lin_vel=velocity, object_ang_vel=spin
        ),
    )
