"""Skills that go on: where a clip ends, the reference continues on a frame of the same skill that looks alike.

A clip of dribbling lasts two seconds; a policy that only ever imitates to its end has never seen what comes after. A
seam joins a frame near the end of a clip to the most similar frame of the label's clips (`transitions.resemblance`),
and the clip behind it is turned and shifted to where the first one has arrived, and so on over its own seam. Not part
of the published method.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Of C clips: cut (C,) int32, the last frame imitated before the seam (−1: the clip has none), and what takes its
    place from there on for count (C,) of at most T steps, over further seams if need be: clip and frame (C, T) int32
    and the move (C, T) that puts these where it is."""

    cut: Array
    count: Array
    clip: Array
    frame: Array
    move: moved.Move


def build_seams(motions: table.MotionTable, limit: float, steps: int, skills: Sequence[int] = ()) -> Seams:
    """The nearest seam of each clip, if it is nearer than `limit` m, followed for `steps` steps.

    skills: the labels that go on; none given: all. A skill that ends, as a throw does, must not be among them, for the
    seam might leave out what it is for.

    Raises:
        ValueError: no clip has one.
    """
    rows, heading = resemblance(motions), rotations.heading(rotations.exp(np.asarray(motions.reference.root_rotvec)))
    starts, lengths, labels = (np.asarray(x) for x in (motions.starts, motions.lengths, motions.skills))
    may = np.isin(labels, skills) if len(skills) else np.ones(len(labels), bool)
    if not may.any():
        raise ValueError(
            f"start.seam_skills = {tuple(skills)}: the clips have the labels {sorted(set(labels.tolist()))}"
        )
    found = [_nearest(rows, starts, lengths, labels, clip) for clip in range(motions.num_clips)]
    distance = np.where(may, [seam[0] for seam in found], np.inf)
    if not (distance < limit).any():
        raise ValueError(
            f"start.seam_distance = {limit:g} m leaves no seam: the nearest is {distance.min():.3f} m apart"
        )
    to, cut, frame = (np.array([seam[i] for seam in found], np.int32) for i in (1, 2, 3))
    cut = np.where(distance < limit, cut, -1)
    left, entered = starts + cut, starts[to] + frame
    root = np.asarray(motions.reference.root_pos)
    over = jax.tree.map(np.asarray, moved.between(root[entered], heading[entered], root[left], heading[left]))
    chains = [_followed(clip, steps, cut, to, frame, lengths, over) for clip in range(motions.num_clips)]
    count, clips, frames, turn, shift = (np.stack(x) for x in zip(*chains, strict=True))
    return Seams(
        cut=jnp.asarray(cut, jnp.int32),
        count=jnp.asarray(count, jnp.int32),
        clip=jnp.asarray(clips, jnp.int32),
        frame=jnp.asarray(frames, jnp.int32),
        move=moved.Move(jnp.asarray(turn, jnp.float32), jnp.asarray(shift, jnp.float32)),
    )


def _followed(
    clip: int, steps: int, cut: np.ndarray, to: np.ndarray, frame: np.ndarray, lengths: np.ndarray, over: moved.Move
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many of `steps` steps there are behind the seam of a clip; clip, frame, turn and shift of each, the last one
    held."""
    clips, frames, turns, shifts = (np.zeros((steps, *shape)) for shape in ((), (), (), (2,)))
    at, now, turn, shift, count = clip, int(cut[clip]), 0.0, np.zeros(2), 0
    for step in range(steps):
        if now == cut[at]:
            c, s = np.cos(turn), np.sin(turn)
            shift = shift + np.array([[c, -s], [s, c]]) @ over.shift[at]
            turn = turn + over.turn[at]
            at, now = int(to[at]), int(frame[at])
        if now + 1 < lengths[at] and cut[clip] >= 0:
            now, count = now + 1, step + 1
        clips[step], frames[step], turns[step], shifts[step] = at, max(now, 0), turn, shift
    return count, clips, frames, turns, shifts


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


def rows_left(seams: Seams, clip: Array, frame: Array) -> Array:
    """Reference rows (N,) from a frame to the last step known behind the seam of its clip."""
    return seams.cut[clip] - frame + 1 + seams.count[clip]


def imitated(seams: Seams, info: dict[str, Any], progress: Array) -> tuple[Array, Array, moved.Move]:
    """Clip, frame and move of control step `progress` of the episodes `info`, all of its shape, (N,) or (N, K)."""

    def like(x: Array) -> Array:
        return x.reshape(x.shape + (1,) * (jnp.ndim(progress) - x.ndim))

    clip, frame = like(info["clip"]), like(info["frame"]) + progress
    behind = frame - seams.cut[clip] - 1
    past = like(info["crosses"]) & (behind >= 0)
    at = (jnp.broadcast_to(clip, behind.shape), jnp.clip(behind, 0, seams.clip.shape[1] - 1))
    move = moved.Move(jnp.where(past, seams.move.turn[at], 0.0), jnp.where(past[..., None], seams.move.shift[at], 0.0))
    return jnp.where(past, seams.clip[at], clip), jnp.where(past, seams.frame[at], frame), move
