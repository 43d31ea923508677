"""The ball of labels whose clips show none: its law in both presets, and that it replaces nothing else."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2 import distractor
from mjx_skillmimic.envs.v2.options import DistractorOptions
from mjx_skillmimic.evaluation.golden.imitation import body_state

N = 4000
KEYS = jax.random.split(jax.random.key(0), N)
ROOT = jnp.tile(jnp.array([1.0, -2.0, 0.1]), (N, 1))


def test_the_published_law():
    ball = jax.tree.map(np.asarray, distractor.scattered(KEYS, DistractorOptions.reference(), ROOT))
    for values, low, high in (
        (ball.pos, -5.0, 5.0),
        (ball.lin_vel, 0.0, 5.0),
        (ball.quat, 0.0, 1.0),
        (ball.ang_vel, 0.0, 0.1),
    ):
        width = high - low
        assert low <= values.min() < low + 0.01 * width
        assert high - 0.01 * width < values.max() <= high
        np.testing.assert_allclose(values.mean(axis=0), (low + high) / 2, atol=0.03 * width)
        np.testing.assert_allclose(values.std(axis=0), width / np.sqrt(12), rtol=0.05)
    assert (np.abs(np.linalg.norm(ball.quat, axis=-1) - 1.0) > 0.05).mean() > 0.5


def test_the_default_ball_is_above_the_floor_out_of_reach_and_turned_properly():
    ball = jax.tree.map(np.asarray, distractor.scattered(KEYS, DistractorOptions.default(), ROOT))
    assert ball.pos[:, 2].min() == np.float32(0.12)
    assert (ball.pos[:, 2] > 0.12).mean() > 0.4
    np.testing.assert_allclose(np.linalg.norm(ball.quat, axis=-1), 1.0, atol=1e-6)
    distance = np.linalg.norm(ball.pos[:, :2] - np.asarray(ROOT)[:, :2], axis=-1)
    assert distance.min() > 1.5 - 1e-4
    free = np.asarray(distractor.scattered(KEYS, DistractorOptions(clearance=None), ROOT).pos)
    far = np.linalg.norm(free[:, :2] - np.asarray(ROOT)[:, :2], axis=-1) > 1.5
    np.testing.assert_allclose(ball.pos[far], free[far], atol=1e-5)
    assert (~far).sum() > 100


def test_labels():
    found = distractor.has_distractor(jnp.array([0, 1, 10, 13]), DistractorOptions())
    assert found.tolist() == [True, False, True, False]
    assert not distractor.has_distractor(jnp.array([0, 10]), DistractorOptions(labels=())).any()


def test_coordinates_have_the_spin_in_the_ball_s_frame():
    ball = distractor.scattered(KEYS[:3], DistractorOptions.default(), ROOT[:3])
    qpos, qvel = jnp.arange(3 * 20.0).reshape(3, 20), jnp.arange(3 * 18.0).reshape(3, 18)
    new_qpos, new_qvel, body = distractor.placed(ball, qpos, qvel, body_state(3))
    np.testing.assert_array_equal(new_qpos[:, :13], qpos[:, :13])
    np.testing.assert_array_equal(new_qvel[:, :12], qvel[:, :12])
    np.testing.assert_array_equal(new_qpos[:, 13:], jnp.concatenate([ball.pos, ball.quat], axis=-1))
    np.testing.assert_array_equal(new_qvel[:, 12:15], ball.lin_vel)
    np.testing.assert_allclose(rotations.rotate(ball.quat, new_qvel[:, 15:]), ball.ang_vel, atol=1e-6)
    for found, expected in zip(distractor.ball_of(body), ball, strict=True):
        np.testing.assert_array_equal(found, expected)
