"""Noisy initial states: a start state disturbed in every coordinate, the ε-neighbourhood of SkillMimic-V2 (§2.4).

Root and ball are raised, never lowered; their place on the floor is kept.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2.options import NoiseOptions
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.rotations import Array


def disturbed(start: Coordinates, rng: Array, label: Array, options: NoiseOptions) -> Coordinates:
    """States (N, …) near the start states, for keys (N,) and the labels (N,) of what is imitated.

    Joints are disturbed as rotation vectors. Quaternions of root and ball are unit only with `options.normalize`.
    """
    joints = start.joint_vel.shape[-2]
    own = jnp.where(is_getup(label, options), options.getup_scale, options.scale)[:, None]
    small = jnp.full_like(own, options.scale)

    def one(key: Array) -> tuple[Array, Array]:
        heights, rest = jax.random.split(key)
        size = 4 + 3 + 3 + 3 * joints + 3 * joints + 4 + 3 + 3
        draw = jax.random.normal(rest, (size,))
        if options.law == "uniform":
            draw = jax.random.uniform(rest, (size,), minval=-1.0, maxval=1.0)
        return jax.random.uniform(heights, (2,)), draw

    height, drawn = jax.vmap(one)(rng)
    widths = (4, 3, 3, 3 * joints, 3 * joints, 4, 3, 3)
    parts = jnp.split(drawn, [sum(widths[: i + 1]) for i in range(len(widths) - 1)], axis=-1)
    root_quat, root_vel, root_ang, pose, speed, ball_quat, ball_vel, ball_ang = parts
    vectors = start.joint_vel.shape
    joint = rotations.log(start.joint_quat) + (small * pose).reshape(vectors)
    quats = start.root_quat + own * root_quat, start.object_quat + small * ball_quat
    if options.normalize:
        quats = rotations.normalize(quats[0]), rotations.normalize(quats[1])
    return Coordinates(
        root_pos=_raised(start.root_pos, own[:, 0] * height[:, 0]),
        root_quat=quats[0],
        joint_quat=rotations.exp(joint),
        root_lin_vel=start.root_lin_vel + small * root_vel,
        root_ang_vel=start.root_ang_vel + small * root_ang,
        joint_vel=start.joint_vel + (small * speed).reshape(vectors),
        object_pos=_raised(start.object_pos, small[:, 0] * height[:, 1]),
        object_quat=quats[1],
        object_lin_vel=start.object_lin_vel + small * ball_vel,
        object_ang_vel=start.object_ang_vel + small * ball_ang,
    )


def unit(start: Coordinates) -> Coordinates:
    """The same with unit quaternions of root and ball, as the physics wants them."""
    return start._replace(
        root_quat=rotations.normalize(start.root_quat), object_quat=rotations.normalize(start.object_quat)
    )


def is_getup(label: Array, options: NoiseOptions) -> Array:
    """(N,) bool: the label is one of `options.getup`."""
    return jnp.isin(label, jnp.asarray(options.getup, jnp.int32))


def _raised(pos: Array, by: Array) -> Array:
    return pos.at[..., 2].add(by)
