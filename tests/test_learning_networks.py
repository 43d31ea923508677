"""Layers that are filled up to aligned rows, and hidden layers in bfloat16, against plain float32 products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.learning.networks import MLP, make_networks
from mjx_skillmimic.learning.options import default_ppo, validate

SIZE, ACTIONS = 45, 7  # neither a multiple of the alignment


def networks(dtype="float32"):
    options = default_ppo(actor_hidden=(64, 48), critic_hidden=(64, 48), compute_dtype=dtype)
    return make_networks(options, SIZE, ACTIONS)


def test_an_mlp_is_the_product_of_its_parameters():
    mlp, x = MLP((33, 20)), jax.random.normal(jax.random.key(0), (5, SIZE))
    params = mlp.init(jax.random.key(1), x)
    shapes = [params["params"][f"hidden_{i}"]["kernel"].shape for i in range(2)]
    assert shapes == [(SIZE, 33), (33, 20)]
    wanted = np.asarray(x, np.float64)
    for i in range(2):
        layer = {name: np.asarray(value, np.float64) for name, value in params["params"][f"hidden_{i}"].items()}
        wanted = np.maximum(wanted @ layer["kernel"] + layer["bias"], 0.0)
    np.testing.assert_allclose(mlp.apply(params, x), wanted, atol=1e-5)
    gradient = jax.grad(lambda p: jnp.sum(mlp.apply(p, x) ** 2))(params)
    assert all(bool(jnp.any(leaf["kernel"] != 0)) for leaf in gradient["params"].values())


def test_bfloat16_hidden_layers_change_little_and_leave_parameters_and_results_float32():
    exact, rough = networks(), networks("bfloat16")
    x = jax.random.normal(jax.random.key(0), (64, SIZE))
    params = rough.init(jax.random.key(1))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    for one, other in (
        (exact.act(params, x)[0], rough.act(params, x)[0]),
        (exact.value(params, x), rough.value(params, x)),
    ):
        assert other.dtype == jnp.float32
        difference = float(jnp.max(jnp.abs(one - other)))
        assert 0.0 < difference < 0.02 * float(jnp.max(jnp.abs(one)))


def test_an_unknown_compute_dtype_is_refused():
    with pytest.raises(ValueError, match="compute_dtype"):
        validate(default_ppo(compute_dtype="bfloat"))
