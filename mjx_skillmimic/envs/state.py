"""The state that environments pass between `reset` and `step`, in the idiom of MuJoCo Playground."""

from __future__ import annotations

from typing import Any

from flax import struct

from mjx_skillmimic.physics.base import PhysicsState
from mjx_skillmimic.rotations import Array


@struct.dataclass
class State:
    """A batch of N worlds after a step.

    data: the physics. obs (N, observation_size). reward (N,), done (N,): float32. metrics: per-world scalars (N,) to
    be averaged and logged. info: everything else that the next step needs or that a learner asks for, always with
    `truncation` and `terminated` (N,) float32 (a time-out, a fall) and `final_obs` (N, observation_size): the
    observation before an automatic reset, equal to `obs` in worlds that go on. shared: arrays that all worlds read and
    no step changes (motion table, start states); they travel in the state because a jitted function that closed over
    them would carry them as constants in its program. Checkpoints may leave `shared` out: `reset` brings it back.
    curriculum: what an environment learns about where episodes should start, the same for all worlds; no step changes
    it, the environment's `adapt` does.
    """

    data: PhysicsState
    obs: Array
    reward: Array
    done: Array
    metrics: dict[str, Array]
    info: dict[str, Any]
    shared: Any = None
    curriculum: Any = None
