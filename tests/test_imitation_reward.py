"""Every reward factor against a slow version that loops over components, and the mathematics of the options."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjx_skillmimic.imitation import reward as R
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.motion.features import ROW_SIZE, Features

N = 18  # the number of tracked points too: a shape that must not be mistaken for them


def random_rows(seed: int, scale: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(N, ROW_SIZE)) * scale
    rows[:, 321:325] /= np.linalg.norm(rows[:, 321:325], axis=-1, keepdims=True)
    rows[:, 379] = rng.integers(0, 2, N)
    return rows


@pytest.fixture
def case():
    sim, ref = random_rows(0), random_rows(1)
    ref[:, 162:318] *= np.random.default_rng(2).random((N, 156)) < 0.5  # some reference velocities exactly zero
    history = np.random.default_rng(3).normal(size=(N, 156))
    flags = np.random.default_rng(4).integers(0, 2, (2, N)).astype(bool)
    edges = np.random.default_rng(5).integers(0, 2, (N, 3)).astype(bool)
    return sim, ref, history, flags, edges


def slow_factors(sim, ref, history, body, ball, w) -> dict[str, float]:
    """One world by the formulas of skillmimic.md §6.2, columns as in §3.4."""
    mean_square = lambda a, b: sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)  # noqa: E731
    points = lambda row: [row[0:3]] + [row[328 + 3 * k : 331 + 3 * k] for k in range(17)]  # noqa: E731
    grip = lambda row: [c for p in points(row) for c in p - row[318:321]]  # noqa: E731
    flat = lambda row: [c for p in points(row) for c in p]  # noqa: E731
    smooth = sum(
        (v - h) ** 2 / ((r**2 + 1e-12) * 1e12) for v, h, r in zip(sim[162:318], history, ref[162:318], strict=True)
    )
    errors = {
        "p": mean_square(flat(sim), flat(ref)),
        "r": mean_square(sim[3:162], ref[3:162]),
        "pv": 0.0,
        "rv": mean_square(sim[162:318], ref[162:318]),
        "op": mean_square(sim[318:321], ref[318:321]),
        "or": 0.0,
        "opv": mean_square(sim[325:328], ref[325:328]),
        "orv": 0.0,
        "ig": mean_square(grip(sim), grip(ref)),
        "cg1": float(body),
        "cg2": abs(float(ball) - ref[379]),
    }
    factors = {name: math.exp(-w["or_" if name == "or" else name] * e) for name, e in errors.items()}
    return factors | {"smooth": math.exp(-0.1 * smooth / 156)}


def test_published_reward_equals_the_slow_version(case):
    sim, ref, history, (body, ball), _ = case
    weights = {"p": 2.0, "r": 3.0, "pv": 0.1, "rv": 0.4, "op": 1.5, "or_": 0.1, "opv": 0.2, "orv": 0.1, "ig": 0.5}
    weights |= {"cg1": 0.7, "cg2": 0.9}
    total, factors = R.imitation_reward(
        Features.from_row(sim),
        Features.from_row(ref),
        history,
        body,
        ball,
        R.RewardWeights(**weights),
        RewardOptions.reference(),
    )
    assert tuple(factors) == R.factor_names(RewardOptions.reference())
    for i in range(N):
        slow = slow_factors(sim[i], ref[i], history[i], body[i], ball[i], weights)
        assert slow.keys() == factors.keys()
        for name, value in slow.items():
            np.testing.assert_allclose(factors[name][i], value, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(total[i], math.prod(slow.values()), rtol=1e-12)


@pytest.mark.parametrize("options", [RewardOptions.reference(), RewardOptions.default()], ids=["reference", "default"])
def test_jax_equals_numpy_and_the_reward_is_the_product(case, options):
    sim, ref, history, (body, ball), edges = (x.astype(np.float32) if x.dtype == float else x for x in case)
    arguments = (Features.from_row(sim), Features.from_row(ref), history, body, ball, R.RewardWeights(p=1.0), options)
    slow, slow_factors_ = R.imitation_reward(*arguments, edges)
    total, factors = jax.jit(R.imitation_reward, static_argnums=6)(*arguments, edges)
    np.testing.assert_allclose(total, slow, rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(total, np.prod(list(factors.values()), axis=0), rtol=2e-5, atol=1e-7)
    assert set(factors) == set(slow_factors_) == set(R.factor_names(options))
    assert total.shape == (N,)
    assert ((np.asarray(total) > 0) & (np.asarray(total) <= 1)).all()


@pytest.mark.parametrize("options", [RewardOptions.reference(), RewardOptions.default()], ids=["reference", "default"])
def test_a_perfect_imitation_earns_exactly_one(case, options):
    _, ref, _, _, _ = case
    features = Features.from_row(ref)
    edges = np.stack([features.contact, 0 * features.contact, 0 * features.contact], axis=-1) > 0.5
    total, _ = R.imitation_reward(
        features,
        features,
        features.dof_vel,
        np.zeros(N, bool),
        features.contact > 0.5,
        R.RewardWeights(rv=0.1, opv=0.1, or_=1.0),
        options,
        edges,
    )
    np.testing.assert_allclose(total, 1.0, atol=1e-12)


def test_geodesic_error_is_the_squared_angle_of_the_remaining_rotations(case):
    sim, ref, *_ = case
    found = R.rotation_error(Features.from_row(sim), Features.from_row(ref), RewardOptions.default())
    for i in range(N):
        angles = [
            (Rotation.from_rotvec(ref[i, c : c + 3]).inv() * Rotation.from_rotvec(sim[i, c : c + 3])).magnitude()
            for c in range(3, 162, 3)
        ]
        np.testing.assert_allclose(found[i], sum(a * a for a in angles) / 159, rtol=1e-10)


def test_rotation_errors_agree_near_the_zero_pose_and_only_the_published_one_jumps():
    zero = np.zeros((1, ROW_SIZE))
    zero[:, 321] = 1.0
    small = zero.copy()
    small[:, 3:162] = np.random.default_rng(0).normal(size=159) * 1e-4
    errors = {
        kind: R.rotation_error(Features.from_row(small), Features.from_row(zero), RewardOptions(rotation_error=kind))
        for kind in ("componentwise", "geodesic")
    }
    np.testing.assert_allclose(errors["geodesic"], errors["componentwise"], rtol=1e-6)
    ahead, behind = zero.copy(), zero.copy()
    ahead[:, 3], behind[:, 3] = np.pi - 1e-3, -np.pi + 1e-3  # 2 mrad apart, on either side of π
    pair = Features.from_row(ahead), Features.from_row(behind)
    jump = R.rotation_error(*pair, RewardOptions.reference())
    np.testing.assert_allclose(jump, (2 * np.pi - 2e-3) ** 2 / 159)
    np.testing.assert_allclose(R.rotation_error(*pair, RewardOptions.default()), 4e-6 / 159, rtol=1e-6)


def test_smoothness_only_sees_joints_whose_reference_rests():
    velocity, previous = np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]])
    resting, moving = np.array([[0.0, 1.0]]), np.array([[1e-3, 1.0]])
    np.testing.assert_allclose(R.smoothness_error(velocity, previous, resting), 0.5, rtol=1e-9)
    assert R.smoothness_error(velocity, previous, moving) < 1e-5


def test_edges_are_the_papers_contact_graph(case):
    sim, ref, history, (body, ball), edges = case
    options, weights = RewardOptions(contact="edges"), R.RewardWeights(cg_hands_object=1, cg_body_object=2)
    arguments = (Features.from_row(sim), Features.from_row(ref), history, body, ball, weights, options)
    _, factors = R.imitation_reward(*arguments, edges)
    product = factors["cg_hands_object"] * factors["cg_body_object"] * factors["cg_hands_body"]
    expected = np.exp(-(np.abs(edges[:, 0] - ref[:, 379]) + 2.0 * edges[:, 1] + 5.0 * edges[:, 2]))
    np.testing.assert_allclose(product, expected, rtol=1e-12)
    with pytest.raises(ValueError, match=r"no edges were given; pass BodyState\.edges"):
        R.imitation_reward(*arguments)


def test_get_up_class_is_blind_to_the_ball_and_to_contacts(case):
    sim, ref, history, flags, edges = case
    labels = np.arange(N) % 3
    weights = R.RewardWeights().for_skill(labels)
    for options in (RewardOptions.reference(), RewardOptions.default()):
        features = Features.from_row(sim), Features.from_row(ref)
        _, factors = R.imitation_reward(*features, history, *flags, weights, options, edges)
        _, plain = R.imitation_reward(*features, history, *flags, R.RewardWeights(), options, edges)
        for name, factor in factors.items():
            seen = name in ("p", "r", "pv", "rv", "smooth")
            expected = plain[name] if seen else np.where(labels == 0, 1.0, plain[name])
            np.testing.assert_allclose(factor, expected, err_msg=name)


def test_object_rotation_counts_in_the_default_preset_only(case):
    sim, ref, history, flags, edges = case
    weights = R.RewardWeights(or_=0.5)
    features = Features.from_row(sim), Features.from_row(ref)
    for options in (RewardOptions.reference(), RewardOptions.default()):
        _, factors = R.imitation_reward(*features, history, *flags, weights, options, edges)
        angle = (Rotation.from_quat(ref[:, 321:325]).inv() * Rotation.from_quat(sim[:, 321:325])).magnitude()
        expected = np.exp(-0.5 * angle**2 / 3) if options == RewardOptions.default() else np.ones(N)
        np.testing.assert_allclose(factors["or"], expected, rtol=1e-10)


def test_weights_that_would_do_nothing_are_refused():
    R.check_weights(R.RewardWeights(), RewardOptions.default())
    R.check_weights(R.RewardWeights(pv=0.1, orv=0.1), RewardOptions.reference())
    with pytest.raises(ValueError, match="pv, orv: expected 0"):
        R.check_weights(R.RewardWeights(pv=0.1, orv=0.1), RewardOptions.default())
    assert {f.name for f in dataclasses.fields(R.RewardWeights)} == set(R.weight_names())
