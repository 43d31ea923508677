"""Where high-level episodes start: a table of states to draw from, of clips or of the low-level policy's own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.envs.high_level.low_level import LowLevel
from mjx_skillmimic.envs.high_level.options import MotionOptions, StartOptions
from mjx_skillmimic.envs.tables import build_tables
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.pretrained.starts import load_starts, starts_file
from mjx_skillmimic.rotations import Array


@struct.dataclass
class StartTable:
    """F states: qpos (F, nq), qvel (F, nv), the body states that belong to them, without contacts, and cumulative (F,),
    the running sum of the probabilities with which they are drawn."""

    qpos: Array
    qvel: Array
    body: BodyState
    cumulative: Array

    def body_state(self, row: Array) -> BodyState:
        """The body states (N, …) of rows (N,)."""
        return jax.tree.map(lambda x: x[row], self.body)

    def draw(self, rng: Array) -> Array:
        """Rows (N,) for keys (N,)."""
        u = jax.vmap(jax.random.uniform)(rng) * self.cumulative[-1]
        last = self.cumulative.shape[0] - 1
        return jnp.minimum(jnp.searchsorted(self.cumulative, u, side="right"), last)


@struct.dataclass
class Shared:
    """What all worlds of an environment read: the low-level policy's numbers and the states to start from."""

    policy: Any
    starts: StartTable


def make_table(scene: Scene, qpos: Array, qvel: Array, weight: Array, body: BodyState | None = None) -> StartTable:
    """A table of states (F, nq), (F, nv) that are drawn by weight (F,); body: theirs, if it is known.

    Raises ValueError for states of another scene or without any weight.
    """
    weight = np.asarray(weight, np.float64)
    expected = (scene.model.nq, scene.model.nv)
    if (np.shape(qpos)[-1], np.shape(qvel)[-1]) != expected:
        raise ValueError(
            f"start states: found {np.shape(qpos)[-1]} and {np.shape(qvel)[-1]} coordinates, expected {expected[0]} "
            f"and {expected[1]} of the low-level policy's scene"
        )
    if not weight.sum() > 0:
        raise ValueError("start states: expected at least one that may be drawn, got none")
    qpos, qvel = jnp.asarray(qpos, jnp.float32), jnp.asarray(qvel, jnp.float32)
    if body is None:
        body = jax.jit(lambda q, v: body_state(scene, batch.new_state(q, v, engine=None)))(qpos, qvel)
    return StartTable(qpos, qvel, body, jnp.asarray(np.cumsum(weight / weight.sum()), jnp.float32))


def from_clips(
    clips: Sequence[MotionClip], scene: Scene, low: LowLevel, start: StartOptions, pick_weight: float
) -> StartTable:
    """The frames of clips, corrected as the low-level policy's training corrected them (`envs.starts`).

    Every label is equally likely, picking up `pick_weight` times as likely, and so is every allowed frame of a clip.

    Raises:
        ValueError: a frame that some clip does not have, or clips of another rate.
    """
    tables = build_tables(clips, scene, low.options)
    lengths, first = np.asarray(tables.motions.lengths), np.asarray(tables.motions.starts)
    shares = table.clip_weights(np.asarray(tables.motions.skills), pick_weight)
    if start.frame is not None and not table.FIRST_START <= start.frame <= int(lengths.min()) - 2:
        raise ValueError(
            f"start.frame = {start.frame}, expected {table.FIRST_START} to {int(lengths.min()) - 2}, "
            "two less than the frames of the shortest clip"
        )
    usable, weight = np.asarray(tables.starts.frame), np.zeros(int(lengths.sum()))
    for row, length, share in zip(first, lengths, shares, strict=True):
        frames = np.arange(table.FIRST_START, length - 1) if start.frame is None else np.array([start.frame])
        np.add.at(weight, row + usable[row + frames], share / len(frames))
    drawn, found = np.flatnonzero(weight), tables.starts
    return make_table(scene, found.qpos[drawn], found.qvel[drawn], weight[drawn], found.body_state(drawn))


def from_policy(low: LowLevel, scene: Scene, labels: Sequence[int]) -> StartTable:
    """The low-level policy's own start states: those in which one of `labels` goes on, else all, equally likely.

    Raises:
        FileNotFoundError: it has none; says what else there is to start from.
        ValueError: they were reached by another policy.
    """
    file = starts_file(low.file)
    if not file.is_file():
        raise FileNotFoundError(
            f"{low.name} has no start states of its own ({file.name}): give clips with motion.path, such as the "
            "published run or turnhook"
        )
    own = load_starts(file)
    if not own.made_by(low.file):
        raise ValueError(f"{file}: found the start states of another policy, expected those of {low.file.name}")
    fits = np.isin(own.skill, labels)
    return make_table(scene, own.qpos, own.qvel, fits if fits.any() else np.ones(len(own)))


def find_starts(
    low: LowLevel,
    scene: Scene,
    motion: MotionOptions,
    start: StartOptions,
    labels: Sequence[int],
    clips: Sequence[MotionClip] | None = None,
) -> StartTable:
    """The start states of a configuration; clips: instead of those of `motion.path`."""
    if clips is None and motion.path:
        clips = library.load_clips(motion.path if isinstance(motion.path, str) else list(motion.path))
    found = from_clips(clips, scene, low, start, motion.pick_weight) if clips else from_policy(low, scene, labels)
    return disturbed(found, scene, start.states, start.noise)


def disturbed(starts: StartTable, scene: Scene, states: int, noise: float) -> StartTable:
    """At least `states` states: those that are there, then copies of them with normal noise of `noise` rad/s on the
    velocities of the joints, the same ones every time. A table that has as many is answered as it is."""
    probability = np.diff(np.asarray(starts.cumulative, np.float64), prepend=0.0)
    drawn = np.flatnonzero(probability > 0.0)
    times = -(-states // len(drawn))
    if times < 2 or noise == 0.0:
        return starts
    rows = np.tile(drawn, times)
    qpos, qvel = np.asarray(starts.qpos)[rows], np.array(np.asarray(starts.qvel)[rows])
    joints = slice(6, 6 + scene.joints.num_velocities)
    change = np.random.default_rng(0).normal(0.0, noise, (len(rows), scene.joints.num_velocities))
    change[: len(drawn)] = 0.0
    qvel[:, joints] += change
    return make_table(scene, qpos, qvel, probability[rows])


def starts_sha256(starts: StartTable) -> str:
    """SHA-256 (hex) of the states and of how often each is drawn."""
    digest = hashlib.sha256()
    for array in (starts.qpos, starts.qvel, starts.cumulative):
        digest.update(np.ascontiguousarray(np.asarray(array), "<f4").tobytes())
    return digest.hexdigest()
