"""Rotations as mathematics: group axioms, inverse pairs, and the same answers from NumPy and JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations as R


def random_quats(n: int, seed: int = 0) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def matrix(q: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotation matrix, written from the definition R = I + 2w[v] + 2[v]²."""
    v = q[..., 1:]
    zero = np.zeros_like(v[..., 0])
    skew = np.stack(
        [zero, -v[..., 2], v[..., 1], v[..., 2], zero, -v[..., 0], -v[..., 1], v[..., 0], zero], axis=-1
    ).reshape(*v.shape[:-1], 3, 3)
    return np.eye(3) + 2 * q[..., :1, None] * skew + 2 * skew @ skew


A, B, C = (random_quats(200, seed) for seed in (1, 2, 3))
V = np.random.default_rng(4).normal(size=(200, 3))


def test_multiplication_is_a_group():
    one = np.array([1.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(R.multiply(R.multiply(A, B), C), R.multiply(A, R.multiply(B, C)), atol=1e-14)
    np.testing.assert_allclose(R.multiply(A, np.broadcast_to(one, A.shape)), A, atol=1e-15)
    np.testing.assert_allclose(R.multiply(A, R.conjugate(A)), np.broadcast_to(one, A.shape), atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(R.multiply(A, B), axis=-1), 1.0, atol=1e-14)


def test_product_is_composition_of_rotation_matrices():
    np.testing.assert_allclose(matrix(R.multiply(A, B)), matrix(A) @ matrix(B), atol=1e-14)
    np.testing.assert_allclose(R.rotate(A, V), np.einsum("nij,nj->ni", matrix(A), V), atol=1e-14)
    np.testing.assert_allclose(R.rotate_inverse(A, R.rotate(A, V)), V, atol=1e-14)


def test_rotations_preserve_length_and_orientation():
    np.testing.assert_allclose(np.linalg.norm(R.rotate(A, V), axis=-1), np.linalg.norm(V, axis=-1), atol=1e-13)
    left, right = R.rotate(A, R.cross(V, V[::-1])), R.cross(R.rotate(A, V), R.rotate(A, V[::-1]))
    np.testing.assert_allclose(left, right, atol=1e-13)
    np.testing.assert_allclose(R.cross(V, V[::-1]), np.cross(V, V[::-1]), atol=1e-15)


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-4, 1e-2, 1.0, 3.14])
def test_log_inverts_exp_below_pi(scale):
    v = V / np.linalg.norm(V, axis=-1, keepdims=True) * scale
    np.testing.assert_allclose(R.log(R.exp(v)), v, rtol=1e-9, atol=1e-15)


def test_exp_inverts_log_up_to_sign_and_log_takes_the_short_way():
    back = R.exp(R.log(A))
    np.testing.assert_allclose(back * np.sign(np.sum(back * A, axis=-1, keepdims=True)), A, atol=1e-14)
    assert np.linalg.norm(R.log(A), axis=-1).max() <= np.pi + 1e-12
    np.testing.assert_allclose(R.log(A), R.log(-A), atol=1e-15)


def test_exp_solves_its_differential_equation():
    """d/dt exp(t·v) = ½ (0, v) ⊗ exp(t·v), by central differences."""
    h = 1e-6
    slope = (R.exp((1 + h) * V) - R.exp((1 - h) * V)) / (2 * h)
    pure = np.concatenate([np.zeros((len(V), 1)), V], axis=-1)
    np.testing.assert_allclose(slope, 0.5 * R.multiply(pure, R.exp(V)), atol=1e-8)


def test_exp_has_finite_gradients_at_zero():
    jacobian = jax.jacobian(R.exp)(jnp.zeros(3))
    np.testing.assert_allclose(jacobian, np.concatenate([np.zeros((1, 3)), 0.5 * np.eye(3)]), atol=1e-7)
    assert np.isfinite(jax.jacobian(R.log)(jnp.array([1.0, 0.0, 0.0, 0.0]))).all()


def test_published_pair_agrees_with_ours_away_from_the_identity():
    v = V / np.linalg.norm(V, axis=-1, keepdims=True) * np.linspace(0.1, 3.0, len(V))[:, None]
    np.testing.assert_allclose(R.reference_exp(v), R.exp(v), atol=1e-12)
    np.testing.assert_allclose(R.reference_log(R.exp(v)), v, atol=1e-9)
    tiny = np.full((1, 3), 1e-7)
    np.testing.assert_array_equal(R.reference_exp(tiny), [[1.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(R.reference_log(R.exp(tiny)), [[0.0, 0.0, 0.0]])


def test_published_exp_wraps_the_angle_but_not_the_rotation():
    long = np.array([[0.0, 0.0, 4.0]])
    np.testing.assert_allclose(matrix(R.reference_exp(long)), matrix(R.exp(long)), atol=1e-14)


def test_tan_norm_is_the_first_and_third_column():
    columns = matrix(A)
    np.testing.assert_allclose(R.tan_norm(A), np.concatenate([columns[..., 0], columns[..., 2]], -1), atol=1e-14)
    np.testing.assert_allclose(R.tan_norm(-A), R.tan_norm(A), atol=1e-15)


def test_heading_is_the_yaw_of_the_rotated_x_axis_and_its_inverse_removes_it():
    x = R.rotate(A, np.broadcast_to([1.0, 0.0, 0.0], V.shape))
    np.testing.assert_allclose(R.heading(A), np.arctan2(x[:, 1], x[:, 0]), atol=1e-12)
    np.testing.assert_allclose(R.heading(R.multiply(R.heading_inverse(A), A)), 0.0, atol=1e-7)
    turn = R.about_z(np.full(len(A), 0.7))
    gap = R.heading(R.multiply(turn, A)) - R.heading(A) - 0.7
    np.testing.assert_allclose(np.sin(gap / 2), 0.0, atol=1e-12)


def test_geodesic_is_a_bi_invariant_metric():
    distance = R.geodesic(A, B)
    np.testing.assert_allclose(distance, R.geodesic(B, A), atol=1e-12)
    np.testing.assert_allclose(distance, R.geodesic(R.multiply(C, A), R.multiply(C, B)), atol=1e-7)
    np.testing.assert_allclose(distance, R.geodesic(R.multiply(A, C), R.multiply(B, C)), atol=1e-7)
    np.testing.assert_allclose(R.geodesic(A, -A), 0.0, atol=1e-7)
    cosine = (np.trace(matrix(A).swapaxes(-1, -2) @ matrix(B), axis1=-2, axis2=-1) - 1) / 2
    np.testing.assert_allclose(np.cos(distance), cosine, atol=1e-12)
    assert np.all(distance <= R.geodesic(A, C) + R.geodesic(C, B) + 1e-12)


def test_continuous_signs_changes_nothing_but_signs():
    track = R.exp(np.cumsum(np.full((50, 3), 0.1), axis=0)) * np.random.default_rng(5).choice([-1, 1], (50, 1))
    smooth = R.continuous_signs(track)
    np.testing.assert_array_equal(np.abs(smooth), np.abs(track))
    np.testing.assert_array_equal(smooth[0], track[0])
    assert (np.sum(smooth[1:] * smooth[:-1], axis=-1) >= 0).all()


def test_scalar_orders_are_inverse():
    np.testing.assert_array_equal(R.wxyz_from_xyzw(R.xyzw_from_wxyz(A)), A)
    np.testing.assert_array_equal(R.wxyz_from_xyzw(np.array([1.0, 2.0, 3.0, 4.0])), [4.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "function", [R.log, R.tan_norm, R.heading, R.heading_inverse, R.conjugate, R.reference_log, R.normalize]
)
def test_numpy_and_jax_agree_on_one_quaternion(function):
    ours = function(A.astype(np.float32))
    assert isinstance(ours, np.ndarray)
    theirs = function(jnp.asarray(A, jnp.float32))
    assert isinstance(theirs, jax.Array)
    np.testing.assert_allclose(ours, theirs, atol=3e-6)


@pytest.mark.parametrize("function", [R.multiply, R.geodesic])
def test_numpy_and_jax_agree_on_two_quaternions(function):
    a, b = A.astype(np.float32), B.astype(np.float32)
    np.testing.assert_allclose(function(a, b), function(jnp.asarray(a), b), atol=3e-6)


@pytest.mark.parametrize("function", [R.exp, R.reference_exp])
def test_numpy_and_jax_agree_on_rotation_vectors(function):
    v = V.astype(np.float32)
    np.testing.assert_allclose(function(v), function(jnp.asarray(v)), atol=1e-6)
