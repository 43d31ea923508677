"""Ball skills from clips: `--config=configs/ballplay.py` or, as published, `--config=configs/ballplay.py:reference`.

`--config=configs/ballplay.py:light` has two hinges a finger instead of three ball joints (docs/light_hands.md).
"""

from __future__ import annotations

import dataclasses

import ml_collections

from mjx_skillmimic import envs
from mjx_skillmimic.config import run_defaults
from mjx_skillmimic.learning.options import default_ppo, reference_ppo

PPO = {"default": default_ppo, "reference": reference_ppo, "light": default_ppo}


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    """Environment, PPO and run settings of a preset, "default", "reference" or "light"."""
    config = envs.default_config("BallPlay", preset)
    config.ppo = dataclasses.asdict(PPO[preset]())
    config.run = run_defaults()
    return config
