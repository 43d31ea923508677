"""Every engine keeps the contract of `Physics` against the slow MuJoCo C loop."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.mujoco_c import MujocoPhysics
from mjx_skillmimic.physics.registry import make_physics, resolve_engine
from mjx_skillmimic.physics.sizing import capacity
from mjx_skillmimic.physics.state import body_state

WORLDS = 224
WARP = importlib.util.find_spec("warp") is not None
ENGINES = [
    "mujoco",
    "mjx-jax",
    pytest.param("mjx-warp", marks=pytest.mark.skipif(not WARP, reason="Warp is not installed")),
]


@pytest.fixture(scope="module")
def scene():
    """Corner soles: the feet that all engines agree on."""
    return build_scene(feet="corners")


@pytest.fixture(scope="module")
def states(scene):
    return contract.synthetic_states(scene, WORLDS)


@pytest.fixture(scope="module")
def reference(scene, states):
    return contract.slow_step(scene, *states)


@pytest.fixture(scope="module")
def engines(scene):
    """Each engine with its compiled step, made once: compiling MJX-JAX takes a minute."""
    made = {}

    def get(name):
        if name not in made:
            physics = make_physics(name, scene)
            made[name] = physics, jax.jit(physics.step)
        return made[name]

    return get


def run(engine, states):
    physics, step = engine
    qpos, qvel, target = states
    return physics, step, step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))


@pytest.mark.parametrize("name", ENGINES)
def test_one_control_step_agrees_with_the_slow_loop(engines, states, reference, name):
    physics, _, state = run(engines(name), states)
    force = np.concatenate([state.body_force, state.object_force[:, None]], axis=1)
    outcome = contract.Outcome(np.asarray(state.qpos), np.asarray(state.qvel), force, np.asarray(state.edges))
    errors = contract.compare(outcome, reference)
    assert np.asarray(state.overflow).max() == 0
    summary = {k: np.percentile(v, [50, 95, 100]) for k, v in errors.items()}
    assert contract.passes(physics.name, errors), summary


def test_the_states_exercise_every_edge_and_force(reference):
    share = reference.edges.mean(axis=0)
    assert (share > 0.02).all()
    assert (share < 0.98).all()
    assert (np.abs(reference.force).max(axis=-1) > contract.FLAG_FORCE).any(axis=0).sum() > 20


@pytest.mark.parametrize("name", ENGINES)
def test_resets_do_not_leak(engines, states, name):
    physics, step, state = run(engines(name), states)
    qpos, qvel, target = states
    mask = np.arange(WORLDS) % 2 == 0
    spoiled = state.replace(qpos=state.qpos.at[0].set(jnp.nan), qvel=state.qvel.at[2].set(jnp.nan))
    after = physics.reset(spoiled, jnp.asarray(mask), jnp.asarray(qpos[::-1].copy()), jnp.asarray(qvel[::-1].copy()))
    fresh = physics.init(qpos[::-1].copy(), qvel[::-1].copy())
    for got, kept, new in zip(*(jax.tree.leaves(s) for s in (after, state, fresh)), strict=True):
        np.testing.assert_array_equal(got[mask], new[mask])
        np.testing.assert_array_equal(got[~mask], kept[~mask])
    stepped = step(after, jnp.asarray(target, jnp.float32))
    assert bool(jnp.isfinite(stepped.qpos).all())


@pytest.mark.parametrize("name", ENGINES)
def test_a_world_that_blew_up_is_visible_and_alone(engines, states, name):
    physics, step, _ = run(engines(name), states)
    qpos, qvel, target = states
    bad = qpos.copy()
    bad[3, 5] = np.nan
    clean = step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    state = step(physics.init(bad, qvel), jnp.asarray(target, jnp.float32))
    assert not bool(jnp.isfinite(state.qpos[3]).all())
    others = np.arange(WORLDS) != 3
    assert bool(jnp.isfinite(state.qpos[others]).all())
    np.testing.assert_allclose(state.qpos[others], clean.qpos[others], atol=1e-4)


def test_mujoco_is_deterministic_for_any_number_of_threads(scene, states):
    qpos, qvel, target = states
    results = []
    for threads in (1, 2, 2):
        physics = MujocoPhysics(scene, threads=threads)

        @jax.jit
        def roll(state, physics=physics):
            return jax.lax.scan(lambda s, _: (physics.step(s, jnp.asarray(target, jnp.float32)), None), state, None, 4)[
                0
            ]

        results.append(jax.device_get(roll(physics.init(qpos, qvel))))
        physics.close()
    for other in results[1:]:
        for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a, b)


def test_several_steps_in_mujoco_equal_the_slow_loop(scene, states):
    """Warm starts and the carried state do not spoil what follows."""
    physics = MujocoPhysics(scene, threads=1)
    qpos, qvel, target = (x[:8] for x in states)
    state = physics.init(qpos, qvel)
    for _ in range(5):
        before = np.asarray(state.qpos, np.float64), np.asarray(state.qvel, np.float64)
        state = physics.step(state, jnp.asarray(target, jnp.float32))
        slow = contract.slow_step(scene, *before, target)
        np.testing.assert_allclose(state.qvel, slow.qvel, atol=2e-3)
        np.testing.assert_array_equal(state.edges, slow.edges)


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
        resolve_engine("physx")


def test_warp_buffers_grow_with_the_worlds(scene):
    small, large = capacity(scene, 1), capacity(scene, 4096)
    assert small.naconmax >= 200
    assert small.naconmax < large.naconmax
    assert large.naconmax >= 64 * 4096
    for size in (small, large):
        assert size.naccdmax <= size.naconmax
    with pytest.raises(ValueError, match="worlds=0"):
        capacity(scene, 0)
