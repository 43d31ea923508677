"""The search of v2 §2.2 word for word, donor by donor in world coordinates: what the fast one is tested against.

Hundreds of times slower.
"""

from __future__ import annotations

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.derive import backward_difference
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.stitching.options import SimilarityWeights


def similarities(
    motions: table.MotionTable, weights: SimilarityWeights, led: tuple[int, int], donor_clip: int
) -> np.ndarray:
    """Similarity (T,) float64 of every frame of a clip to the frame led = (clip, frame), aligned to it one by one.

    For clips without missing frames.
    """
    source, source_vel = _clip(motions, led[0])
    donor, donor_vel = _clip(motions, donor_clip)
    at = _at(source, led[1])
    found = []
    for t in range(len(donor.root_pos)):
        frame = _at(donor, t)
        turn = _yaw(at.root_rotvec) - _yaw(frame.root_rotvec)
        turn = np.arctan2(np.sin(turn), np.cos(turn))
        about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        keys = _placed(frame.key_body_pos, frame.root_pos, about_z, at.root_pos)
        ball = _placed(frame.object_pos, frame.root_pos, about_z, at.root_pos)
        between = rotations.multiply(rotations.conjugate(_joints(at.dof_pos)), _joints(frame.dof_pos))
        angle = np.linalg.norm(rotations.log(between), axis=-1)
        cost = (
            weights.key_pos * _mse(keys, at.key_body_pos)
            + weights.key_vel * _mse(donor_vel[t] @ about_z.T, source_vel[led[1]])
            + weights.joint_rot * np.mean(angle**2)
            + weights.root_height * (frame.root_pos[2] - at.root_pos[2]) ** 2
            + weights.ball_pos * _mse(ball, at.object_pos)
            + weights.ball_vel * _mse(about_z @ frame.object_lin_vel, at.object_lin_vel)
            + weights.ball_relative * _mse(keys - ball, at.key_body_pos - at.object_pos)
        )
        found.append(np.exp(-cost))
    return np.array(found)


def best_donor(
    motions: table.MotionTable,
    weights: SimilarityWeights,
    led: tuple[int, int],
    label: int,
    least_similarity: float = 1e-10,
) -> tuple[int, int, float]:
    """Clip, frame and similarity of the best donor of a label; −1, −1, 0 where it is less similar than that."""
    best = (-1, -1, 0.0)
    for clip in np.flatnonzero(np.asarray(motions.skills) == label):
        found = similarities(motions, weights, led, int(clip))
        found[[0, 1, -1]] = 0.0
        frame = int(np.argmax(found))
        if found[frame] > best[2]:
            best = (int(clip), frame, float(found[frame]))
    return best if best[2] >= least_similarity else (-1, -1, 0.0)


def _clip(motions: table.MotionTable, clip: int) -> tuple[Features, np.ndarray]:
    """Reference rows of a clip and its key bodies' velocities (T, 17, 3) m/s, float64."""
    start, length = int(motions.starts[clip]), int(motions.lengths[clip])
    rows = jax.tree.map(lambda x: np.asarray(x[start : start + length], np.float64), motions.reference)
    return rows, backward_difference(rows.key_body_pos, motions.fps)


def _at(rows: Features, frame: int) -> Features:
    return jax.tree.map(lambda x: x[frame], rows)


def _yaw(rotvec: np.ndarray) -> float:
    """Angle about z of the Euler angles z, y, x."""
    w, x, y, z = rotations.exp(rotvec)
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y**2 + z**2)))


def _placed(points: np.ndarray, root: np.ndarray, about_z: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Points turned about a root and shifted to another one, their heights left as they were."""
    moved = (points - root) @ about_z.T + there
    moved[..., 2] = points[..., 2]
    return moved


def _joints(dof_pos: np.ndarray) -> np.ndarray:
    return rotations.exp(dof_pos.reshape(-1, 3))


def _mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a - b) ** 2))
