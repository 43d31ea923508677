"""Every reward factor against a slow version that loops over components, and the mathematics of the options."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjx_skillmimic.config import ConfigError, load_config
from mjx_skillmimic.envs import options as env_options
from mjx_skillmimic.imitation import reward as R
from mjx_skillmimic.imitation.combination import GROUPS, SHARES, combined
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.motion.features import ROW_SIZE, Features

ABLATIONS = Path(__file__).resolve().parent.parent / "configs" / "ablations.py"
NAMES = ("full", "no_contact_graph", "sum", "deepmimic")
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


def ablation(name: str) -> tuple[RewardOptions, R.RewardWeights]:
    chosen = env_options.from_config(load_config(f"{ABLATIONS}:{name}"))
    R.check_weights(chosen.weights, chosen.reward)
    return chosen.reward, chosen.weights


def near(rows: np.ndarray, seed: int, scale: float) -> np.ndarray:
    """Rows so near to others that factors with the trained weights are neither 0 nor 1."""
    noise = np.random.default_rng(seed).normal(size=rows.shape) * scale
    noise[:, 321:325] = 0.0
    return rows + noise


def slow_edges(edges, ref, w) -> float:
    asked = (ref[379], 0.0, 0.0)
    names = ("cg_hands_object", "cg_body_object", "cg_hands_body")
    return math.exp(-sum(w[n] * abs(float(e) - a) for n, e, a in zip(names, edges, asked, strict=True)))


@pytest.mark.parametrize("name", ["no_contact_graph", "sum"])
def test_ablations_of_the_published_factors_equal_the_slow_version(case, name):
    _, ref, history, _, edges = case
    sim = near(ref, 7, 0.05)
    options, weights = ablation(name)
    plain = dataclasses.asdict(weights)
    # Small rotations only: the slow version takes differences of components.
    options = dataclasses.replace(options, rotation_error="componentwise", object_rotation_error="zero")
    arguments = (Features.from_row(sim), Features.from_row(ref), history, None, None, weights, options)
    total, _ = R.imitation_reward(*arguments, edges)
    for i in range(N):
        f = slow_factors(sim[i], ref[i], history[i], 0, 0, plain)
        cg = slow_edges(edges[i], ref[i], plain)
        groups = (f["p"] * f["r"] * f["pv"] * f["rv"], f["op"] * f["or"] * f["opv"] * f["orv"], f["ig"], cg)
        expected = sum(groups) / 4 if name == "sum" else groups[0] * groups[1] * groups[2]
        assert 1e-3 < expected < 0.99
        np.testing.assert_allclose(total[i], expected, rtol=1e-12)


def test_deepmimic_equals_a_loop_over_joints_with_the_scales_of_deepmimic(case):
    _, ref, history, flags, edges = case
    sim = near(ref, 8, 0.1)
    options, weights = ablation("deepmimic")
    total, factors = R.imitation_reward(
        Features.from_row(sim), Features.from_row(ref), history, *flags, weights, options, edges
    )
    assert tuple(factors) == R.factor_names(options)
    for i in range(N):
        angles = [
            (Rotation.from_rotvec(ref[i, c : c + 3]).inv() * Rotation.from_rotvec(sim[i, c : c + 3])).magnitude()
            for c in range(3, 162, 3)
        ]
        turn = [sum((sim[i, c : c + 3] - ref[i, c : c + 3]) ** 2) for c in range(162, 318, 3)]
        key = [sum((sim[i, c : c + 3] - ref[i, c : c + 3]) ** 2) for c in range(328, 379, 3)]
        pose = math.exp(-2 / 15 * 53 * sum(a * a for a in angles) / 53)
        velocity = math.exp(-0.1 / 15 * 53 * sum(turn) / 52)
        ends = math.exp(-40 * sum(key) / 17)
        root = math.exp(-10 * sum((sim[i, :3] - ref[i, :3]) ** 2))
        ball = math.exp(-10 * sum((sim[i, 318:321] - ref[i, 318:321]) ** 2))
        expected = 0.7 * (0.65 * pose + 0.1 * velocity + 0.15 * ends + 0.1 * root) + 0.3 * ball
        np.testing.assert_allclose(total[i], expected, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_every_ablation_stays_in_bounds_and_pays_one_for_a_perfect_imitation(case, name):
    sim, ref, history, flags, edges = case
    options, weights = ablation(name)
    asked = np.stack([ref[:, 379], 0 * ref[:, 379], 0 * ref[:, 379]], axis=-1) > 0.5
    perfect, rows = Features.from_row(ref.astype(np.float32)), Features.from_row(sim.astype(np.float32))
    jitted = jax.jit(R.imitation_reward, static_argnums=6)
    total, factors = jitted(perfect, perfect, perfect.dof_vel, *flags, weights, options, asked)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    worse, _ = jitted(rows, perfect, history.astype(np.float32), *flags, weights, options, edges)
    worst, _ = jitted(
        jax.tree.map(lambda x: x + 100.0, rows), perfect, perfect.dof_vel, *flags, weights, options, ~asked
    )
    assert set(factors) == set(R.factor_names(options))
    assert ((np.asarray(worse) < 1) & (np.asarray(worst) <= np.asarray(worse)) & (np.asarray(worst) >= 0)).all()
    # Everything moved by 100 m keeps the vectors from the ball to the body, a quarter of the sum.
    assert (np.asarray(worst) <= (0.25 if name == "sum" else 0.0) + 1e-6).all()


def test_a_wrong_contact_costs_its_groups_share_under_sum_and_nearly_everything_in_the_product(case):
    _, ref, _, flags, _ = case
    features = Features.from_row(ref)
    asked = np.stack([ref[:, 379], 0 * ref[:, 379], 0 * ref[:, 379]], axis=-1) > 0.5
    wrong = asked ^ np.array([True, False, False])
    kept = math.exp(-5.0)
    for name, expected in (("full", kept), ("sum", (3 + kept) / 4), ("no_contact_graph", 1.0), ("deepmimic", 1.0)):
        options, weights = ablation(name)
        total, _ = R.imitation_reward(features, features, features.dof_vel, *flags, weights, options, wrong)
        np.testing.assert_allclose(total, expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("name", "share"), [("sum", 0.25), ("deepmimic", 0.3)])
def test_a_lost_ball_costs_what_the_ball_is_worth_and_no_more(case, name, share):
    """In the sum, a ball far away loses two groups: object and relative motion."""
    _, ref, _, flags, _ = case
    options, weights = ablation(name)
    asked = np.stack([ref[:, 379], 0 * ref[:, 379], 0 * ref[:, 379]], axis=-1) > 0.5
    features = Features.from_row(ref)
    lost = features.replace(object_pos=features.object_pos + 100.0)
    total, _ = R.imitation_reward(lost, features, features.dof_vel, *flags, weights, options, asked)
    np.testing.assert_allclose(total, 1 - share * (2 if name == "sum" else 1), rtol=1e-6)


def test_the_gradient_of_the_product_sees_all_factors_and_that_of_the_sum_one_group_alone(case):
    _, ref, _, flags, _ = case
    asked = np.stack([ref[:, 379], 0 * ref[:, 379], 0 * ref[:, 379]], axis=-1) > 0.5
    row, sim = (jnp.asarray(x[0], jnp.float32) for x in (ref, near(ref, 9, 0.05)))

    def slope(name: str, edges: np.ndarray) -> np.ndarray:
        """∂ reward / ∂ the joint coordinates: what the body earns by a better pose."""
        options, weights = ablation(name)

        def reward(dof_pos):
            moved = Features.from_row(sim).replace(dof_pos=dof_pos)
            target = Features.from_row(row)
            return R.imitation_reward(moved, target, target.dof_vel, *flags, weights, options, edges)[0]

        return np.asarray(jax.grad(reward)(sim[6:162]))

    right, wrong = jnp.asarray(asked[0]), jnp.asarray(asked[0]) ^ np.array([True, False, False])
    np.testing.assert_allclose(slope("full", wrong), math.exp(-5) * slope("full", right), rtol=1e-4, atol=1e-7)
    for name in ("sum", "no_contact_graph", "deepmimic"):
        np.testing.assert_array_equal(slope(name, wrong), slope(name, right))
        assert np.abs(slope(name, right)).max() > 1e-4


def test_combinations_name_what_they_expect():
    ones = dict.fromkeys(R.factor_names(RewardOptions()), np.ones(2))
    assert {n for names in GROUPS.values() for n in names} >= set(ones)
    np.testing.assert_allclose(sum(SHARES.values()), 1.0)
    with pytest.raises(ValueError, match=r"'deepmimic': expected r, rv, ee, root, op, got p, r, pv"):
        combined(ones, "deepmimic")
    with pytest.raises(ValueError, match=r"'sum': expected factors of each of the groups body, object, relative, con"):
        combined({"p": np.ones(2)}, "sum")
    with pytest.raises(ValueError, match="expected one of product, sum, deepmimic, terms, got 'mean'"):
        combined(ones, "mean")
    with pytest.raises(
        ValueError, match=r"weights p, ig, cg1, .*cg_hands_body: expected 0, for reward\.combine 'deepmimic'"
    ):
        R.check_weights(R.RewardWeights(), RewardOptions(combine="deepmimic"))
    with pytest.raises(ValueError, match=r"weights ee, root: expected 0, for reward\.combine 'product'"):
        R.check_weights(R.RewardWeights(ee=1.0, root=1.0), RewardOptions.reference())
    with pytest.raises(ConfigError, match="no ablation 'summ'; there are full, no_contact_graph, sum, deepmimic"):
        load_config(f"{ABLATIONS}:summ")
