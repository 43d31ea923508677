"""All clips' frames on the device, shared by every environment: sampling and gathers (skillmimic.md §3.5, §3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Coordinates, Skeleton
from mjx_skillmimic.motion.clip import FIRST_START as FIRST_START
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import KeyBodies, ObjectRotation, derive
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.motion.missing import Missing
from mjx_skillmimic.motion.moved import Move, moved
from mjx_skillmimic.motion.start_frames import pack_start_frames
from mjx_skillmimic.rotations import Array

PICK_UP = 1  # the label whose clips the published law draws twice as often

Pad = Literal["zero", "hold"]
JointVelocity = Literal["relative", "published"]
RootAngularVelocity = Literal["body", "published"]


@struct.dataclass
class MotionTable:
    """N frames of C clips, concatenated.

    reference: Features with leading axis N. state: Coordinates with leading axis N, joint velocities relative.
    body_pos (N, 53, 3) m as stored. valid (N,) bool: the frames that are not missing, the only
    ones whose reference is the clip's own. starts (C,) int32, each clip's first row; lengths (C,) int32; skills (C,)
    int32; probabilities (C,) of drawing a clip, summing to 1. start_counts (C,) int32: how many frames of a clip an
    episode may start on, the valid ones of [2, T − 2]; start_frames (N,) int32: these, ascending, in the first
    start_counts rows of each clip. fps, names: static.
    """

    reference: Features
    state: Coordinates
    body_pos: Array
    valid: Array
    starts: Array
    lengths: Array
    skills: Array
    probabilities: Array
    start_counts: Array
    start_frames: Array
    fps: float = struct.field(pytree_node=False)
    names: tuple[str, ...] = struct.field(pytree_node=False)

    @property
    def num_clips(self) -> int:
        return len(self.names)

    @property
    def num_frames(self) -> int:
        return self.body_pos.shape[0]


def clip_weights(skills: Sequence[int] | np.ndarray, pick_weight: float = 1.0) -> np.ndarray:
    """(C,) float64 weights 1/(clips of the same skill), skill 1 times `pick_weight` (published: 2); not normalised."""
    labels, inverse, counts = np.unique(np.asarray(skills), return_inverse=True, return_counts=True)
    return np.where(labels == PICK_UP, pick_weight, 1.0)[inverse] / counts[inverse]


def build_table(
    clips: Sequence[MotionClip],
    skeleton: Skeleton | None = None,
    *,
    key_bodies: KeyBodies = "stored",
    object_rotation: ObjectRotation = "negated",
    pick_weight: float = 1.0,
    init_vel: bool = False,
    missing: Missing = "bridged",
) -> MotionTable:
    """Puts clips on the default device; about 3.6 kB a frame.

    Args: key_bodies, object_rotation, init_vel, missing: as in `derive`. pick_weight: as in `clip_weights`.

    Raises:
        ValueError: no clips, clips of different frame rates (nothing here resamples), or one with no frame to start on.
    """
    if not clips:
        raise ValueError("a motion table needs at least one clip, got none")
    rates = sorted({float(clip.fps) for clip in clips})
    if len(rates) > 1:
        raise ValueError(
            f"all clips of a table must share one frame rate, got {rates} fps; resample them before import"
        )
    choices: dict[str, Any] = {"object_rotation": object_rotation, "init_vel": init_vel, "missing": missing}
    tracks = [derive(clip, skeleton, key_bodies, **choices) for clip in clips]
    start_counts, start_frames = pack_start_frames(clips)
    lengths = np.array([clip.num_frames for clip in clips], np.int32)
    weights = clip_weights([clip.skill for clip in clips], pick_weight)
    join = lambda *parts: jnp.asarray(np.concatenate(parts))  # noqa: E731
    return MotionTable(
        reference=jax.tree.map(join, *(track.features() for track in tracks)),
        state=jax.tree.map(join, *(Coordinates(*(getattr(t, f) for f in Coordinates._fields)) for t in tracks)),
        body_pos=join(*(track.body_pos for track in tracks)),
        valid=join(*(track.valid for track in tracks)),
        starts=jnp.asarray(np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int32)),
        lengths=jnp.asarray(lengths),
        skills=jnp.asarray(np.array([clip.skill for clip in clips], np.int32)),
        probabilities=jnp.asarray((weights / weights.sum()).astype(np.float32)),
        start_counts=jnp.asarray(start_counts),
        start_frames=jnp.asarray(start_frames),
        fps=rates[0],
        names=tuple(clip.name for clip in clips),
    )


def sample(
    table: MotionTable,
    rng: Array,
    shape: tuple[int, ...] = (),
    *,
    start: int | None = None,
) -> tuple[Array, Array]:
    """Draws clips by weight and a start frame in each: int32 (clip, frame) of `shape`; jit- and vmap-able.

    The start frame is uniform on the integers [2, T − 2], both included (§3.5), without the missing ones
    (skillmimic_v2.md §3), or the fixed frame `start`, at most T − 2 (§3.6).
    """
    clip_rng, frame_rng = jax.random.split(rng)
    # Inverse of the cumulative distribution: one uniform number a draw, however many clips there are.
    cumulative = jnp.cumsum(table.probabilities)
    u = jax.random.uniform(clip_rng, shape) * cumulative[-1]
    clip = jnp.minimum(jnp.searchsorted(cumulative, u, side="right"), table.num_clips - 1).astype(jnp.int32)
    if start is not None:
        return clip, jnp.clip(jnp.int32(start), 0, table.lengths[clip] - 2)
    number = jax.random.randint(frame_rng, shape, 0, table.start_counts[clip], jnp.int32)
    return clip, table.start_frames[table.starts[clip] + number]


def episode_length(table: MotionTable, clip: Array, frame: Array, max_length: int) -> Array:
    """min(max_length, T − start), the reference rows of an episode that starts on `frame`; int32."""
    return jnp.minimum(max_length, table.lengths[clip] - frame).astype(jnp.int32)


def rows(table: MotionTable, clip: Array, frame: Array) -> Array:
    """Row of the concatenated arrays, the frame held inside its clip."""
    return table.starts[clip] + jnp.clip(frame, 0, table.lengths[clip] - 1)


def present(table: MotionTable, clip: Array, frame: Array, *, end: Array | None = None) -> Array:
    """Bool (...): clip (...) has a reference of its own at frame (...): not missing, before `end` and the clip's end.

    Elsewhere an environment may put other worlds' reward in the place of its own (skillmimic_v2.md §2.6).
    """
    end = table.lengths[clip] if end is None else jnp.minimum(end, table.lengths[clip])
    return table.valid[rows(table, clip, frame)] & (frame < end)


def features(
    table: MotionTable,
    clip: Array,
    frame: Array,
    *,
    pad: Pad = "zero",
    end: Array | None = None,
    move: Move | None = None,
) -> Features:
    """Reference features (...) of clip (...) at frame (...).

    Args:
        pad: what is read at frame ≥ end: "zero" all zeros, quaternion included (published, §12.25), "hold" the last
            valid frame.
        end: (...) first frame that counts as past the end; default and upper bound: the clip's length. An episode
            that started on frame s ends at s + episode_length.
        move: (...) turn and shift of the clip, none if not given. What is padded with zeros stays zero.

    Raises:
        ValueError: an unknown `pad`.
    """
    if pad not in get_args(Pad):
        raise ValueError(f"pad is one of {get_args(Pad)}, got {pad!r}")
    end = table.lengths[clip] if end is None else jnp.minimum(end, table.lengths[clip])
    row = table.starts[clip] + jnp.clip(frame, 0, end - 1)
    gathered = jax.tree.map(lambda x: x[row], table.reference)
    if move is not None:
        gathered = moved(gathered, move)
    if pad == "hold":
        return gathered
    valid = jnp.asarray(frame < end)
    return jax.tree.map(
        lambda x: jnp.where(valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim)), x, 0.0), gathered
    )


def initial_coordinates(
    table: MotionTable,
    clip: Array,
    frame: Array,
    *,
    joint_velocity: JointVelocity = "relative",
    max_joint_speed: float | None = 30.0,
    root_angular_velocity: RootAngularVelocity = "body",
) -> Coordinates:
    """The state that an episode starts from (§3.6), (...) for clip (...) at frame (...).

    Args:
        joint_velocity: "relative" the joints' angular velocities; "published" the differences of rotation vectors,
            which are not velocities near ‖v‖ = π and reach 363 rad/s there (§12.7).
        max_joint_speed: rad/s; faster joints are slowed to it in their direction. None (published): no bound.
        root_angular_velocity: "body" as it was measured; "published" reads the body-frame numbers as a world-frame
            velocity (§12.6) and answers that velocity in the root's frame.

    Raises:
        ValueError: an unknown option.
    """
    if joint_velocity not in get_args(JointVelocity) or root_angular_velocity not in get_args(RootAngularVelocity):
        raise ValueError(
            f"joint_velocity is one of {get_args(JointVelocity)}, root_angular_velocity one of "
            f"{get_args(RootAngularVelocity)}; got {joint_velocity!r}, {root_angular_velocity!r}"
        )
    row = rows(table, clip, frame)
    state = jax.tree.map(lambda x: x[row], table.state)
    if joint_velocity == "published":
        state = state._replace(joint_vel=table.reference.dof_vel[row].reshape(state.joint_vel.shape))
    if max_joint_speed is not None:
        speed = jnp.sqrt(jnp.sum(state.joint_vel**2, axis=-1, keepdims=True))
        bounded = state.joint_vel * (max_joint_speed / jnp.maximum(speed, max_joint_speed))
        state = state._replace(joint_vel=bounded)
    if root_angular_velocity == "published":
        state = state._replace(root_ang_vel=rotations.rotate_inverse(state.root_quat, state.root_ang_vel))
    return state
