"""Worlds that know nothing of each other, and steps that can be repeated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.physics.base import PhysicsState
from mjx_skillmimic.physics.contract.agreement import TOLERANCES
from mjx_skillmimic.physics.contract.states import Courses
from mjx_skillmimic.physics.contract.stepper import Check, Stepper


def is_bitwise(stepper: Stepper) -> bool:
    """Whether the engine claims equal bits for equal states here, whatever the other worlds do (docs/physics.md)."""
    return bool(getattr(stepper.physics, "bitwise", False))


def isolation(stepper: Stepper, courses: Courses) -> list[Check]:
    """The worlds of `courses` (at least three targets) stepped twice, in another order, beside worlds that were reset,
    beside one that is NaN, and reset themselves; each compared with what it should equal.

    Equal to the bit where the engine claims so; else within its tolerance for one control step.
    """
    n, physics, step = stepper.worlds, stepper.physics, stepper.step
    rows = np.arange(n) % len(courses.qpos)
    qpos, qvel = courses.qpos[rows], courses.qvel[rows]
    first, second, third = (jnp.asarray(target[rows], jnp.float32) for target in courses.targets[:3])
    state = step(step(physics.init(qpos, qvel), first), second)
    plain = step(state, third)
    odd = np.arange(n) % 2 == 1

    order = np.random.default_rng(0).permutation(n)
    shuffled = step(_take(state, order), third[order])
    mixed = physics.reset(state, jnp.asarray(~odd), jnp.asarray(qpos[::-1].copy()), jnp.asarray(qvel[::-1].copy()))
    beside = step(mixed, third)
    fresh = step(physics.init(qpos[::-1].copy(), qvel[::-1].copy()), third)
    spoiled = step(state.replace(qpos=state.qpos.at[0].set(jnp.nan)), third)
    others = np.arange(n) > 0
    seen = bool(~np.isfinite(np.asarray(spoiled.qpos[0])).all())
    return [
        _equal(stepper, "the same step again", step(state, third), plain, np.ones(n, bool)),
        _equal(stepper, "worlds in another order", shuffled, _take(plain, order), np.ones(n, bool)),
        _equal(stepper, "worlds beside others that were reset", beside, plain, odd),
        _equal(stepper, "worlds that were reset", beside, fresh, ~odd),
        _equal(stepper, "worlds beside one that is NaN", spoiled, plain, others),
        Check("a world that is NaN is seen", seen, {}),
    ]


def _take(state: PhysicsState, rows: np.ndarray) -> PhysicsState:
    return jax.tree.map(lambda x: x[rows], state)


def _equal(stepper: Stepper, name: str, found: PhysicsState, wanted: PhysicsState, rows: np.ndarray) -> Check:
    """Whether the worlds of `rows` (N,) bool are equal, to the bit where that is claimed."""
    pairs = [
        (np.asarray(a)[rows], np.asarray(b)[rows])
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    ]
    equal = float(np.mean([np.array_equal(a, b) for a, b in pairs]))
    velocity, force = (
        np.abs(np.asarray(getattr(found, key))[rows] - np.asarray(getattr(wanted, key))[rows]).max()
        for key in ("qvel", "body_force")
    )
    limit = TOLERANCES[stepper.physics.name]
    close = velocity <= limit.qvel and force <= limit.force
    passed = equal == 1.0 if is_bitwise(stepper) else bool(close)
    return Check(name, passed, {"qvel": float(velocity), "force_N": float(force), "equal_arrays": equal})
