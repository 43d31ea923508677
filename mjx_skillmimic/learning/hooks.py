"""What a task adds to the loop: the exported policy, and where it has clips, whole clips run with it now and then."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic.learning import policy
from mjx_skillmimic.learning.options import from_mapping
from mjx_skillmimic.learning.outputs import Hooks
from mjx_skillmimic.learning.task_videos import TaskVideos


def task_hooks(config: ConfigDict, env: Any) -> Hooks:
    """Hooks for an environment: `clip_hooks`; in high-level tasks, and where actions are choices, other evaluations,
    and videos only of a policy that chooses in a task.

    What has no rule of success (`evaluation.high_level`) is not evaluated; its metrics say what can be said.
    """
    if getattr(env, "action_kind", "continuous") == "continuous" and not hasattr(env, "task"):
        return clip_hooks(config, env)
    from mjx_skillmimic.evaluation.high_level import SUCCESS

    runs = ClipRuns(config, env)
    evaluate = CourseRuns(config, env).evaluate if config.get("env") in SUCCESS else None
    # Toys of choices have no task, and what moves the joints is no policy that a session can show.
    shown = hasattr(env, "task") and getattr(env, "action_kind", "continuous") == "discrete"
    video = TaskVideos(config, env, runs.export).video if shown else None
    return Hooks(evaluate=evaluate, video=video, export=runs.export, advise=runs.advise)


def clip_hooks(config: ConfigDict, env: Any) -> Hooks:
    """Hooks for an environment of clips such as BallPlay; reads `config.ppo`, `config.run` and what the task reads."""
    runs = ClipRuns(config, env)
    return Hooks(evaluate=runs.evaluate, video=runs.video, export=runs.export, advise=runs.advise)


class ClipRuns:
    """Whole clips with the mean action of a training state, in an environment of their own whose worlds never end.

    Environment and rollouts are built on first use and serve every later state.
    """

    def __init__(self, config: ConfigDict, env: Any) -> None:
        self._config, self._training_env, self._options = config, env, from_mapping(config.ppo)
        self._evaluation: Any = None
        self._recorder: Any = None
        self._videos = 0

    def export(self, state: Any, path: Path, metadata: Mapping[str, Any]) -> None:
        """Writes the policy of a training state as one .npz."""
        policy.save_policy(path, self._bundle(state, metadata))

    def evaluate(self, state: Any, iteration: int) -> dict[str, float]:
        """Episodes from the published test start, always the same: `config.run.eval_episodes`, at least one a clip."""
        from mjx_skillmimic.evaluation import policies, records, report, rollouts

        agent = policies.from_bundle(self._bundle(state))
        motions = self._env.tables.motions
        lengths = np.asarray(motions.lengths)
        clip, frame = rollouts.draw_starts(lengths, max(self._config.run.eval_episodes, len(lengths)))
        if self._evaluation is None:
            self._evaluation = rollouts.make_rollout(self._env, agent, int((lengths[clip] - 1 - frame).max()))
        record = self._evaluation(agent.parameters, jnp.asarray(clip), jnp.asarray(frame), jax.random.key(0))
        return report.numbers(records.to_episodes(record, motions, clip, frame))

    def video(self, state: Any, iteration: int, path: Path) -> None:
        """One episode with the clip as a ghost, the next clip each time. Raises VideoError if nothing can draw it."""
        from mjx_skillmimic.evaluation import policies
        from mjx_skillmimic.viewing import sources
        from mjx_skillmimic.viewing.video import write_video

        agent = policies.from_bundle(self._bundle(state), name=f"after iteration {iteration}")
        lengths = np.asarray(self._env.tables.motions.lengths)
        if self._recorder is None:
            self._recorder = sources.make_recorder(self._env, agent, int(lengths.max()))
        clip = self._videos % len(lengths)
        self._videos += 1
        write_video(sources.rollout_trajectory(self._env, agent, clip, recorder=self._recorder), path)

    def advise(self, state: Any) -> str:
        """How much room for contacts the worlds of a training state need, and which option gives more."""
        from mjx_skillmimic.physics.advice import advice

        shards = [np.asarray(shard.data) for shard in state.env_state.data.qpos.addressable_shards]
        worlds = int(np.prod(shards[0].shape[:-1]))
        states = np.concatenate(shards).reshape(-1, shards[0].shape[-1])
        return advice(self._training_env.physics, states, worlds)

    @functools.cached_property
    def _env(self) -> Any:
        from mjx_skillmimic import envs
        from mjx_skillmimic.evaluation import rollouts

        config = rollouts.evaluation_config(self._config)
        training = self._training_env
        return envs.load(self._config.env, config, clips=training.clips, tables=training.tables)

    def _bundle(self, state: Any, metadata: Mapping[str, Any] | None = None) -> policy.PolicyBundle:
        extras = getattr(self._training_env, "policy_extras", {})
        return policy.bundle(self._options, state.params, state.obs_moments, metadata, extras)


class CourseRuns:
    """Whole episodes of a high-level task without chance in the actions, always the same `config.run.eval_episodes`.

    The player is compiled on first use and serves every later state.
    """

    def __init__(self, config: ConfigDict, env: Any) -> None:
        self._config, self._env, self._options = config, env, from_mapping(config.ppo)
        self._play: Any = None

    def evaluate(self, state: Any, iteration: int) -> dict[str, float]:
        """The values of `evaluation.high_level.report`."""
        from mjx_skillmimic.evaluation import high_level, high_level_courses, policies

        agent = policies.from_bundle(policy.bundle(self._options, state.params, state.obs_moments))
        if self._play is None:
            self._play = high_level_courses.make_player(self._env, agent)
        keys = jax.random.split(jax.random.key(0), self._config.run.eval_episodes)
        seen = self._play(self._env.tables, agent.parameters, keys, jax.random.key(1))
        courses = high_level_courses.to_courses(jax.device_get(seen), self._env.episode.length)
        found = high_level.report(self._config.env, courses, steps_each=self._env.episode.steps)
        return {
            name: entry["value"] for name, entry in found.items() if isinstance(entry, Mapping) and "value" in entry
        }
