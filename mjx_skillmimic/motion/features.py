"""The quantities that imitation compares, by name: one struct for the simulated state and for the reference row."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.rotations import Array

NUM_KEY_BODIES = 17

# The published 380-column row (skillmimic.md §3.4), in order; quaternions are scalar-last there.
_COLUMNS = (
    ("root_pos", 3),
    ("root_rotvec", 3),
    ("dof_pos", 156),
    ("dof_vel", 156),
    ("object_pos", 3),
    ("object_quat", 4),
    ("object_lin_vel", 3),
    ("key_body_pos", 3 * NUM_KEY_BODIES),
    ("contact", 1),
)
ROW_SIZE = sum(width for _, width in _COLUMNS)


@struct.dataclass
class Features:
    """Human and object at one instant; leading axes (...) are free. World frame, z up.

    root_pos (..., 3) m; root_rotvec (..., 3) rad; dof_pos (..., 156) rad, 52 rotation vectors; dof_vel (..., 156)
    rad/s; object_pos (..., 3) m; object_quat (..., 4) wxyz; object_lin_vel (..., 3) m/s; key_body_pos (..., 17, 3) m;
    contact (...): the hand–object contact label, 0 or 1.
    """

    root_pos: Array
    root_rotvec: Array
    dof_pos: Array
    dof_vel: Array
    object_pos: Array
    object_quat: Array
    object_lin_vel: Array
    key_body_pos: Array
    contact: Array

    def to_row(self) -> Array:
        """The published (..., 380) row of §3.4."""
        flat = {
            "object_quat": rotations.xyzw_from_wxyz(self.object_quat),
            "key_body_pos": self.key_body_pos.reshape(*self.key_body_pos.shape[:-2], -1),
            "contact": self.contact[..., None],
        }
        xp = rotations.namespace(self.root_pos)
        return xp.concatenate([flat.get(name, getattr(self, name)) for name, _ in _COLUMNS], axis=-1)

    @classmethod
    def from_row(cls, row: Array) -> Features:
        """Names the columns of a published (..., 380) row. Raises ValueError for another width."""
        if row.shape[-1] != ROW_SIZE:
            raise ValueError(f"a feature row has {ROW_SIZE} columns (skillmimic.md §3.4), got {row.shape[-1]}")
        parts, start = {}, 0
        for name, width in _COLUMNS:
            parts[name] = row[..., start : start + width]
            start += width
        parts["object_quat"] = rotations.wxyz_from_xyzw(parts["object_quat"])
        parts["key_body_pos"] = parts["key_body_pos"].reshape(*row.shape[:-1], NUM_KEY_BODIES, 3)
        parts["contact"] = parts["contact"][..., 0]
        return cls(**parts)


def zeros(*leading: int) -> Features:
    """All-zero features, as the published zero-padding after a clip's end has them."""
    return Features.from_row(jnp.zeros((*leading, ROW_SIZE)))
