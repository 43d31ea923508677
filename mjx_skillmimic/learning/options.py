"""Every choice of the learning algorithm by name, with the published preset and the one we would defend."""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal

LearningRateSchedule = Literal["constant", "adaptive_kl"]
Interval = Literal["minibatch", "epoch", "iteration"]
NormalizerUpdate = Literal["minibatch", "rollout"]
ValueNormalizerUpdate = Literal["values_and_returns", "returns"]
ComputeDtype = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class PPOOptions:
    """Hyperparameters of PPO (skillmimic.md §8). The defaults written here are those of `reference_ppo`.

    num_envs N, horizon T: an iteration collects N·T samples and makes num_epochs · N·T / minibatch_size gradient steps;
    all three are those of all devices together. shuffle_groups: blocks of worlds of which every minibatch takes an
    equal share, a multiple of the number of devices (0: one a device). Runs with equal groups have equal minibatches on
    any number of devices.
    clip_value_loss: also clip the critic's change to ±clip_ratio. log_ratio_limit: clamp of log π_new/π_old, 0 = off.
    bounds_limit, bounds_loss_coef: soft bound on the action mean, squared excess summed over coordinates. These,
    log_std, learn_log_std, action_limit and kl_epsilon belong to a Gaussian; choices have no use for them.
    compute_dtype: of the hidden layers while training; parameters, heads and losses are float32, and so is an exported
    policy.
    action_limit: actions given to the environment are clamped to ±this; densities are those of the unclamped sample.
    max_grad_norm: global-norm clipping, 0 = off. max_kl: gradient steps are left out while the minibatch's KL exceeds
    it, 0 = off. critic_learning_rate: constant rate of the critic's parameters, which `max_kl` stops with the actor's;
    0 = the actor's rate and its schedule. kl_target, lr_factor, lr_min, lr_max, lr_interval: only for
    "adaptive_kl": the rate is divided by lr_factor where the mean KL since the last decision exceeds 2·kl_target and
    multiplied where it is below kl_target/2. lr_decay_steps: env steps in which the bound of the rate, lr_max or for
    "constant" learning_rate, falls linearly to lr_min; 0 = never. kl_epsilon: fudge inside
    `distributions.kl_divergence`.
    normalizer_update: "minibatch" merges every gradient minibatch before using it, so each sample counts num_epochs
    times and the input scaling differs between a rollout and its loss; "rollout" merges each sample once, after the
    update. normalizer_warm_start: merge the observations of the first reset before the first rollout.
    value_normalizer_update: which samples the value statistics see. normalize_one_hot: false leaves the coordinates
    of `make_train(one_hot_mask=...)` as they are. actor_final_scale: factor on the initial kernel of the mean's layer.
    bootstrap_timeouts: a time-out's return continues with V(final observation); false treats it like a fall.
    """

    num_envs: int = 2048
    horizon: int = 32
    minibatch_size: int = 16384
    num_epochs: int = 6
    shuffle_groups: int = 0
    discount: float = 0.99
    gae_lambda: float = 0.95
    reward_scale: float = 1.0
    bootstrap_timeouts: bool = True
    normalize_advantage: bool = True

    clip_ratio: float = 0.2
    log_ratio_limit: float = 20.0
    clip_value_loss: bool = False
    value_loss_coef: float = 5.0
    entropy_coef: float = 0.0
    bounds_loss_coef: float = 10.0
    bounds_limit: float = 1.0
    action_limit: float = 1.0

    learning_rate: float = 2e-5
    critic_learning_rate: float = 0.0
    lr_schedule: LearningRateSchedule = "constant"
    kl_target: float = 0.1
    lr_factor: float = 1.5
    lr_min: float = 1e-6
    lr_max: float = 5e-4
    lr_interval: Interval = "iteration"
    lr_decay_steps: int = 0
    kl_epsilon: float = 1e-5
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 0.0
    max_kl: float = 0.0

    normalizer_update: NormalizerUpdate = "minibatch"
    normalizer_warm_start: bool = False
    normalize_one_hot: bool = True
    value_normalizer_update: ValueNormalizerUpdate = "values_and_returns"

    actor_hidden: tuple[int, ...] = (1024, 512, 512)
    critic_hidden: tuple[int, ...] = (1024, 512, 512)
    actor_final_scale: float = 1.0
    compute_dtype: ComputeDtype = "float32"
    log_std: float = -2.9
    learn_log_std: bool = False

    @property
    def batch_size(self) -> int:
        """Samples of one iteration, num_envs · horizon."""
        return self.num_envs * self.horizon

    @property
    def num_minibatches(self) -> int:
        """Gradient steps of one epoch."""
        return self.batch_size // self.minibatch_size


def reference_ppo(**changes: Any) -> PPOOptions:
    """As published: 2048 worlds × 32 steps, constant rate, statistics merged in every minibatch (skillmimic.md §8)."""
    return dataclasses.replace(PPOOptions(), **changes)


def default_ppo(**changes: Any) -> PPOOptions:
    """What we would defend; every difference from `reference_ppo` is listed in docs/learning_algorithm.md."""
    ours: dict[str, Any] = {
        # More worlds and shorter rollouts: more policies a second for the same number of samples.
        "num_envs": 8192,
        "horizon": 16,
        # As good as six a sample, and cheaper.
        "num_epochs": 3,
        # Each step's reward judges what was just done; less of what follows is less noise in the advantages.
        "discount": 0.96,
        # With 156 coordinates most ratios leave 1 ± 0.2 at a KL of 0.1, and clipped samples teach nothing.
        "clip_ratio": 0.4,
        # A policy of 156 coordinates moves far in KL for small changes of the mean: let the measured KL set the rate.
        "lr_schedule": "adaptive_kl",
        # Without it the KL of one iteration now and then runs away to 2-20 and costs millions of samples.
        "max_kl": 0.3,
        # With 156 coordinates and σ = 0.055 the published fudge makes the KL of two equal policies −0.26.
        "kl_epsilon": 0.0,
        # Statistics that move between a rollout and its loss change the policy without the ratio seeing why.
        "normalizer_update": "rollout",
        "normalizer_warm_start": True,
        "value_normalizer_update": "returns",
        # A label never seen in training would otherwise arrive at the network as +5.
        "normalize_one_hot": False,
        "actor_final_scale": 0.01,
    }
    return dataclasses.replace(PPOOptions(), **{**ours, **changes})


def from_mapping(values: Mapping[str, Any], base: PPOOptions | None = None) -> PPOOptions:
    """Options from a mapping such as an `ml_collections.ConfigDict`; fields not named keep the value of `base`.

    Raises ValueError for an unknown name (with the nearest existing one) and for values that `validate` refuses.
    """
    known = [field.name for field in dataclasses.fields(PPOOptions)]
    changes: dict[str, Any] = {}
    for name in values:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(known)}"
            raise ValueError(f"unknown PPO option {name!r}{hint}")
        value = values[name]
        changes[name] = tuple(int(width) for width in value) if name.endswith("_hidden") else value
    options = dataclasses.replace(base or default_ppo(), **changes)
    validate(options)
    return options


def validate(options: PPOOptions) -> None:
    """Raises ValueError, naming the numbers, for options that cannot work together."""
    for name in ("num_envs", "horizon", "minibatch_size", "num_epochs"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}, expected at least 1")
    batch, minibatch = options.batch_size, options.minibatch_size
    if batch % minibatch:
        nearest = " or ".join(str(size) for size in nearest_divisors(batch, minibatch))
        raise ValueError(
            f"num_envs × horizon = {options.num_envs} × {options.horizon} = {batch} is not divisible by "
            f"minibatch_size {minibatch}; the nearest that fit are {nearest}"
        )
    if options.shuffle_groups < 0:
        raise ValueError(f"shuffle_groups is {options.shuffle_groups}, expected 0 or above")
    check_split(options, max(options.shuffle_groups, 1))
    unit, anything = (0.0, 1.0), (0.0, float("inf"))
    ranges = dict.fromkeys(("discount", "gae_lambda", "adam_beta1", "adam_beta2"), unit)
    ranges |= dict.fromkeys(("clip_ratio", "max_kl", "max_grad_norm", "value_loss_coef", "bounds_loss_coef"), anything)
    ranges |= dict.fromkeys(("critic_learning_rate", "log_ratio_limit", "lr_decay_steps"), anything)
    for name, (low, high) in ranges.items():
        if not low <= getattr(options, name) <= high:
            raise ValueError(f"{name} is {getattr(options, name)}, expected between {low} and {high}")
    for name in ("learning_rate", "action_limit"):
        if not getattr(options, name) > 0:
            raise ValueError(f"{name} is {getattr(options, name)}, expected above 0")
    if options.lr_schedule == "adaptive_kl":
        _validate_schedule(options)
    hints = typing.get_type_hints(PPOOptions)
    for name, hint in hints.items():
        choices = typing.get_args(hint)
        if typing.get_origin(hint) is Literal and getattr(options, name) not in choices:
            raise ValueError(f"{name} is {getattr(options, name)!r}, expected one of {', '.join(map(repr, choices))}")


def _validate_schedule(options: PPOOptions) -> None:
    if not options.lr_min <= options.learning_rate <= options.lr_max:
        raise ValueError(
            f"learning_rate {options.learning_rate} lies outside lr_min {options.lr_min} … lr_max {options.lr_max}"
        )
    if options.kl_target <= 0 or options.lr_factor <= 1:
        raise ValueError(
            f"kl_target is {options.kl_target}, expected above 0; lr_factor is {options.lr_factor}, expected above 1"
        )
    if options.kl_epsilon != 0:
        raise ValueError(
            f"kl_epsilon is {options.kl_epsilon} with lr_schedule 'adaptive_kl', expected 0: "
            "the fudge makes the KL of equal policies negative and the rate would only rise"
        )


def check_split(options: PPOOptions, devices: int) -> None:
    """Raises ValueError, naming the numbers, if worlds and minibatches do not split evenly over groups and devices."""
    groups = options.shuffle_groups or devices
    if groups % devices:
        raise ValueError(f"shuffle_groups is {groups}, expected 0 or a multiple of the number of devices, {devices}")
    kind = "shuffle_groups" if options.shuffle_groups else "devices"
    for name in ("num_envs", "minibatch_size"):
        if getattr(options, name) % groups:
            raise ValueError(f"{name} is {getattr(options, name)}, expected a multiple of the {groups} {kind}")


def nearest_divisors(number: int, wanted: int) -> list[int]:
    """The largest divisor of `number` not above `wanted` and the smallest not below it, where they exist."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    divisors = sorted({*small, *(number // d for d in small)})
    below = [d for d in divisors if d <= wanted]
    above = [d for d in divisors if d >= wanted]
    return sorted({*below[-1:], *above[:1]})
