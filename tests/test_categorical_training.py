"""Learning to choose: the optimum of a corridor, exact resume, policy files, and the low-level policy's hash."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.config import ConfigError, load_config, run_defaults
from mjx_skillmimic.evaluation.policies import make_agent
from mjx_skillmimic.interop.isaacgym.policy import NumPyPolicy, PolicyFileError
from mjx_skillmimic.interop.onnx_export import export_onnx
from mjx_skillmimic.learning import normalizer, runner
from mjx_skillmimic.learning.heads import CATEGORICAL
from mjx_skillmimic.learning.hooks import task_hooks
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo, from_mapping
from mjx_skillmimic.learning.policy import PolicyFormatError, bundle, load_policy, save_policy
from mjx_skillmimic.learning.ppo import jit_iteration, make_train
from tests.toy import PointEnv, quiet
from tests.toy_choices import CELLS, LENGTH, Corridor, best_return
from tests.trees import leaves

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SMALL = {
    "num_envs": 64,
    "horizon": 10,
    "minibatch_size": 160,
    "actor_hidden": (32,),
    "critic_hidden": (32,),
    "learning_rate": 1e-2,
    "lr_schedule": "constant",
    "max_kl": 0.0,
}


def config(iterations: int, env: Corridor | None = None, **low_level: object) -> ConfigDict:
    # lists, as a configuration file read back from JSON has them
    settings = {"total_env_steps": 640 * iterations, "checkpoint_every": 2, "eval_every": 0, "video_every": 0}
    low_level = {"policy": "somewhere", "allow_other": False} | low_level
    run = run_defaults(tensorboard=False, **settings)
    return ConfigDict({"env": "Corridor", "ppo": SMALL, "low_level": low_level, "run": run}).lock()


def train(workdir, iterations, env=None, resume=False, init_from="", **low_level):
    env, chosen = env or Corridor(), config(iterations, **low_level)
    with chosen.unlocked():
        chosen.run.init_from = str(init_from)
    hooks = runner.Hooks(export=task_hooks(chosen, env).export)
    return runner.run(chosen, workdir, resume, env=env, hooks=hooks, progress=quiet())


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four iterations over the low-level policy "a"."""
    folder = tmp_path_factory.mktemp("runs") / "four"
    return folder, train(folder, 4, Corridor("a"))


def episode_return(policy):
    """Of one whole episode in each of 512 worlds."""
    env = Corridor()

    def step(state, _):
        state = env.step(state, policy(state.obs))
        return state, state.reward

    state = env.reset(jax.random.split(jax.random.key(7), 512))
    return float(jnp.mean(jnp.sum(jax.lax.scan(step, state, None, length=LENGTH)[1], axis=0)))


def recipe(preset, **changes):
    """The PPO options of a preset of configs/high_level.py, with small networks and batches."""
    sizes = {key: SMALL[key] for key in ("num_envs", "horizon", "minibatch_size", "actor_hidden", "critic_hidden")}
    return from_mapping(load_config(CONFIGS / f"high_level.py:{preset}").ppo.to_dict() | sizes | changes)


# The published rate is for batches a hundred times as large and thousands of iterations.
@pytest.mark.parametrize(("preset", "changes"), [("heading", {}), ("heading:reference", {"learning_rate": 3e-3})])
def test_the_recipes_reach_the_best_return_of_the_corridor(preset, changes):
    options = recipe(preset, **changes)
    init, train_iteration = make_train(Corridor(), options, initial_action=Corridor.initial_action)
    iterate, state = jit_iteration(train_iteration), init(jax.random.key(0))
    entropies = []
    for _ in range(75):
        state, metrics = iterate(state)
        entropies.append(float(metrics["entropy"]))
    assert episode_return(lambda obs: jnp.ones(len(obs), jnp.int32)) < 0.3 * best_return()
    # the mean over 512 drawn pairs of cells scatters by 0.8 % about the best return
    trained = bundle(options, state.params, state.obs_moments)
    assert episode_return(trained) > 0.96 * best_return()
    assert entropies[0] == pytest.approx(np.log(3), abs=0.1)
    assert entropies[-1] < 0.3
    assert "action_std" not in metrics
    assert float(metrics["episode/truncations"]) == options.num_envs


def test_the_presets_are_the_published_ones():
    reference = load_config(CONFIGS / "high_level.py:heading:reference")
    ppo = reference.ppo
    assert (ppo.num_envs * ppo.horizon, ppo.minibatch_size, ppo.num_epochs) == (65536, 32768, 6)
    assert (ppo.learning_rate, ppo.discount, ppo.gae_lambda, ppo.clip_ratio) == (2e-5, 0.99, 0.95, 0.2)
    assert (tuple(ppo.actor_hidden), tuple(ppo.critic_hidden)) == ((1024, 512), (1024, 512))
    assert (ppo.value_loss_coef, ppo.entropy_coef, ppo.bounds_loss_coef, ppo.log_ratio_limit) == (5.0, 0.0, 0.0, 0.0)
    assert (ppo.max_grad_norm, ppo.max_kl, ppo.lr_schedule) == (0.0, 0.0, "constant")
    assert reference.run.total_env_steps == 2000 * 65536
    scoring = load_config(CONFIGS / "high_level.py:scoring:reference")
    assert (scoring.ppo.minibatch_size, scoring.run.total_env_steps) == (16384, 6000 * 65536)
    with pytest.raises(ConfigError, match="expected one of heading, circling, throwing, scoring"):
        load_config(CONFIGS / "high_level.py:walking")


def test_the_kl_sets_the_rate_and_stops_the_steps():
    free = default_ppo(**SMALL | {"learning_rate": 0.3})
    limits = {"max_kl": 0.02, "lr_schedule": "adaptive_kl", "kl_target": 0.01, "lr_max": 1.0}
    guarded, metrics = default_ppo(**SMALL | {"learning_rate": 0.3} | limits), {}
    for options in (free, guarded):
        init, train_iteration = make_train(Corridor(), options)
        metrics[options] = jax.jit(train_iteration)(init(jax.random.key(0)))[1]
    assert metrics[free]["kl_last_epoch"] > 0.1
    assert 1 <= metrics[guarded]["gradient_steps"] < metrics[free]["gradient_steps"] == 12
    assert float(metrics[free]["learning_rate"]) == pytest.approx(0.3)
    assert float(metrics[guarded]["learning_rate"]) == pytest.approx(0.2)


def test_two_resumed_for_two_is_bit_for_bit_four(tmp_path, four):
    _, straight = four
    half = train(tmp_path / "run", 2, Corridor("a"))
    resumed = train(tmp_path / "run", 4, Corridor("a"), resume=True)
    first, second = leaves(resumed.state), leaves(straight.state)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert any(not np.array_equal(value, first[name]) for name, value in leaves(half.state).items())
    kernel = ".params['actor']['params']['logits']['kernel']"
    assert not np.array_equal(leaves(half.state)[kernel], first[kernel])


def test_another_low_level_policy_is_refused_unless_told(tmp_path, four):
    folder, _ = four
    (tmp_path / "run").mkdir()
    train(tmp_path / "run", 1, Corridor("a"))
    told = r"policy a \(aaaaaaaaaaaa\), found policy b \(bbbbbbbbbbbb\).*low_level.allow_other"
    with pytest.raises(runner.ResumeError, match=f"the checkpoint was trained on.*{told}"):
        train(tmp_path / "run", 2, Corridor("b"), resume=True)
    # the same numbers may lie elsewhere
    assert train(tmp_path / "run", 2, Corridor("a"), resume=True, policy="moved").iteration == 2
    assert train(tmp_path / "run", 3, Corridor("b"), resume=True, allow_other=True).iteration == 3
    for name, source in {"of a run": folder, "of a file": folder / "policy.npz"}.items():
        with pytest.raises(runner.InitError, match=told):
            train(tmp_path / name, 1, Corridor("b"), init_from=source)
    assert train(tmp_path / "other", 1, Corridor("b"), init_from=folder, allow_other=True).iteration == 1

    env, file = Corridor("b"), folder / "policy.npz"
    with pytest.raises(ValueError, match=told):
        make_agent(file, env)
    env.config = config(1, allow_other=True)
    assert make_agent(file, env).metadata["low_level"]["sha256"] == "a" * 64
    assert make_agent(file, Corridor("a")).metadata["iteration"] == 4


def test_agents_choose(four):
    env = Corridor("a")
    state = env.reset(jax.random.split(jax.random.key(0), 300))
    for name, expected in (("zero", {0}), ("random", {0, 1, 2}), (four[0] / "policy.npz", None)):
        agent = make_agent(name, env, deterministic=False)
        action = jax.jit(agent.act)(agent.parameters, state, jax.random.key(1))
        assert action.dtype == jnp.int32
        assert action.shape == (300,)
        assert expected is None or set(np.asarray(action).tolist()) == expected
    with pytest.raises(ValueError, match="playback follows a clip"):
        make_agent("playback", env)
    continuous = Corridor("a")
    continuous.action_kind = "continuous"
    with pytest.raises(ValueError, match="is a categorical policy, this environment's actions are continuous"):
        make_agent(four[0] / "policy.npz", continuous)


def test_a_policy_file_says_that_it_chooses_and_how_likely(four, tmp_path):
    _, result = four
    path = four[0] / "policy.npz"
    loaded = load_policy(path)
    assert (loaded.head, loaded.hidden, loaded.obs_size, loaded.action_size) == ("categorical", (32,), 2 * CELLS, 3)
    obs = Corridor().reset(jax.random.split(jax.random.key(5), 100)).obs
    networks = make_networks(default_ppo(**SMALL), 2 * CELLS, 3, head=CATEGORICAL)
    logits, _ = networks.act(result.state.params, normalizer.normalize(result.state.obs_moments, obs))
    probabilities = np.asarray(loaded.probabilities(obs))
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), rtol=1e-6)
    np.testing.assert_array_equal(loaded(obs), probabilities.argmax(-1))
    many = jnp.broadcast_to(obs[0], (20_000, 2 * CELLS))
    frequency = np.bincount(loaded(many, jax.random.key(0)), minlength=3) / 20_000
    np.testing.assert_allclose(frequency, probabilities[0], atol=0.02)
    assert loaded(obs[0]).shape == ()

    half = save_policy(tmp_path / "half.npz", loaded, "float16")
    np.testing.assert_allclose(load_policy(half).probabilities(obs), probabilities, atol=5e-3)
    with pytest.raises(ValueError, match="categorical policy, expected a gaussian one"):
        export_onnx(tmp_path / "p.onnx", loaded, "corridor")
    with pytest.raises(PolicyFileError, match="categorical policy"):
        NumPyPolicy(path)


def test_a_file_with_another_head_is_refused_and_one_without_is_gaussian(four, tmp_path):
    with np.load(four[0] / "policy.npz") as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    for head, message in ((["x"], r"head \['x'\].*gaussian, categorical"), (None, "params/log_std")):
        changed = {k: v for k, v in header.items() if k != "head"} | ({"head": head} if head else {})
        arrays["header"] = np.frombuffer(json.dumps(changed).encode(), np.uint8)
        np.savez(tmp_path / "changed.npz", **arrays)
        with pytest.raises(PolicyFormatError, match=message):
            load_policy(tmp_path / "changed.npz")

    options = default_ppo(actor_hidden=(8,), critic_hidden=(8,))
    params = make_networks(options, 5, 2).init(jax.random.key(0))
    moved = bundle(options, params, normalizer.init(5))
    path = save_policy(tmp_path / "gaussian.npz", moved)
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    assert header.pop("head") == "gaussian"
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    old, obs = load_policy(path), jnp.ones((3, 5))
    np.testing.assert_array_equal(old(obs), moved(obs))
    with pytest.raises(ValueError, match="only choices have probabilities"):
        old.probabilities(obs)


def test_several_seeds_at_once_are_those_of_single_runs(tmp_path):
    both = config(1).copy_and_resolve_references()
    with both.unlocked():
        both.run.seeds = 2
    together = runner.run(both, tmp_path / "both", env=Corridor(), progress=quiet()).state
    alone = runner.run(config(1), tmp_path / "one", env=Corridor(), progress=quiet()).state
    np.testing.assert_allclose(
        together.params["actor"]["params"]["logits"]["kernel"][0],
        alone.params["actor"]["params"]["logits"]["kernel"],
        atol=1e-5,
    )


def test_a_continuous_environment_keeps_its_head():
    init, _ = make_train(PointEnv(), default_ppo(**SMALL))
    assert set(jax.eval_shape(init, jax.random.key(0)).params["actor"]["params"]) == {"body", "mean", "log_std"}
