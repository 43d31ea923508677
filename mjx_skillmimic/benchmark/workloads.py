"""What is timed: physics alone, the environment's step, acting with the policy, training. One compiled call each.

Every level runs the configuration's environment with its own clips and start states, so that contacts, falls and resets
happen as they do in training.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mjx_skillmimic.benchmark.levels import LEVELS
from mjx_skillmimic.learning import normalizer, ppo
from mjx_skillmimic.learning.compiling import compile_init
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import from_mapping
from mjx_skillmimic.learning.rollout import init_episodes, rollout
from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array

SEGMENT = 32  # control steps in a call of the levels physics and env; as many as the default horizon


@dataclasses.dataclass
class Workload:
    """A compiled call `carry, output = call(carry)` that takes the carry's buffers, and the carry to begin with.

    steps: control steps of one call, over all worlds. compile_seconds: tracing and compiling the call. program_bytes:
    arguments, temporaries and results of the call on the device, None where the compiler does not tell. program: the
    compiled program.
    """

    level: str
    worlds: int
    steps: int
    carry: Any
    program: Any
    compile_seconds: float
    program_bytes: int | None

    def call(self, carry: Any) -> tuple[Any, dict[str, Array]]:
        """The next carry, and what happened: "overflow", worlds with lost contacts at the end of the call, "nonfinite",
        worlds that became non-finite in it, both () on the device, and what else the level computes."""
        return self.program(ppo.unalias(carry))


def make_workload(level: str, env: Any, ppo_config: Any, worlds: int, seed: int = 0) -> Workload:
    """The workload of a level for `worlds` worlds of a BallPlay environment.

    ppo_config: the section `ppo` of a configuration, with `num_envs` equal to `worlds`. Raises ValueError for a level
    that does not exist.
    """
    if level not in LEVELS:
        raise ValueError(f"no level {level!r}; there are {', '.join(LEVELS)}")
    makers = {"physics": _physics, "env": _environment, "rollout": _rollout, "train": _train}
    init, body, steps = makers[level](env, ppo_config, worlds)
    carry = compile_init(init)(jax.random.key(seed))
    began = time.perf_counter()

    def strong(carry: Any) -> Any:
        after, output = body(carry)
        return jax.tree.map(_like, after, carry), output

    program = jax.jit(strong, donate_argnums=0).lower(ppo.unalias(carry)).compile()
    seconds = time.perf_counter() - began
    return Workload(level, worlds, steps * worlds, carry, program, seconds, _program_bytes(program))


Init = Callable[[Array], Any]
Body = Callable[[Any], tuple[Any, dict[str, Array]]]


def _physics(env: Any, ppo_config: Any, worlds: int) -> tuple[Init, Body, int]:
    """A segment from drawn start states, with the reference's poses plus an untrained policy's noise as PD targets."""
    noise = env.options.action.scale * jnp.exp(from_mapping(ppo_config).log_std)

    def body(carry: tuple[Array, Any]) -> tuple[Any, dict[str, Array]]:
        rng, tables = carry
        rng, draw, shake = jax.random.split(rng, 3)
        motions, starts = tables.motions, tables.starts
        clip, frame = jax.vmap(lambda key: table.sample(motions, key))(jax.random.split(draw, worlds))
        frame = starts.frame[table.rows(motions, clip, frame)]
        row = table.rows(motions, clip, frame)
        state = env.physics.init(starts.qpos[row], starts.qvel[row])

        def step(state: Any, inputs: tuple[Array, Array]) -> tuple[Any, None]:
            number, key = inputs
            pose = motions.reference.dof_pos[table.rows(motions, clip, frame + number)]
            target = pose + noise * jax.random.normal(key, pose.shape)
            return env.physics.step(state, target), None

        numbers = jnp.arange(1, SEGMENT + 1)
        state, _ = jax.lax.scan(step, state, (numbers, jax.random.split(shake, SEGMENT)))
        spoiled = ~jnp.isfinite(state.qpos).all(axis=-1) | ~jnp.isfinite(state.qvel).all(axis=-1)
        # The forces are part of the result: a level that dropped them would let the compiler drop them too.
        force = jnp.sum(jnp.abs(state.body_force)) + jnp.sum(state.edges)
        return (rng, tables), {"overflow": jnp.sum(state.overflow > 0), "nonfinite": jnp.sum(spoiled), "force": force}

    return lambda rng: (rng, env.tables), body, SEGMENT


def _environment(env: Any, ppo_config: Any, worlds: int) -> tuple[Init, Body, int]:
    """Steps with observation, reward and resets; actions are those of an untrained policy without its network."""
    mean, noise = jnp.asarray(env.initial_action), jnp.exp(from_mapping(ppo_config).log_std)

    def init(rng: Array) -> tuple[Array, Any]:
        rng, begin = jax.random.split(rng)
        return rng, env.reset(jax.random.split(begin, worlds))

    def body(carry: tuple[Array, Any]) -> tuple[Any, dict[str, Array]]:
        rng, now = jax.random.split(carry[0])

        def step(state: Any, key: Array) -> tuple[Any, tuple[Array, Array, Array]]:
            action = mean + noise * jax.random.normal(key, (worlds, env.action_size))
            state = env.step(state, action)
            used = jnp.sum(state.info["final_obs"]) + jnp.sum(state.obs)
            return state, (jnp.sum(state.metrics["nonfinite"]), jnp.sum(state.reward), used)

        state, (nonfinite, reward, used) = jax.lax.scan(step, carry[1], jax.random.split(now, SEGMENT))
        output = {"overflow": _overflown(state), "nonfinite": jnp.sum(nonfinite)}
        return (rng, state), output | {"reward": jnp.sum(reward), "observed": jnp.sum(used)}

    return init, body, SEGMENT


def _rollout(env: Any, ppo_config: Any, worlds: int) -> tuple[Init, Body, int]:
    """The first half of a training iteration: `learning.rollout` with an untrained policy and critic."""
    options = from_mapping(ppo_config)
    networks = make_networks(options, env.observation_size, env.action_size)

    def init(rng: Array) -> tuple[Any, ...]:
        rng, weights, begin = jax.random.split(rng, 3)
        params = networks.init(weights, jnp.asarray(env.initial_action))
        moments = normalizer.init(env.observation_size, None), normalizer.init(1)
        return rng, params, moments, env.reset(jax.random.split(begin, worlds)), init_episodes(worlds)

    def body(carry: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        rng, params, (observed, valued), state, episodes = carry
        rng, act = jax.random.split(rng)
        state, episodes, transitions, metrics = rollout(
            env, networks, options, params, observed, valued, state, episodes, act
        )
        spoiled = metrics["env/nonfinite"] * worlds * options.horizon
        output = {"overflow": _overflown(state), "nonfinite": spoiled, "transitions": transitions}
        return (rng, params, (observed, valued), state, episodes), output

    return init, body, options.horizon


def _train(env: Any, ppo_config: Any, worlds: int) -> tuple[Init, Body, int]:
    """`train_iteration` as training calls it: rollout, advantages, all gradient steps."""
    options = from_mapping(ppo_config)
    init, train_iteration = ppo.make_train(
        env, options, initial_action=jnp.asarray(env.initial_action), one_hot_mask=jnp.asarray(env.one_hot_mask)
    )

    def body(state: Any) -> tuple[Any, dict[str, Array]]:
        state, metrics = train_iteration(state)
        spoiled = metrics["env/nonfinite"] * worlds * options.horizon
        output = {"overflow": _overflown(state.env_state), "nonfinite": spoiled}
        return state, output | {name: value for name, value in metrics.items() if jnp.ndim(value) == 0}

    return init, body, options.horizon


def _overflown(state: Any) -> Array:
    return jnp.sum(state.metrics["overflow"] > 0)


def _like(after: Any, before: Any) -> Any:
    """`after` with the type that `before` had, so that the result fits the program again."""
    if jnp.issubdtype(before.dtype, jax.dtypes.extended):
        return after
    return jax.lax.convert_element_type(after, before.dtype)


def _program_bytes(program: Any) -> int | None:
    """What the program holds on the device while it runs; donated buffers count once."""
    analysis = program.memory_analysis()
    if analysis is None:
        return None
    held = analysis.argument_size_in_bytes + analysis.temp_size_in_bytes + analysis.output_size_in_bytes
    return int(held - analysis.alias_size_in_bytes)
