"""What the last layer of an actor means: the mean of a Gaussian, or the logits of choices (skillmimic.md §8.2, §10.3).

Everything that differs between continuous and discrete actions is here. `output` (..., A) is what the last layer makes
of an observation; `shared` is what no observation changes: log σ (A,) of a Gaussian, None where there is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from mjx_skillmimic.learning import categorical, distributions
from mjx_skillmimic.learning.layers import MLP, Linear, Params, uniform_fan_in, xavier_uniform
from mjx_skillmimic.learning.options import PPOOptions


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


class ChoiceActor(nn.Module):
    """Normalised observation (..., D) → logits (..., A) of the choices, and None."""

    hidden: Sequence[int]
    action_size: int
    final_scale: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, None]:
        x = MLP(self.hidden, self.dtype, name="body")(x)
        return Linear(self.action_size, kernel_init=xavier_uniform(self.final_scale), name="logits")(x), None


class ActionHead(Protocol):
    """A kind of action distribution; pure functions of arrays.

    kind: its name in policy files. action_kind: of the environments it is for. layer: the actor's last layer.
    """

    kind: str
    action_kind: str
    layer: str

    def actor(self, hidden: Sequence[int], action_size: int, options: PPOOptions | None = None) -> nn.Module:
        """The module observation → (output, shared); options: for its initial parameters, which acting needs not."""

    def other_shapes(self, action_size: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the actor's parameters beside those of its layers."""

    def shared(self, actor: Params) -> Array | None:
        """What no observation changes, from the actor's parameters."""

    def sample(self, rng: Array, output: Array, shared: Array | None, axis_name: str | None = None) -> Array:
        """One draw; axis_name: a mapped axis over which the first axis of `output` is split (`learning.axis`)."""

    def mode(self, output: Array) -> Array:
        """The likeliest action."""

    def bounded(self, action: Array, limit: float) -> Array:
        """What the environment gets of a drawn action."""

    def neg_log_prob(self, action: Array, output: Array, shared: Array | None) -> Array:
        """−log density or probability (...) of drawn actions."""

    def kl_divergence(
        self, old: Array, old_shared: Array | None, new: Array, new_shared: Array | None, epsilon: float
    ) -> Array:
        """KL(old ‖ new) (...); epsilon: the published fudge of a Gaussian's."""

    def entropy(self, output: Array, shared: Array | None) -> Array:
        """In nats, (...) or ()."""

    def bounds_loss(self, output: Array, limit: float) -> Array:
        """The soft bound on actions, (...)."""

    def metrics(self, actor: Params) -> dict[str, Array]:
        """Numbers about the actor's parameters to be logged."""


class Gaussian:
    """A diagonal Gaussian over actions (..., A) float32; `output` is its mean, `shared` log σ."""

    kind, action_kind, layer = "gaussian", "continuous", "mean"

    def actor(self, hidden: Sequence[int], action_size: int, options: PPOOptions | None = None) -> nn.Module:
        if options is None:
            return Actor(hidden, action_size, log_std=0.0)
        scale = options.actor_final_scale
        return Actor(hidden, action_size, options.log_std, options.learn_log_std, scale, options.compute_dtype)

    def other_shapes(self, action_size: int) -> dict[str, tuple[int, ...]]:
        return {"log_std": (action_size,)}

    def shared(self, actor: Params) -> Array:
        return actor["params"]["log_std"]

    def sample(self, rng: Array, output: Array, shared: Array | None, axis_name: str | None = None) -> Array:
        assert shared is not None
        return distributions.sample(rng, output, shared, axis_name)

    def mode(self, output: Array) -> Array:
        return output

    def bounded(self, action: Array, limit: float) -> Array:
        return jnp.clip(action, -limit, limit)

    def neg_log_prob(self, action: Array, output: Array, shared: Array | None) -> Array:
        assert shared is not None
        return distributions.neg_log_prob(action, output, shared)

    def kl_divergence(
        self, old: Array, old_shared: Array | None, new: Array, new_shared: Array | None, epsilon: float
    ) -> Array:
        assert old_shared is not None
        assert new_shared is not None
        return distributions.kl_divergence(old, old_shared, new, new_shared, epsilon)

    def entropy(self, output: Array, shared: Array | None) -> Array:
        assert shared is not None
        return distributions.entropy(shared)

    def bounds_loss(self, output: Array, limit: float) -> Array:
        return distributions.bounds_loss(output, limit)

    def metrics(self, actor: Params) -> dict[str, Array]:
        return {"action_std": jnp.mean(jnp.exp(self.shared(actor)))}


class Categorical:
    """One of A choices, (...) int32; `output` is the logits. Bounds and fudges of a Gaussian do not apply."""

    kind, action_kind, layer = "categorical", "discrete", "logits"

    def actor(self, hidden: Sequence[int], action_size: int, options: PPOOptions | None = None) -> nn.Module:
        if options is None:
            return ChoiceActor(hidden, action_size)
        return ChoiceActor(hidden, action_size, options.actor_final_scale, options.compute_dtype)

    def other_shapes(self, action_size: int) -> dict[str, tuple[int, ...]]:
        return {}

    def shared(self, actor: Params) -> None:
        return None

    def sample(self, rng: Array, output: Array, shared: Array | None, axis_name: str | None = None) -> Array:
        return categorical.sample(rng, output, axis_name)

    def mode(self, output: Array) -> Array:
        return categorical.mode(output)

    def bounded(self, action: Array, limit: float) -> Array:
        return action

    def neg_log_prob(self, action: Array, output: Array, shared: Array | None) -> Array:
        return categorical.neg_log_prob(action, output)

    def kl_divergence(
        self, old: Array, old_shared: Array | None, new: Array, new_shared: Array | None, epsilon: float
    ) -> Array:
        return categorical.kl_divergence(old, new)

    def entropy(self, output: Array, shared: Array | None) -> Array:
        return categorical.entropy(output)

    def bounds_loss(self, output: Array, limit: float) -> Array:
        return jnp.zeros(output.shape[:-1], output.dtype)

    def metrics(self, actor: Params) -> dict[str, Array]:
        return {}


GAUSSIAN, CATEGORICAL = Gaussian(), Categorical()
HEADS: Mapping[str, ActionHead] = {head.kind: head for head in (GAUSSIAN, CATEGORICAL)}


def of_env(env: Any) -> ActionHead:
    """The head for an environment's `action_kind`; "continuous" where it does not speak of one. Raises ValueError."""
    kind = getattr(env, "action_kind", "continuous")
    found = [head for head in HEADS.values() if head.action_kind == kind]
    if not found:
        known = " or ".join(repr(head.action_kind) for head in HEADS.values())
        raise ValueError(f"the environment's action_kind is {kind!r}, expected {known}")
    return found[0]


def of_actor(actor: Params) -> ActionHead:
    """The head that an actor's parameters belong to. Raises ValueError."""
    found = [head for head in HEADS.values() if head.layer in actor["params"]]
    if len(found) != 1:
        layers = " or ".join(repr(head.layer) for head in HEADS.values())
        raise ValueError(f"the actor's parameters are {', '.join(sorted(actor['params']))}, expected one {layers}")
    return found[0]
