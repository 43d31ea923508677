"""Observation and features against a slow version that loops over bodies with SciPy's rotations."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjx_skillmimic.evaluation.golden.imitation import body_state
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.imitation.observation import Layout, observation_layout, observe, skill_one_hot
from mjx_skillmimic.imitation.options import ObservationOptions, RewardOptions
from mjx_skillmimic.model import humanoid

N = 6
VECTORS = ("body_pos", "body_lin_vel", "body_ang_vel", "body_force", "object_pos", "object_lin_vel", "object_ang_vel")
FORCED = [21, 24, 27, 30, 33, 40, 43, 46, 49, 52]  # skillmimic.md §4.2


def random_state(seed: int = 0):
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=(N, *shape))  # noqa: E731
    quats = normal(54, 4)
    quats /= np.linalg.norm(quats, axis=-1, keepdims=True)
    return body_state(
        N,
        body_pos=normal(53, 3),
        body_quat=quats[:, :53],
        body_lin_vel=normal(53, 3),
        body_ang_vel=normal(53, 3),
        body_force=normal(53, 3) * 300,
        dof_pos=normal(156),
        dof_vel=normal(156),
        object_pos=normal(3),
        object_quat=quats[:, 53],
        object_lin_vel=normal(3),
        object_ang_vel=normal(3),
    )


def rotation(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(q, scalar_first=True)


def slow_observation(state, i: int, skill: int) -> np.ndarray:
    """World i by the table of skillmimic.md §4.2, reference preset."""
    root = state.body_pos[i, 0]
    left = rotation(state.body_quat[i, 0]).apply([1, 0, 0])
    turn = Rotation.from_euler("z", -np.arctan2(left[1], left[0]))
    tan_norm = lambda q: np.concatenate((turn * rotation(q)).as_matrix()[:, [0, 2]].T)  # noqa: E731
    out = [root[2:]]
    out += [turn.apply(state.body_pos[i, b] - root) for b in range(1, 53)]
    out += [tan_norm(state.body_quat[i, b]) for b in range(53)]
    out += [turn.apply(state.body_lin_vel[i, b]) for b in range(53)]
    out += [turn.apply(state.body_ang_vel[i, b]) for b in range(53)]
    out += [state.body_force[i, b] for b in FORCED]
    offset = turn.apply(state.object_pos[i] - root)
    out += [np.array([offset[0], offset[1], state.object_pos[i, 2]]), tan_norm(state.object_quat[i])]
    out += [turn.apply(state.object_lin_vel[i]), turn.apply(state.object_ang_vel[i]), np.eye(64)[skill]]
    return np.concatenate(out)


def test_equals_the_slow_version_in_float64():
    state, skills = random_state(), np.array([0, 1, 13, 31, 44, 63])
    obs = observe(state, skill_one_hot(skills), ObservationOptions.reference())
    expected = np.stack([slow_observation(state, i, s) for i, s in enumerate(skills)])
    assert expected.shape == (N, 902)
    np.testing.assert_allclose(obs, expected, atol=1e-12)


def test_jitted_float32_equals_the_slow_version():
    state = jax.tree.map(lambda x: x.astype(np.float32), random_state(1))
    obs = jax.jit(observe, static_argnums=2)(state, skill_one_hot(np.zeros(N, int)), ObservationOptions.reference())
    expected = np.stack([slow_observation(random_state(1), i, 0) for i in range(N)])
    np.testing.assert_allclose(obs, expected, atol=1e-3, rtol=1e-5)


def test_layout_covers_every_column_once():
    layout = observation_layout(ObservationOptions.default())
    assert layout.size == 902
    columns = np.concatenate([np.arange(902)[layout.slice(name)] for name in layout.names])
    np.testing.assert_array_equal(columns, np.arange(902))
    expected = {"humanoid": (0, 823), "object": (823, 838), "skill": (838, 902), "body_rot": (157, 475)}
    for name, (start, stop) in expected.items():
        assert layout.slice(name) == slice(start, stop)
    parts = layout.split(np.arange(902.0))
    np.testing.assert_array_equal(np.concatenate(list(parts.values())), np.arange(902.0))
    with pytest.raises(KeyError, match=r"no observation part 'ball'.*object_pos"):
        layout.slice("ball")
    with pytest.raises(ValueError, match="902 columns, got 5"):
        layout.split(np.zeros(5))
    assert Layout((("a", 2), ("b", 3))).slice("b") == slice(2, 5)


def test_turning_the_world_about_the_vertical_changes_nothing():
    """The default observation is invariant; the published forces are not (§12 item 20)."""
    state = random_state(2)
    turn = Rotation.from_euler("z", 1.234)
    turned_vectors = {
        name: turn.apply(getattr(state, name).reshape(-1, 3)).reshape(getattr(state, name).shape) for name in VECTORS
    }
    turned_quats = {
        name: (turn * rotation(getattr(state, name).reshape(-1, 4)))
        .as_quat(scalar_first=True)
        .reshape(getattr(state, name).shape)
        for name in ("body_quat", "object_quat")
    }
    turned = dataclasses.replace(state, **turned_vectors, **turned_quats)
    one_hot = skill_one_hot(np.zeros(N, int))
    for options, invariant in ((ObservationOptions.default(), True), (ObservationOptions.reference(), False)):
        before, after = (observe(s, one_hot, options) for s in (state, turned))
        assert np.allclose(before, after, atol=1e-9) == invariant


def test_force_is_clipped_then_scaled():
    state = dataclasses.replace(random_state(), body_force=np.full((N, 53, 3), 1e4))
    options = ObservationOptions(force_frame="world", force_clip=50.0, force_scale=0.1)
    obs = observe(state, skill_one_hot(np.zeros(N, int)), options)
    np.testing.assert_allclose(obs[:, observation_layout(options).slice("fingertip_force")], 5.0)


def test_root_options_fill_their_own_slots_only():
    state, one_hot = random_state(), skill_one_hot(np.zeros(N, int))
    base = observe(state, one_hot, ObservationOptions())
    layout = observation_layout(ObservationOptions())
    no_height = observe(state, one_hot, ObservationOptions(root_height=False))
    assert np.flatnonzero((base != no_height).any(axis=0)).tolist() == [layout.slice("root_height").start]
    assert not no_height[:, 0].any()
    world = observe(state, one_hot, ObservationOptions(root_rotation="world"))
    first = layout.slice("body_rot").start
    changed = np.flatnonzero((base != world).any(axis=0))
    assert set(changed) <= set(range(first, first + 6))
    x_axis = rotation(state.body_quat[:, 0]).apply([1, 0, 0])
    np.testing.assert_allclose(world[:, first : first + 3], x_axis, atol=1e-12)


def test_label_of_another_width_is_refused():
    with pytest.raises(ValueError, match="expected 64 columns, got 10"):
        observe(random_state(), np.zeros((N, 10)), ObservationOptions())


def test_features_name_what_the_row_holds():
    state = random_state()
    row = simulated_features(state).to_row()
    keys = [14, 2, 6, 17, 36, 3, 7, *FORCED]  # skillmimic.md §3.4
    expected = [
        state.body_pos[:, 0],
        rotation(state.body_quat[:, 0]).as_rotvec(),
        state.dof_pos,
        state.dof_vel,
        state.object_pos,
        rotation(state.object_quat).as_quat(canonical=False),
        state.object_lin_vel,
        state.body_pos[:, keys].reshape(N, 51),
        np.zeros((N, 1)),
    ]
    np.testing.assert_allclose(row, np.concatenate(expected, axis=-1), atol=1e-12)


def test_velocities_are_masked_only_at_the_published_progress():
    state, progress = random_state(), np.array([0, 1, 2, 1, 5, 1])
    masked = simulated_features(state, progress, RewardOptions.reference()).dof_vel
    np.testing.assert_array_equal(masked.any(axis=-1), progress != 1)
    kept = simulated_features(state, progress, RewardOptions.default()).dof_vel
    np.testing.assert_array_equal(kept, state.dof_vel)


def test_fingertips_and_key_bodies_are_the_published_ones():
    assert list(humanoid.indices(humanoid.FINGERTIPS)) == FORCED
