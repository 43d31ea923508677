"""Isaac Gym's global tensors as NumPy arrays, whatever device they are on.

Runs in Python 3.8. torch is imported only where Isaac Gym hands out torch tensors, hence after Isaac Gym, as it wants.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class GlobalTensor:
    """One of the tensors that `gym.acquire_…_tensor` gives, viewed with `width` columns.

    The buffer belongs to the simulation: a refresh call fills it, `read` copies it, `write` puts numbers into it for a
    set call, to which `handle` is passed.
    """

    def __init__(self, gymtorch: Any, acquired: Any, width: int):
        self._gymtorch = gymtorch
        self.tensor = gymtorch.wrap_tensor(acquired)
        if self.tensor.shape[-1] != width:
            self.tensor = self.tensor.reshape(-1, width)

    @property
    def rows(self) -> int:
        return int(self.tensor.shape[0])

    @property
    def handle(self) -> Any:
        """What Isaac Gym's set functions take."""
        return self._gymtorch.unwrap_tensor(self.tensor)

    def read(self) -> np.ndarray:
        """A copy (rows, width) float32."""
        if isinstance(self.tensor, np.ndarray):
            return np.array(self.tensor, np.float32)
        return np.array(self.tensor.detach().cpu().numpy(), np.float32)

    def write(self, values: np.ndarray) -> None:
        """Fills the buffer with values (rows, width)."""
        self.tensor[:] = like(self.tensor, np.asarray(values, np.float32))


def like(tensor: Any, values: np.ndarray) -> Any:
    """Values as the kind of array that `tensor` is, on its device, contiguous, with their own dtype."""
    values = np.ascontiguousarray(values)
    if isinstance(tensor, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values).to(tensor.device)
