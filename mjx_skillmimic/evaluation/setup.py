"""The environment that an evaluation or a picture needs, from a policy's own configuration where there is one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation.policies import BASELINES, Agent, make_agent, policy_file
from mjx_skillmimic.evaluation.rollouts import evaluation_config

CONFIG_FILE = "config.json"
LABEL = "label:"  # begins the name of a baseline that plays one skill of a high-level task


def chooses(config: Any) -> bool:
    """Which kind of task a configuration is: one that chooses among the skills of a low-level policy (True), or one
    whose policy moves the joints itself, after clips (False)."""
    return "low_level" in config


def is_baseline(policy: str | Path) -> bool:
    """Whether it is the name of a baseline, of either kind of task."""
    return str(policy) in BASELINES or str(policy).startswith(LABEL)


def run_config(policy: str | Path, preset: str = "default", task: str | None = None) -> Any:
    """The configuration that a policy was trained with: `config.json` beside it, that in its card, or that in its file.

    policy: a run's folder, a policy file, or the name of a shipped policy. A baseline, or a policy without any of the
    three, gets the configuration of `preset` for `task`, without one BallPlay's. Raises FileNotFoundError for a policy
    that does not exist, CardError or PolicyFormatError for a damaged one, ValueError for one of another task than
    `task`, KeyError for an unknown task or preset.
    """
    from mjx_skillmimic import envs
    from mjx_skillmimic.config import from_json

    found = None
    if not is_baseline(policy):
        file = policy_file(policy)
        beside = file.with_name(CONFIG_FILE)
        metadata = {} if beside.is_file() else pretrained.load(file).metadata
        if beside.is_file():
            found = from_json(beside.read_text())
        elif isinstance(metadata.get("config"), dict):
            found = from_json(json.dumps(metadata["config"]))
    if found is None:
        if task is None and str(policy).startswith(LABEL):
            raise ValueError(f"{policy} chooses in a high-level task: name it, as in --task Heading")
        return envs.default_config(task or "BallPlay", preset)
    if task is not None and (trained := found.get("env", "BallPlay")) != task:
        raise ValueError(f"{policy} was trained on {trained}, expected a policy of {task}")
    return found


def make_env(
    policy: str | Path,
    motion: str | None = None,
    engine: str | None = None,
    preset: str = "default",
    task: str | None = None,
) -> Any:
    """The environment of a policy: of a task after clips one in which whole clips can be run
    (`rollouts.evaluation_config`), of a high-level task the very one that it was trained in.

    motion, engine: instead of those of the run; an engine's options are the run's own and are dropped with it. preset,
    task: see `run_config`. Raises FileNotFoundError without `motion` where the clips that a policy's card names are not
    at hand.
    """
    from mjx_skillmimic import envs

    trained = run_config(policy, preset, task)
    config = copy.deepcopy(trained) if chooses(trained) else evaluation_config(trained)
    if motion is None and not chooses(config) and not is_baseline(policy):
        _check_clips_at_hand(policy, config.motion.path)
    with config.unlocked():
        if motion is not None:
            config.motion.path = motion
        if engine is not None:
            config.physics.engine = engine
            config.physics.options = {}
    return envs.load(config.get("env", "BallPlay"), config)


def agent_for(policy: str | Path, env: Any, deterministic: bool = True) -> Agent:
    """An agent for either kind of environment: `policies.make_agent`, or `high_level_courses.make_agent`."""
    from mjx_skillmimic.evaluation import high_level_courses

    discrete = getattr(env, "action_kind", "continuous") == "discrete"
    make = high_level_courses.make_agent if discrete and hasattr(env, "labels") else make_agent
    return make(policy, env, deterministic)


def _check_clips_at_hand(policy: str | Path, path: Any) -> None:
    """For a policy with a card: FileNotFoundError unless `path` holds the very clips that it was trained on."""
    from mjx_skillmimic.motion.library import load_clips, motion_hash

    card = pretrained.card_of(policy_file(policy))
    if card is None:
        return
    try:
        there = motion_hash(load_clips(path))
    except FileNotFoundError:
        there = None
    if there == card["motion_hash"]:
        return
    clips = [f"{clip['name']} ({clip['frames']} frames)" for clip in card["clips"][:5]]
    more = f" and {len(card['clips']) - len(clips)} more, listed in its card" if len(card["clips"]) > len(clips) else ""
    found = "are not" if there is None else "are not, but others are,"
    raise FileNotFoundError(
        f"{policy} was trained on {', '.join(clips)}{more}, which {found} at {path!r}; "
        f"give --motion with a file or folder that holds these clips, or others of the same skills"
    )
