"""What the similarity compares of every frame, in the frame's own heading frame (v2 §2.2).

Aligning a donor to a frame turns it about the vertical until the headings agree and shifts it until the roots do, as
seen from above. Seen from its own root and heading, each frame is the same before and after: once there, every pair
can be compared without moving anything.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.derive import backward_difference
from mjx_skillmimic.motion.missing import held
from mjx_skillmimic.stitching.options import SimilarityWeights


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """F frames of C clips; NumPy float64, metres, seconds. Axes: root's heading, z up; origin on the floor below it.

    key_pos, key_vel (F, 17, 3); root_height (F,); ball_pos, ball_vel (F, 3); joint_quat (F, 52, 4) wxyz.
    clip, frame (F,) int: where the row comes from; label (F,) int: of its clip; length (F,) int: of its clip; valid
    (F,) bool: the frame is not missing.
    """

    key_pos: np.ndarray
    key_vel: np.ndarray
    root_height: np.ndarray
    ball_pos: np.ndarray
    ball_vel: np.ndarray
    joint_quat: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    length: np.ndarray
    valid: np.ndarray

    @property
    def may_donate(self) -> np.ndarray:
        """(F,) bool: in [2, T − 2], whose velocities are measured and which an episode can go on from."""
        return (self.frame >= table.FIRST_START) & (self.frame <= self.length - 2)

    def columns(self, weights: SimilarityWeights) -> np.ndarray:
        """(F, D) float64: the squared distance of two rows is the cost of all but the joints' rotations."""
        parts = (
            (weights.key_pos, self.key_pos),
            (weights.key_vel, self.key_vel),
            (weights.root_height, self.root_height),
            (weights.ball_pos, self.ball_pos),
            (weights.ball_vel, self.ball_vel),
            (weights.ball_relative, self.key_pos - self.ball_pos[:, None]),
        )
        flat = [(weight, part.reshape(len(self.clip), -1)) for weight, part in parts]
        return np.concatenate([np.sqrt(weight / part.shape[1]) * part for weight, part in flat if weight], axis=1)


def frames_of(motions: table.MotionTable) -> Frames:
    """Every frame of a table, on the host.

    Key-body velocities are backward differences, zero in the first frame of a clip. Where the table has zeros for a
    missing frame, that frame and the one behind it keep the velocity before (v2 §1.7).
    """
    reference = jax.tree.map(lambda x: np.asarray(x, np.float64), motions.reference)
    lengths = np.asarray(motions.lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    clip = np.repeat(np.arange(len(lengths)), lengths)
    valid = np.asarray(motions.valid)
    inverse = rotations.heading_inverse(rotations.exp(reference.root_rotvec))
    below = reference.root_pos * np.array([1.0, 1.0, 0.0])
    keys = reference.key_body_pos
    return Frames(
        key_pos=rotations.rotate(inverse[:, None], keys - below[:, None]),
        key_vel=rotations.rotate(inverse[:, None], _velocities(keys, lengths, valid, motions.fps)),
        root_height=reference.root_pos[:, 2],
        ball_pos=rotations.rotate(inverse, reference.object_pos - below),
        ball_vel=rotations.rotate(inverse, reference.object_lin_vel),
        joint_quat=rotations.exp(reference.dof_pos.reshape(len(frame), -1, 3)),
        clip=clip,
        frame=frame,
        label=np.asarray(motions.skills)[clip],
        length=lengths[clip],
        valid=valid,
    )


def _velocities(keys: np.ndarray, lengths: np.ndarray, valid: np.ndarray, fps: float) -> np.ndarray:
    """(F, 17, 3) m/s in the world."""
    posed = valid | keys.any(axis=(1, 2))
    ends = np.cumsum(lengths)[:-1]
    clips = zip(np.split(keys, ends), np.split(posed, ends), strict=True)
    return np.concatenate([held(backward_difference(pos, fps), known) for pos, known in clips])
