"""The past in three numbers, kept for every world: a window of frames as the encoder's first layer sees them (§4.5)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.envs.v2 import compact
from mjx_skillmimic.history import encoder as network
from mjx_skillmimic.history import window
from mjx_skillmimic.history.encoder_file import Encoder
from mjx_skillmimic.history.frames import live_frame, reference_frames
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array

_CHUNK = 512  # windows encoded at a time when the table is built
_BEGIN_SHARE = 32  # one world in 60 begins in every step: mostly one round of these is enough


@struct.dataclass
class Remembered:
    """params: of the encoder; projected (F, P): every frame of the clips through its first layer; code (F, 3): what an
    episode that begins on the frame remembers, the clip's own frames before it."""

    params: network.EncoderParams
    projected: Array
    code: Array


def build_remembered(motions: table.MotionTable, encoder: Encoder, scene: Scene) -> Remembered:
    """The table of an encoder and clips."""
    params = encoder.params
    projected = jax.jit(network.project)(params, reference_frames(motions, encoder.frames, scene.skeleton))
    lengths = np.asarray(motions.lengths)
    clip = np.repeat(np.arange(motions.num_clips), lengths)
    first = np.asarray(motions.starts)[clip]
    frame = np.arange(len(clip)) - first
    encode = jax.jit(
        lambda first, frame: network.encode_projected(params, window.fill(projected, first, frame, params.length))
    )
    count = -(-len(clip) // _CHUNK) * _CHUNK
    padded = np.minimum(np.arange(count), len(clip) - 1).reshape(-1, _CHUNK)
    code = jnp.concatenate([encode(first[rows], frame[rows]) for rows in padded])[: len(clip)]
    return Remembered(params, projected, code)


def code_at(table_: Remembered, motions: table.MotionTable, clip: Array, frame: Array) -> Array:
    """What episodes that begin on these frames (N,) remember (N, 3)."""
    return table_.code[table.rows(motions, clip, frame)]


def push(table_: Remembered, windows: Array, body: BodyState) -> Array:
    """Windows (N, T, P) with the bodies' present frame at the end."""
    return window.push(windows, network.project(table_.params, live_frame(body)))


def begin(
    table_: Remembered,
    motions: table.MotionTable,
    windows: Array,
    begins: Array,
    clip: Array,
    frame: Array,
    body: BodyState,
) -> Array:
    """Windows (N, T, P) in which the worlds that `begins` (N,) bool remember the clip's frames before the one that they
    imitate from, whatever state they start in, and that state `body` (N, …)."""

    def work(worlds: Array) -> Array:
        own = jax.tree.map(lambda x: x[worlds], body)
        first = motions.starts[clip[worlds]]
        return push(table_, window.fill(table_.projected, first, frame[worlds], windows.shape[1]), own)

    return compact.for_worlds(begins, work, windows, compact.chunk_size(len(begins), _BEGIN_SHARE))
