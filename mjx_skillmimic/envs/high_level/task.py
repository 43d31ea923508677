"""What a high-level task is: pure functions of the worlds and of what is wanted of them (skillmimic.md §10)."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


@struct.dataclass
class Goal:
    """What is wanted in N worlds, world frame: position (N, 2) m and radius (N,) m on the floor, as far as a task has
    them; reached (N,) bool: has it been since it was drawn."""

    position: Array
    radius: Array
    reached: Array


class Outcome(NamedTuple):
    """A control step of N worlds.

    reward (N,) float32. goal: with what the step changes in it. reached (N,) bool: in this very step. renew (N,) bool:
    a new goal is to be drawn. metrics: numbers (N,) to be averaged and logged.
    """

    reward: Array
    goal: Any
    reached: Array
    renew: Array
    metrics: dict[str, Array]


class Task(Protocol):
    """A task that chooses among the skills of a low-level policy; one file each, made as `kind(options)`.

    name: under which the environment is found. Options: a frozen dataclass with `reference()` and `default()`, the
    section `task` of the configuration. labels: the skill label of each choice. parts: names and widths of the task's
    observation. A goal is any pytree of arrays with a leading axis N; `Goal` serves most tasks.

    A task may also have `scene`, a dictionary of scene options that it needs other than the low-level policy's, and
    `arrange(rng, qpos, qvel, goal)`, which answers qpos, qvel and goal of starts as they shall be; or None.
    """

    name: ClassVar[str]
    Options: ClassVar[type]

    @property
    def labels(self) -> tuple[int, ...]: ...

    @property
    def parts(self) -> tuple[tuple[str, int], ...]: ...

    def draw(self, rng: Array, body: BodyState) -> Any:
        """New goals for worlds in a state, with keys (N,)."""

    def observe(self, body: BodyState, goal: Any) -> Array:
        """What the high-level policy sees of the goal, (N, sum of the widths of `parts`)."""

    def outcome(self, body: BodyState, goal: Any) -> Outcome:
        """Reward of the state after a control step, and what has become of the goal."""


def no_goal(count: int) -> Goal:
    """N goals in the origin, of no radius, not reached: what there is before the first is drawn."""
    zero = jnp.zeros(count, jnp.float32)
    return Goal(jnp.zeros((count, 2), jnp.float32), zero, jnp.zeros(count, bool))


def uniform(rng: Array, low: float | tuple[float, ...], high: float | tuple[float, ...], width: int) -> Array:
    """(N, width) uniform numbers of keys (N,)."""
    first, last = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    return first + (last - first) * jax.vmap(lambda key: jax.random.uniform(key, (width,)))(rng)


def on_ring(rng: Array, centre: Array, low: float, high: float) -> Array:
    """Points (N, 2) at a uniform distance in [low, high) m and in a uniform direction from centre (N, 2)."""
    u = uniform(rng, (low, 0.0), (high, 2.0 * jnp.pi), 2)
    return centre + u[:, :1] * jnp.stack([jnp.sin(u[:, 1]), jnp.cos(u[:, 1])], axis=-1)


def direction(body: BodyState, position: Array, bearing: str) -> Array:
    """A point on the floor (N, 2) as the person sees it, (N, 4): its xy relative to the root in the heading frame, m,
    then cosine and sine of its bearing in that frame, or with bearing "world" in the world's (§12 item 33)."""
    xp = rotations.namespace(position, body.root_quat)
    offset = position - body.root_pos[..., :2]
    level = xp.concatenate([offset, xp.zeros_like(offset[..., :1])], axis=-1)
    local = rotations.rotate(rotations.heading_inverse(body.root_quat), level)[..., :2]
    seen = offset if bearing == "world" else local
    angle = xp.arctan2(seen[..., 1], seen[..., 0])
    return xp.concatenate([local, xp.cos(angle)[..., None], xp.sin(angle)[..., None]], axis=-1)


def root_lin_vel(body: BodyState) -> Array:
    """Velocity (N, 3) of the root, m/s."""
    return body.body_lin_vel[..., 0, :]


def length(v: Array) -> Array:
    """Euclidean norm (...) of vectors (..., D)."""
    xp = rotations.namespace(v)
    return xp.sqrt(xp.sum(v * v, axis=-1))
