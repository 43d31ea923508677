"""What SkillMimic-V2 adds, by name: one section of the configuration each, everything off until it is asked for.

`reference()` reproduces the published code, `default()` is what its paper says or what we would defend; numbers in
brackets are items of skillmimic_v2.md §12. Every section is off in both presets: `configs/skillmimic_v2.py` turns on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import ml_collections

from mjx_skillmimic.config.validation import validator
from mjx_skillmimic.envs.v2.start_options import (
    AtsOptions,
    DistractorOptions,
    NoiseOptions,
    RetimeOptions,
    SwitchOptions,
)
from mjx_skillmimic.imitation.options import check_choices

__all__ = [
    "AtsOptions",
    "BufferOptions",
    "DistractorOptions",
    "HistoryOptions",
    "NoiseOptions",
    "RetimeOptions",
    "SwitchOptions",
    "TimingOptions",
    "V2Options",
    "from_config",
]


@dataclasses.dataclass(frozen=True)
class BufferOptions:
    """Steps without a reward of their own after a start that resembles no frame, `envs.v2.buffering` (§2.4, §2.6)."""

    # Both: "off". "mean": their reward is the mean over the other worlds on the same clip, as released [7].
    # "exclude": that, and PPO does not learn from them, as the paper says.
    reward: Literal["off", "mean", "exclude"] = "off"
    # Steps after a similarity that underflows to zero. reference: "none" [6]. default: the "longest", 10.
    underflow: Literal["longest", "none"] = "longest"
    # Whether the very first episodes have such steps. reference: off. default: on.
    at_first: bool = True

    def __post_init__(self) -> None:
        check_choices(self)

    @classmethod
    def reference(cls) -> BufferOptions:
        return cls(underflow="none", at_first=False)

    @classmethod
    def default(cls) -> BufferOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class HistoryOptions:
    """What the policy knows of the last 60 frames: three numbers of a frozen encoder (§4)."""

    # File of `scripts/pretrain_history.py`; empty: no history, 902 columns instead of 905.
    encoder: str = ""

    @classmethod
    def reference(cls) -> HistoryOptions:
        return cls()

    @classmethod
    def default(cls) -> HistoryOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class TimingOptions:
    """Which step of an episode is judged by which row (§1.2)."""

    # reference: "published", the state before step k against row k, and endings one step later than in the first
    # SkillMimic; use it with reward.lag 1. default: "after", the state after step k against row k + 1 [1].
    clock: Literal["after", "published"] = "after"

    def __post_init__(self) -> None:
        check_choices(self)

    @classmethod
    def reference(cls) -> TimingOptions:
        return cls(clock="published")

    @classmethod
    def default(cls) -> TimingOptions:
        return cls()


class V2Options(NamedTuple):
    """All sections as dataclasses."""

    ats: AtsOptions
    noise: NoiseOptions
    retime: RetimeOptions
    switch: SwitchOptions
    buffer: BufferOptions
    history: HistoryOptions
    distractor: DistractorOptions
    timing: TimingOptions


SECTIONS: dict[str, Any] = {
    "ats": AtsOptions,
    "noise": NoiseOptions,
    "retime": RetimeOptions,
    "switch": SwitchOptions,
    "buffer": BufferOptions,
    "history": HistoryOptions,
    "distractor": DistractorOptions,
    "timing": TimingOptions,
}


def from_config(config: ml_collections.ConfigDict) -> V2Options:
    """The dataclasses of a configuration. Raises TypeError for an unknown option, ValueError for a value that fails."""
    return V2Options(**{name: kind(**config[name]) for name, kind in SECTIONS.items()})


@validator("ats")
def _check_v2(config: ml_collections.ConfigDict) -> Iterator[str]:
    """What the sections refuse, and options that cannot work together."""
    for name, kind in SECTIONS.items():
        try:
            kind(**config[name])
        except (TypeError, ValueError) as error:
            yield f"{name}: {error}"
    shared = [f"ats.alpha = {config.ats.alpha:g}"] if config.ats.alpha > 0 else []
    shared += [f"buffer.reward = {config.buffer.reward!r}"] if config.buffer.reward != "off" else []
    if shared and "run" in config and config.run.get("seeds", 1) > 1:
        yield f"{shared[0]} looks at all worlds of one policy: expected run.seeds = 1, found {config.run.seeds}"
    if config.retime.search != "off" and config.noise.probability == 0:
        yield f"retime.search = {config.retime.search!r} follows disturbed states: expected noise.probability above 0"
    if config.start.get("sampling") != "uniform" and config.ats.alpha > 0:
        yield f"start.sampling = {config.start.sampling!r} and ats.alpha > 0 are two laws of start frames: expected one"
    if config.start.get("frame") is not None and config.ats.alpha > 0:
        yield f"ats.alpha > 0 draws start frames, but start.frame fixes them at {config.start.frame}: expected None"
    if config.timing.clock == "published" and (config.reward.lag != 1 or config.observation.critic != "policy"):
        yield (
            f"timing.clock = 'published' judges the step before: expected reward.lag = 1 and observation.critic = "
            f"'policy', found {config.reward.lag} and {config.observation.critic!r}"
        )
    for name in ("transition_probability", "placement_probability", "seam_probability"):
        if config.start.get(name, 0.0) > 0:
            yield f"start.{name}: expected 0, SkillMimicV2 has switch, noise and retime instead"
