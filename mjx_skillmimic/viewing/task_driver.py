"""A high-level task on a stage: its environment's own control step for one world, and who chooses the skills."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import envs, pretrained
from mjx_skillmimic.envs.high_level.control_step import Moment, control_step
from mjx_skillmimic.envs.high_level.task import Goal
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.evaluation import setup
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.pretrained.starts import load_starts, starts_file
from mjx_skillmimic.viewing.stage import Stage
from mjx_skillmimic.viewing.status import TaskStatus

MOST_STARTS = 100  # start states that a session offers, spread over those of the clips


class Chooser(NamedTuple):
    """agent: who chooses. act: its choice, compiled. chances: of an observation, the probabilities of the choices; None
    for a baseline."""

    agent: Agent
    act: Callable[..., Any]
    chances: Callable[..., Any] | None


class TaskDriver:
    """A task's environment with a policy that chooses; `begin` and `step(state, label, count)` as of `driver.Driver`.

    env: with the stage for its physics; nothing ends by itself. rows (S,), names, skills (S,): the start states on
    offer, rows of the environment's table. who: chooses. auto: whether it does, or a person. reached: goals since
    `begin`.
    """

    def __init__(self, policy: str, config: Any, motion: Any = None, seed: int = 0) -> None:
        """Raises what loading the environment and `setup.agent_for` raise."""
        config = copy.deepcopy(config if motion is not None else setup.with_starts_at_hand(config, policy))
        with config.unlocked():
            config.physics = {"engine": "mujoco", "options": {"threads": 1}}
            config.start.states = 0  # a person chooses among the states themselves
        self.env = envs.load(config.env, config, clips=None if motion is None else load_clips(motion))
        self.env.physics.close()
        self.stage = self.env.physics = Stage(self.env.scene)
        self.rows, self.names, self.skills = _starts_of(self.env)
        self.auto, self.reached = True, 0
        self._key, self._begun = jax.random.key(seed), 0
        self._probabilities = np.zeros(len(self.env.labels))
        self._begin = jax.jit(self._from_row)
        self._observe = jax.jit(lambda data, goal: self.env.task.observe(self.env.body_state(data), goal))
        state = self.begin(0, 0)
        # compiled here: nobody should wait for it in the first step, or after the first click
        self._step = jax.jit(self._played).lower(self.env.tables.policy, state, 0).compile()
        jax.block_until_ready(self._observe(state.data, state.info["goal"]))
        self._sample = state
        self.who = self.chooser(policy)

    @property
    def places(self) -> bool:
        """Whether the task wants something of a place, which a person may choose."""
        return any(name == "goal_pos" for name, _ in self.env.task.parts)

    def chooser(self, policy: str) -> Chooser:
        """Somebody who may choose, compiled. Raises what `setup.agent_for` raises."""
        agent, chances = setup.agent_for(policy, self.env), None
        act = jax.jit(agent.act)
        jax.block_until_ready(act(agent.parameters, self._sample, self._key))
        if not setup.is_baseline(policy):
            chances = jax.jit(pretrained.load(setup.policy_file(policy)).probabilities)
            jax.block_until_ready(chances(self._sample.obs))
        return Chooser(agent, act, chances)

    @property
    def agent(self) -> Agent:
        """Who chooses."""
        return self.who.agent

    def begin(self, clip: int, frame: int) -> State:
        """The environment's state in the start state `clip`, with a goal of its own; frame: there is but one."""
        self._begun, self.reached = self._begun + 1, 0
        return self._begin(self.env.tables, int(self.rows[clip]), jax.random.fold_in(self._key, self._begun))

    def choose(self, state: State, count: int) -> int:
        """The label that the agent chooses, after `count` control steps."""
        who, key = self.who, jax.random.fold_in(self._key, count)
        choice = int(who.act(who.agent.parameters, state, key)[0])
        if who.chances is not None:
            self._probabilities = np.asarray(who.chances(state.obs))[0]
        elif who.agent.name == "random":
            self._probabilities = np.full(len(self.env.labels), 1.0 / len(self.env.labels))
        else:
            self._probabilities = np.eye(len(self.env.labels))[choice]
        return self.env.labels[choice]

    def step(self, state: State, label: int, count: int) -> State:
        """The state after one control step in which the low-level policy plays a skill."""
        state, reached = self._step(self.env.tables.policy, state, label)
        self.reached += int(reached[0])
        return state

    def with_target(self, state: State, point: Any) -> State:
        """The state with the task's place moved to a point (2,) m of the floor. Raises ValueError where it has none."""
        if not self.places or not isinstance(state.info["goal"], Goal):
            raise ValueError(f"{self.env.task.name} wants nothing of a place")
        if getattr(self.env.task, "arrange", None) is not None:
            raise ValueError(f"{self.env.task.name} has its target in the scene, where it stays")
        position = jnp.asarray(np.asarray(point, np.float32)[None, :2])
        goal = dataclasses.replace(state.info["goal"], position=position, reached=jnp.zeros((1,), bool))
        seen = self._observe(state.data, goal)
        obs = jnp.concatenate([state.obs[:, : -seen.shape[-1]], seen], axis=-1)
        return dataclasses.replace(state, obs=obs, info=state.info | {"goal": goal})

    def told(self, state: State) -> TaskStatus:
        """What a viewer shows of the task."""
        goal, options = state.info["goal"], self.env.task.options
        shown = self.places and isinstance(goal, Goal)
        place = np.append(np.asarray(goal.position[0], float), getattr(options, "height", 0.0)) if shown else None
        return TaskStatus(
            name=self.env.task.name,
            auto=self.auto,
            chances=dict(zip(self.env.labels, map(float, self._probabilities), strict=True)),
            goal=place,
            reach=float(getattr(options, "reach", 0.1)),
            radius=float(goal.radius[0]) if shown else 0.0,
            reached=self.reached,
        )

    def _from_row(self, tables: Any, row: Any, key: Any) -> State:
        # A table of which this row alone is ever drawn.
        count = tables.starts.cumulative.shape[0]
        only = dataclasses.replace(tables.starts, cumulative=(jnp.arange(count) >= row).astype(jnp.float32))
        state = self.env.begin(dataclasses.replace(tables, starts=only), key[None])
        return jax.tree.map(_strong, dataclasses.replace(state, shared=None))

    def _played(self, policy: Any, state: State, label: Any) -> tuple[State, Any]:
        info, never = state.info, jnp.zeros((1,), bool)
        moment = Moment(
            state.data, state.obs, info["goal"], info["rng"], info["progress"], never, never, info["nonfinite"]
        )
        labels = jnp.full((1,), label, jnp.int32)
        after, (reward, metrics, trail) = control_step(self.env, policy, moment, labels)
        info = info | {"rng": after.rng, "goal": after.goal, "progress": after.progress, "skill": labels}
        state = dataclasses.replace(
            state,
            data=after.data,
            obs=after.obs,
            reward=reward,
            metrics=metrics,
            info=info | {"nonfinite": after.failed},
        )
        return jax.tree.map(_strong, state), trail.reached


def _starts_of(env: Any) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Rows, names and labels of the start states that episodes may begin in."""
    rows = np.flatnonzero(np.diff(np.asarray(env.tables.starts.cumulative, np.float64), prepend=0.0) > 0)
    file = starts_file(env.low_level.file)
    own = load_starts(file) if file.is_file() else None
    if own is not None and np.array_equal(own.qpos.astype(np.float32), np.asarray(env.tables.starts.qpos)):
        return rows, tuple(f"start: {own.name[row]}" for row in rows), np.asarray(own.skill)[rows]
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_STARTS)).astype(int)]
    return rows, tuple(f"start: frame {row}" for row in rows), np.full(len(rows), env.labels[0])


def _strong(leaf: Any) -> Any:
    """With a strong type: else the state after a step would not fit the program compiled for the first."""
    extended = jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
    return leaf if extended else jax.lax.convert_element_type(leaf, leaf.dtype)
