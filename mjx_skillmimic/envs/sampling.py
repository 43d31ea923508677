"""Start frames drawn more often where the policy does badly: scores of bins of frames, and the law made of them.

The published law (skillmimic.md §3.5) draws start frames uniformly in [2, T − 2]. Here bins of 8 frames of a clip have
a failure score, 1 − (sum of rewards of an episode)/(its longest length − 1): the steps that an early end takes away
count as reward zero. Scores are exponential averages over the episodes that started in the bin.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array

BIN_FRAMES = 8
# Scores are summed as whole numbers of 1/4096: exact in any order, so that all devices come to the same law.
_LEVELS = 4096


@struct.dataclass
class Bins:
    """The frames of C clips that episodes may start on, K bins a clip, as many as the longest one needs.

    sizes (C, K) float32: frames of each bin within [2, T − 2]; 0 where a clip has no such bin. same_label (C, C) bool.
    """

    sizes: Array
    same_label: Array


@struct.dataclass
class Curriculum:
    """What is known of the bins, and the law that follows.

    score (C, K) in (0, 1]. clip (C,), within (C, K): cumulative probabilities of the clips, and of the bins of each.
    """

    score: Array
    clip: Array
    within: Array


@struct.dataclass
class Attempt:
    """A running episode of each world: bin (N,) int32, clip · K + bin, or −1 to be left out; gained (N,), its
    rewards so far."""

    bin: Array
    gained: Array


@struct.dataclass
class Finished:
    """The last episode that ended in each world since the law was last adapted: bin (N,) int32 or −1, score (N,)."""

    bin: Array
    score: Array


def build_bins(motions: table.MotionTable) -> Bins:
    """The bins of a motion table, of frames that are not missing."""
    starts, counts, frames = (np.asarray(x) for x in (motions.starts, motions.start_counts, motions.start_frames))
    number = [frames[first : first + count] // BIN_FRAMES for first, count in zip(starts, counts, strict=True)]
    bins = max(int(of_clip[-1]) for of_clip in number) + 1
    sizes = np.stack([np.bincount(of_clip, minlength=bins) for of_clip in number])
    skills = np.asarray(motions.skills)
    return Bins(jnp.asarray(sizes, jnp.float32), jnp.asarray(skills[:, None] == skills))


def new_curriculum(motions: table.MotionTable, bins: Bins, options: StartOptions) -> Curriculum:
    """Nothing is known: every bin counts as failed, which is the published law."""
    return _curriculum(motions, bins, jnp.ones_like(bins.sizes), options)


def bin_law(bins: Bins, score: Array, options: StartOptions) -> Array:
    """(C, K) probabilities of the bins within their clip, each frame by (1 − ε)·score^α/Σ + ε/frames."""
    weight = bins.sizes * score**options.failure_power
    hard = weight / jnp.sum(weight, axis=1, keepdims=True)
    uniform = bins.sizes / jnp.sum(bins.sizes, axis=1, keepdims=True)
    return (1.0 - options.uniform_share) * hard + options.uniform_share * uniform


def clip_law(motions: table.MotionTable, bins: Bins, score: Array, options: StartOptions) -> Array:
    """(C,) probabilities of the clips: those of the table, or with `prioritise_labels` mixed as those of the bins.

    A clip's score is the mean over its frames and stands against those of the same label; a label's is the mean over
    its clips and weighs the table's probability of that label.
    """
    if not options.prioritise_labels:
        return motions.probabilities
    of_label = lambda x: jnp.sum(jnp.where(bins.same_label, x, 0.0), axis=1)  # noqa: E731
    clips = of_label(jnp.ones_like(motions.probabilities))
    mean = jnp.sum(bins.sizes * score, axis=1) / jnp.sum(bins.sizes, axis=1)
    hard = mean**options.failure_power
    share = (1.0 - options.uniform_share) * hard / of_label(hard) + options.uniform_share / clips
    # Over labels is over clips, each with its part of the label.
    label = of_label(motions.probabilities)
    weight = (of_label(mean) / clips) ** options.failure_power
    total = jnp.sum(motions.probabilities * weight)
    return share * label * ((1.0 - options.uniform_share) * weight / total + options.uniform_share)


def draw(motions: table.MotionTable, bins: Bins, curriculum: Curriculum, rng: Array) -> tuple[Array, Array]:
    """int32 (clip, frame) () of one key; to be mapped over keys."""
    clip_rng, frame_rng = jax.random.split(rng)
    u = jax.random.uniform(clip_rng) * curriculum.clip[-1]
    clip = jnp.minimum(jnp.searchsorted(curriculum.clip, u, side="right"), motions.num_clips - 1).astype(jnp.int32)
    within = curriculum.within[clip]
    which, where = jax.random.uniform(frame_rng, (2,))
    number = jnp.minimum(jnp.sum(within <= which * within[-1]), bins.sizes.shape[1] - 1)
    size = bins.sizes[clip]
    before = jnp.sum(jnp.where(jnp.arange(len(size)) < number, size, 0.0))
    place = (before + jnp.floor(where * size[number])).astype(jnp.int32)
    last = motions.start_counts[clip] - 1
    return clip, motions.start_frames[motions.starts[clip] + jnp.minimum(place, last)]


def begin_attempt(bins: Bins, clip: Array, frame: Array) -> Attempt:
    """Episodes (N,) that were drawn on these frames."""
    number = jnp.clip(frame // BIN_FRAMES, 0, bins.sizes.shape[1] - 1)
    return Attempt((clip * bins.sizes.shape[1] + number).astype(jnp.int32), jnp.zeros(clip.shape, jnp.float32))


def nothing_finished(count: int) -> Finished:
    """No episode of N worlds has ended."""
    return Finished(jnp.full(count, -1, jnp.int32), jnp.zeros(count, jnp.float32))


def record_step(
    attempt: Attempt, finished: Finished, reward: Array, done: Array, episode_length: Array
) -> tuple[Attempt, Finished]:
    """Adds the rewards (N,) of a step and records the worlds that `done` (N,) bool ends.

    episode_length (N,): rows of the drawn window, the initial one included.
    """
    gained = attempt.gained + reward
    score = jnp.clip(1.0 - gained / jnp.maximum(episode_length - 1, 1), 1.0 / _LEVELS, 1.0)
    recorded = Finished(jnp.where(done, attempt.bin, finished.bin), jnp.where(done, score, finished.score))
    return Attempt(attempt.bin, gained), recorded


def adapt(
    motions: table.MotionTable,
    bins: Bins,
    curriculum: Curriculum,
    finished: Finished,
    options: StartOptions,
    axis_name: str | None = None,
) -> Curriculum:
    """The law after the episodes of `finished`, those of all members of a mapped axis: the same on all of them.

    A bin in which n episodes of mean score m began keeps (1 − rate)^n of its score and takes the rest from m.
    """
    size = bins.sizes.size
    place = jnp.where(finished.bin < 0, size, finished.bin)
    levels = jnp.round(finished.score * _LEVELS).astype(jnp.int32)
    sums = jnp.zeros((2, size), jnp.int32)
    sums = sums.at[:, place].add(jnp.stack([levels, jnp.ones_like(levels)]), mode="drop")
    if axis_name is not None:
        sums = jax.lax.psum(sums, axis_name)
    total, count = sums.reshape(2, *bins.sizes.shape)
    mean = total / (_LEVELS * jnp.maximum(count, 1))
    kept = (1.0 - options.score_rate) ** count
    return _curriculum(motions, bins, kept * curriculum.score + (1.0 - kept) * mean, options)


def _curriculum(motions: table.MotionTable, bins: Bins, score: Array, options: StartOptions) -> Curriculum:
    clip, within = clip_law(motions, bins, score, options), bin_law(bins, score, options)
    return Curriculum(score, jnp.cumsum(clip), jnp.cumsum(within, axis=1))
