"""Runs an agent through whole clips, every world from a given frame, and keeps what metrics and pictures need."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from mjx_skillmimic.evaluation import metrics
from mjx_skillmimic.evaluation.episodes import Episodes, concatenate
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.evaluation.records import Record, make_record, to_episodes
from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.imitation.reward import imitation_reward
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.start_frames import nearest_start
from mjx_skillmimic.physics.base import EDGES, BodyState
from mjx_skillmimic.rotations import Array

FALL_HEIGHT = 0.3  # m, as published; a fall counts from the second step on
_FOREVER = 1_000_000  # control steps: no time-out of the environment's own


def evaluation_config(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """A copy in which no world ends by itself: whole clips are run, and falls are judged here."""
    config = copy.deepcopy(config)
    with config.unlocked():
        config.termination.fall_height = None
        config.termination.object_distance = None
        config.termination.body_distance = None
        config.termination.episode_length = _FOREVER
        config.termination.time_out = "fixed"
        config.start.sampling = "uniform"
        config.start.transition_probability = 0.0
        config.start.placement_probability = 0.0
        config.start.seam_probability = 0.0
        # SkillMimicV2's
        for section, option in (("noise", "probability"), ("switch", "probability"), ("ats", "alpha")):
            if section in config:
                config[section][option] = 0.0
        for section, option in (("retime", "search"), ("buffer", "reward")):
            if section in config:
                config[section][option] = "off"
    return config


def draw_starts(
    lengths: Sequence[int] | np.ndarray, episodes: int, start: str | int = "first", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Clip (N,) and start frame (N,), int32: clips in turn, so that each gets its share.

    start: "first", the published test start (frame 2); "random", uniform on [2, T − 2] (§3.5), from `seed`; or a frame,
    at most T − 2. Raises ValueError for anything else, or for no episodes.
    """
    lengths = np.asarray(lengths)
    if episodes < 1:
        raise ValueError(f"expected at least one episode, got {episodes}")
    clip = np.arange(episodes) % len(lengths)
    last = lengths[clip] - 2
    if start == "random":
        frame = np.random.default_rng(seed).integers(table.FIRST_START, last + 1)
    elif start == "first":
        frame = np.minimum(table.FIRST_START, last)
    elif isinstance(start, int | np.integer) and start >= 0:
        frame = np.minimum(start, last)
    else:
        raise ValueError(f"start: expected 'first', 'random' or a frame number, got {start!r}")
    return clip.astype(np.int32), frame.astype(np.int32)


def make_rollout(
    env: Any, agent: Agent, horizon: int, keep_poses: bool = False
) -> Callable[[Any, Array, Array, Array], Record]:
    """A compiled `fn(parameters, clip (N,), frame (N,), rng) -> Record` with arrays (T, N, …), T = horizon.

    `env` must be built from `evaluation_config`. keep_poses also keeps all body poses, about 3 kB a world and step.
    """
    step = _playback_step if agent.kinematic else _physics_step

    @jax.jit
    def rollout(tables: Any, parameters: Any, clip: Array, frame: Array, rng: Array) -> Record:
        reset_rng, rng = jax.random.split(rng)
        state = env.begin(tables, jax.random.split(reset_rng, clip.shape[0]), clip, frame)

        def body(carry: tuple[Any, Array], key: Array) -> tuple[tuple[Any, Array], Record]:
            state, alive = carry
            state, simulated, flags, edges, reward, broken = step(env, agent, parameters, state, key)
            reference = env.reference(state.shared, state.info)
            record = make_record(simulated, reference, flags, edges, reward, keep_poses)
            fell = broken | ((record.root_pos[:, 2] < FALL_HEIGHT) & (state.info["progress"] > 1))
            during = state.info["progress"] < state.info["episode_length"]
            counted = alive & during
            return (state, alive & ~fell), record.replace(valid=counted, fell=counted & fell)  # type: ignore[attr-defined]

        alive = jnp.ones(clip.shape[0], bool)
        return jax.lax.scan(body, (state, alive), jax.random.split(rng, horizon))[1]

    # As an argument, the clips are not constants of the compiled program.
    return functools.partial(rollout, env.tables)


def _physics_step(env: Any, agent: Agent, parameters: Any, state: Any, key: Array) -> tuple[Any, ...]:
    """State, its bodies, node flags (N, 2), edges (N, 3), reward, and whether the world broke."""
    state = env.step(state, agent.act(parameters, state, key))
    body, chosen = env.body_state(state.data), env.options.reward
    flags = metrics.node_flags(
        contact_graph.body_contact(body.body_force, chosen.body_force_threshold),
        contact_graph.object_contact(body.object_force, chosen.object_force_threshold),
    )
    return state, body, flags, body.edges, state.reward, state.metrics["nonfinite"] > 0


def _playback_step(env: Any, agent: Agent, parameters: Any, state: Any, key: Array) -> tuple[Any, ...]:
    """As `_physics_step`, with the clip's own coordinates for a state and its contacts taken for right."""
    info = state.info | {"progress": state.info["progress"] + 1}
    state = state.replace(info=info)
    motions = state.shared.motions
    body = _reference_body(env, motions, table.rows(motions, info["clip"], info["frame"] + info["progress"]))
    reference = env.reference(state.shared, info)
    flags = metrics.reference_node_flags(reference.contact)
    edges = contact_graph.reference_edges(reference.contact) > 0.5
    now = simulated_features(body)
    reward, _ = imitation_reward(
        now,
        reference,
        info["previous_dof_vel"],
        flags[:, 0] > 0.5,
        flags[:, 1] > 0.5,
        env.options.weights.for_skill(info["skill"]),
        env.options.reward,
        edges,
        info["skill"],
    )
    state = state.replace(info=info | {"previous_dof_vel": now.dof_vel})
    return state, body, flags, edges, reward, jnp.zeros(reward.shape, bool)


def _reference_body(env: Any, motions: table.MotionTable, row: Array) -> BodyState:
    """The bodies (N, …) of the motion table's coordinates, without contacts."""
    c = jax.tree.map(lambda x: x[row], motions.state)
    bodies = forward_kinematics(
        env.scene.skeleton, c.root_pos, c.root_quat, c.joint_quat, c.root_lin_vel, c.root_ang_vel, c.joint_vel
    )
    reference = jax.tree.map(lambda x: x[row], motions.reference)
    return BodyState(
        *bodies,
        dof_pos=reference.dof_pos,
        dof_vel=reference.dof_vel,
        object_pos=c.object_pos,
        object_quat=c.object_quat,
        object_lin_vel=c.object_lin_vel,
        object_ang_vel=c.object_ang_vel,
        body_force=jnp.zeros_like(bodies.pos),
        object_force=jnp.zeros_like(c.object_pos),
        edges=jnp.zeros((row.shape[0], len(EDGES)), bool),
    )


def run_episodes(
    env: Any, agent: Agent, episodes: int, start: str | int = "first", seed: int = 0, batch: int = 1024
) -> Episodes:
    """Whole clips by an agent, `batch` worlds at a time; the same arguments give the same episodes.

    env: built from `evaluation_config`. start: as in `draw_starts`.
    """
    clip, frame = draw_starts(env.tables.motions.lengths, episodes, start, seed)
    return run_from(env, agent, clip, frame, seed, batch)


def run_from(env: Any, agent: Agent, clip: np.ndarray, frame: np.ndarray, seed: int = 0, batch: int = 1024) -> Episodes:
    """`run_episodes` from chosen frames (N,) of chosen clips (N,), each to its clip's end; from the nearest valid frame
    where the chosen one is missing."""
    motions, episodes = env.tables.motions, len(clip)
    frame = nearest_start(motions, clip, frame)
    lengths = np.asarray(motions.lengths)
    batch = min(batch, episodes)
    rollout = make_rollout(env, agent, int((lengths[clip] - 1 - frame).max()))
    parts = []
    for first in range(0, episodes, batch):
        # the last batch is filled up with repeats, so that one compilation serves all
        which = np.arange(first, first + batch) % episodes
        rng = jax.random.fold_in(jax.random.key(seed), first)
        record = rollout(agent.parameters, jnp.asarray(clip[which]), jnp.asarray(frame[which]), rng)
        kept = min(batch, episodes - first)
        parts.append(to_episodes(record, motions, clip[which], frame[which]).select(np.arange(kept)))
    return concatenate(parts)
