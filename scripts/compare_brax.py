"""Our PPO beside brax's own on brax's inverted pendulum: same samples, same hyperparameters, three seeds.

    python scripts/compare_brax.py --out docs/results/compare_brax.json

Both learn a Gaussian policy with a learned, observation-independent σ and separate ReLU networks. What cannot be made
equal is listed under "differences" in the result. Exits with 1 where our mean final return is below --margin of brax's.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import brax
import flax.linen as nn
import jax
import jax.numpy as jnp
from brax import envs
from brax.training.acme import running_statistics
from brax.training.agents.ppo import networks as brax_networks
from brax.training.agents.ppo import train as brax_ppo

from mjx_skillmimic.envs.brax_adapter import BraxAdapter
from mjx_skillmimic.interop.brax_env import prepare_brax
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.learning.policy import make_policy
from mjx_skillmimic.learning.ppo import jit_iteration, make_train

TASK: dict[str, Any] = {"env": "inverted_pendulum", "backend": "generalized", "episode_length": 250}
SETTINGS: dict[str, Any] = {
    "num_envs": 128,
    "horizon": 16,
    "num_minibatches": 4,
    "num_epochs": 4,
    "iterations": 64,
    "learning_rate": 1e-3,
    "discount": 0.97,
    "gae_lambda": 0.95,
    "clip_ratio": 0.2,
    "entropy_coef": 1e-3,
    "init_std": 0.6,
    "hidden": [64, 64],
}
EVAL_EPISODES = 64
CURVE_POINTS = 4
DIFFERENCES = [
    "ours: value loss ×5 on normalised targets, bounds loss ×10; brax: ×0.5 on raw targets, no bounds loss",
    "ours: a time-out bootstraps V of the final observation; brax: its advantage of a truncated step is zero",
    "ours: advantages normalised over the batch, minibatches of random samples; brax: per minibatch, of whole rollouts",
    "ours: resets draw a new initial state; brax: resets replay the first one of each world",
    "ours: PyTorch's initialisation, final layer × 0.01; brax: LeCun uniform",
]


def main() -> int:
    """Runs all seeds of both, prints the table, writes the JSON; 1 where ours falls behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--margin", type=float, default=0.97, help="fraction of brax's return that ours must reach")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    env = ClippedActions(envs.get_environment(TASK["env"], backend=TASK["backend"]))
    learners = {"ours": make_ours(env), "brax": make_brax(env)}
    evaluations = {name: make_evaluation(env, act) for name, (_, act) in learners.items()}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in learners}
    budgets = [samples(iterations) for iterations in checkpoints()]
    print(f"{'learner':8s} {'seed':>4s} {'seconds':>8s}   return after " + " ".join(f"{n:>8d}" for n in budgets))
    for seed in arguments.seeds:
        for name, (train, _) in learners.items():
            start = time.perf_counter()
            policies = train(seed)
            seconds = time.perf_counter() - start
            key = jax.random.PRNGKey(1000 + seed)
            curve = {steps: float(evaluations[name](params, key)) for steps, params in policies.items()}
            runs[name].append(
                {"seed": seed, "seconds": round(seconds, 1), "curve": curve, "return": curve[budgets[-1]]}
            )
            row = " ".join(f"{curve[steps]:8.1f}" for steps in budgets)
            print(f"{name:8s} {seed:4d} {seconds:8.1f}                {row}", flush=True)
    means = {name: statistics.mean(run["return"] for run in results) for name, results in runs.items()}
    reached = means["ours"] >= arguments.margin * means["brax"]
    print(f"mean return: ours {means['ours']:.1f}, brax {means['brax']:.1f}; best possible {TASK['episode_length']}")
    if arguments.out is not None:
        write(arguments.out, {"runs": runs, "mean_return": means, "margin": arguments.margin, "reached": reached})
    return 0 if reached else 1


def checkpoints() -> list[int]:
    """The numbers of iterations after which the policies are evaluated."""
    return [SETTINGS["iterations"] * part // CURVE_POINTS for part in range(CURVE_POINTS + 1)][1:]


def samples(iterations: int) -> int:
    """Environment steps of so many iterations, the same for both."""
    return int(SETTINGS["num_envs"] * SETTINGS["horizon"] * iterations)


class ClippedActions(envs.Wrapper):
    """Clamps actions to ±1 for both learners: a Gaussian policy would otherwise command forces out of range."""

    def step(self, state: envs.State, action: jax.Array) -> envs.State:
        """One step with the clamped action."""
        return self.env.step(state, jnp.clip(action, -1.0, 1.0))


def make_evaluation(env: Any, act: Any) -> Any:
    """`evaluate(params, key)` with `act(params, obs)`: mean return of one episode in each of `EVAL_EPISODES` worlds."""
    adapter = BraxAdapter(env, TASK["episode_length"])

    def evaluate(params: Any, key: jax.Array) -> jax.Array:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            state, alive, total = carry
            state = adapter.step(state, act(params, state.obs))
            return (state, alive * (1.0 - state.done), total + alive * state.reward), None

        state = adapter.reset(jax.random.split(key, EVAL_EPISODES))
        carry = (state, jnp.ones(EVAL_EPISODES), jnp.zeros(EVAL_EPISODES))
        (_, _, total), _ = jax.lax.scan(step, carry, length=TASK["episode_length"])
        return jnp.mean(total)

    return jax.jit(evaluate)


def make_ours(env: Any) -> tuple[Any, Any]:
    """`train(seed)` and `act` with the default preset, changed to the shared settings; compiled once for all seeds."""
    shared = ("num_envs", "horizon", "num_epochs", "learning_rate", "discount", "gae_lambda", "clip_ratio")
    options = default_ppo(
        **{name: SETTINGS[name] for name in (*shared, "entropy_coef")},
        minibatch_size=SETTINGS["num_envs"] * SETTINGS["horizon"] // SETTINGS["num_minibatches"],
        lr_schedule="constant",
        actor_hidden=tuple(SETTINGS["hidden"]),
        critic_hidden=tuple(SETTINGS["hidden"]),
        log_std=float(jnp.log(SETTINGS["init_std"])),
        learn_log_std=True,
    )
    init, train_iteration = make_train(BraxAdapter(env, TASK["episode_length"]), options)
    init, iterate = jax.jit(init), jit_iteration(train_iteration)

    def train(seed: int) -> dict[int, Any]:
        state, policies = init(jax.random.PRNGKey(seed)), {}
        for iteration in range(1, SETTINGS["iterations"] + 1):
            state, _ = iterate(state)
            if iteration in checkpoints():
                # Copies: the next iteration takes the state's buffers.
                policies[state.env_steps] = jax.tree.map(jnp.copy, (state.params, state.obs_moments))
        return policies

    def act(policy: Any, obs: jax.Array) -> jax.Array:
        return make_policy(options, *policy)(obs, None)

    return train, act


def make_brax(env: Any) -> tuple[Any, Any]:
    """`train(seed)` and `act` of brax's own trainer with the shared settings."""
    prepare_brax()
    worlds, minibatches = SETTINGS["num_envs"], SETTINGS["num_minibatches"]
    factory = functools.partial(
        brax_networks.make_ppo_networks,
        policy_hidden_layer_sizes=tuple(SETTINGS["hidden"]),
        value_hidden_layer_sizes=tuple(SETTINGS["hidden"]),
        activation=nn.relu,
        distribution_type="normal",
        noise_std_type="log",
        init_noise_std=SETTINGS["init_std"],
    )
    train_fn = functools.partial(
        brax_ppo.train,
        env,
        num_timesteps=samples(SETTINGS["iterations"]),
        episode_length=TASK["episode_length"],
        num_envs=worlds,
        unroll_length=SETTINGS["horizon"],
        batch_size=worlds // minibatches,
        num_minibatches=minibatches,
        num_updates_per_batch=SETTINGS["num_epochs"],
        learning_rate=SETTINGS["learning_rate"],
        discounting=SETTINGS["discount"],
        gae_lambda=SETTINGS["gae_lambda"],
        clipping_epsilon=SETTINGS["clip_ratio"],
        entropy_cost=SETTINGS["entropy_coef"],
        normalize_observations=True,
        network_factory=factory,
        num_evals=CURVE_POINTS + 1,
        run_evals=False,
    )
    network = factory(env.observation_size, env.action_size, preprocess_observations_fn=running_statistics.normalize)
    make_inference = brax_networks.make_inference_fn(network)

    def train(seed: int) -> dict[int, Any]:
        policies: dict[int, Any] = {}

        def keep(steps: int, _: Any, params: Any) -> None:
            policies[int(steps)] = jax.tree.map(jnp.copy, params)

        train_fn(seed=seed, policy_params_fn=keep)
        return {steps: policies[steps] for steps in map(samples, checkpoints())}

    def act(params: Any, obs: jax.Array) -> jax.Array:
        return make_inference(params, deterministic=True)(obs, jax.random.PRNGKey(0))[0]

    return train, act


def write(path: Path, results: dict[str, Any]) -> None:
    """The JSON with everything needed to repeat it."""
    device = jax.devices()[0]
    hardware = {"device": f"{device.platform}: {device.device_kind}", "cpu_cores": os.cpu_count()}
    versions = {"python": platform.python_version(), "jax": jax.__version__, "brax": brax.__version__}
    settings = {**SETTINGS, "eval_episodes": EVAL_EPISODES}
    record = {
        "task": TASK,
        "settings": settings,
        "differences": DIFFERENCES,
        "hardware": hardware,
        "versions": versions,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**record, **results}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
