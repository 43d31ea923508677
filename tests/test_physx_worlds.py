"""Worlds of PhysX: repeatable, apart from each other, built anew where they broke; what it refuses."""

import functools
import importlib

import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("ovphysx", reason="ovphysx is not installed: pip install 'mjx_skillmimic[physx]'")

from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.contract.stepper import floating
from mjx_skillmimic.physics.physx import PhysxPhysics
from mjx_skillmimic.physics.physx.runtime import runtime
from mjx_skillmimic.physics.registry import make_physics

WORLDS = 6
UPRIGHT = np.sqrt([0.5, 0.5, 0.0, 0.0])
SCENE = build_scene()


@functools.cache
def stepper():
    return contract.Stepper(make_physics("physx", SCENE), WORLDS)


@functools.cache
def courses():
    return contract.clip_courses(SCENE, load_clips("throw_catch"), WORLDS, 4)


def test_a_course_is_the_same_to_the_bit_again_elsewhere_and_after_others():
    first, _ = stepper().rollout(*courses())
    stepper().rollout(*floating(SCENE, WORLDS), steps=1)
    order = np.random.default_rng(0).permutation(WORLDS)
    qpos, qvel, targets = courses()
    again, _ = stepper().rollout(qpos[order], qvel[order], targets[:, order])
    other = make_physics("physx", SCENE, threads=1)
    elsewhere, _ = contract.Stepper(other, WORLDS).rollout(*courses())
    other.close()
    for a, b, c in zip(first, again, elsewhere, strict=True):
        for name in ("qpos", "qvel", "force", "edges"):
            np.testing.assert_array_equal(getattr(a, name)[order], getattr(b, name))
            np.testing.assert_array_equal(getattr(a, name), getattr(c, name))


def test_renewed_in_every_step_it_is_a_function_of_the_state():
    pure = contract.Stepper(make_physics("physx", SCENE, renew="always"), 3)
    for check in contract.isolation(pure, courses()):
        assert check.passed, check
    pure.physics.close()


def test_what_physx_makes_non_finite_is_built_anew():
    qpos, qvel, targets = courses()
    physics, target = stepper().physics, jnp.asarray(targets[0], jnp.float32)
    wanted = physics.step(physics.init(qpos, qvel), target)
    wild = qvel.copy()
    wild[1] = 1e20
    spoiled = physics.step(physics.init(qpos, wild), target)
    assert np.isnan(spoiled.qpos[1]).all()
    assert not np.asarray(spoiled.edges)[1].any()
    rest = np.arange(WORLDS) != 1
    np.testing.assert_array_equal(np.asarray(spoiled.qpos)[rest], np.asarray(wanted.qpos)[rest])
    healed = physics.step(physics.reset(spoiled, ~rest, qpos, qvel), target)
    np.testing.assert_array_equal(np.asarray(healed.qpos)[1], np.asarray(wanted.qpos)[1])


def test_bad_options_are_refused():
    for options, found in (
        ({"threads": 0}, "threads=0"),
        ({"capacity": 0}, "capacity=0"),
        ({"renew": "often"}, "renew='often'; expected one of written, always, never"),
        ({"drive": "p"}, "drive='p'; expected one of shortest, components"),
        ({"position_iterations": 0}, "position_iterations=0"),
        ({"restitution_ball": 1.5}, "restitution_ball=1.5"),
        ({"rest_offset": 0.03}, "rest_offset=0.03"),
    ):
        with pytest.raises(ValueError, match=found):
            PhysxPhysics(SCENE, **options)
    with pytest.raises(TypeError, match="iterations"):
        PhysxPhysics(SCENE, iterations=4)


def test_more_contact_points_than_fit_are_counted():
    physics = make_physics("physx", SCENE, capacity=4)
    qpos, qvel, target = floating(SCENE, 1, 0.9814)
    qpos[:, 3:7] = UPRIGHT
    after = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    assert np.asarray(after.overflow).tolist() == [1]
    physics.close()
    with pytest.raises(Exception, match="this PhysX engine was closed"):
        physics.step(after, jnp.asarray(target, jnp.float32)).qpos.block_until_ready()


def test_without_the_library_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"mjx_skillmimic\[physx\]"):
        runtime.__wrapped__()
