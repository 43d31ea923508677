"""Balls that lie elsewhere than in the clip, and a reference that goes there: picking up, learned around the clips.

Where the ball lies or rolls on the floor and is touched only later, an episode may start with the ball in another
direction and distance. As far as the reference walks, it turns about itself and goes on in the direction that it faces
by then (so that a clip that walks straight becomes a curve), and is shifted with every step; it arrives at the ball as
the clip does, and from there on the whole clip is moved. The person's start state is the clip's. Not part of the
published method: its clips show the ball in a few dozen places.
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
# Who walks less than this to the ball cannot be led elsewhere.
SHORTEST_WAY = 0.2  # m
# A placed ball must lie outside the feet: distance in m from the tracked points as seen from above.
CLEAR = 0.35


@struct.dataclass
class Approach:
    """What is known of F frames before the touch: left (F,) int32 as in `frames_before_touch`; steps (F, 2) m, the
    root's way over the floor from the frame to the next; walked (F + 1,) m, the length of all steps before a frame;
    place (F, 2) m, where it is; count (K,) int32, the numbers 0 to K − 1 of the longest approach."""

    left: Array
    steps: Array
    walked: Array
    place: Array
    count: Array


@struct.dataclass
class Placement:
    """Of each world: by how much the reference turns and is shifted, and by when.

    turn (N,) rad and shift (N, 2) m, taken up within frames (N,) int32 control steps from the start; row (N,) int32 of
    the start; whole: the `moved.Move` of the ball, and of the body when it is there. Zero turn and shift: the clip as
    it is.
    """

    turn: Array
    shift: Array
    frames: Array
    row: Array
    whole: moved.Move


def nothing_placed(count: int) -> Placement:
    """Of N worlds, each with the clip's own ball."""
    none, zero = moved.no_move(count), jnp.zeros(count, jnp.int32)
    return Placement(none.turn, none.shift, zero, zero, none)


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


def build_approach(motions: table.MotionTable) -> Approach:
    """The approaches of a table's clips, for the device.

    Raises:
        ValueError: there is no frame that an episode with a placed ball may start on.
    """
    left = frames_before_touch(motions)
    if left.max() <= SETTLED:
        raise ValueError(
            f"start.placement_probability > 0 needs a ball on the floor (centre below {ON_FLOOR:g} m) for more than "
            f"{SETTLED} frames before it is touched; in these {motions.num_clips} clips it is for at most {left.max()}"
        )
    place = np.asarray(motions.reference.root_pos)[:, :2]
    steps = np.diff(place, axis=0, append=place[-1:])
    steps[np.asarray(motions.starts) + np.asarray(motions.lengths) - 1] = 0.0  # from one clip into another
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=-1))])
    rows = np.arange(len(left))
    if (walked[rows + np.maximum(left - SETTLED, 0)] - walked[rows]).max() <= SHORTEST_WAY:
        raise ValueError(
            f"start.placement_probability > 0 needs a ball on the floor and a person who walks at least "
            f"{SHORTEST_WAY:g} m to it; in these {motions.num_clips} clips nobody does"
        )
    count = np.arange(left.max() - SETTLED, dtype=np.int32)
    return Approach(*(jnp.asarray(x) for x in (left, steps, walked.astype(np.float32), place, count)))


def draw(
    motions: table.MotionTable, approach: Approach, options: StartOptions, rng: Array, row: Array, may: Array
) -> Placement:
    """Placements of episodes that start in the rows (N,) with keys (N,); may (N,) bool: of which there may be one.

    Turn and shift are uniform within `placement_turn` rad and a disc of `placement_radius` m, both no more than what
    the body can take up at a mean `placement_turn_rate` rad/s and `placement_speed` m/s, the shift no more than
    `placement_stretch` times the way to walk. No placement where the ball is touched too soon, where there is no way,
    or where the ball would lie under the person.
    """
    u = jax.vmap(lambda key: jax.random.uniform(key, (4,)))(rng)
    frames = jnp.maximum(approach.left[row] - SETTLED, 0)
    seconds, way = frames / motions.fps, approach.walked[row + frames] - approach.walked[row]
    turn = (2.0 * u[:, 0] - 1.0) * jnp.minimum(options.placement_turn, options.placement_turn_rate * seconds)
    farthest = jnp.minimum(options.placement_speed * seconds, options.placement_stretch * way)
    reach = jnp.sqrt(u[:, 1]) * jnp.minimum(options.placement_radius, farthest)
    angle = 2.0 * jnp.pi * u[:, 2]
    shift = reach[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    chosen = Placement(turn, shift, frames, row, moved.no_move(row.shape[0]))
    chosen = chosen.replace(whole=_body(approach, chosen, chosen.frames))  # type: ignore[attr-defined]
    start = jax.tree.map(lambda x: x[row], motions.reference)
    ball = moved.moved(start, chosen.whole).object_pos
    points = jnp.concatenate([start.root_pos[:, None], start.key_body_pos], axis=1)
    distance = jnp.sqrt(jnp.min(jnp.sum((points - ball[:, None])[..., :2] ** 2, axis=-1), axis=-1))
    used = may & (u[:, 3] < options.placement_probability) & (way > SHORTEST_WAY) & (distance > CLEAR)
    return jax.tree.map(lambda x, none: jnp.where(_like(used, x), x, none), chosen, nothing_placed(row.shape[0]))


def placed(features: Features, approach: Approach, placement: Placement, progress: Array) -> Features:
    """Reference rows (N,) of control step `progress` (N,): the ball moved wholly, the body as far as it is by then.

    Rows that are padding (all zeros) stay so. Turn and shift are taken up as the way is walked: who stands still is
    not moved.
    """
    padding = ~jnp.any(features.object_quat != 0.0, axis=-1)
    none = moved.no_move(progress.shape[0])
    partly = _body(approach, placement, progress)
    whole, partly = (
        jax.tree.map(lambda x, zero: jnp.where(_like(padding, x), zero, x), move, none)
        for move in (placement.whole, partly)
    )
    body = moved.moved(features, partly)
    return moved.moved(features, whole).replace(  # type: ignore[attr-defined]
        root_pos=body.root_pos, root_rotvec=body.root_rotvec, key_body_pos=body.key_body_pos
    )


def _body(approach: Approach, placement: Placement, progress: Array) -> moved.Move:
    """How far the body (N,) has been moved at step `progress` (N,), as a move of the clip's frame of that step."""
    now = jnp.clip(progress, 0, placement.frames)
    before = approach.walked[placement.row]
    length = jnp.maximum(approach.walked[placement.row + placement.frames] - before, SHORTEST_WAY)
    row = placement.row[:, None] + approach.count
    # Each step of the clip is made in the direction that the body faces halfway through it.
    half = 0.5 * (approach.walked[row] + approach.walked[row + 1])
    facing = placement.turn[:, None] * (half - before[:, None]) / length[:, None]
    made = jnp.where((approach.count < now[:, None])[..., None], approach.steps[row], 0.0)
    way = jnp.stack(
        [
            jnp.sum(jnp.cos(facing) * made[..., 0] - jnp.sin(facing) * made[..., 1], axis=-1),
            jnp.sum(jnp.sin(facing) * made[..., 0] + jnp.cos(facing) * made[..., 1], axis=-1),
        ],
        axis=-1,
    )
    share = (approach.walked[placement.row + now] - before) / length
    turn, zero = share * placement.turn, jnp.zeros_like(share)
    old, new = approach.place[placement.row + now], approach.place[placement.row]
    new = new + way + share[:, None] * placement.shift
    old, new = (jnp.concatenate([x, zero[:, None]], axis=-1) for x in (old, new))
    move = moved.between(old, zero, new, turn)
    still = (placement.turn == 0.0) & ~jnp.any(placement.shift != 0.0, axis=-1)
    return jax.tree.map(lambda x: jnp.where(_like(still, x), 0.0, x), move)


def _like(mask: Array, x: Array) -> Array:
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def move_ball(placement: Placement, qpos: Array, qvel: Array, body: BodyState) -> tuple[Array, Array, BodyState]:
    """Start states (N, nq), (N, nv) and their body states with the ball where it was put; the person stays."""
    move = placement.whole
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
