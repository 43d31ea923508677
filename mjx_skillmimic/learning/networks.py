"""Actor and critic: two separate ReLU multilayer perceptrons with PyTorch's default initialisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning.options import PPOOptions

Params = dict[str, Any]


def uniform_fan_in(scale: float = 1.0) -> nn.initializers.Initializer:
    """U(±scale/√fan_in), PyTorch's default for a linear layer's weight."""
    return nn.initializers.variance_scaling(scale**2 / 3.0, "fan_in", "uniform")


# Tensor cores load float32 rows whose length is a multiple of four: with 902 columns the first layer was far slower.
_ALIGNMENT = 32


class Linear(nn.Module):
    """x W + b with parameters "kernel" (D, F) and "bias" (F,), computed with D filled up by zeros to a multiple of 32.

    dtype: of the operands and the result; the parameters stay float32.
    """

    features: int
    kernel_init: nn.initializers.Initializer
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        size = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (size, self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if missing := -size % _ALIGNMENT:
            x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
            kernel = jnp.pad(kernel, [(0, missing), (0, 0)])
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return x @ kernel + bias


class MLP(nn.Module):
    """Linear layers of the given widths, each followed by a ReLU; biases start at zero. The result is float32."""

    widths: Sequence[int]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for index, width in enumerate(self.widths):
            x = nn.relu(Linear(width, kernel_init=uniform_fan_in(), dtype=self.dtype, name=f"hidden_{index}")(x))
        return x.astype(jnp.float32)


class Actor(nn.Module):
    """Normalised observation (..., D) → action mean (..., A) and log σ (A,), which no observation changes.

    log σ is a parameter even where it is not learned, so that it is saved and converted with the rest.
    """

    hidden: Sequence[int]
    action_size: int
    log_std: float
    learn_log_std: bool = False
    final_scale: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        x = MLP(self.hidden, self.dtype, name="body")(x)
        mean = Linear(self.action_size, kernel_init=uniform_fan_in(self.final_scale), name="mean")(x)
        log_std = self.param("log_std", nn.initializers.constant(self.log_std), (self.action_size,))
        return mean, log_std if self.learn_log_std else jax.lax.stop_gradient(log_std)


class Critic(nn.Module):
    """Normalised observation (..., D) → normalised value (...)."""

    hidden: Sequence[int]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = MLP(self.hidden, self.dtype, name="body")(x)
        return Linear(1, kernel_init=uniform_fan_in(), name="value")(x)[..., 0]


@dataclasses.dataclass(frozen=True)
class Networks:
    """The pair of modules and the sizes they were made for; privileged_size: columns that only the critic sees."""

    actor: Actor
    critic: Critic
    obs_size: int
    action_size: int
    privileged_size: int = 0

    def init(self, rng: Array, initial_action: Array | None = None) -> Params:
        """Parameters {"actor": …, "critic": …}; the mean's bias starts at `initial_action` (A,), else at zero.

        Raises ValueError where `initial_action` does not have one number an action coordinate.
        """
        actor_rng, critic_rng = jax.random.split(rng)
        example = jnp.zeros((1, self.obs_size), jnp.float32)
        actor = self.actor.init(actor_rng, example)
        if initial_action is not None:
            bias = jnp.asarray(initial_action, jnp.float32)
            if bias.shape != (self.action_size,):
                raise ValueError(f"initial_action has shape {bias.shape}, expected ({self.action_size},)")
            actor["params"]["mean"]["bias"] = bias
        example = jnp.zeros((1, self.obs_size + self.privileged_size), jnp.float32)
        return {"actor": actor, "critic": self.critic.init(critic_rng, example)}

    def act(self, params: Params, x: Array) -> tuple[Array, Array]:
        """Action mean (..., A) and log σ (A,) for normalised observations x (..., D)."""
        mean, log_std = self.actor.apply(params["actor"], x)
        return jnp.asarray(mean), jnp.asarray(log_std)

    def value(self, params: Params, x: Array, privileged: Array | None = None) -> Array:
        """Normalised value (...) of normalised observations x (..., D) and, if there are any, privileged (..., P)."""
        if privileged is not None:
            x = jnp.concatenate([x, privileged], axis=-1)
        return jnp.asarray(self.critic.apply(params["critic"], x))


def make_actor(options: PPOOptions, action_size: int) -> Actor:
    """The actor alone, as a saved policy needs it."""
    return Actor(
        hidden=options.actor_hidden,
        action_size=action_size,
        log_std=options.log_std,
        learn_log_std=options.learn_log_std,
        final_scale=options.actor_final_scale,
        dtype=options.compute_dtype,
    )


def make_networks(options: PPOOptions, obs_size: int, action_size: int, privileged_size: int = 0) -> Networks:
    """Actor and critic of the configured widths for observations (D,), actions (A,) and the critic's own (P,)."""
    critic = Critic(options.critic_hidden, options.compute_dtype)
    return Networks(make_actor(options, action_size), critic, obs_size, action_size, privileged_size)
