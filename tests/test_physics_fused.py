"""The fused kernels against MuJoCo C, piece by piece; test_physics_engines.py holds the engine to its contract."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract, variants
from mjx_skillmimic.physics.sizing import capacity

pytest.importorskip("warp", reason="Warp is not installed")

from mjx_skillmimic.physics.fused import kernels
from mjx_skillmimic.physics.fused.stepper import FusedStep
from mjx_skillmimic.physics.fused.tree import build_blocks
from mjx_skillmimic.physics.mjx_warp import MjxWarpPhysics

WORLDS = 24


@pytest.fixture(scope="module", params=["ball", "hinge"])
def scene(request):
    return build_scene(scene_options("default", hands=request.param))


@pytest.fixture(scope="module")
def states(scene):
    return contract.synthetic_states(scene, WORLDS)


@pytest.fixture(scope="module")
def stepped(scene, states):
    """The engine after one control step from `states`: (engine, new state)."""
    physics = MjxWarpPhysics(scene)
    qpos, qvel, target = states
    return physics, jax.jit(physics.step)(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))


def test_the_step_is_that_of_mujoco(scene, states, stepped):
    reference = contract.slow_step(scene, *states)
    _, state = stepped
    assert np.abs(np.asarray(state.qvel) - reference.qvel).max() < 2e-3
    assert np.abs(np.asarray(state.qpos) - reference.qpos).max() < 2e-5
    force = np.concatenate([state.body_force, state.object_force[:, None]], axis=1)
    assert np.abs(force - reference.force).max() < 0.5  # of some kN
    assert np.abs(reference.force).max() > 1000.0
    np.testing.assert_array_equal(np.asarray(state.edges), reference.edges)
    assert int(state.overflow.max()) == 0


def test_the_unconstrained_acceleration_is_that_of_mujoco(scene, states):
    """Bias forces, servos and the articulated-body recursion, against MuJoCo's own factorisation."""
    model = variants.without_actuators(scene)
    fused = FusedStep(scene, model, lambda worlds: capacity(scene, worlds), 0)
    qpos, qvel, target = states
    one_step = dataclasses.replace(scene, options=dataclasses.replace(scene.options, substeps=1))
    fused.scene = one_step
    fused(*(jnp.asarray(x, jnp.float32) for x in (qpos, qvel, target)))
    scratch = next(iter(fused._scratch.values()))
    from mjx_skillmimic.physics.pd import generalised_force

    data = mujoco.MjData(model)
    for world in range(4):
        data.qpos[:], data.qvel[:] = qpos[world], qvel[world]
        data.qfrc_applied[:] = generalised_force(scene, qpos[world], qvel[world], target[world])
        mujoco.mj_forward(model, data)
        error = np.abs(scratch.qacc_smooth.numpy()[world] - data.qacc_smooth)
        assert error.max() < 1e-4 * np.abs(data.qacc_smooth).max()
        placed = scratch.data.geom_xpos.numpy()[world]
        assert np.abs(placed - data.geom_xpos).max() < 1e-5
        assert np.abs(scratch.data.geom_xmat.numpy()[world].reshape(-1, 9) - data.geom_xmat).max() < 1e-5


def test_worlds_too_large_for_shared_memory_give_the_same(monkeypatch, scene, states, stepped):
    _, state = stepped
    kernels.contact_kernel.cache_clear()
    monkeypatch.setattr(kernels, "SHARED_WORDS", 0)
    small = MjxWarpPhysics(scene)
    qpos, qvel, target = states
    again = jax.jit(small.step)(small.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    kernels.contact_kernel.cache_clear()
    np.testing.assert_array_equal(np.asarray(again.qvel), np.asarray(state.qvel))


def test_neither_order_nor_number_of_worlds_matters(states, stepped):
    physics, state = stepped
    qpos, qvel, target = states
    some = np.array([17, 3, 11, 5])
    part = physics.step(physics.init(qpos[some], qvel[some]), jnp.asarray(target[some], jnp.float32))
    np.testing.assert_array_equal(np.asarray(part.qvel), np.asarray(state.qvel)[some])
    np.testing.assert_array_equal(np.asarray(part.body_force), np.asarray(state.body_force)[some])


def test_a_world_that_is_not_finite_stays_so_and_alone(states, stepped):
    physics, state = stepped
    qpos, qvel, target = (np.array(x) for x in states)
    qvel[2, 40] = np.nan
    after = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    assert np.isnan(np.asarray(after.qpos)[2]).all()
    others = np.arange(WORLDS) != 2
    np.testing.assert_array_equal(np.asarray(after.qvel)[others], np.asarray(state.qvel)[others])


def test_crossed_feet_touch_as_in_mujoco(scene):
    """Boxes deep in each other: the general convex algorithm would give other contacts than MuJoCo C."""
    rng = np.random.default_rng(1)
    qpos, qvel, target = contract.synthetic_states(scene, WORLDS)
    for world in range(WORLDS):
        for name, side in (("L_Hip", -1), ("R_Hip", 1)):
            at = int(scene.model.joint(name).qposadr[0])
            turn = np.array([0.3 * rng.normal(), 0.2 * rng.normal(), side * rng.uniform(0.05, 0.35)])
            qpos[world, at : at + 4] = rotations.exp(turn)
    data, boxes = mujoco.MjData(scene.model), 0
    for world in range(WORLDS):
        data.qpos[:] = qpos[world]
        mujoco.mj_forward(scene.model, data)
        kinds = scene.model.geom_type[data.contact.geom]
        boxes += int((kinds == mujoco.mjtGeom.mjGEOM_BOX).all(axis=-1).sum())
    assert boxes > 0
    reference = contract.slow_step(scene, qpos, qvel, target)
    physics = MjxWarpPhysics(scene)
    state = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    assert np.abs(np.asarray(state.qvel) - reference.qvel).max() < 2e-3


def test_lost_contacts_are_counted(scene, states):
    qpos, qvel, target = states
    tight = dataclasses.replace(capacity(scene, WORLDS), contacts_per_world=1)
    physics = MjxWarpPhysics(scene, buffers=tight)
    state = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    assert int(state.overflow.max()) == 1
    assert np.isfinite(np.asarray(state.qpos)).all()


def test_no_array_of_the_state_is_empty(stepped):
    """XLA's partitioner (jaxlib 0.11.2) crashes on inputs of no size when worlds are split over devices."""
    _, state = stepped
    assert all(leaf.size > 0 for leaf in jax.tree.leaves(state))


def test_a_model_with_more_than_the_kernels_compute_is_refused(scene):
    model = variants.without_actuators(scene)
    model.dof_damping[10] = 0.1
    with pytest.raises(ValueError, match=r"joint damping \(1\).*mujoco_warp"):
        build_blocks(scene, model)
    with pytest.raises(ValueError, match="no kernels 'fast'"):
        MjxWarpPhysics(scene, kernels="fast")


def test_blocks_hold_the_whole_mass(scene):
    blocks = build_blocks(scene, variants.without_actuators(scene))
    assert blocks.mass.sum() == pytest.approx(scene.model.body_mass.sum())
    assert (blocks.parent < np.arange(blocks.count)).all()
    for block in range(blocks.count):
        children = np.arange(blocks.child[block], blocks.child[block] + blocks.children[block])
        assert (blocks.parent[children] == block).all()
