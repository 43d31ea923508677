"""Where trajectories come from: a clip as it is, or an agent acting in an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.viewing.shapes import shapes_from_model
from mjx_skillmimic.viewing.trajectory import Trajectory

if TYPE_CHECKING:
    from mjx_skillmimic.evaluation.policies import Agent
    from mjx_skillmimic.evaluation.records import Record
    from mjx_skillmimic.model.scene import Scene
    from mjx_skillmimic.motion.clip import MotionClip


def clip_trajectory(clip: MotionClip, scene: Scene) -> Trajectory:
    """The clip's joint angles by forward kinematics, with its ball and contact label; no reference."""
    from mjx_skillmimic.kinematics import forward_kinematics
    from mjx_skillmimic.motion.derive import derive

    frames = derive(clip, scene.skeleton)
    joints = rotations.exp(np.asarray(clip.dof_pos, np.float64).reshape(clip.num_frames, -1, 3))
    root_pos = np.asarray(clip.root_pos, np.float64)
    bodies = forward_kinematics(scene.skeleton, root_pos, np.asarray(frames.root_quat, np.float64), joints)
    return Trajectory(
        body_pos=bodies.pos,
        body_quat=bodies.quat,
        object_pos=np.asarray(clip.object_pos),
        object_quat=np.asarray(frames.object_quat),
        shapes=shapes_from_model(scene.model, scene.skeleton.names),
        fps=clip.fps,
        labels={"contact": np.asarray(clip.contact, np.float32)},
        object_radius=scene.object_radius,
        title=f"{clip.name} (clip, skill {clip.skill:03d})",
    )


def make_recorder(env: Any, agent: Agent, horizon: int) -> Callable[..., Record]:
    """The rollout for `rollout_trajectory`, compiled once; pass it again for later versions of the same policy."""
    from mjx_skillmimic.evaluation.rollouts import make_rollout

    return make_rollout(env, agent, horizon, keep_poses=True)


def rollout_trajectory(
    env: Any,
    agent: Agent,
    clip: int = 0,
    start: int = 2,
    seed: int = 0,
    recorder: Callable[..., Record] | None = None,
) -> Trajectory:
    """One episode of an agent, with the clip as its reference, until the clip ends or a second after a fall.

    env: built from `evaluation.rollouts.evaluation_config`. clip: index into its clips. recorder: from `make_recorder`
    with a horizon of at least this clip's frames.
    """
    import jax
    import jax.numpy as jnp

    motions = env.tables.motions
    length = int(motions.lengths[clip])
    start = int(np.clip(start, 0, length - 2))
    possible = length - 1 - start
    recorder = recorder or make_recorder(env, agent, possible)
    first, frame = jnp.array([clip], jnp.int32), jnp.array([start], jnp.int32)
    record = jax.tree.map(
        lambda x: np.asarray(x)[:possible, 0], recorder(agent.parameters, first, frame, jax.random.key(seed))
    )
    fall = np.flatnonzero(record.fell)
    shown = min(possible, int(fall[0]) + round(motions.fps)) if len(fall) else possible
    record = jax.tree.map(lambda x: x[:shown], record)
    reference = clip_trajectory(env.clips[clip], env.scene)
    window = slice(start + 1, start + 1 + shown)
    kind = "reference played back" if agent.kinematic else f"policy {agent.name}"
    return Trajectory(
        body_pos=record.poses["body_pos"],
        body_quat=record.poses["body_quat"],
        object_pos=record.object_pos,
        object_quat=record.poses["object_quat"],
        shapes=reference.shapes,
        fps=motions.fps,
        reference_body_pos=reference.body_pos[window],
        reference_body_quat=reference.body_quat[window],
        reference_object_pos=reference.object_pos[window],
        reference_object_quat=reference.object_quat[window],
        labels={
            "reward": record.reward,
            "E_b mm": record.body_error,
            "E_o mm": record.object_error,
            "contact": record.hands_object.astype(np.float32),
            "reference_contact": record.reference_contact,
        },
        body_contact=record.poses["body_contact"],
        object_radius=env.scene.object_radius,
        title=f"{env.clips[clip].name}: {kind}",
        notes=f"from frame {start}, " + (f"fell after {fall[0] + 1} steps" if len(fall) else "to the end of the clip"),
    )
