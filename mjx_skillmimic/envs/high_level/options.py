"""Configuration of high-level environments: which low-level policy, where episodes start, how long they last."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import ml_collections
from ml_collections import config_dict

from mjx_skillmimic.config.validation import validator
from mjx_skillmimic.imitation.options import TerminationOptions, check_choices, check_positive

PRESETS = ("default", "reference")


@dataclasses.dataclass(frozen=True)
class LowLevelOptions:
    """Who acts.

    policy: the name of a shipped policy, a policy file or a run's folder. allow_other: whether a high-level policy may
    be used with another low-level policy than it was trained with.
    """

    policy: str = "ballplay-seven"
    allow_other: bool = False


@dataclasses.dataclass(frozen=True)
class MotionOptions:
    """Clips whose frames episodes start on: a file, a folder, the name of a shipped clip, or several of them.

    Empty: the low-level policy's own start states (`pretrained.starts`). Published: the clips `run`, for throwing
    `turnhook`. pick_weight: weight of skill 1 among the labels, as published 2.
    """

    path: str | tuple[str, ...] = ""
    pick_weight: float = 2.0

    def __post_init__(self) -> None:
        check_positive(self, "pick_weight")


@dataclasses.dataclass(frozen=True)
class StartOptions:
    """frame: of the clip that episodes start on; None draws it in [2, T − 2]. Own start states have no frames.

    states, noise: where there are fewer states than `states`, each is repeated with other velocities of the joints,
    normal noise of `noise` rad/s, until there are as many; 0 is off. A policy without chance on a deterministic engine
    would otherwise repeat the same few episodes.
    """

    frame: int | None = None
    states: int = 512
    noise: float = 0.5

    def __post_init__(self) -> None:
        if self.states < 0 or self.noise < 0.0:
            raise ValueError(f"states = {self.states!r}, noise = {self.noise!r}; expected 0 or more")

    @classmethod
    def reference(cls) -> StartOptions:
        return cls(frame=2, states=0)

    @classmethod
    def default(cls) -> StartOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class EpisodeOptions:
    """How episodes go (skillmimic.md §10.1)."""

    # Longest episode in control steps of 1/60 s, the start included. Both: 800.
    length: int = 800
    # What a policy decides: the "skill" that the low-level policy plays, or the PD "targets" of the joints in every
    # control step, as a policy from scratch does that knows no skills. Both: "skill".
    action: Literal["skill", "targets"] = "skill"
    # Control steps that a skill is played before the next decision. Both: 3.
    steps: int = 3
    # Root height in m below which the person has fallen, and the progress after which that counts. Both: 0.25 and 1.
    fall_height: float = 0.25
    grace: int = 1
    # Which goal the first observation of an episode shows. reference: "stale", the one before [32]. default: "fresh".
    first_goal: Literal["fresh", "stale"] = "fresh"
    # Choices whose label the low-level policy has not learned. reference: "allow", as for label 2. default: "refuse".
    unknown_labels: Literal["refuse", "allow"] = "refuse"

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "length", "steps", "fall_height")

    @classmethod
    def reference(cls) -> EpisodeOptions:
        return cls(first_goal="stale", unknown_labels="allow")

    @classmethod
    def default(cls) -> EpisodeOptions:
        return cls()

    def ending(self) -> TerminationOptions:
        """The same for `imitation.termination`."""
        return TerminationOptions(
            fall_height=self.fall_height,
            grace=self.grace,
            episode_length=self.length,
            time_out="fixed",
            object_distance=None,
            body_distance=None,
        )


class HighLevelOptions(NamedTuple):
    """All sections as dataclasses; task: of the task's own kind."""

    low_level: LowLevelOptions
    motion: MotionOptions
    start: StartOptions
    episode: EpisodeOptions
    task: Any


# Sections that a configuration is checked with before anything is built, by the environment's name.
KINDS: dict[str, type] = {}
_SECTIONS: dict[str, Any] = {
    "low_level": LowLevelOptions,
    "motion": MotionOptions,
    "start": StartOptions,
    "episode": EpisodeOptions,
}


def to_config(kind: Any, preset: str = "default") -> ml_collections.ConfigDict:
    """The sections of a preset for a kind of task. Raises KeyError that lists the presets."""
    if preset not in PRESETS:
        raise KeyError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.env, config.preset = kind.name, preset
    config.physics = {"engine": "auto", "options": {}}
    for name, section in {**_SECTIONS, "task": kind.Options}.items():
        options = getattr(section, preset)() if hasattr(section, preset) else section()
        config[name] = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    # May be a number or None: a placeholder knows which type an override has.
    config.start.frame = config_dict.placeholder(int)
    if preset == "reference":
        config.start.frame = StartOptions.reference().frame
    return config


def from_config(config: ml_collections.ConfigDict, kind: Any) -> HighLevelOptions:
    """The dataclasses of a configuration. Raises TypeError for an unknown option, ValueError for a value that fails."""
    parts = {name: section(**config[name]) for name, section in _SECTIONS.items()}
    return HighLevelOptions(**parts, task=kind.Options(**config.task))


@validator("low_level")
def _check_high_level(config: ml_collections.ConfigDict) -> Iterator[str]:
    """What the sections' own options refuse."""
    sections = {**_SECTIONS, "task": getattr(KINDS.get(config.env), "Options", dict)}
    for name, section in sections.items():
        try:
            section(**config[name])
        except (TypeError, ValueError) as error:
            yield f"{name}: {error}"
