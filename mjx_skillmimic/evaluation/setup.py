"""The environment that an evaluation or a picture needs, from a policy's own configuration where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation.policies import BASELINES, policy_file
from mjx_skillmimic.evaluation.rollouts import evaluation_config

CONFIG_FILE = "config.json"


def run_config(policy: str | Path, preset: str = "default") -> Any:
    """The configuration that a policy was trained with: `config.json` beside it, that in its card, or that in its file.

    policy: a run's folder, a policy file, or the name of a shipped policy. A baseline, or a policy without any of the
    three, gets the task's configuration of `preset`. Raises FileNotFoundError for a policy that does not exist,
    CardError or PolicyFormatError for a damaged one.
    """
    from mjx_skillmimic import envs
    from mjx_skillmimic.config import from_json

    if str(policy) not in BASELINES:
        file = policy_file(policy)
        beside = file.with_name(CONFIG_FILE)
        if beside.is_file():
            return from_json(beside.read_text())
        metadata = pretrained.load(file).metadata
        if isinstance(metadata.get("config"), dict):
            return from_json(json.dumps(metadata["config"]))
    return envs.default_config("BallPlay", preset)


def make_env(policy: str | Path, motion: str | None = None, engine: str | None = None, preset: str = "default") -> Any:
    """The environment of a policy in which whole clips can be run (`rollouts.evaluation_config`).

    motion, engine: instead of those of the run; an engine's options are the run's own and are dropped with it. Raises
    FileNotFoundError without `motion` where the clips that a policy's card names are not at hand.
    """
    from mjx_skillmimic import envs

    config = evaluation_config(run_config(policy, preset))
    if motion is None and str(policy) not in BASELINES:
        _check_clips_at_hand(policy, config.motion.path)
    with config.unlocked():
        if motion is not None:
            config.motion.path = motion
        if engine is not None:
            config.physics.engine = engine
            config.physics.options = {}
    return envs.load(config.get("env", "BallPlay"), config)


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
