"""States to compare engines from: made up, from clips, or handed in by somebody who ran a policy.

All numbers are float32 numbers in float64 arrays, so that every engine starts from the same coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.humanoid import BODIES, NUM_DOFS, NUM_JOINTS
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import derive

_LEGS = tuple(name for name in BODIES if name[2:] in ("Hip", "Knee", "Ankle", "Toe"))
_FASTEST = 20.0  # m/s or rad/s; a rotation vector that changes its branch between frames looks faster


class States(NamedTuple):
    """qpos (N, nq), qvel (N, nv) and target (N, 156) rad of one control step."""

    qpos: np.ndarray
    qvel: np.ndarray
    target: np.ndarray


class Courses(NamedTuple):
    """Where N worlds start, qpos (N, nq) and qvel (N, nv), and the targets (T, N, 156) rad of what follows."""

    qpos: np.ndarray
    qvel: np.ndarray
    targets: np.ndarray


def clip_courses(scene: Scene, clips: Sequence[MotionClip], count: int, steps: int, seed: int = 0) -> Courses:
    """Perturbed frames of the clips, followed by `steps` targets near the frames that come next.

    Noise: positions of root and object 5 mm and joints 0.02 rad (in a clip made by inverse kinematics soles and fingers
    touch exactly, and rounding would decide whether they do), velocities 0.2 m/s and rad/s, targets a constant offset
    of 0.1 rad and 0.1 rad more in every step.
    """
    rng = np.random.default_rng(seed)
    qpos, qvel, target = [], [], []
    for clip in clips:
        frames = derive(clip, dtype=np.float64)
        shake = rotations.exp(0.02 * rng.normal(size=(*frames.joint_quat.shape[:-1], 3)))
        q, v = scene.pack(
            frames.root_pos + 0.005 * rng.normal(size=frames.root_pos.shape),
            frames.root_quat,
            rotations.multiply(frames.joint_quat, shake),
            frames.root_lin_vel,
            frames.root_ang_vel,
            frames.joint_vel,
            frames.object_pos + 0.005 * rng.normal(size=frames.object_pos.shape),
            frames.object_quat,
            frames.object_lin_vel,
            frames.object_ang_vel,
        )
        qpos.append(q)
        qvel.append(v)
        after = np.minimum(np.arange(len(q))[:, None] + 1 + np.arange(steps), len(q) - 1)
        target.append(frames.dof_pos[after])
    pick = rng.choice(sum(map(len, qpos)), count)
    q, v, t = (np.concatenate(x)[pick] for x in (qpos, qvel, target))
    v = np.clip(v, -_FASTEST, _FASTEST) + 0.2 * rng.normal(size=v.shape)
    t = t + 0.1 * rng.normal(size=(count, 1, NUM_DOFS)) + 0.1 * rng.normal(size=t.shape)
    return Courses(*(_as_float32(x) for x in (q, v, np.swapaxes(t, 0, 1))))


def synthetic_states(scene: Scene, count: int, seed: int = 0) -> States:
    """States rich in contacts, as float32 numbers: qpos (count, nq), qvel (count, nv) and targets (count, 156).

    Standing with the feet a little in the floor, random joints, the ball at a wrist, a thigh or the floor.
    """
    rng = np.random.default_rng(seed)
    upright = rotations.multiply(
        rotations.about_z(rng.uniform(-3, 3, count)), rotations.exp(np.array([np.pi / 2, 0, 0]))
    )
    root_pos = np.stack([*rng.normal(size=(2, count)), rng.uniform(0.93, 0.99, count)], axis=-1)
    joints = rng.normal(size=(count, NUM_JOINTS, 3)) * rng.uniform(0.02, 0.25, (count, 1, 1))
    # nearly straight legs: engines disagree about boxes deep inside each other, and no clip crosses the feet
    joints[:, [BODIES.index(name) - 1 for name in _LEGS]] *= 0.05
    # every fifth world holds a hand against the hip
    joints[::5, BODIES.index("L_Shoulder") - 1] = (0.0, 0.0, -1.7)
    joints[::5, BODIES.index("L_Elbow") - 1, 2] -= rng.uniform(0.0, 0.3, len(joints[::5]))
    bodies = forward_kinematics(scene.skeleton, root_pos, upright, rotations.exp(joints))
    place = rng.choice([scene.skeleton.index(name) for name in ("L_Wrist", "R_Wrist", "L_Middle2", "R_Hip")], count)
    ball = bodies.pos[np.arange(count), place] + rng.normal(size=(count, 3)) * 0.08
    ball[::4, 2] = scene.object_radius - rng.uniform(0.0, 0.01, len(ball[::4]))
    qpos, qvel = scene.pack(
        root_pos,
        upright,
        rotations.exp(joints),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, 3)),
        rng.normal(size=(count, NUM_JOINTS, 3)),
        ball,
        rotations.normalize(rng.normal(size=(count, 4))),
        rng.normal(size=(count, 3)) * 2,
        rng.normal(size=(count, 3)),
    )
    target = rng.uniform(-np.pi, np.pi, (count, 3 * NUM_JOINTS)) * rng.uniform(0, 1, (count, 1))
    return States(*(_as_float32(x) for x in (qpos, qvel, target)))


def _as_float32(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32).astype(np.float64)
