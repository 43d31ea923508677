"""Environments by name, and configurations that cannot work."""

from __future__ import annotations

import dataclasses

import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.config import ConfigError, validate
from mjx_skillmimic.envs import options
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.imitation.reward import RewardWeights
from mjx_skillmimic.motion import library
from tests import ballplay


def test_names_are_listed_and_a_slip_gets_the_nearest():
    assert "BallPlay" in envs.names()
    with pytest.raises(KeyError, match=r"no environment 'BalPlay', there is BallPlay, .*; did you mean 'BallPlay'\?"):
        envs.load("BalPlay")
    with pytest.raises(KeyError, match="no environment 'Tennis', there is BallPlay"):
        envs.default_config("Tennis")


def test_registered_environments_are_built_with_their_configuration(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(envs.registry, "_ENVIRONMENTS", {})
    envs.register("Juggle", lambda config, **kwargs: (config, kwargs), lambda preset: f"config of {preset}")
    ours = {"BallPlay", "Circling", "Heading", "Scoring", "SkillMimicV2", "Throwing"}
    assert set(envs.names()) == ours | {"Juggle"}
    assert envs.load("Juggle", clips=3) == ("config of default", {"clips": 3})
    assert envs.load("Juggle", "mine") == ("mine", {})
    assert envs.default_config("Juggle", "reference") == "config of reference"


@pytest.mark.parametrize("preset", options.PRESETS)
def test_a_preset_survives_the_way_through_the_configuration(preset: str):
    chosen = options.from_config(envs.default_config("BallPlay", preset))
    for section in ("motion", "start", "observation", "action", "termination", "reward"):
        value = getattr(chosen, section)
        assert value == getattr(type(value), options.BASES[preset])(), section
    assert chosen.scene == options.SCENES[preset]
    assert chosen.weights == RewardWeights()


def test_the_presets_differ_where_the_published_code_is_odd():
    published = options.from_config(envs.default_config("BallPlay", "reference"))
    ours = options.from_config(envs.default_config("BallPlay"))
    # skillmimic.md §12: items 13, 15, 16, 17, 19, then 20, 5, §3.5, 25, 7, 6, 8, and an action of zero in the middle
    assert (published.reward.lag, published.reward.zero_velocity_progress) == (1, 1)
    assert (published.reward.smoothness, published.reward.rotation_error) == ("published", "componentwise")
    assert (published.reward.contact, published.observation.force_frame) == ("nodes", "world")
    assert (published.motion.key_bodies, published.motion.pick_weight, published.motion.pad) == ("stored", 2.0, "zero")
    assert (published.start.joint_velocity, published.start.root_angular_velocity) == ("published", "published")
    assert not published.start.lift_object
    assert published.start.max_kick is None
    assert published.action.initial == "zero"
    assert published.termination.object_distance is None
    assert (ours.reward.lag, ours.reward.contact, ours.motion.key_bodies) == (0, "edges", "fk")
    assert (ours.start.max_kick, ours.action.initial) == (0.5, "mean_pose")


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(KeyError, match="no preset 'publsihed'; there are default, reference"):
        envs.default_config("BallPlay", "publsihed")


@pytest.mark.parametrize("section", ["motion", "start", "scene", "observation", "reward", "weights"])
def test_unknown_options_are_refused_by_name(section: str):
    config = ballplay.config()
    config[section]["colour"] = 1
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        options.from_config(config)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reward__lag", 2, r"RewardOptions.lag: expected 0 or 1, got 2"),
        ("reward__contact", "graph", r"RewardOptions.contact: expected one of nodes, edges, got 'graph'"),
        ("termination__episode_length", 0, r"TerminationOptions.episode_length: expected a positive number .* got 0"),
        ("action__initial", "t_pose", r"ActionOptions.initial: expected one of zero, mean_pose, got 't_pose'"),
        ("scene__solver", "pgs", r"solver='pgs'; expected one of newton, cg"),
        ("motion__pad", "repeat", r"MotionOptions.pad: expected one of zero, hold, got 'repeat'"),
        ("motion__key_bodies", "ik", r"MotionOptions.key_bodies: expected one of stored, fk, got 'ik'"),
        ("start__joint_velocity", "raw", r"StartOptions.joint_velocity: expected one of relative, published, got 'r"),
        ("start__max_kick", -1.0, r"StartOptions.max_kick: expected a positive number or None, got -1.0"),
    ],
)
def test_impossible_values_are_refused_with_what_was_expected(name: str, value: object, message: str):
    with pytest.raises(ValueError, match=message):
        options.from_config(ballplay.config("default", **{name: value}))


def test_weights_that_would_do_nothing_are_refused_when_the_environment_is_built():
    with pytest.raises(ValueError, match="reward weights pv: expected 0"):
        envs.load("BallPlay", ballplay.config(weights__pv=1.0))


def test_the_environment_on_mjx_jax_takes_feet_that_meet_the_floor_as_in_c():
    feet = {}
    for engine, asked in (("mjx-jax", "auto"), ("mujoco", "auto"), ("mujoco", "corners")):
        config = ballplay.config("default", scene__feet=asked)
        config.physics.engine = engine
        feet[engine, asked] = BallPlay(config).scene.options.feet
    assert feet == {("mjx-jax", "auto"): "corners", ("mujoco", "auto"): "auto", ("mujoco", "corners"): "corners"}


def test_all_sections_complain_together_before_anything_is_built():
    config = ballplay.config("default", scene__feet="round", reward__lag=7, motion__pad="zebra")
    with pytest.raises(ConfigError) as caught:
        validate(config)
    for found in ("scene: feet='round'", "reward: RewardOptions.lag: expected 0 or 1, got 7", "'zebra'"):
        assert found in str(caught.value)


def test_clips_of_another_frame_rate_are_refused():
    clips = library.load_clips("throw_catch")
    slow = [dataclasses.replace(clip, fps=30.0) for clip in clips]
    with pytest.raises(ValueError, match="clip throw_catch has 30 fps, but the environment acts at 60 Hz"):
        BallPlay(ballplay.config(), slow)
