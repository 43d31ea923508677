"""What training on clips adds to the loop: the exported policy, and whole clips run with it now and then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic.learning import policy
from mjx_skillmimic.learning.loop import Hooks
from mjx_skillmimic.learning.options import PPOOptions, from_mapping


def clip_hooks(config: ConfigDict, env: Any) -> Hooks:
    """Hooks for an environment of clips such as BallPlay, from `config.ppo`, `config.run` and the environment's sections."""
    options = from_mapping(config.ppo)
    return Hooks(
        evaluate=ClipEvaluation(config, env, options) if config.run.eval_every else None,
        export=lambda state, path, metadata: export_policy(options, state, path, metadata),
    )


def export_policy(options: PPOOptions, state: Any, path: Path, metadata: Mapping[str, Any]) -> None:
    """Writes the policy of a training state as one .npz."""
    policy.save_policy(path, policy.bundle(options, state.params, state.obs_moments, metadata))


class ClipEvaluation:
    """`evaluate(state, iteration)`: the mean action from the published test start of each clip, to the clip's end.

    `config.run.eval_episodes` episodes, clips in turn; always the same ones. The rollout is compiled on the first call.
    """

    def __init__(self, config: ConfigDict, env: Any, options: PPOOptions) -> None:
        self._config, self._clips, self._options = config, env.clips, options
        self._rollout: Any = None

    def __call__(self, state: Any, iteration: int) -> dict[str, float]:
        from mjx_skillmimic.evaluation import policies, records, report

        bundle = policy.bundle(self._options, state.params, state.obs_moments)
        agent = policies.from_bundle(bundle)
        if self._rollout is None:
            self._prepare(agent)
        record = self._rollout(agent.parameters, self._clip, self._frame, jax.random.key(0))
        episodes = records.to_episodes(
            record, self._env.tables.motions, np.asarray(self._clip), np.asarray(self._frame)
        )
        return report.numbers(episodes)

    def _prepare(self, agent: Any) -> None:
        from mjx_skillmimic import envs
        from mjx_skillmimic.evaluation import rollouts

        self._env = envs.load(self._config.env, rollouts.evaluation_config(self._config), clips=self._clips)
        lengths = np.asarray(self._env.tables.motions.lengths)
        clip, frame = rollouts.draw_starts(lengths, self._config.run.eval_episodes)
        self._clip, self._frame = jnp.asarray(clip), jnp.asarray(frame)
        self._rollout = rollouts.make_rollout(self._env, agent, int((lengths[clip] - 1 - frame).max()))
