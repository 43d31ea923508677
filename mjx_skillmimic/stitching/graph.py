"""The stitched trajectory graph over a motion table (v2 §2.2): for each frame, who of another skill stands as there."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array
from mjx_skillmimic.stitching.frames import frames_of
from mjx_skillmimic.stitching.options import GraphOptions
from mjx_skillmimic.stitching.search import Progress, best_donors


@struct.dataclass
class StitchedGraph:
    """Donors of F frames, the rows of a motion table, from each of C labels: an episode that is to imitate the clip
    from that frame on may begin in the donor's state.

    labels (C,) int32, ascending. clip, frame (F, C) int32: the donor, −1 where there is none or the label is the
    frame's own. similarity (F, C) float32 in [0, 1], 0 where there is no donor.
    """

    labels: Array
    clip: Array
    frame: Array
    similarity: Array


def build_graph(
    motions: table.MotionTable, options: GraphOptions | None = None, progress: Progress | None = None
) -> StitchedGraph:
    """Searches all donors, on the host.

    Donors are frames in [2, T − 2] of any clip of the label. options: default `GraphOptions()`. progress: is told how
    many of how many records (frame, other label) are found.

    Raises:
        ValueError: all clips have one label.
    """
    frames = frames_of(motions)
    labels = np.unique(np.asarray(motions.skills))
    if len(labels) < 2:
        raise ValueError(f"a stitched graph needs clips of two labels, found only label {labels[0]}")
    best, similarity = best_donors(frames, labels, options or GraphOptions(), progress)
    found = best >= 0
    return StitchedGraph(
        labels=jnp.asarray(labels, jnp.int32),
        clip=jnp.asarray(np.where(found, frames.clip[best], -1), jnp.int32),
        frame=jnp.asarray(np.where(found, frames.frame[best], -1), jnp.int32),
        similarity=jnp.asarray(similarity, jnp.float32),
    )
