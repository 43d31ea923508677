"""Actor and critic: two separate ReLU multilayer perceptrons with PyTorch's default initialisation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning.heads import GAUSSIAN, ActionHead, Actor
from mjx_skillmimic.learning.layers import MLP, Linear, Params, uniform_fan_in
from mjx_skillmimic.learning.options import PPOOptions

__all__ = ["MLP", "Actor", "Critic", "Networks", "Params", "make_networks"]


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
    """The pair of modules and the sizes they were made for; privileged_size: columns that only the critic sees.

    head: what the actor's last layer means.
    """

    actor: nn.Module
    critic: Critic
    obs_size: int
    action_size: int
    privileged_size: int = 0
    head: ActionHead = GAUSSIAN

    def init(self, rng: Array, initial_action: Array | None = None) -> Params:
        """Parameters {"actor": …, "critic": …}; the last layer's bias starts at `initial_action` (A,), else at zero.

        Raises ValueError where `initial_action` does not have one number an action coordinate or choice.
        """
        actor_rng, critic_rng = jax.random.split(rng)
        example = jnp.zeros((1, self.obs_size), jnp.float32)
        actor = self.actor.init(actor_rng, example)
        if initial_action is not None:
            bias = jnp.asarray(initial_action, jnp.float32)
            if bias.shape != (self.action_size,):
                raise ValueError(f"initial_action has shape {bias.shape}, expected ({self.action_size},)")
            actor["params"][self.head.layer]["bias"] = bias
        example = jnp.zeros((1, self.obs_size + self.privileged_size), jnp.float32)
        return {"actor": actor, "critic": self.critic.init(critic_rng, example)}

    def act(self, params: Params, x: Array) -> tuple[Array, Any]:
        """The head's `output` (..., A) and `shared` for normalised observations x (..., D): see `learning.heads`."""
        output, shared = self.actor.apply(params["actor"], x)
        return jnp.asarray(output), shared

    def value(self, params: Params, x: Array, privileged: Array | None = None) -> Array:
        """Normalised value (...) of normalised observations x (..., D) and, if there are any, privileged (..., P)."""
        if privileged is not None:
            x = jnp.concatenate([x, privileged], axis=-1)
        return jnp.asarray(self.critic.apply(params["critic"], x))


def make_networks(
    options: PPOOptions, obs_size: int, action_size: int, privileged_size: int = 0, head: ActionHead = GAUSSIAN
) -> Networks:
    """Actor and critic of the configured widths for observations (D,), actions (A,) and the critic's own (P,)."""
    actor = head.actor(options.actor_hidden, action_size, options)
    critic = Critic(options.critic_hidden, options.compute_dtype)
    return Networks(actor, critic, obs_size, action_size, privileged_size, head)
