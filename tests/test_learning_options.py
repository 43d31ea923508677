"""Presets and the refusal of options that cannot work."""

import dataclasses

import ml_collections
import pytest

from mjx_skillmimic.learning.options import default_ppo, from_mapping, reference_ppo, validate


def test_reference_is_the_published_table():
    options = reference_ppo()
    assert (options.num_envs, options.horizon, options.minibatch_size, options.num_epochs) == (2048, 32, 16384, 6)
    assert options.num_epochs * options.num_minibatches == 24
    assert (options.learning_rate, options.lr_schedule, options.max_grad_norm) == (2e-5, "constant", 0.0)
    assert (options.value_loss_coef, options.bounds_loss_coef, options.entropy_coef) == (5.0, 10.0, 0.0)
    assert options.actor_hidden == options.critic_hidden == (1024, 512, 512)


@pytest.mark.parametrize("preset", [reference_ppo, default_ppo])
def test_presets_are_valid_and_survive_a_config(preset):
    options = preset()
    validate(options)
    config = ml_collections.ConfigDict(dataclasses.asdict(options))
    assert from_mapping(config) == options


def test_indivisible_batch_names_the_numbers_and_the_nearest_that_fit():
    with pytest.raises(ValueError, match=r"100 × 16 = 1600.*minibatch_size 1000.*800 or 1600"):
        validate(default_ppo(num_envs=100, minibatch_size=1000))


def test_minibatch_larger_than_the_batch_is_refused():
    with pytest.raises(ValueError, match=r"nearest that fit are 128$"):
        validate(default_ppo(num_envs=8, minibatch_size=16384))


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'learning_rat'.*'learning_rate'"):
        from_mapping({"learning_rat": 1e-4})


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": 0},
        {"discount": 1.5},
        {"learning_rate": 0.0},
        {"action_limit": 0.0},
        {"max_kl": -1.0},
        {"adam_beta1": 2.0},
        {"learning_rate": 1.0},
        {"kl_target": 0.0},
        {"kl_epsilon": 1e-5},
        {"normalizer_update": "sometimes"},
    ],
)
def test_impossible_values_are_refused(changes):
    name = next(iter(changes))
    with pytest.raises(ValueError, match=name):
        validate(default_ppo(**changes))
