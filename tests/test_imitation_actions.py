"""PD targets, mean poses, and the refusal of options that cannot be."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation import actions, options
from mjx_skillmimic.imitation.options import ActionOptions

ALL = (options.ObservationOptions, options.RewardOptions, options.TerminationOptions, options.ActionOptions)


def test_target_is_affine_inside_the_bound_and_constant_outside():
    action = np.linspace(-2, 2, 156)
    target = actions.pd_targets(action, ActionOptions())
    np.testing.assert_allclose(target, math.pi * np.clip(action, -1, 1))
    np.testing.assert_allclose(actions.pd_targets(action, ActionOptions(clip=None)), math.pi * action)
    np.testing.assert_allclose(actions.pd_targets(action, ActionOptions(scale=0.5)), 0.5 * np.clip(action, -1, 1))


def test_initial_action_aims_at_the_mean_pose():
    frames = np.tile(0.3 * np.random.default_rng(0).normal(size=156), (5, 1))
    start = actions.initial_action(frames, ActionOptions(initial="mean_pose"))
    np.testing.assert_allclose(actions.pd_targets(start, ActionOptions()), frames[0], atol=1e-5)
    assert not actions.initial_action(frames, ActionOptions(initial="zero")).any()


def test_limits_map_onto_the_unit_interval():
    offset, scale = actions.offset_and_scale(np.array([-1.0, 2.0]), np.array([3.0, 4.0]))
    np.testing.assert_allclose(offset - scale, [-1.0, 2.0])
    np.testing.assert_allclose(offset + scale, [3.0, 4.0])
    assert actions.offset_and_scale() == (0.0, math.pi)


def test_impossible_actions_are_refused():
    with pytest.raises(ValueError, match="expected 156 columns, got 10"):
        actions.pd_targets(np.zeros(10), ActionOptions())


def test_mean_pose_is_the_rotation_mean():
    centre = np.random.default_rng(0).normal(size=(52, 3))
    noise = 0.2 * np.random.default_rng(1).normal(size=(400, 52, 3))
    noise = np.concatenate([noise, -noise])  # symmetric about the centre
    frames = rotations.log(
        rotations.multiply(np.broadcast_to(rotations.exp(centre), (800, 52, 4)), rotations.exp(noise))
    )
    mean = actions.mean_pose(frames.reshape(800, 156)).reshape(52, 3)
    np.testing.assert_allclose(
        rotations.geodesic(rotations.exp(mean.astype(float)), rotations.exp(centre)), 0, atol=1e-5
    )


def test_mean_pose_does_not_fall_between_the_two_sides_of_pi():
    frames = np.zeros((2, 156))
    frames[0, 0], frames[1, 0] = math.pi - 0.1, -math.pi + 0.1  # 0.2 rad apart
    mean = actions.mean_pose(frames)
    assert abs(abs(mean[0]) - math.pi) < 1e-5
    np.testing.assert_allclose(mean[1:], 0.0, atol=1e-7)


@pytest.mark.parametrize("kind", ALL)
def test_presets_are_frozen_hashable_and_default_is_the_plain_call(kind):
    assert kind.default() == kind()
    assert hash(kind.reference()) == hash(kind.reference())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), dataclasses.fields(kind)[0].name, None)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            options.ObservationOptions,
            {"force_frame": "body"},
            "force_frame: expected one of world, heading, got 'body'",
        ),
        (options.RewardOptions, {"contact": "flags"}, "contact: expected one of nodes, edges, got 'flags'"),
        (options.RewardOptions, {"lag": 2}, "lag: expected 0 or 1, got 2"),
        (options.TerminationOptions, {"episode_length": 0}, "episode_length: expected a positive number"),
        (options.ActionOptions, {"scale": -1.0}, "scale: expected a positive number"),
    ],
)
def test_values_that_cannot_be_are_named(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)
