"""Policies as functions and files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.learning import normalizer
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.learning.policy import PolicyFormatError, bundle, load_policy, make_policy, save_policy

OPTIONS = default_ppo(actor_hidden=(16, 8), critic_hidden=(16,), actor_final_scale=1.0)


@pytest.fixture(name="trained")
def fixture_trained():
    networks = make_networks(OPTIONS, 5, 3)
    params = networks.init(jax.random.PRNGKey(0), initial_action=jnp.asarray([0.1, -0.2, 5.0]))
    data = np.random.default_rng(0).normal(3.0, 2.0, (64, 5)).astype(np.float32)
    return params, normalizer.merge(normalizer.init(5), data), jnp.asarray(data)


def test_default_initialisation_has_pytorchs_bounds_and_zero_biases():
    actor = make_networks(default_ppo(actor_final_scale=1.0), 100, 3).init(jax.random.PRNGKey(1))["actor"]["params"]
    kernel = np.asarray(actor["body"]["hidden_0"]["kernel"])
    assert np.abs(kernel).max() <= 0.1
    assert kernel.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.02)
    assert not np.asarray(actor["body"]["hidden_0"]["bias"]).any()
    small = make_networks(default_ppo(actor_final_scale=0.01), 100, 3).init(jax.random.PRNGKey(1))["actor"]["params"]
    np.testing.assert_allclose(small["mean"]["kernel"], 0.01 * np.asarray(actor["mean"]["kernel"]), rtol=1e-5)


def test_number_of_parameters_is_the_published_one():
    shapes = jax.eval_shape(lambda key: make_networks(default_ppo(), 902, 156).init(key), jax.random.PRNGKey(0))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(shapes[name])) for name in ("actor", "critic")}
    assert sizes == {"actor": 1_792_156 + 156, "critic": 1_712_641}


def test_mean_starts_at_the_initial_action_and_is_clamped(trained):
    params, moments, _ = trained
    params["actor"]["params"]["mean"]["kernel"] = jnp.zeros((8, 3))
    action = make_policy(OPTIONS, params, moments)(jnp.ones((2, 5)), None)
    np.testing.assert_allclose(action, [[0.1, -0.2, 1.0]] * 2, rtol=1e-6)


def test_stochastic_policy_scatters_by_sigma_around_the_mean(trained):
    params, moments, data = trained
    obs = jnp.broadcast_to(data[0], (20_000, 5))
    mean = make_policy(OPTIONS, params, moments)(obs[:1], None)[0]
    draws = make_policy(OPTIONS, params, moments, deterministic=False)(obs, jax.random.PRNGKey(2))
    np.testing.assert_allclose(np.std(draws, axis=0)[:2], np.exp(-2.9), rtol=0.03)
    np.testing.assert_allclose(np.mean(draws, axis=0)[:2], mean[:2], atol=2e-3)
    with pytest.raises(ValueError, match="rng"):
        make_policy(OPTIONS, params, moments, deterministic=False)(obs, None)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 0.0), ("float16", 5e-3)])
def test_saved_policy_acts_the_same(trained, tmp_path, dtype, tolerance):
    params, moments, data = trained
    path = save_policy(tmp_path / "deep" / "p.npz", bundle(OPTIONS, params, moments, {"clip": "catch"}), dtype)
    loaded = load_policy(path)
    assert (loaded.hidden, loaded.obs_size, loaded.action_size, loaded.metadata) == ((16, 8), 5, 3, {"clip": "catch"})
    expected = make_policy(OPTIONS, params, moments)(data, None)
    np.testing.assert_allclose(loaded.policy()(data, None), expected, rtol=0, atol=tolerance)
    assert [p.name for p in path.parent.iterdir()] == ["p.npz"]


def rewrite(path, change):
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)


def set_header(arrays, **changes):
    header = json.loads(arrays["header"].tobytes()) | changes
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("header"), "header"),
        (lambda a: a.pop("moments/var"), "moments/var"),
        (lambda a: a.update({"actor/params/mean/bias": np.zeros(4, np.float32)}), r"\(4,\).*\(3,\)"),
        (lambda a: a["actor/params/mean/kernel"].fill(np.nan), "finite"),
        (lambda a: set_header(a, version=99), "version 99.*version 1"),
        (lambda a: set_header(a, format="cake"), "format"),
        (lambda a: a.update({"header": np.zeros(3, np.uint8)}), "JSON"),
    ],
)
def test_damaged_files_are_refused_by_name(trained, tmp_path, change, message):
    params, moments, _ = trained
    path = save_policy(tmp_path / "p.npz", bundle(OPTIONS, params, moments))
    rewrite(path, change)
    with pytest.raises(PolicyFormatError, match=message):
        load_policy(path)


def test_files_of_another_kind_are_refused(tmp_path):
    text = tmp_path / "x.npz"
    text.write_text("no archive")
    with pytest.raises(PolicyFormatError, match=r"x\.npz"):
        load_policy(text)
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, header=np.asarray([{"a": 1}], dtype=object))
    with pytest.raises(PolicyFormatError, match="allow_pickle"):
        load_policy(pickled)
    with pytest.raises(FileNotFoundError):
        load_policy(tmp_path / "absent.npz")


def test_weights_that_do_not_fit_the_type_are_not_written(trained, tmp_path):
    params, moments, _ = trained
    params["actor"]["params"]["mean"]["bias"] = jnp.asarray([1e6, 0.0, 0.0])
    with pytest.raises(ValueError, match="float16"):
        save_policy(tmp_path / "p.npz", bundle(OPTIONS, params, moments), "float16")
    assert not list(tmp_path.iterdir())
