"""High-level tasks: a policy that chooses, 20 times a second, which skill a frozen policy plays.

    python scripts/train.py --config=configs/high_level.py:heading --workdir=runs/heading
    python scripts/train.py --config=configs/high_level.py:scoring:reference --workdir=runs/scoring
    python scripts/train.py --config=configs/high_level.py:heading:scratch --workdir=runs/heading_scratch

`:TASK` is heading, circling, throwing or scoring; `:TASK:reference` is as published, oddities included. What counts as
an env step here is a decision of 3 control steps: horizon, discount and `run.total_env_steps` are in decisions.
`--config.low_level.policy=NAME_OR_FILE` chooses the policy that plays the skills. `:TASK:scratch` is the same task for
a policy that moves the joints itself, 60 times a second and without skills: a decision is one control step, and there
are three times as many of them.
"""

from __future__ import annotations

import dataclasses

import ml_collections

from mjx_skillmimic import envs
from mjx_skillmimic.config import run_defaults
from mjx_skillmimic.learning.options import PPOOptions, default_ppo, reference_ppo

TASKS = {"heading": "Heading", "circling": "Circling", "throwing": "Throwing", "scoring": "Scoring"}
HIDDEN = (1024, 512)
# skillmimic.md §10.3: PPO as for skills, with other networks and a larger minibatch (scoring: the same), without bounds
# and a clamped ratio; 2000 iterations of 65 536 decisions (scoring: 6000).
REFERENCE = {
    "actor_hidden": HIDDEN,
    "critic_hidden": HIDDEN,
    "minibatch_size": 32768,
    "bounds_loss_coef": 0.0,
    "log_ratio_limit": 0.0,
    "kl_epsilon": 0.0,
}
DEFAULT = {
    "actor_hidden": HIDDEN,
    "critic_hidden": HIDDEN,
    "bounds_loss_coef": 0.0,
    # A decision lasts 1/20 s: the sum reaches 5 s ahead, about what walking to a ball and throwing it takes.
    "discount": 0.99,
    # One choice has one ratio: at a KL that is safe, few of them leave 1 ± 0.2.
    "clip_ratio": 0.2,
    # A few choices move much less far in KL than 156 coordinates, and 2e-5 leaves them where they are. A rate that
    # stays at 1e-3 makes policies forget half of what they had learned; `get_config` has it fall to nothing.
    "learning_rate": 3e-4,
    "lr_max": 1e-3,
    "kl_target": 0.01,
    "max_kl": 0.05,
    # A choice that is never drawn any more is never judged again.
    "entropy_coef": 0.005,
}
# PPO as for skills, with the networks of a high-level policy.
SCRATCH = {
    "actor_hidden": HIDDEN,
    "critic_hidden": HIDDEN,
    # As published for skills and tasks alike: a goal lies further ahead than what a clip's next frame pays.
    "discount": 0.99,
}
# Most throws miss the basket: who stops trying too early never scores.
ENTROPY = {"scoring": 0.01}
DECISIONS = {"heading": 131_072_000, "circling": 131_072_000, "throwing": 131_072_000, "scoring": 393_216_000}


def get_config(preset: str = "heading") -> ml_collections.ConfigDict:
    """Environment, PPO and run settings of "TASK", "TASK:reference" or "TASK:scratch". Raises ValueError for another
    text."""
    task, _, base = preset.partition(":")
    if task not in TASKS or base not in ("", "default", "reference", "scratch"):
        known = ", ".join(TASKS)
        raise ValueError(f"expected one of {known}, alone or followed by ':default', ':reference' or ':scratch'")
    config = envs.default_config(TASKS[task], "reference" if base == "reference" else "default")
    decisions = DECISIONS[task]
    entropy = ENTROPY.get(task, DEFAULT["entropy_coef"])
    ppo = default_ppo(**DEFAULT | {"entropy_coef": entropy, "lr_decay_steps": decisions})
    if base == "reference":
        ppo = _reference(task)
    elif base == "scratch":
        ppo, decisions = default_ppo(**SCRATCH), decisions * config.episode.steps
        config.episode.action = "targets"
    config.ppo = dataclasses.asdict(ppo)
    config.run = run_defaults(total_env_steps=decisions, eval_episodes=256, video_every=0)
    return config


def _reference(task: str) -> PPOOptions:
    return reference_ppo(**REFERENCE | ({"minibatch_size": 16384} if task == "scoring" else {}))
