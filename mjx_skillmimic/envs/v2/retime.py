"""From which frame of its clip an episode imitates that starts in a disturbed state: the most similar one (§2.5).

    similarity = exp(−(w_p·P + w_pv·|Δ key velocities|² + w_rr·θ_root² + w_r·mean θ_joint²
                       + w_o·|Δ ball|² + w_ov·|Δ ball velocity|² + w_rel·|Δ (key bodies − ball)|²))

in world coordinates, all |·|² means over components, θ angles in rad; labels without a ball have w_h·(Δ root height)²
in the place of the three last terms. P is |Δ key bodies|², a mean too; as released it is the Euclidean norm of
k − k̂², squares by component, and everything that concerns key bodies is that of another state.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2.options import RetimeOptions
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.derive import backward_difference
from mjx_skillmimic.rotations import Array

# Both presets: of labels with a ball, and of those without.
WEIGHTS = {"p": 2.0, "pv": 0.1, "rr": 2.0, "r": 2.0, "o": 1.0, "ov": 0.1, "rel": 2.0}
WEIGHTS_WITHOUT_BALL = {"p": 1.0, "pv": 0.1, "rr": 1.0, "r": 1.0, "h": 1.0}
WITHOUT_BALL = (0, 10)


@struct.dataclass
class Frames:
    """What is compared of F frames beside the motion table: velocities (F, 17, 3) m/s of the key bodies; window: of the
    longest clip, the frame numbers (L,)."""

    key_body_vel: Array
    window: Array


@struct.dataclass
class Seen:
    """The state (N, …) whose frame is looked for: coordinates, and key bodies (N, 17, 3) m and their velocities m/s."""

    state: Coordinates
    key_body_pos: Array
    key_body_vel: Array


def build_frames(motions: table.MotionTable) -> Frames:
    """Backward differences within each clip, the first one zero, as all velocities of clips are."""
    lengths, points = np.asarray(motions.lengths), np.asarray(motions.reference.key_body_pos)
    parts = np.split(points, np.cumsum(lengths)[:-1])
    velocity = np.concatenate([backward_difference(part, motions.fps) for part in parts])
    return Frames(jnp.asarray(velocity, jnp.float32), jnp.arange(int(lengths.max()), dtype=jnp.int32))


def similarities(
    motions: table.MotionTable, frames: Frames, clip: Array, seen: Seen, options: RetimeOptions
) -> tuple[Array, Array]:
    """Similarities (N, L) of states (N, …) to the frames of their clips (N,), and which of these exist (N, L) bool."""
    inside = frames.window < motions.lengths[clip][:, None]
    row = table.rows(motions, clip[:, None], frames.window)
    state, label = motions.state, motions.skills[clip]
    keys, ball = motions.reference.key_body_pos[row], motions.reference.object_pos[row]
    velocity, ball_velocity = frames.key_body_vel[row], motions.reference.object_lin_vel[row]
    now = seen.state
    own = lambda x: x[:, None]  # noqa: E731
    released = options.search == "released"
    position = (
        jnp.sqrt(jnp.sum((own(seen.key_body_pos) - keys**2) ** 2, axis=(-2, -1)))
        if released
        else _mean(own(seen.key_body_pos) - keys, (-2, -1))
    )
    relative = own(seen.key_body_pos - now.object_pos[:, None]) - (keys - ball[:, :, None])
    errors = {
        "p": position,
        "pv": _mean(own(seen.key_body_vel) - velocity, (-2, -1)),
        "rr": _angle(own(_turns(now.root_quat, released)), state.root_quat[row]) ** 2,
        "r": jnp.mean(_angle(own(now.joint_quat), state.joint_quat[row]) ** 2, axis=-1),
        "h": (own(now.root_pos) - motions.reference.root_pos[row])[..., 2] ** 2,
        "o": _mean(own(now.object_pos) - ball),
        "ov": _mean(own(now.object_lin_vel) - ball_velocity),
        "rel": _mean(relative, (-2, -1)),
    }
    with_ball = sum(weight * errors[name] for name, weight in WEIGHTS.items())
    without = sum(weight * errors[name] for name, weight in WEIGHTS_WITHOUT_BALL.items())
    body_alone = jnp.isin(label, jnp.asarray(WITHOUT_BALL))[:, None]
    return jnp.where(inside, jnp.exp(-jnp.where(body_alone, without, with_ball)), 0.0), inside


def search(
    motions: table.MotionTable, frames: Frames, clip: Array, seen: Seen, options: RetimeOptions
) -> tuple[Array, Array]:
    """The frame (N,) int32 of its clip (N,) that each state resembles most, and the similarity (N,).

    Never the two first frames, the last, or a missing one.
    """
    similarity, inside = similarities(motions, frames, clip, seen, options)
    valid = motions.valid[table.rows(motions, clip[:, None], frames.window)]
    last = motions.lengths[clip][:, None] - 1
    allowed = inside & valid & (frames.window >= table.FIRST_START) & (frames.window < last)
    found = jnp.argmax(jnp.where(allowed, similarity, -1.0), axis=-1).astype(jnp.int32)
    if options.similarity == "highest":
        return found, jnp.max(similarity, axis=-1)
    return found, jnp.take_along_axis(similarity, found[:, None], axis=-1)[:, 0]


def _mean(x: Array, axes: int | tuple[int, ...] = -1) -> Array:
    return jnp.mean(x * x, axis=axes)


def _turns(quat: Array, released: bool) -> Array:
    """The rotation that a quaternion (N, 4), not unit perhaps, is read as; as released through 2·acos(w): none where
    |w| ≥ 1."""
    if not released:
        return rotations.normalize(quat)
    return rotations.reference_exp(rotations.reference_log(quat))


def _angle(a: Array, b: Array) -> Array:
    """Angle (...) in rad between unit quaternions (..., 4)."""
    return rotations.geodesic(a, b)
