"""Every choice of the imitation room as a named option, with two presets.

`reference()` reproduces the published code, oddities included (numbers in brackets: items of skillmimic.md §12);
`default()` is what we would defend. All are frozen and hashable, so they can be static arguments of jitted functions.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from typing import Any, Literal, get_args, get_type_hints

from mjx_skillmimic.imitation.combination import Combination
from mjx_skillmimic.motion.clip import NUM_SKILLS
from mjx_skillmimic.rotations import Array


def check_choices(options: Any) -> None:
    """Raises ValueError where a Literal field holds something else, naming the field, the value and the choices."""
    for name, kind in get_type_hints(type(options)).items():
        choices, value = get_args(kind), getattr(options, name)
        if choices and all(isinstance(c, str) for c in choices) and value not in choices:
            raise ValueError(f"{type(options).__name__}.{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_positive(options: Any, *names: str) -> None:
    """Raises ValueError where a field is neither None nor a positive number."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"{type(options).__name__}.{name}: expected a positive number or None, got {value!r}")


def check_labels(options: Any, *names: str) -> None:
    """Raises ValueError where a field is not a tuple of skill labels."""
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, tuple) or not all(type(label) is int and 0 <= label < NUM_SKILLS for label in value):
            expected = f"a tuple of labels from 0 to {NUM_SKILLS - 1}"
            raise ValueError(f"{type(options).__name__}.{name}: expected {expected}, got {value!r}")


def has_label(label: Array | None, labels: tuple[int, ...], option: str) -> Array | None:
    """Bool (...): the label (...) is one of the option's; None where the option names none.

    Raises ValueError, naming the option, where it needs labels and there are none.
    """
    if not labels:
        return None
    if label is None:
        raise ValueError(f"{option} = {labels}, but no labels were given; pass the skill of each world")
    return functools.reduce(operator.or_, (label == one for one in labels))


@dataclasses.dataclass(frozen=True)
class ObservationOptions:
    """What the policy sees; the layout is `observation.observation_layout(options)`."""

    # Root height in slot 0. Both: on. Off leaves a zero there, so that the layout never moves.
    root_height: bool = True
    # Rotation of the root in its own tan-norm slot. Both: "heading", as every other body. "world" is what the published
    # code's option `localRootObs: True` does.
    root_rotation: Literal["heading", "world"] = "heading"
    # Frame of the fingertip forces. reference: "world" [20]. default: "heading", so that the same situation turned
    # about the vertical gives the same observation, as for every other vector.
    force_frame: Literal["world", "heading"] = "heading"
    # Bound of each force component in N, applied before scaling. reference: None [20]. default: 200 N; without it a few
    # spikes of some kN fill the normaliser's variance and the everyday 1-50 N become invisible.
    force_clip: float | None = 200.0
    # Multiplies the forces. reference: 1 (raw N). default: 0.01, which puts the clipped force within ±2.
    force_scale: float = 0.01
    # Width of the one-hot skill label. Both: 64, part of the published 902 columns.
    num_skills: int = 64
    # What the critic sees. reference: "policy", the observation. default: "reference" adds the distance to the
    # reference frame that is rewarded next (`privileged.privileged_layout`), which the policy never sees: a value then
    # belongs to one frame of the clip and not to all that look alike. The largest gain of docs/learning.md.
    critic: Literal["policy", "reference"] = "reference"

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "force_clip", "force_scale", "num_skills")

    @classmethod
    def reference(cls) -> ObservationOptions:
        return cls(force_frame="world", force_clip=None, force_scale=1.0, critic="policy")

    @classmethod
    def default(cls) -> ObservationOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class RewardOptions:
    """How the factors of the reward are computed; their weights are `reward.RewardWeights`."""

    # Error of joint and root rotations. reference: "componentwise" differences of rotation vectors, which jump by up to
    # (2π)²/159 where simulation and reference lie on different sides of ‖v‖ = π [17]. default: "geodesic".
    rotation_error: Literal["componentwise", "geodesic"] = "geodesic"
    # Regulariser of joints whose reference velocity is exactly zero. reference: "published". default: "off": it hangs
    # on the last bits of the reference (1e-5 rad/s turns it off), touches 63 % of the joint coordinates in one family
    # of clips and 5 % in the other, and was inactive when the released checkpoints were trained [16].
    smoothness: Literal["published", "off"] = "off"
    # Contact factors. reference: "nodes", two flags from net forces, which also count self-collision and the ball's
    # friction on the floor [19, 42]. default: "edges", the pairwise contacts hands-ball, body-ball and hands-body that
    # the paper defines (SkillMimic §3.3).
    contact: Literal["nodes", "edges"] = "edges"
    # Steps by which the kinematic features trail the reference row. reference: 1, features are built before the state
    # is refreshed [13]. default: 0. The environment applies it: see docs/imitation.md.
    lag: int = 0
    # Progress at which the feature's joint velocities read zero. reference: 1, the second step of an episode [15].
    # default: None, never.
    zero_velocity_progress: int | None = None
    # Error of the ball's rotation, for a weight `or_` above zero. reference: "zero", hard-wired [18]. default:
    # "geodesic".
    object_rotation_error: Literal["zero", "geodesic"] = "geodesic"
    # Threshold in N of any component of a body's net force for the node flag "body". Both: 0.1.
    body_force_threshold: float = 0.1
    # Threshold in N of the horizontal components of the ball's net force for the node flag "ball". Both: 0.1.
    object_force_threshold: float = 0.1
    # What becomes of the factors. Both: "product". "sum" (the paper's Table 1, "w/o multiplication"), "deepmimic"
    # (after its Table 2) and "terms" (the DeepMimic of SkillMimic-V2) are there to compare with (`combination`,
    # docs/ablations.md).
    combine: Combination = "product"
    # Labels whose reward is that of the body alone: neither ball nor contacts count. Both: none. SkillMimic-V2: 0 and
    # 10 (skillmimic_v2.md §1.4). Independently, the weights of ball and contacts are zero for label 0 (`for_skill`).
    without_object: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        check_labels(self, "without_object")
        check_positive(self, "body_force_threshold", "object_force_threshold")
        if self.lag not in (0, 1):
            raise ValueError(f"RewardOptions.lag: expected 0 or 1, got {self.lag!r}")

    @classmethod
    def reference(cls) -> RewardOptions:
        return cls(
            rotation_error="componentwise",
            smoothness="published",
            contact="nodes",
            lag=1,
            zero_velocity_progress=1,
            object_rotation_error="zero",
        )

    @classmethod
    def default(cls) -> RewardOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class TerminationOptions:
    """When an episode ends (skillmimic.md §7)."""

    # Root height in m below which the humanoid has fallen. Both: 0.30, hard-coded in the published code although its
    # configuration says 0.25 [23]. None: never.
    fall_height: float | None = 0.30
    # Falls (and lost tracking) count only after this progress. Both: 1, as published.
    grace: int = 1
    # Longest episode in control steps, the initial frame included. Both: 60, 1 s.
    episode_length: int = 60
    # Where the time-out lies. Both: "clip", the end of the drawn window, min(episode_length, frames left). "fixed":
    # `episode_length` whatever the clip, the published test mode with an explicit length [25].
    time_out: Literal["clip", "fixed"] = "clip"
    # Distance in m of ball and reference ball that ends the episode. reference: None. default: 0.35: a lost ball cannot
    # be won back within 1 s, and the samples after it teach little (docs/learning.md).
    object_distance: float | None = 0.35
    # Mean distance in m of root and 17 key bodies to the reference that ends the episode. reference: None. default:
    # 0.3, for the same reason.
    body_distance: float | None = 0.3
    # Labels that never end by falling. Both: none. SkillMimic-V2: 0, which begins on the floor (skillmimic_v2.md §1.5).
    never_fall: tuple[int, ...] = ()
    # Labels whose ball may be anywhere, so that `object_distance` does not hold. Both: none. SkillMimic-V2: 0 and 10.
    without_object: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        check_labels(self, "never_fall", "without_object")
        check_positive(self, "fall_height", "episode_length", "object_distance", "body_distance")

    @classmethod
    def reference(cls) -> TerminationOptions:
        return cls(object_distance=None, body_distance=None)

    @classmethod
    def default(cls) -> TerminationOptions:
        return cls()


@dataclasses.dataclass(frozen=True)
class ActionOptions:
    """How an action becomes a PD target: target = scale · clip(action) (skillmimic.md §5)."""

    # Bound of each action component. Both: 1. None: unbounded, as the published target function alone is.
    clip: float | None = 1.0
    # rad per unit of action. Both: π, the half range of the published limits ±π.
    scale: float = math.pi
    # Action that an untrained actor starts from. reference: "zero", the middle of the limits, a T-pose. default:
    # "mean_pose", the action of the clips' mean pose, near the motion (a T-pose earns 0.02-0.03 of reward). Only the
    # first bias of the network: targets mean the same in both presets and a policy needs no clip to act.
    initial: Literal["zero", "mean_pose"] = "mean_pose"

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "clip", "scale")

    @classmethod
    def reference(cls) -> ActionOptions:
        return cls(initial="zero")

    @classmethod
    def default(cls) -> ActionOptions:
        return cls()
