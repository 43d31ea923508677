"""The environment that an evaluation or a picture needs, from a run's own configuration where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mjx_skillmimic.evaluation.policies import BASELINES
from mjx_skillmimic.evaluation.rollouts import evaluation_config

CONFIG_FILE = "config.json"


def run_config(policy: str | Path, preset: str = "default") -> Any:
    """The configuration of the run that a policy came from: beside the policy file or in the run's folder.

    A baseline, or a policy without a configuration beside it, gets the task's configuration of `preset`. Raises
    FileNotFoundError for a policy that does not exist.
    """
    from mjx_skillmimic import envs
    from mjx_skillmimic.config import from_json
    from mjx_skillmimic.evaluation.policies import policy_file

    if str(policy) not in BASELINES:
        file = policy_file(policy).parent / CONFIG_FILE
        if file.is_file():
            return from_json(file.read_text())
    return envs.default_config("BallPlay", preset)


def make_env(policy: str | Path, motion: str | None = None, engine: str | None = None, preset: str = "default") -> Any:
    """The environment of a policy in which whole clips can be run (`rollouts.evaluation_config`).

    motion, engine: instead of those of the run; an engine's options are the run's own and are dropped with it.
    """
    from mjx_skillmimic import envs

    config = evaluation_config(run_config(policy, preset))
    with config.unlocked():
        if motion is not None:
            config.motion.path = motion
        if engine is not None:
            config.physics.engine = engine
            config.physics.options = {}
    return envs.load(config.get("env", "BallPlay"), config)
