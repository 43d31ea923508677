"""SkillMimic-V2: `--config=configs/skillmimic_v2.py:ball`, `:locomotion`, or a baseline or ablation: `:ball,sm+nsi`.

The words after the set of clips, in any order:

- methods: `ours` (as nothing), the whole of it; `sm`, SkillMimic; `dm`, DeepMimic; and what is added to either, joined
  by +: `nsi` (noise alone), `ats`, `he`, `stf`, `stg`. `ours` is sm+ats+he+stf+stg, `dm+ours` the same with DeepMimic's
  reward; of one label, as in `pick`, there is no stg.
- presets: `default` or `reference`, as published (docs/skillmimic_v2.md).

Clips, graph and encoder: --config.motion=FOLDER --config.switch.graph=FILE --config.history.encoder=FILE. Without a
file the graph is searched when training starts; the encoder has to be there (`scripts/pretrain_history.py`).
"""

from __future__ import annotations

import dataclasses

import ml_collections

from mjx_skillmimic import envs
from mjx_skillmimic.config import ConfigError, run_defaults
from mjx_skillmimic.imitation.reward import terms_weights
from mjx_skillmimic.learning.options import default_ppo, reference_ppo

# Samples of the paper's runs.
SETS = {"ball": 1_310_000_000, "pick": 3_200_000_000, "locomotion": 1_310_000_000}
PARTS = ("ats", "he", "stf", "stg")
PPO = {"default": default_ppo, "reference": reference_ppo}


def get_config(words: str = "ball") -> ml_collections.ConfigDict:
    """Environment, PPO and run settings. Raises ConfigError that lists the words."""
    clips, method, preset = _read(words)
    config = envs.default_config("SkillMimicV2", preset)
    config.ppo = dataclasses.asdict(PPO[preset]())
    config.run = run_defaults(total_env_steps=SETS[clips])
    config.motion.path = "shipped"
    parts = set(method)
    if "ours" in parts:
        parts |= set(PARTS)
    if clips == "pick":
        parts.discard("stg")
    if "dm" in parts:
        config.reward.combine = "terms"
        config.weights.update({name: float(value) for name, value in dataclasses.asdict(terms_weights()).items()})
    if not parts & {*PARTS, "nsi"}:
        # The published first method knows neither the exception for getting up nor rewards by label.
        config.termination.never_fall = ()
    if parts & {"nsi", "stf"}:
        config.noise.probability = 0.1
    if "stf" in parts:
        config.retime.search = "released" if preset == "reference" else "intended"
    if "stg" in parts:
        config.switch.probability = 0.1
    if parts & {"stf", "stg"}:
        config.buffer.reward = "mean"
    if "ats" in parts:
        config.ats.alpha = 1.0
    if "he" in parts:
        config.history.encoder = f"runs/history_{clips}/history_encoder.npz"
    return config


def _read(words: str) -> tuple[str, list[str], str]:
    """Set, parts of the method and preset."""
    clips, method, preset = "ball", ["ours"], "default"
    for word in filter(None, words.split(",")):
        parts = word.split("+")
        if word in SETS:
            clips = word
        elif word in PPO:
            preset = word
        elif set(parts) <= {"ours", "sm", "dm", "nsi", *PARTS}:
            method = parts
        else:
            raise ConfigError(
                f"configs/skillmimic_v2.py:{words}: found {word!r}, expected a set ({', '.join(SETS)}), a preset "
                f"({', '.join(PPO)}) or a method such as ours, sm, dm+nsi, sm+{'+'.join(PARTS)}"
            )
    return clips, method, preset
