"""Recording courses of a high-level task: one episode a world, by a policy, at random, or by one label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.evaluation import policies
from mjx_skillmimic.evaluation.high_level import Courses, concatenate
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.rotations import Array

# Fields that a trail and a course call the same.
_SAME = ("root_pos", "object_pos", "object_lin_vel", "hands_object", "reached", "reward")


def make_agent(policy: str | Path, env: Any, deterministic: bool = True) -> Agent:
    """An agent for a high-level environment: of choices (N,) int32, or of what moves the joints (N, 156).

    policy: "label:13", always that skill; else as in `policies.make_agent`, which also says what is raised. Raises
    ValueError for a label that is no choice, a policy whose choices have other labels, and a baseline that follows a
    clip.
    """
    if env.moves_joints and (str(policy).startswith("label:") or policy in ("pd-playback", "playback")):
        raise ValueError(
            f"{policy}: expected zero, random or a policy that moves the joints (episode.action = 'targets')"
        )
    if not str(policy).startswith("label:"):
        agent = policies.make_agent(policy, env, deterministic)
        trained = tuple(agent.metadata.get("labels", env.labels))
        if trained != env.labels:
            raise ValueError(f"{policy}: found a policy that chooses among the labels {trained}, expected {env.labels}")
        return agent
    if (text := str(policy).removeprefix("label:")) not in map(str, env.labels):
        raise ValueError(f"{policy}: expected one of {', '.join(f'label:{label}' for label in env.labels)}")
    choice = env.labels.index(int(text))
    return Agent(str(policy), _always, jnp.asarray(choice, jnp.int32))


def _always(choice: Array, state: Any, rng: Array) -> Array:
    """The same choice in all worlds; as a parameter, so that one program serves every label."""
    return jnp.full(state.obs.shape[0], choice, jnp.int32)


def make_player(env: Any, agent: Agent) -> Callable[[Any, Any, Array, Array], dict[str, Array]]:
    """A compiled `fn(shared, parameters, keys (N,), rng)` that plays N worlds through the longest episode there may be.

    The answer has arrays (D, K, N, …), decisions and control steps in them: the fields of `Courses`, with `fell` and
    `late` in every step. Worlds that end early go on with another episode, which belongs to nobody.
    """
    decisions = -(-env.episode.length // env.steps)

    @jax.jit
    def play(shared: Any, parameters: Any, keys: Array, rng: Array) -> dict[str, Array]:
        def decide(state: Any, key: Array) -> tuple[Any, dict[str, Array]]:
            state, trail = env.play(state, agent.act(parameters, state, key))
            seen = {name: getattr(trail, name) for name in (*_SAME, "fell", "late")}
            seen |= {"goal": trail.goal.position, "radius": trail.goal.radius}
            return state, seen | {"label": jnp.broadcast_to(state.info["skill"], trail.fell.shape)}

        return jax.lax.scan(decide, env.begin(shared, keys), jax.random.split(rng, decisions))[1]

    return play


def to_courses(seen: dict[str, np.ndarray], length: int) -> Courses:
    """What `make_player` answers as each world's first episode, of `length` − 1 control steps at most."""
    flat = {name: np.swapaxes(x.reshape(-1, *x.shape[2:])[: length - 1], 0, 1) for name, x in seen.items()}
    fell, late = flat.pop("fell"), flat.pop("late")
    ended = np.cumsum(fell | late, axis=1) > 0
    valid = np.concatenate([np.ones((len(ended), 1), bool), ~ended[:, :-1]], axis=1)
    return Courses(**flat, valid=valid, fell=np.any(fell & valid, axis=1))


def run_courses(
    env: Any,
    agent: Agent,
    episodes: int,
    seed: int = 0,
    batch: int = 256,
    play: Callable[..., dict[str, Array]] | None = None,
) -> Courses:
    """Episodes of an agent, `batch` worlds at a time; on a deterministic engine the same arguments give the same ones.

    env: of `envs.load("Heading")` and its like; a task whose goal is no `task.Goal` has no courses. play: from
    `make_player` of the same env and of an agent that differs in its parameters only, to be compiled once for several
    calls. Raises ValueError for no episodes.
    """
    if episodes < 1:
        raise ValueError(f"expected at least one episode, got {episodes}")
    batch, parts = min(batch, episodes), []
    play = play or make_player(env, agent)
    for first in range(0, episodes, batch):
        begin, rng = jax.random.split(jax.random.fold_in(jax.random.key(seed), first))
        seen = play(env.tables, agent.parameters, jax.random.split(begin, batch), rng)
        kept = np.arange(min(batch, episodes - first))
        parts.append(to_courses(jax.device_get(seen), env.episode.length).select(kept))
    return concatenate(parts)
