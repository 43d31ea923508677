"""What acts in an evaluation: a trained policy, or one of the baselines, as `act(parameters, state, rng) -> action`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mjx_skillmimic import pretrained, rotations
from mjx_skillmimic.learning import low_level
from mjx_skillmimic.motion import table
from mjx_skillmimic.rotations import Array

BASELINES = ("zero", "random", "pd-playback", "playback")

Act = Callable[[Any, Any, Array], Array]


@dataclasses.dataclass(frozen=True)
class Agent:
    """act(parameters, state, rng) -> (N, action_size), or choices (N,).

    kinematic: no physics, the reference itself is shown. Parameters are an argument, so that a rollout compiled once
    serves every later version of a policy.
    """

    name: str
    act: Act
    parameters: Any = None
    kinematic: bool = False
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)


def policy_file(path: str | Path) -> Path:
    """The policy file of a run's folder, of a shipped policy's name, or the file itself.

    Raises FileNotFoundError that names what was looked for, the baselines, and the shipped policies.
    """
    return pretrained.locate(path, BASELINES)


def make_agent(policy: str | Path, env: Any, deterministic: bool = True) -> Agent:
    """An agent for an environment from a run's folder, a policy file, or the name of a shipped policy or baseline.

    zero: the action 0. random: uniform in the action bounds. pd-playback: PD targets = the next reference pose, open
    loop. playback: the reference itself, without physics. Where actions are choices, zero is the first one, random any,
    and the other two do not exist. Raises FileNotFoundError, PolicyFormatError, CardError, or ValueError if the policy
    is for other sizes or actions, or was trained on another low-level policy (`low_level.allow_other` is not set).
    """
    size = env.action_size
    if (kind := getattr(env, "action_kind", "continuous")) == "discrete" and policy in BASELINES:
        return _choosing_baseline(str(policy), size)
    if policy == "zero":
        return Agent("zero", lambda _, state, rng: jnp.zeros((state.obs.shape[0], size)))
    if policy == "playback":
        return Agent("playback", lambda _, state, rng: jnp.zeros((state.obs.shape[0], size)), kinematic=True)
    if policy == "random":
        bound = env.options.action.clip or 1.0
        return Agent(
            "random",
            lambda _, state, rng: jax.random.uniform(rng, (state.obs.shape[0], size), minval=-bound, maxval=bound),
        )
    if policy == "pd-playback":
        return Agent("pd-playback", lambda _, state, rng: _next_pose(env, state))
    # Imported on demand: a command line must not cost the import of Flax.
    from mjx_skillmimic.learning.heads import HEADS

    file = policy_file(policy)
    bundle = pretrained.load(file)
    if (bundle.obs_size, bundle.action_size) != (env.observation_size, size):
        raise ValueError(
            f"{file} takes {bundle.obs_size} observations and gives {bundle.action_size} actions, "
            f"this environment has {env.observation_size} and {size}; is it for another task or option?"
        )
    if HEADS[bundle.head].action_kind != kind:
        raise ValueError(f"{file} is a {bundle.head} policy, this environment's actions are {kind}")
    encoders = [known.get("history_encoder") for known in (bundle.metadata, getattr(env, "policy_metadata", {}))]
    if encoders[0] != encoders[1]:
        raise ValueError(
            f"{file} was trained with the history encoder {encoders[0]}, this environment has {encoders[1]} (SHA-256)"
        )
    trouble = low_level.complaint(bundle.metadata, getattr(env, "policy_metadata", {}), str(file))
    if trouble and not low_level.allows_other(getattr(env, "config", None)):
        raise ValueError(trouble)
    return from_bundle(bundle, deterministic, name=str(policy))


def from_bundle(bundle: Any, deterministic: bool = True, name: str = "policy") -> Agent:
    """An agent from a `learning.policy.PolicyBundle`; its actor and statistics become the agent's parameters."""

    def act(parameters: Any, state: Any, rng: Array) -> Array:
        actor, moments = parameters
        current = dataclasses.replace(bundle, actor=actor, moments=moments)
        return current.policy(deterministic)(state.obs, rng)

    return Agent(name, act, (bundle.actor, bundle.moments), metadata=dict(bundle.metadata))


def _choosing_baseline(name: str, size: int) -> Agent:
    if name == "zero":
        return Agent(name, lambda _, state, rng: jnp.zeros(state.obs.shape[0], jnp.int32))
    if name == "random":
        return Agent(name, lambda _, state, rng: jax.random.randint(rng, (state.obs.shape[0],), 0, size))
    raise ValueError(f"{name} follows a clip, expected zero, random or a policy for an environment of choices")


def _next_pose(env: Any, state: Any) -> Array:
    """The action whose PD target is the pose of the frame that comes next."""
    info, motions = state.info, state.shared.motions
    row = table.rows(motions, info["clip"], info["frame"] + info["progress"] + 1)
    # targets live in ±π a component: the short way round, whatever branch the clip's rotation vector is on
    joints = motions.state.joint_quat[row]
    target = rotations.log(joints).reshape(*joints.shape[:-2], -1)
    return target / env.options.action.scale
