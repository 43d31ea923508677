"""Episodes that start in the state of one skill and imitate another: which frames of two labels resemble each other.

A pair joins a frame of clip A and the frame of all clips of another label that is nearest to it. The distance is in
metres, in each frame's own heading frame, as if the roots stood on one spot and faced the same way:

    d² = mean |Δp|² + τ² · mean |Δv|² + |Δb|² + τ² · |Δw|² + κ² · [contact differs]

with means over the root and 17 key bodies; p positions relative to the root, of the root its height; v velocities;
b and w the ball's position relative to the root and its velocity; τ = 0.1 s, the time in which a difference of
velocities becomes one of positions; κ = 0.2 m.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.motion import moved, table
from mjx_skillmimic.rotations import Array

VELOCITY_TIME = 0.1
CONTACT_DISTANCE = 0.2
_CHUNK = 1024


@struct.dataclass
class Pairs:
    """Where each of F frames may go over to another skill: at most P places each, the first `count` of them.

    clip, frame (F, P) int32: what is imitated from there on; count (F,) int32. heading (F,) rad: of the frame's root.
    """

    clip: Array
    frame: Array
    count: Array
    heading: Array


def resemblance(motions: table.MotionTable) -> np.ndarray:
    """(F, D) float32 in m: the Euclidean distance of two rows is that of their frames."""
    reference = jax.tree.map(np.asarray, motions.reference)
    lengths = np.asarray(motions.lengths)
    inverse = rotations.heading_inverse(rotations.exp(reference.root_rotvec))[:, None]
    root, ball = reference.root_pos[:, None], reference.object_pos[:, None]
    points = np.concatenate([root, reference.key_body_pos], axis=1)
    velocity = np.concatenate([_rates(part, motions.fps) for part in np.split(points, np.cumsum(lengths)[:-1])])
    place = np.concatenate([root * np.array([0, 0, 1], np.float32), reference.key_body_pos - root], axis=1)
    of_body = [rotations.rotate(inverse, place), VELOCITY_TIME * rotations.rotate(inverse, velocity)]
    of_ball = [
        rotations.rotate(inverse, ball - root),
        VELOCITY_TIME * rotations.rotate(inverse, reference.object_lin_vel[:, None]),
    ]
    flat = [part.reshape(len(root), -1) / np.sqrt(points.shape[1]) for part in of_body]
    flat += [part[:, 0] for part in of_ball]
    return np.concatenate([*flat, CONTACT_DISTANCE * (reference.contact[:, None] > 0.5)], axis=1).astype(np.float32)


def nearest(motions: table.MotionTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """labels (L,), and for each frame and label the row of the nearest frame in [2, T − 2] of the label's clips (F, L)
    int32 and its distance (F, L) m, infinite for the frame's own label. On the host."""
    rows, lengths = resemblance(motions), np.asarray(motions.lengths)
    skill, may_start = np.repeat(np.asarray(motions.skills), lengths), _may_start(motions)
    labels = np.unique(skill)
    best = np.zeros((len(rows), len(labels)), np.int32)
    distance = np.full(best.shape, np.inf, np.float32)
    for number, label in enumerate(labels):
        candidates, others = np.flatnonzero((skill == label) & may_start), np.flatnonzero(skill != label)
        if not len(candidates):
            continue
        targets = rows[candidates]
        squares = np.sum(targets**2, axis=1)
        for start in range(0, len(others), _CHUNK):
            chunk = others[start : start + _CHUNK]
            best[chunk, number] = candidates[np.argmin(squares - 2.0 * rows[chunk] @ targets.T, axis=1)]
        # Of the found pairs alone, and directly: differences of squares lose the digits of small distances.
        found = best[others, number]
        distance[others, number] = np.sqrt(np.sum((rows[others] - rows[found]) ** 2, axis=1))
    return labels, best, distance


def build_pairs(motions: table.MotionTable, limit: float) -> Pairs:
    """All pairs nearer than `limit` m.

    Raises:
        ValueError: there is none.
    """
    labels, best, distance = nearest(motions)
    if not (distance < limit).any():
        found = f"the nearest pair is {distance.min():.3f} m apart" if len(labels) > 1 else "all clips have one label"
        raise ValueError(f"start.transition_distance = {limit:g} m leaves no transition between labels: {found}")
    order = np.argsort(distance, axis=1)
    count = np.sum(distance < limit, axis=1)
    target = np.take_along_axis(best, order, axis=1)[:, : count.max()]
    starts = np.asarray(motions.starts)
    clip = np.searchsorted(starts, target, side="right") - 1
    heading = rotations.heading(rotations.exp(np.asarray(motions.reference.root_rotvec)))
    return Pairs(
        clip=jnp.asarray(clip, jnp.int32),
        frame=jnp.asarray(target - starts[clip], jnp.int32),
        count=jnp.asarray(count, jnp.int32),
        heading=jnp.asarray(heading, jnp.float32),
    )


def draw(
    motions: table.MotionTable, pairs: Pairs, options: StartOptions, rng: Array, row: Array
) -> tuple[Array, Array, Array, moved.Move]:
    """Which of N episodes that start in the states `row` (N,) go over to another skill: goes (N,) bool, the clips and
    frames (N,) they imitate instead, and the move that puts these where the start is, none for the others.

    rng: (N,) keys. Each label that has a frame near enough is equally likely.
    """

    def one(key: Array, row: Array) -> tuple[Array, Array]:
        u = jax.random.uniform(key, (2,))
        count = pairs.count[row]
        which = jnp.minimum((u[1] * count).astype(jnp.int32), jnp.maximum(count - 1, 0))
        return (u[0] < options.transition_probability) & (count > 0), which

    goes, which = jax.vmap(one)(rng, row)
    clip, frame = pairs.clip[row, which], pairs.frame[row, which]
    target = table.rows(motions, clip, frame)
    root = motions.reference.root_pos
    move = moved.between(root[target], pairs.heading[target], root[row], pairs.heading[row])
    return goes, clip, frame, moved.Move(jnp.where(goes, move.turn, 0.0), jnp.where(goes[:, None], move.shift, 0.0))


def summary(motions: table.MotionTable, limits: Sequence[float]) -> list[str]:
    """Lines of a Markdown table, a row for each label that frames in [2, T − 2] leave and a column for each they reach:
    per cent of these frames with a pair below each limit (m). The last columns count frames and pairs to any label."""
    labels, _, distance = nearest(motions)
    lengths = np.asarray(motions.lengths)
    may_start = _may_start(motions)
    skill, distance = np.repeat(np.asarray(motions.skills), lengths)[may_start], distance[may_start]
    below = np.stack([distance < limit for limit in limits])
    lines = ["| from \\ to | " + " | ".join(map(str, labels)) + " | frames | any label | pairs |"]
    lines.append("|---" * (len(labels) + 4) + "|")
    for own in [*labels, None]:
        found = below if own is None else below[:, skill == own]
        cells = ["–" if label == own else _shares(found[:, :, number]) for number, label in enumerate(labels)]
        cells = [""] * len(labels) if own is None else cells
        pairs = " / ".join(str(count) for count in found.sum(axis=(1, 2)))
        cells += [str(found.shape[1]), _shares(np.any(found, axis=2)), pairs]
        lines.append(f"| {'all' if own is None else own} | " + " | ".join(cells) + " |")
    return lines


def _shares(found: np.ndarray) -> str:
    """Per cent of frames, from (limits, frames) bool."""
    return " / ".join(f"{100 * share:.0f}" for share in found.mean(axis=1))


def _may_start(motions: table.MotionTable) -> np.ndarray:
    """(F,) bool: the frame lies in [2, T − 2] and is not missing."""
    lengths = np.asarray(motions.lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    return (frame >= table.FIRST_START) & (frame <= np.repeat(lengths, lengths) - 2) & np.asarray(motions.valid)


def _rates(points: np.ndarray, fps: float) -> np.ndarray:
    """Velocities (T, 18, 3) m/s of points of one clip, central differences."""
    return np.gradient(points, axis=0) * fps if len(points) > 1 else np.zeros_like(points)
