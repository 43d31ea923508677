"""The paper's imitation metrics per frame: accuracy, position and contact errors (skillmimic.md §9.5)."""

from __future__ import annotations

from typing import Any

from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.rotations import Array

BODY_THRESHOLD = 0.1  # m, mean error of root and key bodies
OBJECT_THRESHOLD = 0.2  # m
MM = 1000.0


@struct.dataclass
class FrameMetrics:
    """One frame of any leading shape (...). body_error, object_error: mm. contact_error: mean squared difference of the
    contact flags, in [0, 1]. accurate: bool, all thresholds held and every contact flag right."""

    body_error: Array
    object_error: Array
    contact_error: Array
    accurate: Array


def body_error(sim: Features, ref: Features, root_relative: bool = False) -> Array:
    """E_b-mpjpe (...) in mm: mean Euclidean error over the 18 points, root and 17 key bodies.

    root_relative: both sides are taken relative to their own root, over the 17 key bodies; a drift of the whole person
    then costs nothing.
    """
    xp = rotations.namespace(sim.root_pos, ref.root_pos)
    root = sim.root_pos - ref.root_pos
    keys = sim.key_body_pos - ref.key_body_pos
    if root_relative:
        return MM * _norm(xp, keys - root[..., None, :]).mean(axis=-1)
    return MM * _norm(xp, xp.concatenate([root[..., None, :], keys], axis=-2)).mean(axis=-1)


def object_error(sim: Features, ref: Features) -> Array:
    """E_o-mpjpe (...) in mm: Euclidean error of the object's position."""
    xp = rotations.namespace(sim.object_pos, ref.object_pos)
    return MM * _norm(xp, sim.object_pos - ref.object_pos)


def contact_error(flags: Array, reference_flags: Array) -> Array:
    """E_cg (...): mean of squared differences of contact flags (..., K); with the two node flags 0, 0.5 or 1."""
    xp = rotations.namespace(flags, reference_flags)
    difference = xp.asarray(flags, dtype=xp.float32) - xp.asarray(reference_flags, dtype=xp.float32)
    return xp.mean(difference * difference, axis=-1)


def node_flags(body_contact: Array, object_contact: Array) -> Array:
    """The published pair (..., 2): body touched by anything, ball touched sideways (`imitation.contact_graph`)."""
    xp = rotations.namespace(body_contact, object_contact)
    return xp.stack([xp.asarray(body_contact, dtype=xp.float32), xp.asarray(object_contact, dtype=xp.float32)], axis=-1)


def reference_node_flags(contact: Array) -> Array:
    """What the clip's label (...) asks of `node_flags`: no body contact, and the ball as labelled."""
    xp = rotations.namespace(contact)
    return xp.stack([xp.zeros_like(contact), contact], axis=-1)


def frame_metrics(
    sim: Features,
    ref: Features,
    flags: Array,
    reference_flags: Array,
    body_threshold: float = BODY_THRESHOLD,
    object_threshold: float = OBJECT_THRESHOLD,
) -> FrameMetrics:
    """All metrics of frames (...).

    Args:
        sim, ref: the state and the reference row of the same instant; their `contact` is not read.
        flags, reference_flags: (..., K), 0 or 1: `node_flags` as published, or the edges of the contact graph.
        body_threshold, object_threshold: m; an error must stay **below** for an accurate frame.
    """
    body, thing, contact = body_error(sim, ref), object_error(sim, ref), contact_error(flags, reference_flags)
    accurate = (body < MM * body_threshold) & (thing < MM * object_threshold) & (contact == 0.0)
    return FrameMetrics(body, thing, contact, accurate)


def _norm(xp: Any, x: Array) -> Array:
    return xp.sqrt(xp.sum(x * x, axis=-1))
