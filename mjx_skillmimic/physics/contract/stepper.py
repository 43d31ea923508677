"""A compiled engine for one number of worlds, fed with any number of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import Physics, PhysicsState
from mjx_skillmimic.physics.contract.reference import Outcome


class Check(NamedTuple):
    """One promise and what was found: figures are plain numbers or lists of them."""

    name: str
    passed: bool
    figures: dict[str, float | list[float]]


class Stepper:
    """Steps `worlds` worlds at a time; fewer are filled up, more go in turns. Compiles once.

    Args:
        physics: an engine. worlds: the size that its step is compiled for.
    """

    def __init__(self, physics: Physics, worlds: int) -> None:
        if worlds < 1:
            raise ValueError(f"worlds={worlds}; expected at least 1")
        self.physics, self.worlds = physics, worlds
        self.step = jax.jit(physics.step)

    @property
    def scene(self) -> Scene:
        return self.physics.scene

    def rollout(
        self, qpos: np.ndarray, qvel: np.ndarray, targets: np.ndarray, steps: int | None = None
    ) -> tuple[list[Outcome], np.ndarray]:
        """Control steps from qpos (M, nq), qvel (M, nv) with targets (T, M, 156), or one (M, 156) held for `steps`.

        Returns the outcome of every step and the overflow (M,) at the end.
        """
        if targets.ndim == 2:
            targets = np.broadcast_to(targets, (steps or 1, *targets.shape))
        turns = [self._turn(qpos[rows], qvel[rows], targets[:, rows], count) for rows, count in self._rows(len(qpos))]
        outcomes = [_joined([outcomes[t] for outcomes, _ in turns]) for t in range(len(targets))]
        return outcomes, np.concatenate([overflow for _, overflow in turns])

    def _rows(self, count: int) -> Iterator[tuple[np.ndarray, int]]:
        for start in range(0, count, self.worlds):
            rows = np.arange(start, start + self.worlds)
            yield np.minimum(rows, count - 1), min(self.worlds, count - start)

    def _turn(
        self, qpos: np.ndarray, qvel: np.ndarray, targets: np.ndarray, count: int
    ) -> tuple[list[Outcome], np.ndarray]:
        state, outcomes = self.physics.init(qpos, qvel), []
        for target in targets:
            state = self.step(state, jnp.asarray(target, jnp.float32))
            outcomes.append(_rows_of(outcome_of(state), count))
        return outcomes, np.asarray(state.overflow)[:count]


def outcome_of(state: PhysicsState) -> Outcome:
    """What a state says, as NumPy arrays."""
    force = np.concatenate([state.body_force, state.object_force[:, None]], axis=1)
    return Outcome(np.asarray(state.qpos), np.asarray(state.qvel), force, np.asarray(state.edges))


def engine_step(physics: Physics, qpos: np.ndarray, qvel: np.ndarray, target: np.ndarray) -> tuple[Outcome, np.ndarray]:
    """One control step of an engine, and its overflow (N,)."""
    outcomes, overflow = Stepper(physics, len(qpos)).rollout(qpos, qvel, target[None])
    return outcomes[0], overflow


def floating(scene: Scene, count: int, height: float = 10.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The zero pose `height` m above the floor and the ball at rest 5 m beside it: qpos (count, nq), qvel (count, nv),
    and the targets (count, 156) that hold the pose."""
    qpos = np.tile(scene.model.qpos0, (count, 1))
    qpos[:, 2] = height
    adr, _ = object_addresses(scene)
    qpos[:, adr : adr + 3] = (5.0, 0.0, height)
    return qpos, np.zeros((count, scene.model.nv)), np.zeros((count, NUM_DOFS))


def object_addresses(scene: Scene) -> tuple[int, int]:
    """Where the object's coordinates begin in qpos and in qvel."""
    joint = scene.model.joint("object")
    return int(joint.qposadr[0]), int(joint.dofadr[0])


def _rows_of(outcome: Outcome, count: int) -> Outcome:
    return Outcome(*(getattr(outcome, field.name)[:count] for field in dataclasses.fields(Outcome)))


def _joined(parts: list[Outcome]) -> Outcome:
    names = [field.name for field in dataclasses.fields(Outcome)]
    return Outcome(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
