"""Teaching the encoder: from its code, the current frame and the label a predictor tells the next frame (§4.3)."""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from mjx_skillmimic.history import encoder
from mjx_skillmimic.history.dataset import Batch, Samples, gather
from mjx_skillmimic.history.encoder import EncoderParams
from mjx_skillmimic.history.frames import FRAME_SIZE, OBJECT
from mjx_skillmimic.history.options import PretrainOptions
from mjx_skillmimic.learning.layers import MLP, Linear, Params, uniform_fan_in
from mjx_skillmimic.motion.clip import NUM_SKILLS
from mjx_skillmimic.rotations import Array


class Predictor(nn.Module):
    """Code, current frame and one-hot label (B, E + 316 + 64) → next frame (B, 316). Only pre-training needs it."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return Linear(FRAME_SIZE, kernel_init=uniform_fan_in(), name="frame")(MLP(self.hidden, name="body")(x))


@struct.dataclass
class Weights:
    """What is learned."""

    encoder: EncoderParams
    predictor: Params


@struct.dataclass
class TrainState:
    """After `epoch` epochs; best: the weights after the epoch of the smallest training loss, `best_loss`."""

    epoch: Array
    weights: Weights
    optimiser: Any
    best: Weights
    best_loss: Array


def steps_of_an_epoch(count: int, options: PretrainOptions) -> int:
    """Batches of `count` samples; the last one may be smaller."""
    return -(-count // options.batch_size)


def make_optimiser(count: int, options: PretrainOptions) -> optax.GradientTransformationExtraArgs:
    """Adam with the option's schedule, for epochs of `count` samples."""
    steps = steps_of_an_epoch(count, options)
    if options.schedule == "cosine":
        rate = optax.cosine_decay_schedule(options.learning_rate, steps * options.epochs)
        return optax.with_extra_args_support(optax.adam(rate))
    plateau = optax.contrib.reduce_on_plateau(
        # The published rule acts in the epoch after the last one that it forgives.
        factor=0.1,
        patience=options.patience + 1,
        rtol=1e-4,
        accumulation_size=steps,
    )
    return optax.chain(optax.adam(options.learning_rate), plateau)


def init_state(rng: Array, samples: Samples, options: PretrainOptions) -> TrainState:
    """Random weights for these samples."""
    encoder_rng, predictor_rng = jax.random.split(rng)
    width = options.code_size + FRAME_SIZE + NUM_SKILLS
    weights = Weights(
        encoder.init(encoder_rng, length=options.length, code_size=options.code_size),
        dict(Predictor(options.hidden).init(predictor_rng, jnp.zeros((1, width)))),
    )
    optimiser = make_optimiser(samples.count, options).init(weights)
    return TrainState(jnp.int32(0), weights, optimiser, weights, jnp.float32(jnp.inf))


def predict(weights: Weights, batch: Batch, code: Array, options: PretrainOptions) -> Array:
    """The next frames (B, 316) from codes (B, E)."""
    x = jnp.concatenate([code, batch.current, jax.nn.one_hot(batch.label, NUM_SKILLS)], axis=-1)
    output = jnp.asarray(Predictor(options.hidden).apply(weights.predictor, x))
    return batch.current + output if options.predicts == "change" else output


def errors(predicted: Array, batch: Batch, weight: Array) -> dict[str, Array]:
    """Mean squared errors of human and object over the samples with a `weight` (B,) of 1; of the object without
    distractors. `loss` is their sum: an object's number counts as much as a hundred of the human's (§4.3)."""
    squared = (predicted - batch.target) ** 2
    body = squared.at[:, OBJECT].set(0.0).sum(axis=-1) / OBJECT.start
    seen = weight * ~batch.distractor
    body_error = (weight * body).sum() / jnp.maximum(weight.sum(), 1.0)
    object_error = (seen * squared[:, OBJECT].mean(axis=-1)).sum() / jnp.maximum(seen.sum(), 1.0)
    return {"loss": body_error + object_error, "body": body_error, "object": object_error}


def objective(
    weights: Weights, batch: Batch, weight: Array, options: PretrainOptions
) -> tuple[Array, dict[str, Array]]:
    """What is minimised, and its parts."""
    code = encoder.encode(weights.encoder, batch.window)
    parts = errors(predict(weights, batch, code, options), batch, weight)
    parts["code"] = (weight * jnp.sum(code**2, axis=-1)).sum() / jnp.maximum(weight.sum(), 1.0)
    return parts["loss"] + options.code_penalty * parts["code"], parts


def run_epoch(
    state: TrainState, samples: Samples, rng: Array, options: PretrainOptions
) -> tuple[TrainState, dict[str, Array]]:
    """One pass over the shuffled samples and the means of its parts; jit with `options` static."""
    steps = steps_of_an_epoch(samples.count, options)
    optimiser = make_optimiser(samples.count, options)
    order_rng, draw_rng = jax.random.split(rng)
    order = jax.random.permutation(order_rng, samples.count)
    order = jnp.pad(order, (0, steps * options.batch_size - samples.count), constant_values=-1)

    def step(carry: tuple[Weights, Any], inputs: tuple[Array, Array]) -> tuple[tuple[Weights, Any], dict[str, Array]]:
        weights, state = carry
        index, key = inputs
        weight = (index >= 0).astype(jnp.float32)
        batch = gather(samples, jnp.maximum(index, 0), key, options)
        (value, parts), gradient = jax.value_and_grad(objective, has_aux=True)(weights, batch, weight, options)
        updates, state = optimiser.update(gradient, state, weights, value=value)
        return (optax.apply_updates(weights, updates), state), {**parts, "objective": value, "count": weight.sum()}

    inputs = order.reshape(steps, -1), jax.random.split(draw_rng, steps)
    (weights, optimiser_state), parts = jax.lax.scan(step, (state.weights, state.optimiser), inputs)
    means = {name: (values * parts["count"]).sum() / samples.count for name, values in parts.items() if name != "count"}
    better = means["objective"] < state.best_loss
    keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    best = jax.tree.map(keep, weights, state.best)
    epoch, best_loss = state.epoch + 1, keep(means["objective"], state.best_loss)
    return TrainState(epoch, weights, optimiser_state, best, best_loss), means


def evaluate(weights: Weights, samples: Samples, rng: Array, options: PretrainOptions) -> dict[str, Array]:
    """Errors on all samples at once, and what to judge them by; jit with `options` static.

    loss, body, object: as `errors`. still: the loss of predicting that nothing moves. mean_code: the loss with each
    sample's code replaced by the mean code: what the past adds to the present is the difference. distractor_share: the
    part of the code's variance, among samples with a distractor, that a ball at random places in the window makes.
    """
    batch = gather(samples, jnp.arange(samples.count), rng, options)
    every = jnp.ones(samples.count)
    code = encoder.encode(weights.encoder, batch.window)
    blind = jnp.broadcast_to(code.mean(axis=0), code.shape)
    return {
        **errors(predict(weights, batch, code, options), batch, every),
        "still": errors(batch.current, batch, every)["loss"],
        "mean_code": errors(predict(weights, batch, blind, options), batch, every)["loss"],
        "distractor_share": _distractor_share(weights, samples, rng, options),
    }


def _distractor_share(weights: Weights, samples: Samples, rng: Array, options: PretrainOptions) -> Array:
    """Half the mean squared difference of two draws over the variance within the draws; 0 without distractors."""
    shown = dataclasses.replace(options, distractor_history="drawn")
    index = jnp.arange(samples.count)
    batches = [gather(samples, index, key, shown) for key in jax.random.split(rng)]
    one, other = (encoder.encode(weights.encoder, batch.window) for batch in batches)
    weight = batches[0].distractor[:, None].astype(jnp.float32)
    count = jnp.maximum(weight.sum(), 1.0)
    spread = sum((weight * (code - (weight * code).sum(axis=0) / count) ** 2).sum() for code in (one, other))
    return (weight * (one - other) ** 2).sum() / jnp.maximum(spread, 1e-30)
