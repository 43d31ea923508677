"""Skills that go on: where a clip ends, the reference continues on a frame of the same skill that looks alike.

A clip of dribbling lasts two seconds; a policy that only ever imitates to its end has never seen what comes after. A
seam joins a frame near the end of a clip to the most similar frame of the label's clips (`transitions.resemblance`),
and the clip behind it is turned and shifted to where the first one has arrived. Not part of the published method.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.transitions import resemblance
from mjx_skillmimic.motion import moved, table
from mjx_skillmimic.rotations import Array

# Where a clip may be left, as a share of its frames; how much must come after a seam, and between leaving and
# re-entering the same clip, in frames.
LEAVE_AFTER = 0.6
RUN_ON = 45
SHORTEST_LOOP = 30


@struct.dataclass
class Seams:
    """Of C clips: the last frame imitated before the seam (−1: the clip has none), the clip and frame that take its
    place, all (C,) int32, and the move that puts these where it is."""

    cut: Array
    clip: Array
    frame: Array
    move: moved.Move


def build_seams(motions: table.MotionTable, limit: float) -> Seams:
    """The nearest seam of each clip, if it is nearer than `limit` m.

    Raises:
        ValueError: no clip has one.
    """
    rows, heading = resemblance(motions), rotations.heading(rotations.exp(np.asarray(motions.reference.root_rotvec)))
    starts, lengths = np.asarray(motions.starts), np.asarray(motions.lengths)
    found = [_nearest(rows, starts, lengths, np.asarray(motions.skills), clip) for clip in range(motions.num_clips)]
    distance = np.array([seam[0] for seam in found])
    if not (distance < limit).any():
        raise ValueError(
            f"start.seam_distance = {limit:g} m leaves no seam: the nearest is {distance.min():.3f} m apart"
        )
    clip, cut, frame = (np.array([seam[i] for seam in found], np.int32) for i in (1, 2, 3))
    left, entered = starts + cut, starts[clip] + frame
    root = np.asarray(motions.reference.root_pos)
    move = moved.between(root[entered], heading[entered], root[left], heading[left])
    return Seams(
        cut=jnp.asarray(np.where(distance < limit, cut, -1), jnp.int32),
        clip=jnp.asarray(clip),
        frame=jnp.asarray(frame),
        move=jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), move),
    )


def _nearest(
    rows: np.ndarray, starts: np.ndarray, lengths: np.ndarray, skills: np.ndarray, clip: int
) -> tuple[float, int, int, int]:
    """Distance in m, clip, frame that is left and frame that is entered of a clip's best seam."""
    best = (np.inf, clip, 0, 0)
    leave = np.arange(int(LEAVE_AFTER * lengths[clip]), lengths[clip] - 1)
    for other in np.flatnonzero(skills == skills[clip]):
        enter = np.arange(table.FIRST_START, lengths[other] - RUN_ON)
        if not len(leave) or not len(enter):
            continue
        difference = rows[starts[clip] + leave][:, None] - rows[starts[other] + enter]
        distance = np.sqrt(np.sum(difference**2, axis=-1))
        if other == clip:
            distance[leave[:, None] - enter < SHORTEST_LOOP] = np.inf
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        if distance[i, j] < best[0]:
            best = (float(distance[i, j]), int(other), int(leave[i]), int(enter[j]))
    return best


def crosses(seams: Seams, probability: float, rng: Array, clip: Array, frame: Array) -> Array:
    """(N,) bool: which episodes that begin on these frames go on over the seam of their clip; rng: (N,) keys."""
    chosen = jax.vmap(jax.random.uniform)(rng) < probability
    return chosen & (frame <= seams.cut[clip])


def rows_left(motions: table.MotionTable, seams: Seams, clip: Array, frame: Array) -> Array:
    """Reference rows (N,) from a frame to the end of the clip behind the seam."""
    return seams.cut[clip] - frame + motions.lengths[seams.clip[clip]] - seams.frame[clip]


def imitated(seams: Seams, info: dict[str, Any], progress: Array) -> tuple[Array, Array, moved.Move]:
    """Clip, frame and move of control step `progress` of the episodes `info`, all of its shape, (N,) or (N, K)."""

    def like(x: Array) -> Array:
        return x.reshape(x.shape + (1,) * (jnp.ndim(progress) - x.ndim))

    clip, frame = like(info["clip"]), like(info["frame"]) + progress
    past = like(info["crosses"]) & (frame > seams.cut[clip])
    move = moved.Move(
        jnp.where(past, seams.move.turn[clip], 0.0), jnp.where(past[..., None], seams.move.shift[clip], 0.0)
    )
    return (
        jnp.where(past, seams.clip[clip], clip),
        jnp.where(past, seams.frame[clip] + frame - seams.cut[clip], frame),
        move,
    )
