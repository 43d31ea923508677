"""Where episodes start, by name: those sections of SkillMimicV2's configuration that decide it (see `options`).

Numbers in brackets are items of skillmimic_v2.md §12.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from mjx_skillmimic.imitation.options import check_choices, check_positive


def _check_share(options: Any, name: str) -> None:
    if not 0.0 <= (value := getattr(options, name)) <= 1.0:
        raise ValueError(f"{type(options).__name__}.{name}: expected a number in [0, 1], got {value!r}")


@dataclasses.dataclass(frozen=True)
class AtsOptions:
    """Adaptive trajectory sampling, `envs.v2.ats` (§3)."""

    # Share α of the adaptive law; the rest is uniform. Both: 0, off. The paper trains with 1.
    alpha: float = 0.0
    # Whether start frames follow it, too, and not only clips. Both: on.
    time: bool = True
    # λ_c of clips and labels, λ_s of start frames. Both: 5 and 10.
    clip_sharpness: float = 5.0
    time_sharpness: float = 10.0
    # Control steps between two laws, in multiples of the frames of all clips. Both: 10.
    interval: float = 10.0
    # Of several episodes of one cell. reference: "last" counts, whichever wrote last. default: "mean" of all [10].
    duplicates: Literal["mean", "last"] = "mean"
    # A clip's reward. reference: "instant", of the last step alone, 0 for a clip that no world is on. default:
    # "average" of its episodes, which moves as the cells' do [9].
    clip_reward: Literal["average", "instant"] = "average"
    # Which steps make an episode's mean. reference: "published", those in which some world ends; with thousands of
    # worlds that is all. default: "all".
    recorded: Literal["all", "published"] = "all"

    def __post_init__(self) -> None:
        check_choices(self)
        _check_share(self, "alpha")
        check_positive(self, "clip_sharpness", "time_sharpness", "interval")

    @classmethod
    def reference(cls) -> AtsOptions:
        return cls(duplicates="last", clip_reward="instant", recorded="published")

    @classmethod
    def default(cls) -> AtsOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class NoiseOptions:
    """Noisy initial states, `envs.v2.noise` (§2.4 item 2); what is imitated then is `RetimeOptions`."""

    # Of an episode that starts in a disturbed state. Both: 0. The paper trains with 0.1.
    probability: float = 0.0
    # Both: "gaussian", as the released code draws. "uniform" on ±scale is what the paper's text says. Heights are only
    # ever raised, uniformly by up to the scale.
    law: Literal["gaussian", "uniform"] = "gaussian"
    # m, rad, m/s, rad/s, and components of a quaternion. Both: 0.1.
    scale: float = 0.1
    # The same for root height and root rotation of `getup` labels. Both: 1. (The paper's table: height and velocity.)
    getup_scale: float = 1.0
    getup: tuple[int, ...] = (0,)
    # Disturbed quaternions are normalised before anything compares them. reference: off [5]; the physics gets unit
    # quaternions all the same. default: on.
    normalize: bool = True
    # Whether states that come from another skill may be disturbed as well. Both: off, the two exclude each other in the
    # released code; the paper disturbs both kinds.
    also_switched: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        _check_share(self, "probability")
        check_positive(self, "scale", "getup_scale")

    @classmethod
    def reference(cls) -> NoiseOptions:
        return cls(normalize=False)

    @classmethod
    def default(cls) -> NoiseOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class RetimeOptions:
    """From which frame of its clip a disturbed episode imitates, `envs.v2.retime` (§2.5)."""

    # Both: "off", the frame it was drawn on. "intended": the frame most similar to the disturbed state. "released": as
    # the released code computes that, with squared reference positions, a norm in place of a mean of squares, and the
    # body positions that the world had before the reset [3]; the published numbers come from this.
    search: Literal["off", "intended", "released"] = "off"
    # The similarity that decides how long the episode is not rewarded. reference: the "highest" of the clip, also of
    # frames that are never chosen [4]. default: that of the "chosen" frame.
    similarity: Literal["chosen", "highest"] = "chosen"

    def __post_init__(self) -> None:
        check_choices(self)

    @classmethod
    def reference(cls) -> RetimeOptions:
        return cls(similarity="highest")

    @classmethod
    def default(cls) -> RetimeOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class SwitchOptions:
    """Episodes that start in the state of another skill, by the stitched graph, `envs.v2.switch` (§2.4 item 3)."""

    # Both: 0. The paper trains with 0.1.
    probability: float = 0.0
    # File of `scripts/build_graph.py`; empty: the graph is searched when the environment is built.
    graph: str = ""
    # Where the state comes from. Both: "graph", the frame of another label that resembles the drawn one most, if there
    # is one. "random": any frame of any other clip, and nothing goes unrewarded.
    donor: Literal["graph", "random"] = "graph"
    # Velocities of root and ball. reference: "copied" without the turn that positions make [5]. default: "turned".
    velocity: Literal["turned", "copied"] = "turned"
    # The ball's rotation. reference: "kept", that of the drawn frame, for the donor's is not written [5]. default:
    # "donor".
    object_rotation: Literal["donor", "kept"] = "donor"

    def __post_init__(self) -> None:
        check_choices(self)
        _check_share(self, "probability")

    @classmethod
    def reference(cls) -> SwitchOptions:
        return cls(velocity="copied", object_rotation="kept")

    @classmethod
    def default(cls) -> SwitchOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class DistractorOptions:
    """The ball of clips without one, which lies or flies anywhere (§1.6)."""

    # Labels whose episodes start with it. Both: 0 and 10, getting up and running.
    labels: tuple[int, ...] = (0, 10)
    # m: its position is uniform in a cube of twice that edge. Both: 5.
    reach: float = 5.0
    # m/s and rad/s: components of its velocities are uniform between 0 and these. Both: 5 and 0.1.
    speed: float = 5.0
    spin: float = 0.1
    # Lowest height in m of its centre. reference: None, half of them start below the floor [24]. default: 0.12, its
    # radius.
    lowest: float | None = 0.12
    # Its quaternion is normalised. reference: off, four numbers in [0, 1) [24]. default: on.
    normalize: bool = True
    # Least distance in m from the pelvis as seen from above; a nearer ball is moved straight away. reference: None.
    # default: 1.5, out of reach of a lying person, whom a ball inside the body would kick.
    clearance: float | None = 1.5

    def __post_init__(self) -> None:
        check_positive(self, "reach", "speed", "spin", "lowest", "clearance")

    @classmethod
    def reference(cls) -> DistractorOptions:
        return cls(lowest=None, normalize=False, clearance=None)

    @classmethod
    def default(cls) -> DistractorOptions:
        return cls()
