"""Adaptive trajectory sampling: clips and start frames are drawn more often where the reward is low (SkillMimic-V2 §3).

A cell is a start frame of a clip. What is known of it is the mean reward of the episodes that started on it; clips of
low reward are drawn by e^(−5 reward) within their label, labels likewise, start frames by e^(−10 reward) within their
clip. The law is made anew after every `interval` times as many control steps as there are frames.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.envs.v2.options import AtsOptions
from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array

# Rewards are summed as whole numbers of 1/4096: exact in any order, so that all devices come to the same law.
_LEVELS = 4096


@struct.dataclass
class Cells:
    """Which start frames there are: K columns, the longest clip's frames less three; column k is frame k + 2.

    may_start (C, K) bool: the frame lies in [2, T − 2] and is not missing. exists (C, K) bool: not missing, wherever
    it lies. same_label (C, C) bool. steps () int32: control steps between two laws.
    """

    may_start: Array
    exists: Array
    same_label: Array
    steps: Array


@struct.dataclass
class Law:
    """What is known, and the law that follows.

    score (C, K): mean rewards of the episodes that started on a frame. clip_score (C,): of a clip. clip (C,), frame
    (C, K): cumulative probabilities of the clips, and of the columns of each. passed () int32: how often the law has
    been made.
    """

    score: Array
    clip_score: Array
    clip: Array
    frame: Array
    passed: Array


@struct.dataclass
class Attempt:
    """A running episode of each world: cell (N,) int32, clip · K + column; gained (N,), its rewards so far; counted
    (N,) float32, how many of them were not zero."""

    cell: Array
    gained: Array
    counted: Array


@struct.dataclass
class Seen:
    """What has happened since the law was last asked to adapt: cell (N,) int32 (−1: none) and score (N,) of the last
    episode that ended in each world; clip (N,) int32 and reward (N,) of the last step; steps (N,) int32, all control
    steps of the run, the same in every world."""

    cell: Array
    score: Array
    clip: Array
    reward: Array
    steps: Array


def build_cells(motions: table.MotionTable, options: AtsOptions) -> Cells:
    """The cells of a motion table."""
    lengths, starts = np.asarray(motions.lengths), np.asarray(motions.starts)
    columns = int(lengths.max()) - 3
    may_start = np.zeros((len(lengths), columns), bool)
    exists = np.ones_like(may_start)
    for clip, (length, first) in enumerate(zip(lengths, starts, strict=True)):
        valid = np.asarray(motions.valid)[first + table.FIRST_START : first + min(length, columns + table.FIRST_START)]
        exists[clip, : len(valid)] = valid
        may_start[clip, : length - 3] = exists[clip, : length - 3]
    skills = np.asarray(motions.skills)
    return Cells(
        may_start=jnp.asarray(may_start),
        exists=jnp.asarray(exists),
        same_label=jnp.asarray(skills[:, None] == skills),
        steps=jnp.int32(max(round(options.interval * int(lengths.sum())), 1)),
    )


def new_law(motions: table.MotionTable, cells: Cells) -> Law:
    """Before any episode: the table's clips, every frame of a clip as often as another."""
    within = cells.may_start / jnp.sum(cells.may_start, axis=1, keepdims=True)
    score = jnp.zeros(cells.may_start.shape, jnp.float32)
    clips = motions.probabilities
    return Law(score, jnp.zeros_like(clips), jnp.cumsum(clips), jnp.cumsum(within, axis=1), jnp.int32(0))


def clip_weights(same_label: Array, score: Array, options: AtsOptions) -> Array:
    """(C,) weights of clips with mean rewards `score` (C,): (1 − α)/C + α · share of the label · share within it."""
    of_label = lambda x: jnp.sum(jnp.where(same_label, x, 0.0), axis=1)  # noqa: E731
    clips = of_label(jnp.ones_like(score))
    hard = jnp.exp(-options.clip_sharpness * score)
    label = jnp.exp(-options.clip_sharpness * of_label(score) / clips)
    # Over labels is over clips, each with its part of the label.
    share = label / jnp.sum(label / clips)
    return (1.0 - options.alpha) / score.shape[0] + options.alpha * share * hard / of_label(hard)


def frame_weights(exists: Array, score: Array, options: AtsOptions) -> Array:
    """(C, K) weights of the columns within their clip: (1 − α)/K + α · e^(−10 score)/Σ, zero on missing frames.

    The sum goes over all K columns, those beyond a short clip's end too: they change the weight of (1 − α) alone.
    """
    hard = jnp.exp(-options.time_sharpness * score)
    weight = (1.0 - options.alpha) / score.shape[1] + options.alpha * hard / jnp.sum(hard, axis=1, keepdims=True)
    return jnp.where(exists, weight, 0.0)


def draw(law: Law, rng: Array) -> tuple[Array, Array]:
    """int32 (clip, frame) () of one key; to be mapped over keys."""
    u, v = jax.random.uniform(rng, (2,))
    clip = jnp.minimum(jnp.searchsorted(law.clip, u * law.clip[-1], side="right"), law.clip.shape[0] - 1)
    row = law.frame[clip]
    # The last column that can be drawn is the first one that reaches the whole sum.
    column = jnp.minimum(jnp.sum(row <= v * row[-1]), jnp.sum(row < row[-1]))
    return clip.astype(jnp.int32), (column + table.FIRST_START).astype(jnp.int32)


def begin(cells: Cells, clip: Array, frame: Array) -> Attempt:
    """Episodes (N,) that start on these frames."""
    columns = cells.may_start.shape[1]
    cell = clip * columns + jnp.clip(frame - table.FIRST_START, 0, columns - 1)
    zero = jnp.zeros(clip.shape, jnp.float32)
    return Attempt(cell.astype(jnp.int32), zero, zero)


def nothing_seen(count: int, steps: Array | None = None) -> Seen:
    """Of N worlds; steps: those made before."""
    zero = jnp.zeros(count, jnp.float32)
    whole = jnp.zeros(count, jnp.int32)
    return Seen(jnp.full(count, -1, jnp.int32), zero, whole, zero, whole if steps is None else steps)


def record_step(
    attempt: Attempt, seen: Seen, clip: Array, reward: Array, done: Array, options: AtsOptions
) -> tuple[Attempt, Seen]:
    """Adds the rewards (N,) of a step on clips (N,), and keeps the mean of the worlds that `done` (N,) bool ends.

    The mean is over the rewards that are not zero. With `recorded` "published" a step counts only where some world
    ends in it, which with thousands of worlds is every step.
    """
    counts = jnp.any(done) if options.recorded == "published" else True
    gained = attempt.gained + jnp.where(counts, reward, 0.0)
    counted = attempt.counted + jnp.where(counts, reward != 0.0, False).astype(jnp.float32)
    score = gained / jnp.maximum(counted, 1.0)
    now = Seen(
        cell=jnp.where(done, attempt.cell, seen.cell),
        score=jnp.where(done, score, seen.score),
        clip=clip.astype(jnp.int32),
        reward=reward,
        steps=seen.steps + 1,
    )
    return Attempt(attempt.cell, gained, counted), now


def adapt(
    motions: table.MotionTable, cells: Cells, law: Law, seen: Seen, options: AtsOptions, axis_name: str | None = None
) -> Law:
    """The law after what was seen by all members of a mapped axis: the same on all of them.

    Scores move at every call; clips and frames are drawn by them from the next interval on.
    """
    score = _cell_scores(law.score, seen, options, axis_name)
    if options.clip_reward == "instant":
        clip_score = _means(seen.clip, seen.reward, seen.clip >= 0, motions.num_clips, axis_name)[0]
    else:
        columns = score.shape[1]
        mean, count = _means(seen.cell // columns, seen.score, seen.cell >= 0, motions.num_clips, axis_name)
        clip_score = jnp.where(count > 0, 0.5 * (law.clip_score + mean), law.clip_score)
    passed = seen.steps[0] // cells.steps
    due = passed > law.passed
    several = motions.num_clips > 1
    clips = jnp.cumsum(clip_weights(cells.same_label, clip_score, options)) if several else law.clip
    weight = jnp.where(cells.may_start, frame_weights(cells.exists, score, options), 0.0)
    frames = jnp.cumsum(weight, axis=1) if options.time else law.frame
    return Law(
        score=score,
        clip_score=clip_score,
        clip=jnp.where(due, clips, law.clip),
        frame=jnp.where(due, frames, law.frame),
        passed=jnp.maximum(passed, law.passed),
    )


def _cell_scores(score: Array, seen: Seen, options: AtsOptions, axis_name: str | None) -> Array:
    """Scores (C, K) after the episodes of `seen`."""
    flat = score.reshape(-1)
    if options.duplicates == "last":
        cell, value = seen.cell, seen.score
        if axis_name is not None:
            cell, value = jax.lax.all_gather((cell, value), axis_name, tiled=True)
        return last_write(flat, cell, value).reshape(score.shape)
    mean, count = _means(seen.cell, seen.score, seen.cell >= 0, flat.shape[0], axis_name)
    return jnp.where(count > 0, 0.5 * (flat + mean), flat).reshape(score.shape)


def last_write(score: Array, cell: Array, value: Array) -> Array:
    """score (M,) with (old + value)/2 at the cells (N,), −1 for none; of several worlds in a cell the last one."""
    order = jnp.full(score.shape[0] + 1, -1, jnp.int32)
    place = jnp.where(cell < 0, score.shape[0], cell)
    order = order.at[place].max(jnp.arange(cell.shape[0], dtype=jnp.int32))[:-1]
    return jnp.where(order >= 0, 0.5 * (score + value[jnp.maximum(order, 0)]), score)


def _means(where: Array, value: Array, counts: Array, size: int, axis_name: str | None) -> tuple[Array, Array]:
    """Means (size,) of values (N,) by place, 0 where there is none, and how many there are (size,)."""
    place = jnp.where(counts, where, size)
    levels = jnp.round(value * _LEVELS).astype(jnp.int32)
    sums = jnp.zeros((2, size), jnp.int32).at[:, place].add(jnp.stack([levels, jnp.ones_like(levels)]), mode="drop")
    if axis_name is not None:
        sums = jax.lax.psum(sums, axis_name)
    return sums[0] / (_LEVELS * jnp.maximum(sums[1], 1)), sums[1]
