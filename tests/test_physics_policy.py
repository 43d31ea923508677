"""Every engine agrees with the slow MuJoCo C loop on what happens under a policy."""

import numpy as np
import pytest
from engines import ENGINES, WORLDS, corner_scene, stepper

from mjx_skillmimic.evaluation.policy_courses import policy_courses
from mjx_skillmimic.physics import contract

POLICY = "ballplay-catch"


@pytest.fixture(scope="module")
def slow():
    """A policy trained on a published clip, on one of our own, where it is half at home."""
    courses = policy_courses(POLICY, "throw_catch", corner_scene(), WORLDS, steps=16, settle=8)
    return contract.SlowCourses.of(corner_scene(), courses)


@pytest.mark.parametrize("name", ENGINES)
def test_engines_agree_under_a_policy(slow, name):
    for check in contract.agreement(stepper(name), slow):
        assert check.passed, check


def test_the_targets_are_the_policys_and_the_states_lie_on_its_way(slow):
    qpos, qvel, targets = slow.courses
    assert targets.shape == (16, WORLDS, 156)
    assert np.abs(targets).max() <= np.pi + 1e-6
    assert 0.01 < np.abs(np.diff(targets, axis=0)).mean() < 0.3
    touching = np.mean([outcome.edges[:, 0].mean() for outcome in slow.exact])
    assert 0.1 < touching < 0.95
    assert np.isfinite(qpos).all()
    assert qpos[:, 2].min() > 0.5
    assert len(np.unique(qvel[:, 0])) == WORLDS
