"""Plays clips in the ways that are hardest on contact buffers, and sums up what the states need."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion import table
from mjx_skillmimic.physics import needs
from mjx_skillmimic.physics.needs import QUANTITIES, Need


@dataclasses.dataclass(frozen=True)
class Noise:
    """Standard deviations of what is added to a start: joints, root_turn rad; root, ball m; speed m/s and rad/s."""

    joints: float = 0.1
    root: float = 0.02
    root_turn: float = 0.05
    ball: float = 0.05
    speed: float = 0.5

    def scaled(self, factor: float) -> Noise:
        """All of them times a factor."""
        return Noise(**{name: factor * value for name, value in dataclasses.asdict(self).items()})


def perturb(
    scene: Scene, qpos: np.ndarray, qvel: np.ndarray, noise: Noise, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """States qpos (N, nq), qvel (N, nv) with noise on poses and velocities."""
    start = scene.unpack(np.asarray(qpos, np.float64), np.asarray(qvel, np.float64))

    def around(x: np.ndarray, deviation: float) -> np.ndarray:
        return x + deviation * rng.normal(size=x.shape)

    def turned(quat: np.ndarray, deviation: float) -> np.ndarray:
        return rotations.multiply(quat, rotations.exp(deviation * rng.normal(size=(*quat.shape[:-1], 3))))

    moved = Coordinates(
        root_pos=around(start.root_pos, noise.root),
        root_quat=turned(start.root_quat, noise.root_turn),
        joint_quat=turned(start.joint_quat, noise.joints),
        root_lin_vel=around(start.root_lin_vel, noise.speed),
        root_ang_vel=around(start.root_ang_vel, noise.speed),
        joint_vel=around(start.joint_vel, noise.speed),
        object_pos=around(start.object_pos, noise.ball),
        object_quat=start.object_quat,
        object_lin_vel=around(start.object_lin_vel, noise.speed),
        object_ang_vel=around(start.object_ang_vel, noise.speed),
    )
    return scene.pack(*moved)


def start_states(env: Any, count: int, seed: int = 0) -> np.ndarray:
    """States that episodes of one clip start on, frames drawn as in training: qpos (clips, count, nq)."""
    lengths = np.asarray(env.tables.motions.lengths)
    frame = np.random.default_rng(seed).integers(table.FIRST_START, lengths[:, None] - 1, (len(lengths), count))
    row = table.rows(env.tables.motions, np.arange(len(lengths))[:, None], frame)
    return np.asarray(env.tables.starts.qpos[row])


@dataclasses.dataclass(frozen=True)
class Played:
    """qpos (T, C, N, nq) of N worlds on each of C clips, NaN in worlds that broke at any time.

    broken: how many worlds became non-finite or had the pelvis below the floor. overflow: control steps in which the
    engine itself lost contacts, over all others.
    """

    qpos: np.ndarray
    broken: int
    overflow: int


def play(env: Any, agent: Agent, worlds: int, steps: int, noise: Noise, seed: int = 0) -> Played:
    """`steps` control steps of `worlds` worlds on each clip, all from the clip's first start frame plus noise.

    env: built from `rollouts.evaluation_config`, so that worlds fall and stay where they fell.
    """
    lengths = np.asarray(env.tables.motions.lengths)
    clip = jnp.asarray(np.repeat(np.arange(len(lengths)), worlds), jnp.int32)
    frame = jnp.minimum(table.FIRST_START, jnp.asarray(lengths)[clip] - 2).astype(jnp.int32)
    row = table.rows(env.tables.motions, clip, frame)
    rng = np.random.default_rng(seed)
    starts = env.tables.starts
    start = perturb(env.scene, np.asarray(starts.qpos[row]), np.asarray(starts.qvel[row]), noise, rng)

    @jax.jit
    def roll(tables: Any, parameters: Any, qpos: jax.Array, qvel: jax.Array, key: jax.Array) -> Any:
        state = env.begin(tables, jax.random.split(key, len(clip)), clip, frame)
        state = dataclasses.replace(state, data=env.physics.init(qpos, qvel))

        def step(state: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, ...]]:
            state = env.step(state, agent.act(parameters, state, key))
            return state, (state.data.qpos, state.metrics["nonfinite"] > 0, state.metrics["overflow"] > 0)

        return jax.lax.scan(step, state, jax.random.split(key, steps))[1]

    where = (jnp.asarray(x, jnp.float32) for x in start)
    qpos, nonfinite, lost = jax.device_get(roll(env.tables, agent.parameters, *where, jax.random.key(seed)))
    # A world on its way to infinity touches everything: it is judged by other limits than those of contacts.
    broken = (nonfinite | (qpos[..., 2] < 0)).any(axis=0)
    kept = np.where(broken[:, None], np.nan, qpos).reshape(steps, len(lengths), worlds, -1)
    return Played(kept, int(broken.sum()), int(lost[:, ~broken].sum()))


def untrained(env: Any, deviation: float = 0.055) -> Agent:
    """The actions of a policy before its first update: the clips' mean pose, with normal noise."""
    mean = jnp.asarray(env.initial_action)

    def act(_: Any, state: Any, rng: jax.Array) -> jax.Array:
        noise = deviation * jax.random.normal(rng, (state.obs.shape[0], env.action_size))
        return jnp.clip(mean + noise, -1.0, 1.0)

    return Agent("untrained", act)


def measure(scene: Scene, qpos: np.ndarray) -> dict[str, Need]:
    """Needs of states (..., N, nq), by quantity: N worlds that are alike, at each of the moments before them.

    States that are not finite are left out, and moments without any other.
    """
    states = qpos.reshape(-1, qpos.shape[-1])
    counts = needs.count(scene, states)
    absent = ~np.isfinite(states).all(axis=-1)
    found = {}
    for name in QUANTITIES:
        samples = np.where(absent, np.nan, getattr(counts, name)).reshape(-1, qpos.shape[-2])
        found[name] = needs.summarise(samples[~np.isnan(samples).all(axis=1)])
    return found


def hardest(situations: Sequence[Mapping[str, Need]]) -> dict[str, Need]:
    """The greatest of each number over the situations."""
    fields = [field.name for field in dataclasses.fields(Need)]
    return {
        name: Need(**{field: max(getattr(one[name], field) for one in situations) for field in fields})
        for name in QUANTITIES
    }
