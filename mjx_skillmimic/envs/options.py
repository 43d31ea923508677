"""The environment's configuration: sections of an `ml_collections` dict, one frozen dataclass of options each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import ml_collections
from ml_collections import config_dict

from mjx_skillmimic.config.validation import validator
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.imitation.options import (
    ActionOptions,
    ObservationOptions,
    RewardOptions,
    TerminationOptions,
    check_choices,
    check_positive,
)
from mjx_skillmimic.imitation.reward import RewardWeights
from mjx_skillmimic.model.options import PRESETS as SCENES
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.derive import KeyBodies
from mjx_skillmimic.motion.library import Order
from mjx_skillmimic.motion.missing import Missing

# Where a preset takes every section but the scene from: light hands change the scene and nothing else.
BASES = {"default": "default", "reference": "reference", "light": "default"}
PRESETS = tuple(BASES)
DEFAULT_CLIP = "throw_catch"


@dataclasses.dataclass(frozen=True)
class MotionOptions:
    """Which clips, and what their reference says.

    path: a file, a folder, or the name of a shipped clip. key_bodies: "stored" positions (`reference`) are 26–40 mm off
    the stored joint angles (§3.4), so no pose can match both; "fk" (`default`) takes them from the joint angles.
    pick_weight: weight of skill 1 among the skills; published: 2. pad: rows past the end of a clip: "zero" as
    published, "hold" the last one. missing: rows of missing frames: zeros as "published", or "bridged" (`derive`).
    order: of the clips, by "path", or by the "number" their names end with, as SkillMimic-V2 has it.
    """

    path: str = DEFAULT_CLIP
    key_bodies: KeyBodies = "fk"
    pick_weight: float = 1.0
    pad: table.Pad = "hold"
    missing: Missing = "bridged"
    order: Order = "path"

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "pick_weight")

    @classmethod
    def reference(cls) -> MotionOptions:
        return cls(key_bodies="stored", pick_weight=2.0, pad="zero", missing="published")

    @classmethod
    def default(cls) -> MotionOptions:
        return cls()


class EnvironmentOptions(NamedTuple):
    """All sections as dataclasses."""

    motion: MotionOptions
    start: StartOptions
    scene: SceneOptions
    observation: ObservationOptions
    action: ActionOptions
    termination: TerminationOptions
    reward: RewardOptions
    weights: RewardWeights


_SECTIONS: dict[str, Any] = {
    "motion": MotionOptions,
    "start": StartOptions,
    "observation": ObservationOptions,
    "action": ActionOptions,
    "termination": TerminationOptions,
    "reward": RewardOptions,
}


def to_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The sections of a preset. Raises KeyError that lists the presets."""
    if preset not in PRESETS:
        raise KeyError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.env = "BallPlay"
    config.preset = preset
    config.physics = {"engine": "auto", "options": {}}
    config.scene = section_of(SCENES[preset])
    for name, kind in _SECTIONS.items():
        config[name] = section_of(getattr(kind, BASES[preset])())
    config.weights = section_of(RewardWeights())
    return config


def from_config(config: ml_collections.ConfigDict) -> EnvironmentOptions:
    """The dataclasses of a configuration. Raises TypeError for an unknown option, ValueError for a value that fails."""
    parts = {name: kind(**config[name]) for name, kind in _SECTIONS.items()}
    return EnvironmentOptions(scene=SceneOptions(**config.scene), weights=RewardWeights(**config.weights), **parts)


@validator("env")
def _check_environment(config: ml_collections.ConfigDict) -> Iterator[str]:
    """What the sections' own options refuse; high-level tasks have others (`envs.high_level.options`)."""
    if "low_level" in config:
        return
    for name, kind in {**_SECTIONS, "scene": SceneOptions}.items():
        try:
            kind(**config[name])
        except (TypeError, ValueError) as error:
            yield f"{name}: {error}"
    if config.start.get("sampling") == "failure" and "run" in config and config.run.get("seeds", 1) > 1:
        yield f"start.sampling = 'failure' follows one policy: expected run.seeds = 1, found {config.run.seeds}"


# Options that may also be None need a placeholder that knows their type, or an override could not set them.
_OPTIONAL: dict[str, type] = {
    "frame": int,
    "zero_velocity_progress": int,
    "ball_mass": float,
    "effort_limit": float,
    "fall_height": float,
    "object_distance": float,
    "body_distance": float,
    "force_clip": float,
    "max_joint_speed": float,
    "feet_depth": float,
    "max_kick": float,
    "clip": float,
    "lowest": float,
    "clearance": float,
}


def section_of(options: Any) -> ml_collections.ConfigDict:
    """A section of the configuration from a dataclass of options."""
    section = ml_collections.ConfigDict()
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in _OPTIONAL:
            section[field.name] = config_dict.placeholder(_OPTIONAL[field.name])
            if value is not None:
                section[field.name] = value
        else:
            section[field.name] = value
    return section
