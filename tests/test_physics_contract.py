"""Every engine does what formulas say: bounce, friction, servos, conservation. The checks notice when it does not."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest
from engines import ENGINES, WORLDS, corner_scene, stepper

from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.mujoco_c import MujocoPhysics


@pytest.mark.parametrize("name", ENGINES)
def test_the_ball_bounces_as_it_should(name):
    for check in contract.restitution(stepper(name), impacts=16):
        assert check.passed, check


@pytest.mark.parametrize("name", ENGINES)
def test_the_ball_slides_and_rolls_as_it_should(name):
    for check in contract.friction(stepper(name)):
        assert check.passed, check


@pytest.mark.parametrize("name", ENGINES)
def test_servos_and_conservation_in_the_air(name):
    flight = contract.fly(stepper(name))
    for check in (contract.servos(corner_scene(), flight), *contract.conservation(corner_scene(), flight)):
        assert check.passed, check


def failed(checks):
    return {check.name for check in checks if not check.passed}


def test_a_scene_without_bounce_or_friction_is_noticed():
    dull = contract.Stepper(MujocoPhysics(build_scene(restitution=False), threads=1), WORLDS)
    assert failed(contract.restitution(dull, impacts=8)) == {"restitution on floor", "restitution on body"}
    slippery = contract.Stepper(MujocoPhysics(build_scene(friction=0.5), threads=1), WORLDS)
    assert failed(contract.friction(slippery)) == set()
    slippery.physics.scene = dataclasses.replace(
        slippery.scene, options=dataclasses.replace(slippery.scene.options, friction=0.4)
    )
    assert failed(contract.friction(slippery)) == {"friction of a fast ball", "friction inside the cone"}


class Spoiled(MujocoPhysics):
    """MuJoCo C with a fault."""

    def __init__(self, fault):
        super().__init__(corner_scene(), threads=1)
        self.fault = fault

    def step(self, state, target):
        return self.fault(self, state, super().step(state, target))


def leaking(physics, before, after):
    """A little of a world's velocity comes from its neighbour."""
    return dataclasses.replace(after, qvel=after.qvel + 1e-7 * jnp.roll(before.qvel, 1, axis=0))


def weaker(physics, before, after):
    """Forces are those of one physics step only, say."""
    return dataclasses.replace(after, object_force=0.5 * after.object_force)


def drifting(physics, before, after):
    """Everything is pushed sideways."""
    return dataclasses.replace(after, qvel=after.qvel.at[:, 0].add(1.5e-3))


@functools.cache
def few_courses():
    return contract.clip_courses(corner_scene(), load_clips("throw_catch"), 8, 3)


def test_a_leak_between_worlds_is_noticed():
    checks = contract.isolation(contract.Stepper(Spoiled(leaking), 8), few_courses())
    assert {"worlds in another order", "worlds beside others that were reset"} <= failed(checks)


def test_wrong_forces_and_momentum_are_noticed():
    scene = corner_scene()
    flight = contract.fly(contract.Stepper(Spoiled(weaker), 8))
    assert failed(contract.conservation(scene, flight)) == {"action and reaction", "force is change of momentum"}
    flight = contract.fly(contract.Stepper(Spoiled(drifting), 8))
    assert not contract.servos(scene, flight).passed
    assert failed(contract.conservation(scene, flight)) == {"momentum of all"}


def test_a_wrong_step_and_a_wrong_course_are_noticed():
    slow = contract.SlowCourses.of(corner_scene(), few_courses())
    one, three = contract.agreement(contract.Stepper(Spoiled(drifting), 8), slow)
    assert one.passed
    assert not three.passed
    one, three = contract.agreement(contract.Stepper(Spoiled(weaker), 8), slow)
    assert not one.passed


def test_fewer_and_more_worlds_than_compiled_give_the_same():
    qpos, qvel, targets = few_courses()
    wanted, _ = contract.Stepper(stepper("mujoco").physics, 8).rollout(qpos, qvel, targets)
    for worlds in (3, 11):
        found, overflow = contract.Stepper(stepper("mujoco").physics, worlds).rollout(qpos, qvel, targets)
        assert overflow.shape == (8,)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a.qpos, b.qpos)
            np.testing.assert_array_equal(a.force, b.force)
    with pytest.raises(ValueError, match="worlds=0"):
        contract.Stepper(stepper("mujoco").physics, 0)
