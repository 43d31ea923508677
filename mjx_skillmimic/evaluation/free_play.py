"""Worlds that begin on a clip's frame and go on without any reference, the skill label given at every step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.evaluation.rollouts import FALL_HEIGHT
from mjx_skillmimic.imitation.observation import skill_one_hot
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.physics.base import EDGES
from mjx_skillmimic.rotations import Array

_WRISTS = humanoid.indices(("L_Wrist", "R_Wrist"))
_HANDS_OBJECT = EDGES.index("hands_object")
_PER_WORLD = ("fell", "clip", "start", "lost")

LabelFunction = Callable[[Array, Any], Array]
More = Callable[[Any, Any], dict[str, Array]]


@struct.dataclass
class Ball:
    """The ball of N worlds at their start, world frame: pos (N, 3) m, lin_vel (N, 3) m/s, ang_vel (N, 3) rad/s."""

    pos: Array
    lin_vel: Array
    ang_vel: Array

    def states(self, env: Any, state: Any) -> States:
        """The states of worlds that have just begun, with this ball."""
        start = env.scene.unpack(state.data.qpos, state.data.qvel)
        still = jnp.broadcast_to(jnp.array([1.0, 0.0, 0.0, 0.0]), start.object_quat.shape)
        moved = start._replace(
            object_pos=self.pos, object_quat=still, object_lin_vel=self.lin_vel, object_ang_vel=self.ang_vel
        )
        return States(*env.scene.pack(*moved))


@struct.dataclass
class States:
    """Whole states of N worlds at their start, in the scene's coordinates: qpos (N, nq), qvel (N, nv)."""

    qpos: Array
    qvel: Array

    def states(self, env: Any, state: Any) -> States:
        """These."""
        return self


class Instead(Protocol):
    """What worlds begin with instead of what their clip has: a tree of arrays (N, …)."""

    def states(self, env: Any, state: Any) -> States:
        """The states to put the worlds of a state in that have just begun on their frames."""


@dataclasses.dataclass(frozen=True)
class FreePlay:
    """N worlds over T control steps, NumPy. Step k (0-based) is the state after k + 1 control steps.

    valid (N, T) bool: the person had not fallen before this step (the step of the fall counts). fell (N,) bool: root
    below 0.3 m after the first step, or a world that broke. clip, start (N,) int: where it began. lost (N,) int: steps
    in which the engine dropped contacts. label (N, T) int: the skill that the policy was told at this step.
    root_pos, object_pos, object_lin_vel (N, T, 3), wrist_pos (N, T, 2, 3), left and right: m and m/s, world frame.
    hands_object (N, T) bool: a hand touches the ball. The fields that they share with `Episodes` mean the same, so that
    success rules which need no reference read either.
    """

    valid: np.ndarray
    fell: np.ndarray
    clip: np.ndarray
    start: np.ndarray
    lost: np.ndarray
    label: np.ndarray
    root_pos: np.ndarray
    object_pos: np.ndarray
    object_lin_vel: np.ndarray
    wrist_pos: np.ndarray
    hands_object: np.ndarray

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def possible(self) -> np.ndarray:
        """(N,) steps that were offered, the same for all."""
        return np.full(len(self), self.valid.shape[1])

    def select(self, which: np.ndarray) -> FreePlay:
        """The worlds of a mask or index array (N,)."""
        return FreePlay(**{f.name: getattr(self, f.name)[which] for f in dataclasses.fields(self)})

    def window(self, first: np.ndarray, steps: int) -> FreePlay:
        """`steps` steps from step `first` (N,) of each world. Raises ValueError if they are not all there.

        fell: in the window or before it; a world that fell before has no valid step.
        """
        first, length = np.asarray(first), self.valid.shape[1]
        if len(first) != len(self) or first.min() < 0 or first.max() + steps > length:
            raise ValueError(f"steps {first.min()} to {first.max() + steps} of {len(first)} worlds: there are {length}")
        rows, columns = np.arange(len(self))[:, None], first[:, None] + np.arange(steps)
        cut = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        cut |= {name: values[rows, columns] for name, values in cut.items() if name not in _PER_WORLD}
        cut["fell"] = self.fell & (self.valid.sum(axis=1) <= first + steps)
        return FreePlay(**cut)


def concatenate(parts: list[FreePlay]) -> FreePlay:
    """One batch of several of the same number of steps. Raises ValueError for none or for different numbers."""
    if not parts or len({part.valid.shape[1] for part in parts}) > 1:
        raise ValueError(f"expected plays of one length, got {sorted({p.valid.shape[1] for p in parts})}")
    return FreePlay(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(FreePlay)}
    )


def begin(env: Any, tables: Any, keys: Array, clip: Array, frame: Array, instead: Instead | None = None) -> Any:
    """The environment's state of N worlds on chosen frames; with another ball, or in other states, where given."""
    state = env.begin(tables, keys, clip, frame)
    if instead is None:
        return state
    states = instead.states(env, state)
    return env.put(state, states.qpos, states.qvel)


def tell(env: Any, state: Any, label: Array) -> Any:
    """The state with the skill label (N,) that the policy reads next."""
    one_hot = skill_one_hot(label, env.options.observation.num_skills)
    obs = state.obs.at[:, env.layout.slice("skill")].set(one_hot)
    return state.replace(obs=obs, info=state.info | {"skill": label})


def make_free_play(
    env: Any, agent: Agent, steps: int, label_function: LabelFunction | None = None, more: More | None = None
) -> Callable[..., dict[str, Array]]:
    """A compiled `fn(tables, parameters, clip (N,), frame (N,), instead, labels (T, N), rng)` of T = `steps` steps.

    The answer has arrays (T, N, …): the fields of `FreePlay` and "fallen", "lost". label_function(k, state) -> (N,)
    int32 says the label at step k instead of `labels`, which may then be None. more(state, bodies): further arrays
    (N, …) by name, of the state after a step. Raises ValueError for an agent that needs a reference.
    """
    if agent.kinematic:
        raise ValueError(f"{agent.name} shows the reference itself and cannot play without one")

    @jax.jit
    def play(
        tables: Any,
        parameters: Any,
        clip: Array,
        frame: Array,
        instead: Instead | None,
        labels: Array | None,
        rng: Array,
    ) -> dict[str, Array]:
        reset_rng, rng = jax.random.split(rng)
        state = begin(env, tables, jax.random.split(reset_rng, clip.shape[0]), clip, frame, instead)

        def body(carry: tuple[Any, Array], given: Any) -> tuple[tuple[Any, Array], dict[str, Array]]:
            state, alive = carry
            index, key, label = given
            label = label_function(index, state) if label_function else label
            state = tell(env, state, label)
            state = env.step(state, agent.act(parameters, state, key))
            sim = env.body_state(state.data)
            broken = state.metrics["nonfinite"] > 0
            fallen = broken | ((sim.root_pos[:, 2] < FALL_HEIGHT) & (index > 0))
            seen = {
                "valid": alive,
                "fallen": alive & fallen,
                "lost": alive & (state.metrics["overflow"] > 0),
                "label": label,
                "root_pos": sim.root_pos,
                "object_pos": sim.object_pos,
                "object_lin_vel": sim.object_lin_vel,
                "wrist_pos": sim.body_pos[:, _WRISTS, :],
                "hands_object": sim.edges[:, _HANDS_OBJECT],
            }
            seen |= more(state, sim) if more else {}
            return (state, alive & ~fallen), seen

        given = (jnp.arange(steps), jax.random.split(rng, steps), labels)
        return jax.lax.scan(body, (state, jnp.ones(clip.shape[0], bool)), given)[1]

    return play


def run_free_play(
    env: Any,
    agent: Agent,
    clip: np.ndarray,
    frame: np.ndarray,
    labels: np.ndarray,
    instead: Instead | None = None,
    seed: int = 0,
    batch: int = 1024,
    play: Callable[..., dict[str, Array]] | None = None,
) -> FreePlay:
    """N worlds from frames (N,) of clips (N,) with labels (T, N), `batch` worlds at a time.

    env: built from `rollouts.evaluation_config`. instead: of the frames' balls, or of their whole states. play: from
    `make_free_play` of the same env, agent and T, to be compiled once for several calls. The same arguments give the
    same worlds on a deterministic engine. Raises ValueError for labels of another shape or outside the one-hot.
    """
    play = play or make_free_play(env, agent, len(labels))
    parts = []
    for arrays in batches(env, agent, clip, frame, labels, play, instead, seed, batch):
        once = {"fell": arrays.pop("fallen").any(axis=1), "lost": arrays.pop("lost").sum(axis=1)}
        parts.append(FreePlay(**arrays, **once))
    return concatenate(parts)


def batches(
    env: Any,
    agent: Agent,
    clip: np.ndarray,
    frame: np.ndarray,
    labels: np.ndarray,
    play: Callable[..., dict[str, Array]],
    instead: Instead | None = None,
    seed: int = 0,
    batch: int = 1024,
) -> Iterator[dict[str, np.ndarray]]:
    """What `play` gives of worlds as in `run_free_play`, a batch at a time: arrays (n, T, …), clip and start (n,)."""
    labels = np.asarray(labels, np.int32)
    count, known = len(clip), env.options.observation.num_skills
    if labels.ndim != 2 or labels.shape[1] != count or not labels.shape[0]:
        raise ValueError(f"labels: expected (steps, {count}), got {labels.shape}")
    if labels.min() < 0 or labels.max() >= known:
        raise ValueError(f"labels: expected 0 to {known - 1}, got {labels.min()} to {labels.max()}")
    batch = min(batch, count)
    for first in range(0, count, batch):
        # the last batch is filled up with repeats, so that one compilation serves all
        which = np.arange(first, first + batch) % count
        some = jax.tree.map(lambda x, which=which: jnp.asarray(np.asarray(x)[which]), instead)
        where = (jnp.asarray(np.asarray(x)[which], jnp.int32) for x in (clip, frame))
        rng = jax.random.fold_in(jax.random.key(seed), first)
        seen = jax.device_get(play(env.tables, agent.parameters, *where, some, jnp.asarray(labels[:, which]), rng))
        kept = slice(min(batch, count - first))
        arrays = {name: np.swapaxes(x, 0, 1)[kept] for name, x in seen.items()}
        yield arrays | {"clip": clip[which][kept], "start": frame[which][kept]}
