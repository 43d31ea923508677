"""The fused kernels where sizes, contacts and options leave the ordinary: none, one, many; against MuJoCo C."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.model.humanoid import NUM_DOFS, NUM_JOINTS
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.contract.stepper import floating, object_addresses
from mjx_skillmimic.physics.sizing import capacity

pytest.importorskip("warp", reason="Warp is not installed")

from mjx_skillmimic.physics.fused import kernels
from mjx_skillmimic.physics.fused.stepper import FusedStep
from mjx_skillmimic.physics.mjx_warp import LOST, MjxWarpPhysics


@functools.cache
def default_scene():
    return build_scene()


def one_step(physics, states):
    qpos, qvel, target = states
    return physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))


def assert_like_mujoco(scene, states, state, qvel=2e-3, force=0.5):
    reference = contract.slow_step(scene, *states)
    found = contract.outcome_of(state)
    assert np.abs(found.qvel - reference.qvel).max() < qvel
    assert np.abs(found.qpos - reference.qpos).max() < qvel * scene.control_dt
    assert np.abs(found.force - reference.force).max() < force
    np.testing.assert_array_equal(found.edges, reference.edges)
    assert int(state.overflow.max()) == 0
    return reference


def heap(scene, count, seed, spread, height):
    """Worlds of limbs folded over each other, at random orientations `height` m above the floor."""
    rng = np.random.default_rng(seed)
    root = np.stack([*rng.normal(size=(2, count)), rng.uniform(*height, count)], axis=-1)
    qpos, qvel = scene.pack(
        root,
        rotations.exp(rng.normal(size=(count, 3))),
        rotations.exp(spread * rng.normal(size=(count, NUM_JOINTS, 3))),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, NUM_JOINTS, 3)),
        root + np.array([0.0, 0.0, 0.3]),
        rotations.normalize(rng.normal(size=(count, 4))),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, 3)),
    )
    target = rng.uniform(-1, 1, (count, NUM_DOFS))
    return tuple(x.astype(np.float32).astype(np.float64) for x in (qpos, qvel, target))


def contacts_of(scene, qpos):
    data, found = mujoco.MjData(scene.model), []
    for row in qpos:
        data.qpos[:] = row
        mujoco.mj_forward(scene.model, data)
        found.append(data.ncon)
    return np.array(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"substeps": 1},
        {"substeps": 3},
        {"effort_limit": 20.0},
        {"friction": 0.7},
        {"friction": 0.5, "substeps": 1, "iterations": 100, "ls_iterations": 50},
        {"restitution": False},
        {"self_collision": False},
        {"box_hands": True},
        {"feet": "corners"},
        {"hands": "hinge", "effort_limit": 20.0, "substeps": 3},
        {"preset": "reference"},
    ],
    ids=str,
)
def test_every_option_steps_as_in_mujoco(changes):
    changes = dict(changes)
    scene = build_scene(scene_options(changes.pop("preset", "default"), **changes))
    states = contract.synthetic_states(scene, 8)
    reference = assert_like_mujoco(scene, states, one_step(MjxWarpPhysics(scene), states))
    assert np.abs(reference.force).max() > 100.0


def test_the_effort_limit_is_reached():
    """Else the case above would say nothing about it."""
    scene = build_scene(effort_limit=20.0)
    states = contract.synthetic_states(scene, 8)
    free = contract.slow_step(default_scene(), *states)
    limited = contract.slow_step(scene, *states)
    assert np.abs(free.qvel - limited.qvel).max() > 0.1


def test_a_single_world_without_contacts_is_that_of_mujoco():
    scene = default_scene()
    qpos, qvel, target = floating(scene, 1)
    rng = np.random.default_rng(0)
    qvel = rng.normal(size=qvel.shape).astype(np.float32).astype(np.float64)
    target = (0.3 * rng.normal(size=target.shape)).astype(np.float32).astype(np.float64)
    states = qpos, qvel, target
    assert contacts_of(scene, qpos).max() == 0
    state = one_step(MjxWarpPhysics(scene), states)
    assert_like_mujoco(scene, states, state, qvel=2e-4)
    assert float(np.abs(contract.outcome_of(state).force).max()) == 0.0


def test_contacts_that_part_push_nothing():
    """Touching bodies that move apart fast have contacts and edges but no active one: the system has no rows."""
    scene = default_scene()
    qpos, qvel, target = floating(scene, 2)
    adr, dof = object_addresses(scene)
    qpos[:, adr : adr + 3] = (5.0, 0.0, scene.object_radius - 1e-4)
    qvel[0, dof + 2] = 3.0
    states = qpos, qvel, target
    assert (contacts_of(scene, qpos) == 1).all()
    state = one_step(MjxWarpPhysics(scene), states)
    assert_like_mujoco(scene, states, state, qvel=2e-4)
    force = np.asarray(state.object_force)
    assert (force[0] == 0).all()
    assert force[1, 2] > 1.0


@pytest.mark.parametrize("friction", [0.5, 1.0])
def test_a_sliding_ball_is_slowed_by_the_pyramid(friction):
    scene = build_scene(friction=friction)
    qpos, qvel, target = floating(scene, 3)
    adr, dof = object_addresses(scene)
    qpos[:, adr : adr + 3] = (5.0, 0.0, scene.object_radius - 1e-3)
    qvel[:, dof : dof + 2] = [(2.0, 0.0), (0.0, -2.0), (1.5, 1.5)]
    states = qpos, qvel, target
    state = one_step(MjxWarpPhysics(scene), states)
    assert_like_mujoco(scene, states, state, qvel=2e-4)
    force = np.asarray(state.object_force)
    assert (np.sum(force[:, :2] * qvel[:, dof : dof + 2], axis=-1) < 0).all()
    assert (np.abs(force[:, :2]).sum(axis=-1) <= friction * force[:, 2] * 1.001).all()


@functools.cache
def heaps():
    """(states, contacts of each world): up to 40 contacts, most of them within what shared memory holds."""
    states = heap(default_scene(), 24, seed=1, spread=1.2, height=(0.8, 1.0))
    return states, contacts_of(default_scene(), states[0])


@functools.cache
def piles():
    """The same on the floor, bodies deep in each other: more than 60 contacts."""
    states = heap(default_scene(), 24, seed=0, spread=0.7, height=(0.1, 0.3))
    return states, contacts_of(default_scene(), states[0])


def test_a_heap_of_limbs_is_that_of_mujoco():
    """On both sides of what fits into shared memory."""
    states, number = heaps()
    assert kernels.words(26, 1, 1) > kernels.SHARED_WORDS
    assert (number >= 26).sum() >= 4
    assert number.min() < 15
    assert_like_mujoco(default_scene(), states, one_step(MjxWarpPhysics(default_scene()), states), qvel=5e-3, force=2.0)


def test_a_deep_heap_is_that_of_the_other_kernels():
    """Bodies deep in each other touch elsewhere than in MuJoCo C, so MJX's own step solves the same contacts."""
    scene = build_scene(iterations=100, ls_iterations=50)
    states, number = piles()
    fused, slow = (one_step(MjxWarpPhysics(scene, kernels=name), states) for name in ("fused", "mujoco_warp"))
    np.testing.assert_array_equal(np.asarray(fused.overflow), np.asarray(slow.overflow))
    held = np.asarray(fused.overflow) == 0
    assert number[held].max() > 60
    assert np.abs(np.asarray(fused.qvel) - np.asarray(slow.qvel))[held].max() < 5e-3
    np.testing.assert_array_equal(np.asarray(fused.edges)[held], np.asarray(slow.edges)[held])


def test_the_largest_world_stays_within_its_workspace():
    """`words` is the layout of rows.cu: a world with as many contacts as there is room for writes nothing behind it."""
    scene = default_scene()
    states, _ = piles()
    generous = MjxWarpPhysics(scene)
    before = one_step(generous, states)
    most = 0
    for scratch in generous._fused._scratch.values():
        most = int(scratch.count.numpy().max())  # of the second substep
    one = dataclasses.replace(scene, options=dataclasses.replace(scene.options, substeps=1))
    target = jnp.asarray(states[2], jnp.float32)
    for limit in (most, most + 1, most + 2, most + 3):
        room = dataclasses.replace(capacity(scene, len(target)), contacts_per_world=limit)
        fused = FusedStep(one, generous._mj_model, lambda _, room=room: room, LOST)
        fused.prepare(len(target))
        (scratch,) = fused._scratch.values()
        guarded = np.full(scratch.workspace_words + 4096, 12345.0, np.float32)
        scratch.workspace = type(scratch.workspace)(guarded, dtype=float, device="cpu")
        jax.block_until_ready(fused(before.qpos, before.qvel, target))
        found = scratch.workspace.numpy()
        assert (found[scratch.workspace_words :] == 12345.0).all()
        assert (found[:1000] != 12345.0).all()


def test_a_target_that_is_not_finite_spoils_its_world_alone():
    scene = default_scene()
    states = contract.synthetic_states(scene, 4)
    physics = MjxWarpPhysics(scene)
    wanted = one_step(physics, states)
    target = states.target.copy()
    target[1, 7], target[2, 90] = np.nan, np.inf
    state = one_step(physics, states._replace(target=target))
    assert np.isnan(np.asarray(state.qpos)[1:3]).all()
    for _ in range(2):
        state = physics.step(state, jnp.asarray(states.target, jnp.float32))
        wanted = physics.step(wanted, jnp.asarray(states.target, jnp.float32))
    np.testing.assert_array_equal(np.asarray(state.qvel)[[0, 3]], np.asarray(wanted.qvel)[[0, 3]])
    assert np.isfinite(np.asarray(state.qvel)[[0, 3]]).all()
    assert int(state.overflow[0]) == int(state.overflow[3]) == 0


def test_only_worlds_over_their_own_limit_count_it():
    scene = default_scene()
    states = heap(scene, 4, seed=1, spread=1.2, height=(0.8, 1.0))
    flying = floating(scene, 4)
    mixed = tuple(np.where(np.arange(4)[:, None] % 2 == 0, a, b) for a, b in zip(states, flying, strict=True))
    tight = dataclasses.replace(capacity(scene, 4), contacts_per_world=3)
    state = one_step(MjxWarpPhysics(scene, buffers=tight), mixed)
    np.testing.assert_array_equal(np.asarray(state.overflow), [1, 0, 1, 0])
    assert np.isfinite(np.asarray(state.qpos)).all()


def test_a_full_shared_buffer_counts_in_every_world():
    scene = default_scene()
    states = heap(scene, 4, seed=1, spread=1.2, height=(0.8, 1.0))
    tight = dataclasses.replace(capacity(scene, 4), naconmax=8, naccdmax=8)
    physics = MjxWarpPhysics(scene, buffers=tight)
    state = one_step(physics, states)
    state = physics.step(state, jnp.asarray(states[2], jnp.float32))
    np.testing.assert_array_equal(np.asarray(state.overflow), [2, 2, 2, 2])
    assert np.isfinite(np.asarray(state.qpos)).all()
