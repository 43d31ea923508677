"""Starts that no clip has: disturbed states for εNSR, balls anywhere to pick up (skillmimic_v2.md §2.4, §10.3)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.envs.v2.noise import disturbed
from mjx_skillmimic.envs.v2.options import NoiseOptions
from mjx_skillmimic.evaluation.free_play import Ball, States
from mjx_skillmimic.evaluation.placed_balls import place_balls

RELEASED_REACH, RELEASED_HEIGHT, RELEASED_SPEED = (0.5, 3.0), (0.1, 1.1), 0.5  # m, m, m/s


@struct.dataclass
class Disturbed:
    """The start states of N worlds, some of them disturbed in every coordinate by the published law, the ball's too.

    world: (N,) int32, what each world's noise is drawn from, beside the seed; −1: none. options: of the law.
    """

    world: Any
    seed: int = struct.field(pytree_node=False, default=0)
    options: NoiseOptions = struct.field(pytree_node=False, default=NoiseOptions.default())

    def states(self, env: Any, state: Any) -> States:
        """As `free_play.Instead`."""
        keys = jax.vmap(lambda n: jax.random.fold_in(jax.random.key(self.seed), n))(jnp.maximum(self.world, 0))
        start = env.scene.unpack(state.data.qpos, state.data.qvel)
        qpos, qvel = env.scene.pack(*disturbed(start, keys, state.info["skill"], self.options))
        noisy = (self.world >= 0)[:, None]
        return States(jnp.where(noisy, qpos, state.data.qpos), jnp.where(noisy, qvel, state.data.qvel))


def scattered_balls(
    env: Any, clips: np.ndarray, count: int, seed: int, released: bool
) -> tuple[np.ndarray, np.ndarray, Ball]:
    """Clip, frame (N,) and a ball for each of `count` people who stand on frame 2 of the clips (C,).

    On the floor at rest, 1 to 5 m away, as the paper says; or as the released test draws it: 0.5 to 3 m away, 0.1 to
    1.1 m high, with up to 0.5 m/s along each axis.
    """
    if not released:
        placed = place_balls(env, clips, count, "still", seed)
        return placed.clip, placed.frame, placed.ball
    near, far = RELEASED_REACH
    placed = place_balls(env, clips, count, "still", seed, nearest=near, farthest=far)
    rng = np.random.default_rng((seed, 2))
    pos = np.array(placed.ball.pos)
    pos[:, 2] = rng.uniform(*RELEASED_HEIGHT, count)
    lin_vel = rng.uniform(-RELEASED_SPEED, RELEASED_SPEED, (count, 3))
    return placed.clip, placed.frame, Ball(pos, lin_vel, np.zeros((count, 3)))
