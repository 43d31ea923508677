"""Linear layers and perceptrons with PyTorch's default initialisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

Params = dict[str, Any]


def uniform_fan_in(scale: float = 1.0) -> nn.initializers.Initializer:
    """U(±scale/√fan_in), PyTorch's default for a linear layer's weight."""
    return nn.initializers.variance_scaling(scale**2 / 3.0, "fan_in", "uniform")


def xavier_uniform(scale: float = 1.0) -> nn.initializers.Initializer:
    """U(±scale·√(6/(fan_in + fan_out))), Xavier's with the gain `scale`."""
    return nn.initializers.variance_scaling(scale**2, "fan_avg", "uniform")


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
