"""Missing frames: rows of a clip that are all zero, and what stands for them (skillmimic_v2.md §1.7).

The masked clips of SkillMimic-V2 lack a few frames each. Such a frame is never one to start on and earns no reward of
its own; what the arrays hold there is a choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from mjx_skillmimic import rotations

# What stands for missing frames. "bridged": poses between those of the neighbours, so that every difference of rows is
# a velocity. "published": zeros, and the velocity of the last frame before the gap on it and on the frame behind it.
Missing = Literal["bridged", "published"]

_ROTATIONS = ("root_rotvec", "dof_pos", "object_rotvec")


def runs(valid: np.ndarray) -> list[tuple[int, int]]:
    """First and last frame of every run of missing ones, from (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], valid, [True]]).astype(np.int8)))
    return [(int(first), int(stop) - 1) for first, stop in zip(edges[::2], edges[1::2], strict=True)]


def bridged(arrays: Mapping[str, np.ndarray], valid: np.ndarray) -> dict[str, np.ndarray]:
    """A clip's arrays (T, …) with poses in the place of missing frames.

    Positions go straight and rotations turn evenly from the last frame before the gap to the first behind it; the
    contact label is that of the last frame before. Gaps at an end repeat the frame beside them. valid: (T,) bool, not
    all False.
    """
    if valid.all():
        return dict(arrays)
    frame, known = np.flatnonzero(~valid), np.flatnonzero(valid)
    place = np.searchsorted(known, frame)
    before, behind = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
    # a gap at an end has one neighbour, which is then both
    before, behind = np.where(place == 0, behind, before), np.where(place == len(known), before, behind)
    share = (frame - before) / np.maximum(behind - before, 1)
    result = {}
    for name, array in arrays.items():
        result[name] = filled = array.copy()
        one, other = array[before], array[behind]
        part = share.reshape(-1, *(1,) * (array.ndim - 1))
        if name == "contact":
            filled[frame] = one
        elif name in _ROTATIONS:
            vectors = (len(frame), -1, 3)
            filled[frame] = _between(one.reshape(vectors), other.reshape(vectors), part[..., None]).reshape(one.shape)
        else:
            filled[frame] = one + part * (other - one)
    return result


def held(velocity: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Velocities (T, …), where a frame or the one before it is missing that of the frame before, in order."""
    broken = ~valid
    broken[1:] |= ~valid[:-1]
    broken[0] = False  # its velocity is zero anyway
    return velocity[np.maximum.accumulate(np.where(broken, 0, np.arange(len(valid))))]


def _between(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotation vectors (M, J, 3) at a share of the turn from one to the other, with the whole turns of the first."""
    start = rotations.exp(one)
    turn = rotations.log(rotations.multiply(rotations.conjugate(start), rotations.exp(other)))
    found = rotations.log(rotations.multiply(start, rotations.exp(share * turn)))
    norm = np.linalg.norm(found, axis=-1, keepdims=True)
    axis = found / np.maximum(norm, 1e-12)
    return found + 2 * np.pi * np.round((np.sum(axis * one, axis=-1, keepdims=True) - norm) / (2 * np.pi)) * axis
