"""Made-up courses, each group for one part of the physics; names are "group/course"."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Coordinates, forward_kinematics
from mjx_skillmimic.model.humanoid import BODIES, NUM_DOFS, NUM_JOINTS
from mjx_skillmimic.model.scene import Scene

_FINGERS = ("Index", "Middle", "Pinky", "Ring", "Thumb")
_SPINE = ("Torso", "Spine", "Spine2", "Chest")
_HIGH = 60.0  # m above the floor: who falls from there for 2.5 s meets nothing
_FAR = 30.0  # m beside the person
_UPRIGHT = np.array([np.pi / 2, 0.0, 0.0])
_STANDING = 0.981  # m, the pelvis above the soles
STEP, LARGE_STEP = 0.2, 1.0  # rad

# Joints that step together, both sides.
JOINT_GROUPS: dict[str, tuple[str, ...]] = {
    "hip": ("Hip",),
    "knee": ("Knee",),
    "ankle": ("Ankle",),
    "toe": ("Toe",),
    "torso": _SPINE,
    "neck": ("Neck", "Head"),
    "thorax": ("Thorax",),
    "shoulder": ("Shoulder",),
    "elbow": ("Elbow",),
    "wrist": ("Wrist",),
    "fingers": tuple(f"{finger}{i}" for finger in _FINGERS for i in (1, 2, 3)),
}
_LARGE = {"hip": (-0.8, 0.0, 0.6), "shoulder": (0.6, 0.0, 0.8), "wrist": (0.6, 0.0, 0.8)}


@dataclasses.dataclass(frozen=True)
class Courses:
    """C courses of up to T control steps: names "group/course", qpos (C, nq), qvel (C, nv), targets (C, T, 156) rad,
    lengths (C,)."""

    names: tuple[str, ...]
    qpos: np.ndarray
    qvel: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray


def one_group(
    scene: Scene, group: str, names: Sequence[str], start: Coordinates, targets: np.ndarray, steps: int
) -> Courses:
    """The courses of one group from coordinates (C, ·) and targets (C, 156), held, or (C, steps, 156)."""
    qpos, qvel = scene.pack(*start)
    if targets.ndim == 2:
        targets = np.repeat(targets[:, None], steps, axis=1)
    full = tuple(f"{group}/{name}" for name in names)
    return Courses(full, _rounded(qpos), _rounded(qvel), _rounded(targets), np.full(len(full), steps))


def joined(parts: Sequence[Courses]) -> Courses:
    """All courses of several groups; shorter ones hold their last target behind their end."""
    longest = max(part.targets.shape[1] for part in parts)
    targets = [np.pad(p.targets, ((0, 0), (0, longest - p.targets.shape[1]), (0, 0)), mode="edge") for p in parts]
    return Courses(
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.qpos for part in parts]),
        np.concatenate([part.qvel for part in parts]),
        np.concatenate(targets),
        np.concatenate([part.lengths for part in parts]),
    )


def floating(count: int) -> Coordinates:
    """The zero pose with the legs apart, high in the air, and the ball at rest far beside it: (count, ·)."""
    joints = np.zeros((count, NUM_JOINTS, 3))
    joints[:, BODIES.index("L_Hip") - 1, 2], joints[:, BODIES.index("R_Hip") - 1, 2] = 0.3, -0.3
    at = np.tile([0.0, 0.0, _HIGH], (count, 1))
    still, turn = np.zeros((count, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    upright, ball = np.tile(rotations.exp(_UPRIGHT), (count, 1)), at + np.array([_FAR, 0.0, 0.0])
    return Coordinates(at, upright, rotations.exp(joints), still, still, 0.0 * joints, ball, turn, still, still)


def pose_targets(start: Coordinates) -> np.ndarray:
    """Targets (C, 156) that hold the pose."""
    return rotations.log(start.joint_quat).reshape(len(start.root_pos), NUM_DOFS)


def free_fall(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """A person at rest in their pose, no joint moving, and a ball thrown with spin: gravity and damping alone act."""
    start = floating(count)
    start = start._replace(
        root_lin_vel=rng.normal(size=(count, 3)),
        object_lin_vel=3.0 * rng.normal(size=(count, 3)),
        object_ang_vel=10.0 * rng.normal(size=(count, 3)),
    )
    return one_group(scene, "free fall", _numbers(count), start, pose_targets(start), 60)


def tumbling(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """The pose is held while the body turns at 3 rad/s and joints move: inertia, gyroscopic forces, damping."""
    start = floating(count)
    loose = np.array([name in ("Shoulder", "Elbow", "Knee", "Hip") for name in _unsided()])
    start = start._replace(
        root_ang_vel=3.0 * rotations.normalize(rng.normal(size=(count, 3))),
        joint_vel=2.0 * rng.normal(size=(count, NUM_JOINTS, 3)) * loose[:, None],
    )
    return one_group(scene, "tumbling", _numbers(count), start, pose_targets(start), 60)


def pd_steps(scene: Scene) -> Courses:
    """Each group of joints steps by 0.2 rad about each axis, in the air: PD and inertia alone act.

    Left and right mirror each other, so that the trunk turns little.
    """
    cases = [(group, axis) for group in JOINT_GROUPS for axis in range(3)]
    start = floating(len(cases))
    targets = pose_targets(start).reshape(len(cases), NUM_JOINTS, 3)
    for row, (group, axis) in enumerate(cases):
        # fingers turn away from the thumb
        sign = -1.0 if (group, axis) == ("fingers", 1) else 1.0
        targets[row] += _mirrored(group, np.eye(3)[axis] * STEP * sign)
    names = [f"{group} {'xyz'[axis]}" for group, axis in cases]
    return one_group(scene, "PD step", names, start, targets.reshape(len(cases), NUM_DOFS), 60)


def large_steps(scene: Scene) -> Courses:
    """Steps of 1 rad about a slanted axis, from joints bent about another: how rotation errors are measured."""
    start = floating(len(_LARGE))
    targets = pose_targets(start).reshape(len(_LARGE), NUM_JOINTS, 3)
    joints = rotations.log(start.joint_quat)
    for row, (group, direction) in enumerate(_LARGE.items()):
        joints[row] += _mirrored(group, np.array([0.0, 0.5, 0.0]))
        targets[row] += _mirrored(group, LARGE_STEP * np.array(direction))
    start = start._replace(joint_quat=rotations.exp(joints))
    return one_group(scene, "large PD step", tuple(_LARGE), start, targets.reshape(len(_LARGE), NUM_DOFS), 60)


def ball_drop(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """A ball without spin falls on the floor from 0.5 to 2.5 m (under its lowest point) and bounces on."""
    start = floating(count)
    height = np.linspace(0.5, 2.5, count) + rng.uniform(0.0, 0.02, count)
    at = np.stack([np.full(count, _FAR), np.zeros(count), scene.object_radius + height], axis=-1)
    names = [f"{h:.2f} m" for h in height]
    start = start._replace(object_pos=at)
    return one_group(scene, "ball drop", names, start, pose_targets(start), 150)


def ball_slide(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """A ball meets the floor at a slant, sliding or spinning: friction."""
    start = floating(count)
    at = np.tile([_FAR, 0.0, scene.object_radius + 0.05], (count, 1))
    speed, spin = rng.uniform(1.0, 4.0, count), 20.0 * np.tile([0.0, 1.0], count)[:count]
    names = [f"{v:.1f} m/s, {w:.0f} rad/s" for v, w in zip(speed, spin, strict=True)]
    start = start._replace(
        object_pos=at,
        object_lin_vel=np.stack([speed, 0.0 * speed, np.full(count, -1.0)], axis=-1),
        object_ang_vel=np.stack([0.0 * spin, -spin, 0.0 * spin], axis=-1),
    )
    return one_group(scene, "ball slide", names, start, pose_targets(start), 60)


def hand_ball(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """The ball is thrown at hands, forearms and fingers from above at 1–4 m/s; person and ball are in the air."""
    start = floating(count)
    bodies = forward_kinematics(scene.skeleton, start.root_pos, start.root_quat, start.joint_quat)
    hit = ("L_Middle1", "R_Middle1", "L_Wrist", "R_Wrist", "L_Elbow", "R_Index2", "L_Ring2", "R_Elbow")
    names = [hit[i % len(hit)] for i in range(count)]
    at = bodies.pos[np.arange(count), [scene.skeleton.index(name) for name in names]]
    speed = np.linspace(1.0, 4.0, count)
    at = at + np.stack([0.01 * rng.normal(size=count), 0.01 * rng.normal(size=count), np.full(count, 0.2)], axis=-1)
    start = start._replace(object_pos=at, object_lin_vel=speed[:, None] * (0.0, 0.0, -1.0))
    named = [f"{name} at {v:.1f} m/s" for name, v in zip(names, speed, strict=True)]
    return one_group(scene, "hand–ball", named, start, pose_targets(start), 30)


def standing(scene: Scene, count: int, rng: np.random.Generator) -> Courses:
    """The PD holds a nearly straight pose with the soles on the floor; the ball lies beside."""
    start = floating(count)
    joints = 0.02 * rng.normal(size=(count, NUM_JOINTS, 3))
    yaw = rotations.about_z(rng.uniform(-np.pi, np.pi, count))
    start = start._replace(
        root_pos=np.tile([0.0, 0.0, _STANDING], (count, 1)),
        root_quat=rotations.multiply(yaw, rotations.exp(np.tile(_UPRIGHT, (count, 1)))),
        joint_quat=rotations.exp(joints),
        object_pos=np.tile([_FAR, 0.0, scene.object_radius], (count, 1)),
    )
    return one_group(scene, "standing", _numbers(count), start, pose_targets(start), 60)


MADE_UP: dict[str, Callable[[Scene, int, np.random.Generator], Courses]] = {
    "free fall": free_fall,
    "tumbling": tumbling,
    "PD step": lambda scene, count, rng: pd_steps(scene),
    "large PD step": lambda scene, count, rng: large_steps(scene),
    "ball drop": ball_drop,
    "ball slide": ball_slide,
    "hand–ball": hand_ball,
    "standing": standing,
}


def _unsided() -> list[str]:
    """Names of the 52 joints without their side."""
    return [name[2:] if name[:2] in ("L_", "R_") else name for name in BODIES[1:]]


def _mirrored(group: str, vector: np.ndarray) -> np.ndarray:
    """(52, 3) rad: `vector` on the group's left joints, mirrored in the sagittal plane on the right ones."""
    found = np.zeros((NUM_JOINTS, 3))
    for joint, name in enumerate(BODIES[1:]):
        if (name[2:] if name[:2] in ("L_", "R_") else name) in JOINT_GROUPS[group]:
            found[joint] = vector * ((1.0, -1.0, -1.0) if name.startswith("R_") else (1.0, 1.0, 1.0))
    return found


def _numbers(count: int) -> list[str]:
    return [f"{i:02d}" for i in range(count)]


def _rounded(x: np.ndarray) -> np.ndarray:
    """float32 numbers in float64, so that every engine starts from the same coordinates."""
    return np.asarray(x, np.float32).astype(np.float64)
