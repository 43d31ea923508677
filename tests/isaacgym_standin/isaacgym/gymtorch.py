"""Between tensor descriptors and torch tensors that share their memory; NumPy arrays where torch is not installed."""

import numpy as np

from isaacgym.gymapi import Tensor

try:
    import torch
except ImportError:
    torch = None


def wrap_tensor(tensor):
    """A view of the descriptor's memory."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"expected a gym tensor, got {type(tensor).__name__}")
    return tensor.array if torch is None else torch.from_numpy(tensor.array)


def unwrap_tensor(array):
    """A descriptor of a contiguous tensor."""
    if torch is None:
        if not isinstance(array, np.ndarray) or not array.flags.c_contiguous:
            raise TypeError("expected a contiguous array")
        return Tensor(array)
    if not isinstance(array, torch.Tensor) or not array.is_contiguous():
        raise TypeError("expected a contiguous torch tensor")
    return Tensor(array.numpy())
