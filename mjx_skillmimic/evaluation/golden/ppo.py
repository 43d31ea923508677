"""Golden checks of the pieces of PPO: advantages, loss terms, densities, running statistics."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.learning import distributions, gae, losses, normalizer

Arrays = dict[str, np.ndarray]


@covers("ppo_pieces")
def check_ppo_pieces(arrays: Arrays) -> Iterator[Quantity]:
    """Every `out_*` and `rms_*` array of the file."""
    yield from _advantages(arrays)
    yield from _losses(arrays)
    yield from _densities(arrays)
    yield from _running_moments(arrays)


def _advantages(arrays: Arrays) -> Iterator[Quantity]:
    reward, value, next_value = (jnp.asarray(arrays[name]) for name in ("rewards", "values", "next_values"))
    done = jnp.asarray(arrays["dones"])[..., None]
    advantage = gae.advantages(reward, value, next_value, done, float(arrays["gamma"]), float(arrays["tau"]))
    yield Quantity("advantages", np.asarray(advantage), arrays["out_advantages"], 2e-5, 1e-5)
    yield Quantity("returns", np.asarray(advantage + value), arrays["out_returns"], 2e-5, 1e-5)
    # The published order is world by world, ours step by step; the statistics are over the whole batch either way.
    normalised = gae.normalize_advantages(advantage)[..., 0].T.reshape(-1)
    expected = arrays["out_norm_advantages_env_major"]
    yield Quantity("normalised advantages", np.asarray(normalised), expected, 1e-5, 1e-5)


def _losses(arrays: Arrays) -> Iterator[Quantity]:
    clip = float(arrays["e_clip"])
    old, new, advantage = (jnp.asarray(arrays[name]) for name in ("old_neglogp", "new_neglogp", "advantage"))
    actor, clipped = losses.actor_loss(old, new, advantage, clip)
    yield Quantity("actor loss", np.asarray(actor), arrays["out_actor_loss"], 2e-6, 1e-5)
    yield Quantity("actor clipped", np.asarray(clipped), arrays["out_actor_clipped"])
    old_value, value, target = (jnp.asarray(arrays[f"value_{name}"]) for name in ("old", "new", "target"))
    for name, clip_value in (("out_critic_loss", False), ("out_critic_loss_clipped", True)):
        critic = losses.critic_loss(value, target, old_value, clip, clip_value)
        yield Quantity(name.removeprefix("out_").replace("_", " "), np.asarray(critic), arrays[name], 2e-6, 1e-5)
    bounds = distributions.bounds_loss(jnp.asarray(arrays["mu"]))
    yield Quantity("bounds loss", np.asarray(bounds), arrays["out_bound_loss"], 2e-6, 1e-5)


def _densities(arrays: Arrays) -> Iterator[Quantity]:
    mean, action, log_std = (jnp.asarray(arrays[name]) for name in ("mu", "action", "logstd"))
    density = distributions.neg_log_prob(action, mean, log_std)
    # Float32 rounding of (a − μ)/σ over 156 coordinates at |neglogp| ≈ 240.
    yield Quantity("negative log density", np.asarray(density), arrays["out_neglogp"], 1e-4, 1e-5)
    old_mean = mean + float(arrays["kl_old_mu_offset"])
    divergence = distributions.kl_divergence(old_mean, log_std, mean, log_std, epsilon=1e-5)
    yield Quantity("mean KL", np.asarray(jnp.mean(divergence)), arrays["out_kl_mean"], 1e-4, 1e-5)


def _running_moments(arrays: Arrays) -> Iterator[Quantity]:
    batches = arrays["rms_batches"]
    moments = normalizer.init(batches.shape[-1])
    outputs = []
    for batch in batches:
        moments = normalizer.merge(moments, jnp.asarray(batch))
        outputs.append(normalizer.normalize(moments, jnp.asarray(batch)))
    yield Quantity("normalised, training", np.asarray(outputs), arrays["out_rms_train"], 2e-6, 1e-5)
    for name in ("mean", "var", "count"):
        high, low = (np.asarray(getattr(moments, part), np.float64) for part in (name, f"{name}_low"))
        yield Quantity(f"running {name}", high + low, arrays[f"rms_{name}"], 1e-6, 1e-6)
    evaluated = normalizer.normalize(moments, jnp.asarray(arrays["rms_eval_in"]))
    yield Quantity("normalised, evaluation", np.asarray(evaluated), arrays["out_rms_eval"], 2e-6, 1e-5)
    restored = normalizer.unnormalize(moments, jnp.asarray(arrays["out_rms_eval"]))
    yield Quantity("un-normalised", np.asarray(restored), arrays["out_rms_unnorm"], 2e-5, 1e-5)
