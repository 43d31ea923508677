"""Env steps a second of the Gymnasium vector environment beside a loop over the bare JAX environment.

    python scripts/benchmark_gymnasium.py --num_envs 64 --json docs/results/interfaces_cpu.json

Both step the same environment with the same actions, in turns, so that what else the machine does meets both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjx_skillmimic.benchmark.machine import device_name
from mjx_skillmimic.interop.gymnasium_env import SkillVectorEnv


def main() -> int:
    """Prints both rates and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=100, help="control steps a turn")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--motion", default="throw_catch")
    parser.add_argument("--engine", default=None)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    worlds = SkillVectorEnv(arguments.num_envs, motion=arguments.motion, engine=arguments.engine)
    env, noise = worlds.worlds.env, np.random.default_rng(0)
    spread = 0.05 * noise.standard_normal((arguments.steps, arguments.num_envs, env.action_size))
    actions = np.clip(env.initial_action + spread, -1.0, 1.0).astype(np.float32)
    loops = {"bare": bare_loop(env, arguments.num_envs, actions), "gymnasium": gymnasium_loop(worlds, actions)}
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(arguments.turns + 1):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop()
            if turn > 0:  # the first turn compiles
                rates[name].append(actions.shape[0] * actions.shape[1] / (time.perf_counter() - start))
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    ratios = [b / a for a, b in zip(rates["bare"], rates["gymnasium"], strict=True)]
    record: dict[str, Any] = {
        "device": device_name(),
        "engine": env.physics.name,
        "num_envs": arguments.num_envs,
        "steps": arguments.steps,
        "turns": arguments.turns,
        "motion": arguments.motion,
        "env_steps_per_second": medians,
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
    print(json.dumps(record, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0


def bare_loop(env: Any, num_envs: int, actions: np.ndarray) -> Callable[[], None]:
    """The environment's compiled step; observations reach NumPy, as a learner there needs them."""
    step = jax.jit(env.step)
    begin = jax.jit(env.reset)(jax.random.split(jax.random.key(0), num_envs))

    def run() -> None:
        state = begin
        for action in actions:
            state = step(state, action)
            np.asarray(state.obs)

    return run


def gymnasium_loop(worlds: SkillVectorEnv, actions: np.ndarray) -> Callable[[], None]:
    """The same steps through the interface."""

    def run() -> None:
        worlds.reset(seed=0)
        for action in actions:
            worlds.step(action)

    return run


if __name__ == "__main__":
    sys.exit(main())
