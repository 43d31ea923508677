"""What one control step of a rollout leaves behind, and its way to host arrays."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.evaluation import metrics
from mjx_skillmimic.evaluation.episodes import Episodes
from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import EDGES, BodyState
from mjx_skillmimic.rotations import Array

_WRISTS = humanoid.indices(("L_Wrist", "R_Wrist"))
_HANDS_OBJECT = EDGES.index("hands_object")
_TOUCH_FORCE = 1.0  # N; highlights a body in pictures


@struct.dataclass
class Record:
    """One control step of N worlds; the fields are those of `Episodes`. poses: None, or what a picture needs."""

    valid: Array
    root_pos: Array
    object_pos: Array
    object_lin_vel: Array
    wrist_pos: Array
    hands_object: Array
    reference_object_pos: Array
    reference_contact: Array
    reward: Array
    body_error: Array
    body_error_rooted: Array
    object_error: Array
    contact_error: Array
    accurate: Array
    edge_error: Array
    edge_accurate: Array
    fell: Array
    poses: dict[str, Array] | None = None


def make_record(
    body: BodyState, reference: Features, flags: Array, edges: Array, reward: Array, keep_poses: bool
) -> Record:
    """The record of a step, with `valid` and `fell` still false everywhere.

    Args:
        body, reference: the state and the reference row of the same instant. flags: (N, 2) published node flags.
        edges: (N, 3) bool. reward: (N,).
    """
    sim = simulated_features(body)
    nodes = metrics.frame_metrics(sim, reference, flags, metrics.reference_node_flags(reference.contact))
    graph = metrics.frame_metrics(sim, reference, edges, contact_graph.reference_edges(reference.contact))
    poses = {
        "body_pos": body.body_pos,
        "body_quat": body.body_quat,
        "object_quat": body.object_quat,
        "body_contact": jnp.linalg.norm(body.body_force, axis=-1) > _TOUCH_FORCE,
    }
    nobody = jnp.zeros(reward.shape, bool)
    return Record(
        valid=nobody,
        root_pos=body.root_pos,
        object_pos=body.object_pos,
        object_lin_vel=body.object_lin_vel,
        wrist_pos=body.body_pos[:, _WRISTS, :],
        hands_object=edges[:, _HANDS_OBJECT],
        reference_object_pos=reference.object_pos,
        reference_contact=reference.contact,
        reward=reward,
        body_error=nodes.body_error,
        body_error_rooted=metrics.body_error(sim, reference, root_relative=True),
        object_error=nodes.object_error,
        contact_error=nodes.contact_error,
        accurate=nodes.accurate,
        edge_error=graph.contact_error,
        edge_accurate=graph.accurate,
        fell=nobody,
        poses=poses if keep_poses else None,
    )


def to_episodes(record: Record, motions: table.MotionTable, clip: np.ndarray, start: np.ndarray) -> Episodes:
    """Host arrays (N, T, …) from a rollout's record (T, N, …)."""
    names = [f.name for f in dataclasses.fields(Episodes)]
    arrays = {n: np.swapaxes(np.asarray(getattr(record, n)), 0, 1) for n in names if hasattr(record, n) and n != "fell"}
    ball = np.asarray(motions.reference.object_pos)
    begins, lengths = np.asarray(motions.starts)[clip], np.asarray(motions.lengths)[clip]
    windows = [ball[b + s : b + n] for b, s, n in zip(begins, start, lengths, strict=True)]
    return Episodes(
        **arrays,
        fell=np.any(np.asarray(record.fell), axis=0),
        possible=lengths - 1 - start,
        clip=np.asarray(clip),
        start=np.asarray(start),
        skill=np.asarray(motions.skills)[clip],
        peak_target=np.stack([w[w[:, 2].argmax()] for w in windows]),
        final_target=np.stack([w[-1] for w in windows]),
    )
