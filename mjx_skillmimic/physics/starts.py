"""Start states from which the ball is not kicked: clearance found by simulating one control step."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from mjx_skillmimic.model.depenetrate import StartOptions, depenetrate
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import Physics
from mjx_skillmimic.physics.registry import make_physics

# m; the gap that a hand moving at 2 m/s closes in one control step is 0.033 m
GAPS = (0.0, 0.01, 0.02, 0.04)


class SettledStarts(NamedTuple):
    """qpos (T, nq), corrected; kick (T,) m/s, by how much one control step moves the ball's speed away from the
    clip's; gap (T,) m, the clearance that was given. Frames whose kick is still too large make poor starts."""

    qpos: np.ndarray
    kick: np.ndarray
    gap: np.ndarray


def settle_starts(
    scene: Scene,
    qpos: np.ndarray,
    qvel: np.ndarray,
    targets: np.ndarray,
    options: StartOptions | None = None,
    gaps: tuple[float, ...] = GAPS,
    tolerance: float = 0.5,
    physics: Physics | None = None,
) -> SettledStarts:
    """`depenetrate` for all frames of one clip, in order, with the least of `gaps` that keeps the ball from a kick.

    Args:
        qpos: (T, nq). qvel: (T, nv). targets: (K, 156) rad, PD targets; the kick is the worst under any of them.
        tolerance: m/s. physics: simulates the step; absent: MuJoCo C.

    A frame for which no gap is enough gets the one with the smallest kick.
    """
    options = options or StartOptions()
    physics = physics or make_physics("mujoco", scene)
    qpos, qvel = np.asarray(qpos, np.float64), np.asarray(qvel, np.float64)
    step = jax.jit(physics.step)
    targets = np.asarray(targets, np.float32)
    best = SettledStarts(qpos.copy(), np.full(len(qpos), np.inf), np.zeros(len(qpos)))
    for gap in gaps if options.push_object else (0.0,):
        todo = best.kick > tolerance
        if not todo.any():
            break
        tried = depenetrate(scene, qpos, dataclasses.replace(options, slop=options.slop - gap)).qpos
        kick = np.zeros(len(qpos))
        for target in targets:
            after = step(physics.init(tried, qvel), np.tile(target, (len(qpos), 1)))
            kick = np.maximum(kick, object_kick(scene, np.asarray(after.qpos), np.asarray(after.qvel), qpos, qvel))
        better = todo & (kick < best.kick)
        best.qpos[better], best.kick[better], best.gap[better] = tried[better], kick[better], gap
    return best


def object_kick(
    scene: Scene, qpos_after: np.ndarray, qvel_after: np.ndarray, qpos: np.ndarray, qvel: np.ndarray
) -> np.ndarray:
    """Difference (T,) m/s between the ball's speed one control step after each frame of a clip and the clip's own:
    the nearer of its speeds before and after that step, since the clip may bounce within it."""
    after = np.linalg.norm(scene.unpack(qpos_after, qvel_after).object_lin_vel, axis=-1)
    clip = np.linalg.norm(scene.unpack(qpos, qvel).object_lin_vel, axis=-1)
    following = np.append(clip[1:], clip[-1:])
    return np.minimum(np.abs(after - clip), np.abs(after - following))
