"""The adapter's end of an episode, on brax's trivial environment (position and velocity grow, reset to zero)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax import envs

from mjx_skillmimic.envs.brax_adapter import BraxAdapter


def test_timeouts_keep_the_final_observation_and_restart():
    env = BraxAdapter(envs.get_environment("fast"), episode_length=3)
    assert (env.observation_size, env.action_size) == (2, 1)
    state = env.reset(jax.random.split(jax.random.PRNGKey(0), 2))
    # The velocity grows by 0.02 m/s a step and the position by velocity × 0.02 s, if the action is positive.
    position = [0.0004, 0.0012, 0.0024]
    for step in range(7):
        state = env.step(state, jnp.asarray([[1.0], [-1.0]]))
        ends = float(step % 3 == 2)
        expected = np.asarray([[position[step % 3], 0.02 * (step % 3 + 1)], [0.0, 0.0]])
        np.testing.assert_allclose(state.info["final_obs"], expected, atol=1e-7)
        np.testing.assert_allclose(state.obs, expected * (1 - ends), atol=1e-7)
        np.testing.assert_array_equal(state.done, [ends, ends])
        np.testing.assert_array_equal(state.info["truncation"], [ends, ends])
        assert not np.asarray(state.info["terminated"]).any()


def test_an_empty_episode_is_refused():
    with pytest.raises(ValueError, match="episode_length is 0"):
        BraxAdapter(envs.get_environment("fast"), episode_length=0)
