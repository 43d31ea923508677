"""A clip turned about the vertical and shifted on the floor: the same motion in another place."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.rotations import Array


@struct.dataclass
class Move:
    """A turn (...) rad about world z, then a shift (..., 2) m in x and y."""

    turn: Array
    shift: Array


def no_move(count: int) -> Move:
    """Of N worlds, each left where it is."""
    return Move(jnp.zeros(count, jnp.float32), jnp.zeros((count, 2), jnp.float32))


def between(root_pos: Array, heading: Array, moved_pos: Array, moved_heading: Array) -> Move:
    """What brings roots (..., 3) m of headings (...) rad onto others as seen from above; heights stay as they are."""
    turn = moved_heading - heading
    return Move(turn, moved_pos[..., :2] - rotations.rotate(rotations.about_z(turn), root_pos)[..., :2])


def moved(features: Features, move: Move) -> Features:
    """Features (...) of the moved motion; to the bit the same where the move is none."""
    turn = rotations.about_z(move.turn)
    shift = jnp.concatenate([move.shift, jnp.zeros_like(move.shift[..., :1])], axis=-1)
    root = rotations.log(rotations.multiply(turn, rotations.exp(features.root_rotvec)))
    return features.replace(  # type: ignore[attr-defined]
        root_pos=rotations.rotate(turn, features.root_pos) + shift,
        # A vector of norm above π is left as it is where nothing turns.
        root_rotvec=jnp.where(move.turn[..., None] == 0.0, features.root_rotvec, root),
        object_pos=rotations.rotate(turn, features.object_pos) + shift,
        object_quat=rotations.multiply(turn, features.object_quat),
        object_lin_vel=rotations.rotate(turn, features.object_lin_vel),
        key_body_pos=rotations.rotate(turn[..., None, :], features.key_body_pos) + shift[..., None, :],
    )


def then(first: Move, second: Move) -> Move:
    """One move that does what the first and after it the second do."""
    xy = jnp.concatenate([first.shift, jnp.zeros_like(first.shift[..., :1])], axis=-1)
    shift = rotations.rotate(rotations.about_z(second.turn), xy)[..., :2] + second.shift
    return Move(first.turn + second.turn, shift)
