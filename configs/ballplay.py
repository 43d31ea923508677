"""Ball skills from clips: `--config=configs/ballplay.py` or, as published, `--config=configs/ballplay.py:reference`.

`:light` has two hinges a finger instead of three ball joints (docs/light_hands.md). `:first` is the recipe that
`default` was before the study of docs/learning.md; the first results and speeds were measured with it.
"""

from __future__ import annotations

import dataclasses

import ml_collections

from mjx_skillmimic import envs
from mjx_skillmimic.config import run_defaults
from mjx_skillmimic.learning.options import default_ppo, reference_ppo

FIRST = {
    "observation": {"critic": "policy"},
    "termination": {"object_distance": 0.6, "body_distance": None},
    "ppo": {"num_envs": 4096, "horizon": 32, "num_epochs": 6, "discount": 0.99, "clip_ratio": 0.2},
}
PPO = {"default": default_ppo, "reference": reference_ppo, "light": default_ppo}


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """Environment, PPO and run settings of a preset, "default", "reference", "light" or "first"."""
    base = "default" if preset == "first" else preset
    config = envs.default_config("BallPlay", base)
    config.ppo = dataclasses.asdict(PPO[base]())
    config.run = run_defaults()
    if preset == "first":
        for section, values in FIRST.items():
            config[section].update(values)
    return config
