"""What a control step of BallPlay earns, what is logged of it, and whether it ends the episode."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from mjx_skillmimic.envs.options import EnvironmentOptions
from mjx_skillmimic.imitation import contact_graph, termination
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.imitation.reward import imitation_reward
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import BodyState
from mjx_skillmimic.rotations import Array


def evaluate(
    options: EnvironmentOptions, reference: Features, body: BodyState, info: dict[str, Any]
) -> tuple[Array, dict[str, Array]]:
    """Rewards (N,) and logged quantities (N,) of the states `body` reached at `info["progress"]`.

    reference: (N, …) rows that belong to it. info: of the episodes, with what they remember of the state before.
    """
    chosen = options.reward
    now = simulated_features(body, info["progress"], chosen)
    lagged = chosen.lag == 1
    reward, factors = imitation_reward(
        info["features"] if lagged else now,
        reference,
        info["previous_dof_vel"] if lagged else info["features"].dof_vel,
        contact_graph.body_contact(body.body_force, chosen.body_force_threshold),
        contact_graph.object_contact(body.object_force, chosen.object_force_threshold),
        options.weights.for_skill(info["skill"]),
        chosen,
        body.edges,
        info["skill"],
    )
    touched = body.edges[..., contact_graph.EDGES.index("hands_object")]
    metrics = {f"reward/{name}": value for name, value in factors.items()} | {
        "reward/total": reward,
        "error/body_m": termination.mean_body_distance(now, reference),
        "error/object_m": jnp.sqrt(jnp.sum((now.object_pos - reference.object_pos) ** 2, axis=-1)),
        "contact/label_agrees": (touched == (reference.contact > 0.5)).astype(jnp.float32),
    }
    return reward, metrics


def ending(
    options: EnvironmentOptions, reference: Features, body: BodyState, info: dict[str, Any]
) -> termination.Ending:
    """Which of N worlds end; judged on the present states `body`, whatever the reward's lag."""
    return termination.termination(
        simulated_features(body),
        reference,
        info["progress"],
        info["episode_length"],
        options.termination,
        info["skill"],
    )
