"""A policy at the wheel of a stage: the environment's own step for one world, compiled, a skill told at each."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mjx_skillmimic import envs, pretrained
from mjx_skillmimic.envs.options import from_config
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.evaluation import free_play
from mjx_skillmimic.evaluation.policies import BASELINES, Agent, make_agent, policy_file
from mjx_skillmimic.evaluation.rollouts import evaluation_config
from mjx_skillmimic.evaluation.setup import chooses, run_config
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.pretrained.starts import Starts, load_starts, starts_file
from mjx_skillmimic.viewing.stage import Stage

PLAYBACK = "playback"
_LOG = logging.getLogger(__name__)


class Program:
    """A task's environment on a stage, compiled when it is made; its step is the environment's own.

    A world that broke stays broken, and is begun again from outside.
    """

    def __init__(
        self, config: Any, clips: Sequence[MotionClip], stage: Stage, starts: Starts | None = None, seed: int = 0
    ) -> None:
        """config: of the policy; its engine is replaced. starts: come before the clips. Raises ValueError for clips of
        another frame rate, KeyError for a task that is not registered."""
        self._config = _for_one_world(config)
        self.env = envs.load(self._config.get("env", "BallPlay"), self._config, clips=clips)
        self.env.physics.close()
        self.env.physics = stage
        self.env._restart = lambda state, done: state
        keys = jax.random.split(jax.random.key(seed), 1)
        begin = jax.jit(functools.partial(self.env.begin, self.env.tables))
        self._begin = lambda clip, frame: begin(keys, jnp.array([clip], jnp.int32), jnp.array([frame], jnp.int32))
        self._starts, self._count = starts, 0 if starts is None else len(starts)
        action = jnp.zeros((1, self.env.action_size), jnp.float32)
        self._begin_at = jax.jit(functools.partial(self._placed, self.env.tables, keys))
        self._step = jax.jit(self._told_step).lower(self.begin(0, 0), action, 0).compile()

    def serves(self, config: Any) -> bool:
        """Whether a policy of another configuration may act here: whether all that it sees and does is the same."""
        config = _for_one_world(config)
        if config.get("env", "BallPlay") != "BallPlay" or self._config.get("env", "BallPlay") != "BallPlay":
            # the options of somebody's own task are known to that task alone
            return config.to_dict() == self._config.to_dict()
        return from_config(config)._replace(motion=self.env.options.motion) == self.env.options

    def begin(self, clip: int, frame: int) -> State:
        """The environment's state in a start state, or on a clip's frame: the start states are counted first. The skill
        is that of either."""
        if self._starts is None or clip >= self._count:
            return jax.tree.map(_strong, self._begin(clip - self._count, frame))
        states = free_play.States(jnp.asarray(self._starts.qpos[[clip]]), jnp.asarray(self._starts.qvel[[clip]]))
        return jax.tree.map(_strong, self._begin_at(states, int(self._starts.skill[clip])))

    def _placed(self, tables: Any, keys: Any, states: free_play.States, label: Any) -> State:
        first = jnp.zeros((1,), jnp.int32)
        state = free_play.begin(self.env, tables, keys, first, first, states)
        return free_play.tell(self.env, state, jnp.full((1,), label, jnp.int32))

    def step(self, state: State, action: Any, label: int) -> State:
        """One control step of the action (1, 156), the observation with the skill `label`."""
        return self._step(state, action, label)

    def _told_step(self, state: State, action: Any, label: Any) -> State:
        state = self.env.step(free_play.tell(self.env, state, jnp.full((1,), label, jnp.int32)), action)
        return jax.tree.map(_strong, state)


class Driver:
    """A policy on a `Program`: `begin`, and `step(state, label, count)`, which acts and simulates."""

    def __init__(self, policy: str, program: Program, seed: int = 0) -> None:
        """Raises what `make_agent` raises; ValueError for "playback", which needs no driver."""
        self.agent: Agent = make_agent(policy, program.env)
        if self.agent.kinematic:
            raise ValueError(f"{policy} shows the clip itself and drives nothing")
        self.program = program
        self._key = jax.random.key(seed)
        self._act = jax.jit(self._told_action)
        # compiled here: nobody should wait for it in the first step
        jax.block_until_ready(self._act(self.agent.parameters, program.begin(0, 0), 0, 0, self._key))

    def begin(self, clip: int, frame: int) -> Any:
        """The environment's state in a start state or on a clip's frame, see `Program.begin`."""
        return self.program.begin(clip, frame)

    def step(self, state: Any, label: int, count: int) -> Any:
        """The state after the policy, told a skill, has acted once; count: steps before, for policies with chance."""
        action = self._act(self.agent.parameters, state, label, count, self._key)
        return self.program.step(state, action, label)

    def _told_action(self, parameters: Any, state: Any, label: Any, count: Any, key: Any) -> Any:
        state = free_play.tell(self.program.env, state, jnp.full((1,), label, jnp.int32))
        return self.agent.act(parameters, state, jax.random.fold_in(key, count))


def learned_skills(policy: str, clips: Sequence[MotionClip]) -> list[int]:
    """Labels that a policy has learned by its card or its file, or by the clips of its run; else those of `clips`."""
    if policy not in BASELINES:
        file = policy_file(policy)
        if listed := pretrained.load(file).metadata.get("skills"):
            return sorted({int(skill["label"]) for skill in listed})
        with contextlib.suppress(FileNotFoundError):
            clips = library.load_clips(run_config(file).motion.path)
    return sorted({int(clip.skill) for clip in clips})


def fitting_policies(policy: str, config: Any) -> list[str]:
    """The policies that can act in the scene of a configuration: the given one, the shipped ones of that scene, and
    the baselines, of which "playback" is the clip itself."""
    scene = config.scene.to_dict()
    shipped = [name for name in pretrained.names() if pretrained.card(name)["config"].get("scene") == scene]
    return list(dict.fromkeys([policy, *shipped, *BASELINES]))


def openings_for(policy: str, config: Any, motion: Any = None) -> tuple[list[MotionClip], Starts | None]:
    """The clips that a session has, and start states before them.

    Clips: those of `motion` (as in `load_clips`); without, those that the policy was trained on where they are at hand,
    else those of the project's own that show a skill it has learned, or all of these if none does. Start states: the
    policy's own (`pretrained.starts`) in the last case; of other weights than the policy's they are left alone.

    Raises FileNotFoundError and MotionFormatError for clips that cannot be read, StartsError for a damaged file,
    ValueError for a high-level task, which begins elsewhere.
    """
    if chooses(config):
        raise ValueError(f"{policy} is for the high-level task {config.env}: task_session.TaskSession plays it")
    if motion is not None:
        return library.load_clips(motion), None
    shipped = library.load_clips(library.ALL_SHIPPED)
    if policy in BASELINES:
        return shipped, None
    file = policy_file(policy)
    card = pretrained.card_of(file)
    try:
        own = library.load_clips(config.motion.path)
    except FileNotFoundError:
        own = []
    if own and (card is None or library.motion_hash(own) == card["motion_hash"]):
        return own, None
    learned = learned_skills(policy, shipped)
    return [clip for clip in shipped if int(clip.skill) in learned] or shipped, _own_starts(file)


def _own_starts(file: Path) -> Starts | None:
    path = starts_file(file)
    if not path.is_file():
        return None
    starts = load_starts(path)
    if not starts.made_by(file):
        _LOG.warning("%s was recorded with other weights than %s; scripts/record_starts.py makes it anew", path, file)
        return None
    return starts


def _for_one_world(config: Any) -> Any:
    """A copy of a configuration in which nothing ends by itself and nothing is computed for a critic."""
    config = evaluation_config(config)
    with config.unlocked():
        config.physics = {"engine": "mujoco", "options": {"threads": 1}}
        config.observation.critic = "policy"
    return config


def _strong(leaf: Any) -> Any:
    """With a strong type: else the state after a step would not fit the program compiled for the first."""
    extended = jnp.issubdtype(leaf.dtype, jax.dtypes.extended)
    return leaf if extended else jax.lax.convert_element_type(leaf, leaf.dtype)
