"""How conditions that hold or fail at each step become "reached": over a whole course at once, or step by step."""

from __future__ import annotations

import dataclasses
from typing import Literal, Protocol

from flax import struct

from mjx_skillmimic import rotations
from mjx_skillmimic.rotations import Array


@struct.dataclass
class Memory:
    """What the stepwise form carries. reached (N,) bool; count (N,) int32, steps so far that were hit."""

    reached: Array
    count: Array


class Fold(Protocol):
    """`over(hit, keep)`: (T, N) bool, reached after each step. `update(memory, hit, keep, step)`: the same for step
    `step` () int alone, hit and keep (N,). Both are pure and take NumPy or JAX arrays."""

    def over(self, hit: Array, keep: Array) -> Array: ...

    def update(self, memory: Memory, hit: Array, keep: Array, step: Array) -> Memory: ...


@dataclasses.dataclass(frozen=True)
class OnceThenKept:
    """Before step `boundary` hit once; from then on keep at every step ("every"), or once more ("any")."""

    boundary: int
    later: Literal["every", "any"] = "every"

    def over(self, hit: Array, keep: Array) -> Array:
        xp = rotations.namespace(hit, keep)
        early = (xp.arange(hit.shape[0]) < self.boundary)[:, None]
        if self.later == "any":
            return xp.cumsum(xp.where(early, hit, keep), axis=0) > 0
        return (xp.cumsum(hit & early, axis=0) > 0) & (xp.cumsum(~keep & ~early, axis=0) == 0)

    def update(self, memory: Memory, hit: Array, keep: Array, step: Array) -> Memory:
        xp = rotations.namespace(hit, keep)
        late = memory.reached & keep if self.later == "every" else memory.reached | keep
        reached = xp.where(step < self.boundary, memory.reached | hit, late)
        return Memory(reached, memory.count + hit)


@dataclasses.dataclass(frozen=True)
class Counted:
    """More than `more` steps hit so far, and, where there is `less`, fewer than that; then it can be lost again."""

    more: int
    less: int | None = None

    def over(self, hit: Array, keep: Array) -> Array:
        xp = rotations.namespace(hit)
        return self._within(xp.cumsum(hit, axis=0))

    def update(self, memory: Memory, hit: Array, keep: Array, step: Array) -> Memory:
        count = memory.count + hit
        return Memory(self._within(count), count)

    def _within(self, count: Array) -> Array:
        return count > self.more if self.less is None else (count > self.more) & (count < self.less)


@dataclasses.dataclass(frozen=True)
class Share:
    """More than `more` of the steps so far hit; only steps behind `after` count, and before them nothing is reached.

    missing: steps that the divisor lacks; the published code divides by the steps before the present one.
    """

    more: float
    after: int = -1
    missing: int = 0

    def over(self, hit: Array, keep: Array) -> Array:
        xp = rotations.namespace(hit)
        step = xp.arange(hit.shape[0])[:, None]
        return self._enough(xp.cumsum(hit & (step > self.after), axis=0), step)

    def update(self, memory: Memory, hit: Array, keep: Array, step: Array) -> Memory:
        count = memory.count + (hit & (step > self.after))
        return Memory(self._enough(count, step), count)

    def _enough(self, count: Array, step: Array) -> Array:
        return (step > self.after) & (count > self.more * (step - self.after - self.missing))
