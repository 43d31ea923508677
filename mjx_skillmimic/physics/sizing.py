"""How much room MJX-Warp gets for contacts and constraint rows: one function, from the number of worlds.

Warp shares its contact buffer among all worlds and drops what does not fit, with no more than a flag. The same buffer
holds the candidate pairs of the broad phase. What the BallPlay states need is measured in docs/physics.md.
"""

from __future__ import annotations

import dataclasses

from mjx_skillmimic.model.scene import Scene

# What one world may need at worst, and what a world needs on average in a large batch.
_SELF_COLLISION = (256, 96)
_NO_SELF_COLLISION = (96, 32)
_ROWS = 320  # constraint rows of the worst world: 80 contacts


@dataclasses.dataclass(frozen=True)
class Capacity:
    """naconmax: contacts and candidate pairs of all worlds together. naccdmax: pairs that need the general convex
    algorithm, all worlds together, at most naconmax. njmax: constraint rows of one world."""

    naconmax: int
    naccdmax: int
    njmax: int


def capacity(scene: Scene, worlds: int) -> Capacity:
    """Buffers for `worlds` worlds of `scene`; a few worlds get their worst case, many share an average.

    Raises ValueError if `worlds` is not positive.
    """
    if worlds < 1:
        raise ValueError(f"worlds={worlds}; expected at least 1")
    worst, average = _SELF_COLLISION if scene.options.self_collision else _NO_SELF_COLLISION
    total = min(worst * worlds, 16 * worst + average * worlds)
    return Capacity(naconmax=total, naccdmax=max(16, total // 4), njmax=_ROWS)
