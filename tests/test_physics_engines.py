"""Every engine agrees with the slow MuJoCo C loop, and keeps its worlds apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engines import ENGINES, WORLDS, corner_scene, stepper

from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.mujoco_c import MujocoPhysics
from mjx_skillmimic.physics.registry import make_physics, resolve_engine
from mjx_skillmimic.physics.state import body_state


@pytest.fixture(scope="module")
def scene():
    return corner_scene()


@pytest.fixture(scope="module")
def states(scene):
    return contract.synthetic_states(scene, 4 * WORLDS)


@pytest.fixture(scope="module")
def synthetic(scene, states):
    return contract.SlowCourses.of(scene, contract.Courses(states.qpos, states.qvel, states.target[None]))


@pytest.fixture(scope="module")
def clips(scene):
    return contract.SlowCourses.of(scene, contract.clip_courses(scene, load_clips("shipped"), WORLDS, 16))


@pytest.mark.parametrize("name", ENGINES)
def test_a_control_step_agrees_with_the_slow_loop(synthetic, name):
    for check in contract.agreement(stepper(name), synthetic):
        assert check.passed, check


@pytest.mark.parametrize("name", ENGINES)
def test_sixteen_control_steps_agree_with_the_slow_loop(clips, name):
    one, sixteen = contract.agreement(stepper(name), clips)
    assert one.passed, one
    assert sixteen.passed, sixteen


@pytest.mark.parametrize("name", ENGINES)
def test_worlds_are_alone(clips, name):
    for check in contract.isolation(stepper(name), clips.courses):
        assert check.passed, check


def test_the_states_exercise_every_edge_and_force(synthetic, clips):
    share = synthetic.exact[0].edges.mean(axis=0)
    assert (share > 0.02).all()
    assert (share < 0.98).all()
    assert (np.abs(synthetic.exact[0].force).max(axis=-1) > contract.FLAG_FORCE).any(axis=0).sum() > 20
    assert 0.05 < clips.exact[-1].edges[:, 0].mean() < 0.95
    assert np.abs(clips.exact[-1].qpos - clips.courses.qpos).max(axis=-1).min() > 0.01


def test_the_slow_loop_continues_as_if_called_again(scene, states):
    targets = np.stack([states.target[:2], 0.5 * states.target[:2]])
    first, second = contract.slow_rollout(scene, states.qpos[:2], states.qvel[:2], targets)
    again = contract.slow_step(scene, first.qpos, first.qvel, targets[1])
    np.testing.assert_allclose(again.qvel, second.qvel, atol=1e-6)
    np.testing.assert_allclose(again.force, second.force, atol=1e-3)
    np.testing.assert_array_equal(again.edges, second.edges)


@pytest.mark.parametrize("name", ENGINES)
def test_reset_starts_over_and_leaves_the_others(states, name):
    physics, step = stepper(name).physics, stepper(name).step
    qpos, qvel, target = (x[:WORLDS] for x in states)
    state = step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    mask = np.arange(WORLDS) % 2 == 0
    spoiled = state.replace(qpos=state.qpos.at[0].set(jnp.nan), qvel=state.qvel.at[2].set(jnp.nan))
    after = physics.reset(spoiled, jnp.asarray(mask), jnp.asarray(qpos[::-1].copy()), jnp.asarray(qvel[::-1].copy()))
    fresh = physics.init(qpos[::-1].copy(), qvel[::-1].copy())
    for got, kept, new in zip(*(jax.tree.leaves(s) for s in (after, state, fresh)), strict=True):
        np.testing.assert_array_equal(got[mask], new[mask])
        np.testing.assert_array_equal(got[~mask], kept[~mask])


def test_mujoco_is_deterministic_for_any_number_of_threads_and_worlds(scene, states):
    def roll(threads, rows):
        physics = MujocoPhysics(scene, threads=threads)
        qpos, qvel, target = (x[rows] for x in states)
        state = physics.init(qpos, qvel)
        for _ in range(4):
            state = physics.step(state, jnp.asarray(target, jnp.float32))
        physics.close()
        return jax.device_get(state)

    everything = roll(1, slice(None))
    for threads, rows in ((2, slice(None)), (2, slice(None)), (2, slice(3, 8))):
        for a, b in zip(jax.tree.leaves(everything), jax.tree.leaves(roll(threads, rows)), strict=True):
            np.testing.assert_array_equal(a[rows], b)


def test_a_free_ball_falls_and_its_weight_is_its_contact_force(scene):
    """Only the floor carries the ball: the mean contact force over a rest is its weight, upwards."""
    physics = make_physics("mujoco", scene, threads=1)
    data = scene.model.qpos0[None].copy()
    data[0, 2] = 50.0
    start = int(scene.model.joint("object").qposadr[0])
    data[0, start : start + 3] = (0.0, 0.0, scene.object_radius)
    state, forces = physics.init(data, np.zeros((1, scene.model.nv))), []
    step = jax.jit(physics.step)
    for _ in range(90):
        state = step(state, jnp.zeros((1, 156)))
        forces.append(np.asarray(state.object_force[0]))
    weight = scene.model.body("object").mass[0] * 9.81
    np.testing.assert_allclose(np.mean(forces[60:], axis=0), [0, 0, weight], atol=0.02 * weight)
    np.testing.assert_allclose(body_state(scene, state).object_pos[0, 2], scene.object_radius, atol=9e-3)


def test_actions_and_gravity_are_not_contact_forces(scene):
    physics = make_physics("mujoco", scene, threads=1)
    qpos = scene.model.qpos0[None].copy()
    qpos[0, 2] = 50.0
    qpos[0, int(scene.model.joint("object").qposadr[0]) + 2] = 30.0
    state = physics.step(physics.init(qpos, np.zeros((1, scene.model.nv))), 0.3 * jnp.ones((1, 156)))
    assert float(jnp.abs(state.qvel).max()) > 0.1
    assert float(jnp.abs(state.body_force).max()) == 0.0
    assert float(jnp.abs(state.object_force).max()) == 0.0
    assert not bool(state.edges.any())


def test_engine_names():
    assert resolve_engine("mjx-jax") == "mjx-jax"
    with pytest.raises(ValueError, match="mujoco, mjx-jax, mjx-warp"):
        resolve_engine("bullet")
