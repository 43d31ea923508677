"""A critic that sees more than the policy: what it explains, exact resume, devices and seeds, its own learning rate."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.envs.state import State
from mjx_skillmimic.learning import compiling, normalizer, parallel, policy, ppo, runner
from mjx_skillmimic.learning.losses import Samples
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.learning.update import Learner, gradient_step, make_optimizer
from mjx_skillmimic.learning.workdir import check_resumable
from tests.test_learning_parallel import CLOSE, OPTIONS, environment
from tests.toy import LENGTH, PointEnv, quiet, toy_config
from tests.trees import leaves

WORKER = """
import sys
import numpy as np
from tests import test_learning_privileged as here
np.savez(sys.argv[1], **here.trained(2, 2))
"""


class HintedEnv(PointEnv):
    """PointEnv with 3 · h more reward a step, h drawn with each episode; only the privileged observation shows it."""

    def __init__(self, privileged_size: int = 2) -> None:
        super().__init__()
        self.privileged_size = privileged_size

    def reset(self, rng: jax.Array) -> State:
        state = super().reset(rng)
        hidden = self._hidden(rng)
        shown = self._show(hidden, state.info["age"])
        return state.replace(info=state.info | {"hidden": hidden, "privileged": shown, "final_privileged": shown})

    def step(self, state: State, action: jax.Array) -> State:
        after = super().step(state, action)
        old = state.info["hidden"]
        hidden = jnp.where(after.done > 0, self._hidden(after.info["rng"]), old)
        info = after.info | {
            "hidden": hidden,
            "privileged": self._show(hidden, after.info["age"]),
            "final_privileged": self._show(old, state.info["age"] + 1),
        }
        return after.replace(reward=after.reward + 3 * old, info=info)

    @staticmethod
    def _hidden(rng: jax.Array) -> jax.Array:
        return jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 7), minval=-1.0, maxval=1.0))(rng)

    @staticmethod
    def _show(hidden: jax.Array, age: jax.Array) -> jax.Array:
        return jnp.stack([10 + 4 * hidden, age / LENGTH], axis=-1)


def run(env: Any, options: Any, iterations: int, devices: int = 1, seeds: int = 1) -> tuple[Any, list[dict[str, Any]]]:
    program = parallel.assemble(ppo.make_train, env, options, parallel.make_mesh(devices), seeds)
    state = compiling.compile_init(program.init)(program.keys(0))
    iterate = compiling.compile_iteration(program.train_iteration, state)
    history = []
    for _ in range(iterations):
        state, metrics = iterate(state)
        history.append({name: np.asarray(value) for name, value in metrics.items()})
    return state, history


def trained(devices: int, seeds: int) -> dict[str, np.ndarray]:
    state, history = run(HintedEnv(), OPTIONS, 3, devices, seeds)
    return leaves(state) | {f"metrics/{name}": value for name, value in history[-1].items()}


def test_the_critic_explains_what_only_it_is_told():
    options = default_ppo(
        num_envs=64,
        horizon=LENGTH,
        minibatch_size=160,
        actor_hidden=(16,),
        critic_hidden=(32, 32),
        discount=0.8,
        learning_rate=3e-3,
        lr_schedule="constant",
        max_kl=0.0,
    )
    explained = {}
    for size in (2, 0):
        state, history = run(HintedEnv(size), options, 40)
        explained[size] = np.mean([metrics["explained_variance"] for metrics in history[-5:]])
        assert (state.privileged_moments is None) == (size == 0)
        assert state.params["critic"]["params"]["body"]["hidden_0"]["kernel"].shape == (2 + size, 32)
        # The policy is the same function of the observation alone.
        assert state.params["actor"]["params"]["body"]["hidden_0"]["kernel"].shape == (2, 16)
        action = policy.make_policy(options, state.params, state.obs_moments)(jnp.ones((3, 2)), None)
        assert action.shape == (3, 2)
    assert explained[2] > 0.9
    assert explained[0] < 0.3


def test_statistics_are_merged_with_minibatches_where_those_of_the_observations_are():
    options = dataclasses.replace(OPTIONS, normalizer_update="minibatch", normalizer_warm_start=False)
    state, _ = run(HintedEnv(), options, 2)
    assert float(state.privileged_moments.count) == float(state.obs_moments.count) == 1 + 2 * 2 * 64


def test_devices_and_seeds_change_nothing(tmp_path: Path):
    single = trained(1, 1)
    # Of the first reset and of each rollout, as the observations'; the hidden number is shown as 10 ± 4.
    assert single[".privileged_moments.count"] == single[".obs_moments.count"] == 1 + 16 + 3 * 64
    np.testing.assert_allclose(single[".privileged_moments.mean"], [10, 0.4], atol=1)
    file = tmp_path / "state.npz"
    subprocess.run([sys.executable, "-c", WORKER, str(file)], env=environment(2), check=True, timeout=120)
    with np.load(file) as found:
        assert set(found.files) == single.keys()
        for name, expected in single.items():
            value = found[name][0] if found[name].ndim > expected.ndim else found[name]
            # The low words of statistics are rounding errors of the high ones.
            close = {"atol": 1e-5} if name.endswith("_low") else CLOSE
            np.testing.assert_allclose(value, expected, **close, err_msg=name)
        assert found[".env_state.info['privileged']"].shape == (2, 16, 2)
        assert np.abs(np.subtract(*found[".privileged_moments.mean"])).max() > 1e-4


def test_a_resumed_run_is_bit_for_bit_the_same(tmp_path: Path):
    def train(name: str, iterations: int, resume: bool = False) -> Any:
        return runner.run(toy_config(iterations), tmp_path / name, resume, env=HintedEnv(), progress=quiet()).state

    half = leaves(train("run", 3))
    one, other = leaves(train("run", 6, resume=True)), leaves(train("straight", 6))
    assert one.keys() == other.keys() > {".privileged_moments.mean", ".env_state.info['privileged']"}
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    assert np.abs(one[".privileged_moments.mean"] - half[".privileged_moments.mean"]).max() > 0


def test_the_critics_own_rate_scales_its_step_and_leaves_the_actors():
    rng = np.random.default_rng(0)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    batch = Samples(
        obs=normal(32, 2),
        action=0.1 * normal(32, 2),
        old_output=0 * normal(32, 2),
        old_neg_log_prob=normal(32),
        advantage=normal(32),
        old_value=normal(32),
        target=normal(32),
        privileged=normal(32, 3),
    )
    jitted = jax.jit(gradient_step, static_argnums=(3, 4, 5))
    steps = {}
    for rate in (0.0, 4e-3):
        options = default_ppo(actor_hidden=(8,), critic_hidden=(8,), max_kl=0.0, critic_learning_rate=rate)
        networks, optimizer = make_networks(options, 2, 2, 3), make_optimizer(options)
        params = jax.jit(networks.init)(jax.random.key(1))
        moments = normalizer.init(2), normalizer.init(3)
        learner = Learner(params, optimizer.init(params), moments[0], jnp.float32(1e-3), moments[1])
        log_std = params["actor"]["params"]["log_std"]
        after, _ = jitted(learner, batch, log_std, networks, optimizer, options)
        steps[rate] = leaves(jax.tree.map(jnp.subtract, after.params, params))
    # Where the guard stops the actor, nothing moves at all.
    far = dataclasses.replace(batch, old_output=batch.old_output + 5)
    same, _ = jitted(learner, far, log_std, networks, optimizer, dataclasses.replace(options, max_kl=0.01))
    for name, value in leaves(same.params).items():
        np.testing.assert_array_equal(value, leaves(params)[name], err_msg=name)
    for name, step in steps[4e-3].items():
        factor = 4.0 if name.startswith("['critic']") else 1.0
        np.testing.assert_allclose(step, factor * steps[0.0][name], rtol=1e-3, atol=1e-6, err_msg=name)
    assert np.abs(steps[0.0]["['critic']['params']['value']['bias']"]).max() == pytest.approx(1e-3, rel=1e-2)


def test_the_schedule_moves_the_actors_rate_alone():
    """At a rate that cannot move anything, with a target that only ever raises it."""
    options = dataclasses.replace(
        OPTIONS, learning_rate=1e-10, lr_min=1e-12, lr_max=1e-2, critic_learning_rate=1e-3, lr_schedule="adaptive_kl"
    )
    state, _ = run(HintedEnv(), options, 2)
    begun = leaves(jax.jit(make_networks(options, 2, 2, 2).init)(jax.random.split(jax.random.key(0), 3)[1]))
    assert float(state.learning_rate) == pytest.approx(1e-10 * 1.5**2, rel=1e-4)
    for name, value in leaves(state.params).items():
        moved = np.abs(value - begun[name]).max()
        assert moved > 1e-3 if name.startswith("['critic']") else moved < 1e-7, name


def test_a_run_of_before_these_options_can_be_resumed():
    config = toy_config(1)
    record = {"motion_hash": None, "config": config.to_dict()}
    with config.unlocked():
        config.ppo.critic_learning_rate = 0.0
        config.observation = {"critic": "policy"}
    check_resumable(record, config, None)
    with config.unlocked():
        config.observation.critic = "reference"
        config.ppo.critic_learning_rate = 1e-3
    with pytest.raises(
        runner.ResumeError, match=r"(?s)observation.critic: 'absent' -> 'reference'.*critic_learning_rate"
    ):
        check_resumable(record, config, None)
