"""The environment that an evaluation or a picture needs, from a policy's own configuration where there is one."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation.policies import BASELINES, Agent, make_agent, policy_file
from mjx_skillmimic.evaluation.rollouts import evaluation_config

CONFIG_FILE = "config.json"
_LOG = logging.getLogger(__name__)
LABEL = "label:"  # begins the name of a baseline that plays one skill of a high-level task


def chooses(config: Any) -> bool:
    """Which kind of task a configuration is: a high-level one, for which there are skills to choose among (True), or
    one after clips (False). `from_scratch` says whether a policy of the former moves the joints all the same."""
    return "low_level" in config


def from_scratch(config: Any) -> bool:
    """Whether the policy of a high-level task moves the joints itself instead of choosing skills."""
    return chooses(config) and config.episode.get("action", "skill") == "targets"


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
        if found is not None and found.get("history", {}).get("encoder"):
            # It travels with the policy; the file that it was trained with may be anywhere, or another by now.
            found.history.encoder = str(file)
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
    if motion is None and chooses(config):
        config = with_starts_at_hand(config, policy)
    elif motion is None and not is_baseline(policy):
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

    make = high_level_courses.make_agent if hasattr(env, "task") else make_agent
    return make(policy, env, deterministic)


def make_clip_env(policy: str | Path, motion: str | None = None, engine: str | None = None, instead: str = "") -> Any:
    """`make_env` for what needs clips and a policy that follows them.

    instead: which command serves a high-level policy, in words. Raises ValueError for one, before anything is built,
    and what `make_env` raises.
    """
    expect_clips(run_config(policy), policy, instead)
    return make_env(policy, motion, engine)


def expect_clips(config: Any, policy: str | Path, instead: str = "") -> None:
    """Raises ValueError if a configuration is that of a high-level task; instead: which command serves it, in words."""
    if chooses(config):
        ending = f"; {instead}" if instead else ""
        raise ValueError(
            f"{policy}: found a policy of the high-level task {config.env}, expected one that follows clips{ending}"
        )


def with_starts_at_hand(config: Any, policy: str | Path) -> Any:
    """The configuration of a high-level task as it is; for a policy with a card whose start clips are not at hand one
    that begins in the low-level policy's own start states instead, and a warning says so."""
    path = config.motion.path
    if not path or is_baseline(policy) or pretrained.card_of(policy_file(policy)) is None:
        return config
    from mjx_skillmimic.motion.library import load_clips

    try:
        load_clips(path if isinstance(path, str) else list(path))
    except FileNotFoundError:
        _LOG.warning(
            "%s: its start clips are not at %r; episodes begin in the own start states of %s instead",
            policy,
            path,
            config.low_level.policy,
        )
        config = copy.deepcopy(config)
        with config.unlocked():
            config.motion.path = ""
    return config


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
