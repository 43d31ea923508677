"""The network: three convolutions over time and a linear layer, (N, 60, 316) → (N, 3) (skillmimic_v2.md §4.1)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from mjx_skillmimic.history.frames import FRAME_SIZE
from mjx_skillmimic.history.window import WINDOW
from mjx_skillmimic.learning.layers import uniform_fan_in
from mjx_skillmimic.rotations import Array

CHANNELS = (128, 64, 32)
CODE_SIZE = 3
_TAPS = 3  # frames that a convolution sees: the one before, its own, the next


@struct.dataclass
class EncoderParams:
    """Weights of the encoder.

    kernels: one (3, inputs, outputs) a convolution, the first index the frame before, the same, and the next; biases
    (outputs,); code_kernel (channels, T, E): the linear layer, whose published input is ordered channel by channel;
    code_bias (E,).
    """

    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    code_kernel: Array
    code_bias: Array

    @property
    def frame_size(self) -> int:
        return int(self.kernels[0].shape[1])

    @property
    def length(self) -> int:
        """Frames of a window."""
        return int(self.code_kernel.shape[1])

    @property
    def code_size(self) -> int:
        return int(self.code_bias.shape[0])


def init(
    rng: Array,
    frame_size: int = FRAME_SIZE,
    length: int = WINDOW,
    code_size: int = CODE_SIZE,
    channels: Sequence[int] = CHANNELS,
) -> EncoderParams:
    """Weights and biases from U(±1/√fan_in), PyTorch's default."""
    shapes = [
        ((_TAPS, inputs, outputs), _TAPS * inputs) for inputs, outputs in itertools.pairwise([frame_size, *channels])
    ]
    shapes.append(((channels[-1], length, code_size), channels[-1] * length))
    kernels, biases = [], []
    for key, (shape, fan_in) in zip(jax.random.split(rng, len(shapes)), shapes, strict=True):
        kernel_key, bias_key = jax.random.split(key)
        kernels.append(uniform_fan_in()(kernel_key, (fan_in, shape[-1]), jnp.float32).reshape(shape))
        biases.append(jax.random.uniform(bias_key, shape[-1:], jnp.float32, -1.0, 1.0) / np.sqrt(fan_in))
    return EncoderParams(tuple(kernels[:-1]), tuple(biases[:-1]), kernels[-1], biases[-1])


def encode(params: EncoderParams, window: Array) -> Array:
    """The code (N, E) of windows (N, T, D) of frames."""
    return encode_projected(params, project(params, window))


def project(params: EncoderParams, frame: Array) -> Array:
    """What the first convolution needs of each frame: (..., D) → (..., 3·128), its products with the three taps.

    A window of these is filled and pushed like a window of frames, zeros included, and spares the encoder 59 of 60
    products with the widest kernel in every step.
    """
    return _taps(frame, params.kernels[0])


def encode_projected(params: EncoderParams, projected: Array) -> Array:
    """The code (N, E) of windows (N, T, 3·128) of `project`ed frames: that of `encode` to rounding."""
    x = _convolved(projected, params.biases[0])
    for kernel, bias in zip(params.kernels[1:], params.biases[1:], strict=True):
        x = _convolved(_taps(x, kernel), bias)
    return jnp.einsum("ntc,cte->ne", x, params.code_kernel) + params.code_bias


def _taps(x: Array, kernel: Array) -> Array:
    """(…, inputs) → (…, 3 · outputs): the products of every frame with the three taps.

    Matrix products: inside a scan, where rollouts and training are, XLA's convolution takes many times as long on a
    CPU. Of the inputs once, not side by side with their neighbours: outputs are fewer.
    """
    return x @ jnp.moveaxis(kernel, 0, 1).reshape(kernel.shape[1], -1)


def _convolved(products: Array, bias: Array) -> Array:
    """(N, T, 3 · outputs) → (N, T, outputs): those that meet in each frame, zeros beyond both ends, then a ReLU."""
    before, same, after = jnp.split(products, _TAPS, axis=-1)
    nothing = jnp.zeros_like(before[:, :1])
    x = jnp.concatenate([nothing, before[:, :-1]], axis=1) + same + jnp.concatenate([after[:, 1:], nothing], axis=1)
    return jax.nn.relu(x + bias)


def from_published(weights: Mapping[str, np.ndarray]) -> EncoderParams:
    """Weights from arrays in PyTorch's layout: `conv1_weight` (128, 316, 3) …, `fc_weight` (3, 32·60), and biases.

    Raises KeyError for a missing array.
    """
    convolutions = range(1, len(CHANNELS) + 1)
    number = lambda name: jnp.asarray(np.asarray(weights[name]), jnp.float32)  # noqa: E731
    kernels = tuple(jnp.transpose(number(f"conv{i}_weight"), (2, 1, 0)) for i in convolutions)
    biases = tuple(number(f"conv{i}_bias") for i in convolutions)
    linear = number("fc_weight")
    return EncoderParams(
        kernels, biases, linear.reshape(len(linear), CHANNELS[-1], -1).transpose(1, 2, 0), number("fc_bias")
    )


def flops(params: EncoderParams, projected: bool = False) -> int:
    """Floating-point operations of encoding one window, a multiplication and an addition each counted.

    projected: what one step costs where windows of projected frames are kept: one `project` and `encode_projected`.
    """
    first = (1 if projected else params.length) * params.kernels[0].size
    return 2 * (first + params.length * sum(kernel.size for kernel in params.kernels[1:]) + params.code_kernel.size)
