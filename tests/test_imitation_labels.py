"""Labels whose clips show no ball: reward, endings, and the sum of the DeepMimic baseline of SkillMimic-V2."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mjx_skillmimic.config import load_config
from mjx_skillmimic.imitation import reward as R
from mjx_skillmimic.imitation.combination import TERMS, combined
from mjx_skillmimic.imitation.options import RewardOptions, TerminationOptions
from mjx_skillmimic.imitation.termination import termination
from mjx_skillmimic.motion.features import ROW_SIZE, Features

ABLATIONS = Path(__file__).resolve().parent.parent / "configs" / "ablations.py"
LABELS = np.array([0, 10, 13, 1])
ALONE = RewardOptions(without_object=(0, 10))


def rows(seed: int) -> Features:
    row = np.random.default_rng(seed).normal(size=(4, ROW_SIZE)) * 0.1
    row[:, 321:325] = [0.0, 0.0, 0.0, 1.0]
    return Features.from_row(row)


def run(options: RewardOptions, sim: Features, weights: R.RewardWeights | None = None, contact: bool = False):
    edges = np.full((4, 3), contact)
    zero = np.zeros(4, bool)
    previous = np.zeros((4, 156))
    return R.imitation_reward(sim, rows(1), previous, zero, zero, weights or R.RewardWeights(), options, edges, LABELS)


def elsewhere(sim: Features) -> Features:
    return dataclasses.replace(sim, object_pos=sim.object_pos + 3.0, object_lin_vel=sim.object_lin_vel - 5.0)


@pytest.mark.parametrize("kind", ["product", "sum", "deepmimic", "terms"])
def test_the_ball_counts_for_the_other_labels_only(kind):
    options = dataclasses.replace(ALONE, combine=kind)
    weights = {"deepmimic": R.RewardWeights(ee=1.0, root=1.0), "terms": R.terms_weights()}.get(kind)
    here, away = (run(options, sim, weights)[0] for sim in (rows(0), elsewhere(rows(0))))
    np.testing.assert_array_equal(here[:2], away[:2])
    assert (here[2:] > away[2:]).all()
    touched = run(options, rows(0), weights, contact=True)[0]
    np.testing.assert_array_equal(here[:2], touched[:2])


def test_the_reward_without_a_ball_is_the_body_s():
    total, factors = run(ALONE, rows(0))
    body = factors["p"] * factors["r"] * factors["pv"] * factors["rv"]
    np.testing.assert_allclose(total[:2], body[:2])
    plain, _ = run(RewardOptions(), rows(0))
    np.testing.assert_array_equal(total[2:], plain[2:])
    assert (total[:2] > plain[:2]).all()


def test_the_sum_of_terms_by_its_formula():
    """e^{-40 E_key} + e^{-2 E_rot} + e^{-0.1 E_dofvel} + e^{-40 E_obj}, the last one not for 0 and 10 (§1.8)."""
    options = dataclasses.replace(RewardOptions.reference(), combine="terms", without_object=(0, 10))
    sim, ref = rows(0), rows(1)
    total, factors = run(options, sim, R.terms_weights())
    points = [np.concatenate([x.root_pos, x.key_body_pos.reshape(4, -1)], axis=1) for x in (sim, ref)]
    turns = [np.concatenate([x.root_rotvec, x.dof_pos], axis=1) for x in (sim, ref)]
    pairs = (points, turns, (sim.dof_vel, ref.dof_vel), (sim.object_pos, ref.object_pos))
    terms = [
        np.exp(-weight * np.mean((a - b) ** 2, axis=1)) for (a, b), weight in zip(pairs, (40, 2, 0.1, 40), strict=True)
    ]
    np.testing.assert_allclose(total, sum(terms[:3]) + np.where(np.isin(LABELS, (0, 10)), 0.0, terms[3]))
    assert tuple(factors) == tuple(TERMS) == R.factor_names(options)
    perfect, _ = R.imitation_reward(
        ref, ref, ref.dof_vel, np.zeros(4, bool), np.zeros(4, bool), R.terms_weights(), options, None, LABELS
    )
    np.testing.assert_allclose(perfect, [3.0, 3.0, 4.0, 4.0])


def test_weights_of_the_sum_and_its_configuration():
    options = RewardOptions(combine="terms")
    R.check_weights(R.terms_weights(), options)
    with pytest.raises(ValueError, match=r"weights ig, cg1, .*: expected 0, for reward\.combine 'terms'"):
        R.check_weights(R.RewardWeights(), options)
    with pytest.raises(ValueError, match="'terms': expected p, r, rv, op, got p"):
        combined({"p": np.ones(2)}, "terms")
    config = load_config(f"{ABLATIONS}:terms")
    assert config.reward.combine == "terms"
    assert R.RewardWeights(**config.weights) == R.terms_weights()


def test_labels_are_asked_for_where_options_name_some():
    with pytest.raises(ValueError, match=r"RewardOptions\.without_object = \(0, 10\), but no labels"):
        R.imitation_reward(*[rows(0)] * 2, None, None, None, R.RewardWeights(), ALONE)
    far = Features.from_row(np.zeros((4, ROW_SIZE)))
    with pytest.raises(ValueError, match=r"TerminationOptions\.never_fall = \(0,\), but no labels"):
        termination(far, far, np.full(4, 5), np.full(4, 9), TerminationOptions(never_fall=(0,)))
    for wrong in (0, [0], (64,), ("0",), (True,)):
        with pytest.raises(ValueError, match="never_fall: expected a tuple of labels from 0 to 63"):
            TerminationOptions(never_fall=wrong)


def test_who_may_lie_down_and_whose_ball_may_roll_away():
    row = np.zeros((4, ROW_SIZE))
    row[:, 2] = 0.1
    low, ref = Features.from_row(row), Features.from_row(row)
    progress, length = np.full(4, 5), np.full(4, 9)
    never = TerminationOptions(never_fall=(0,), without_object=(0, 10), body_distance=None)
    assert termination(low, ref, progress, length, never, LABELS).terminated.tolist() == [False, True, True, True]
    up = dataclasses.replace(elsewhere(low), root_pos=low.root_pos + np.array([0.0, 0.0, 1.0]))
    assert termination(up, ref, progress, length, never, LABELS).terminated.tolist() == [False, False, True, True]
    ended = termination(low, ref, np.full(4, 8), length, never, LABELS)
    assert ended.truncated.tolist() == [True, False, False, False]
    tracked = dataclasses.replace(never, body_distance=0.3)
    assert termination(up, ref, progress, length, tracked, LABELS).terminated.tolist()[0] is False  # 1/18 m on average
    assert TerminationOptions().never_fall == RewardOptions().without_object == ()
