"""Episodes that start in the state of another skill: the donor's frame, set down where the drawn frame stands (§2.4).

The reference stays that of the drawn frame; only the state is the donor's. The donor comes from the stitched graph
(`mjx_skillmimic.stitching`), or from anywhere.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2.options import SwitchOptions
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array
from mjx_skillmimic.stitching.graph import StitchedGraph


def draw(graph: StitchedGraph, rng: Array, row: Array, label: Array) -> tuple[Array, Array, Array]:
    """Donors of episodes drawn on rows (N,) of labels (N,), for keys (N,): clip, frame (N,) int32, −1 for none, and the
    similarity (N,).

    Every other label is equally likely, also one that has no donor for this frame: the episode then starts as drawn.
    """
    labels = graph.labels.shape[0]
    own = jnp.argmax(graph.labels == label[:, None], axis=-1)
    which = jax.vmap(lambda key: jax.random.randint(key, (), 0, max(labels - 1, 1)))(rng)
    column = jnp.minimum(which + (which >= own), labels - 1)
    return graph.clip[row, column], graph.frame[row, column], graph.similarity[row, column]


def draw_any(motions: table.MotionTable, rng: Array, clip: Array) -> tuple[Array, Array]:
    """Donors for keys (N,) from any other clip than `clip` (N,), by the table's weights, and any frame that an episode
    may start on: clip, frame (N,) int32; −1 where there is no other clip."""

    def one(key: Array, clip: Array) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        weight = jnp.where(jnp.arange(motions.num_clips) == clip, 0.0, motions.probabilities)
        sums = jnp.cumsum(weight)
        u = jax.random.uniform(first) * sums[-1]
        # The first that reaches the whole sum is the last that has a weight.
        donor = jnp.minimum(jnp.sum(sums <= u), jnp.sum(sums < sums[-1])).astype(jnp.int32)
        number = jax.random.randint(second, (), 0, motions.start_counts[donor], jnp.int32)
        frame = motions.start_frames[motions.starts[donor] + number]
        none = sums[-1] <= 0.0
        return jnp.where(none, -1, donor), jnp.where(none, -1, frame)

    return jax.vmap(one)(rng, clip)


def placed(source: Coordinates, donor: Coordinates, options: SwitchOptions) -> Coordinates:
    """The donor's states (...) turned about the vertical to the headings of the source's roots, and moved onto them as
    seen from above; heights stay the donor's."""
    turn = rotations.about_z(rotations.heading(source.root_quat) - rotations.heading(donor.root_quat))

    def moved(pos: Array) -> Array:
        turned = rotations.rotate(turn, pos - donor.root_pos)[..., :2]
        return jnp.concatenate([source.root_pos[..., :2] + turned, pos[..., 2:]], axis=-1)

    def turned(velocity: Array) -> Array:
        return rotations.rotate(turn, velocity) if options.velocity == "turned" else velocity

    kept = options.object_rotation == "kept"
    root_quat, spin = rotations.multiply(turn, donor.root_quat), donor.root_ang_vel
    if options.velocity == "copied":
        # Given in the root's frame, it would turn along; as a vector of the world it stays.
        spin = rotations.rotate_inverse(root_quat, rotations.rotate(donor.root_quat, spin))
    return Coordinates(
        root_pos=moved(donor.root_pos),
        root_quat=root_quat,
        joint_quat=donor.joint_quat,
        root_lin_vel=turned(donor.root_lin_vel),
        root_ang_vel=spin,
        joint_vel=donor.joint_vel,
        object_pos=moved(donor.object_pos),
        object_quat=source.object_quat if kept else rotations.multiply(turn, donor.object_quat),
        object_lin_vel=turned(donor.object_lin_vel),
        object_ang_vel=turned(donor.object_ang_vel),
    )
