"""An engine's control steps beside those of the slow loop: one step, and what it grows to over many."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.contract.reference import Outcome, slow_rollout
from mjx_skillmimic.physics.contract.states import Courses
from mjx_skillmimic.physics.contract.stepper import Check, Stepper

FLAG_FORCE = 0.1  # N, the published threshold of "in contact" (skillmimic.md §6.3)


def compare(engine: Outcome, reference: Outcome, scene: Scene | None = None) -> dict[str, np.ndarray]:
    """Per world (N,): greatest error of qpos, qvel (m/s, rad/s) and force (N), fraction of equal 0.1 N contact flags,
    and whether all edges are equal; with a scene also `place` (m) and `turn` (rad), the greatest error of the position
    and of the orientation of a body, by the kinematics that everything above the engines uses."""
    flags = [np.any(np.abs(o.force) >= FLAG_FORCE, axis=-1) for o in (engine, reference)]
    errors = {
        "qpos": np.abs(engine.qpos - reference.qpos).max(axis=-1),
        "qvel": np.abs(engine.qvel - reference.qvel).max(axis=-1),
        "force": np.abs(engine.force - reference.force).max(axis=(-1, -2)),
        "flags": (flags[0] == flags[1]).mean(axis=-1),
        "edges": (engine.edges == reference.edges).all(axis=-1).astype(float),
    }
    if scene is not None:
        (place, turn), (right_place, right_turn) = (_poses(scene, o) for o in (engine, reference))
        errors["place"] = np.linalg.norm(place - right_place, axis=-1).max(axis=-1)
        between = rotations.log(rotations.multiply(rotations.conjugate(right_turn), turn))
        errors["turn"] = np.linalg.norm(between, axis=-1).max(axis=-1)
    return errors


def _poses(scene: Scene, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 54, 3) and orientations (N, 54, 4) of the bodies and, last, the object."""
    c = scene.unpack(outcome.qpos.astype(np.float64), outcome.qvel.astype(np.float64))
    bodies = forward_kinematics(scene.skeleton, c.root_pos, c.root_quat, c.joint_quat)
    place = np.concatenate([bodies.pos, c.object_pos[:, None]], axis=1)
    return place, np.concatenate([bodies.quat, c.object_quat[:, None]], axis=1)


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """qvel (m/s, rad/s) and force (N): what `share` of the worlds must keep after one control step; flags: mean share
    of equal contact flags; edges: fraction of worlds with equal edges; growth: by how much the median errors after many
    control steps may exceed those that MuJoCo C itself makes when its state is rounded to float32 between them."""

    qvel: float
    force: float
    share: float
    flags: float
    edges: float
    growth: float


# The MJX engines solve in float32; box against box gives other contact points than in C, and MJX-JAX regularises the
# nearest point on a capsule, which shifts contacts of short fingers (docs/physics.md). PhysX is another simulator, with
# hard contacts: its numbers only notice a world that went astray (docs/physx.md).
TOLERANCES = {
    "mujoco": Tolerance(qvel=2e-3, force=1.0, share=0.99, flags=0.9999, edges=1.0, growth=2.0),
    "mjx-warp": Tolerance(qvel=5e-3, force=2.0, share=0.98, flags=0.999, edges=0.99, growth=15.0),
    "mjx-jax": Tolerance(qvel=3e-2, force=20.0, share=0.97, flags=0.999, edges=0.99, growth=600.0),
    "physx": Tolerance(qvel=15.0, force=3000.0, share=0.95, flags=0.9, edges=0.8, growth=1e7),
}
PERCENTILES = (50, 95, 99, 100)
_SIZES = ("qpos", "qvel", "place", "turn", "force")


def passes(engine: str, errors: dict[str, np.ndarray]) -> bool:
    """Whether the errors of `compare` keep the engine's tolerance."""
    limit = TOLERANCES[engine]
    kept = (errors["qvel"] <= limit.qvel) & (errors["force"] <= limit.force)
    enough = bool(kept.mean() >= limit.share)
    return enough and errors["flags"].mean() >= limit.flags and errors["edges"].mean() >= limit.edges


@dataclasses.dataclass(frozen=True)
class SlowCourses:
    """Courses and what the slow loop makes of them: exact, and with its state rounded to float32 between control steps,
    which is the least that any engine behind the door does to it."""

    courses: Courses
    exact: list[Outcome]
    rounded: list[Outcome]

    @classmethod
    def of(cls, scene: Scene, courses: Courses) -> SlowCourses:
        return cls(courses, slow_rollout(scene, *courses), slow_rollout(scene, *courses, rounded=True))


def agreement(stepper: Stepper, slow: SlowCourses) -> list[Check]:
    """After the first control step: the tolerance, world by world. After the last: the median errors beside those of
    the rounded slow loop, and the flags and edges."""
    engine, limit = stepper.physics.name, TOLERANCES[stepper.physics.name]
    outcomes, overflow = stepper.rollout(*slow.courses)
    lost: dict[str, float | list[float]] = {"overflow": float(overflow.max())}
    first = compare(outcomes[0], slow.exact[0], stepper.scene)
    found = [Check("one control step", passes(engine, first) and not overflow.any(), _figures(first) | lost)]
    if len(outcomes) > 1:
        last = compare(outcomes[-1], slow.exact[-1], stepper.scene)
        yardstick = compare(slow.rounded[-1], slow.exact[-1], stepper.scene)
        growth = {key: float(np.median(last[key]) / np.median(yardstick[key])) for key in _SIZES}
        same = last["flags"].mean() >= limit.flags - 0.001 and last["edges"].mean() >= limit.edges - 0.01
        figures = _figures(last) | {f"{key}_of_rounding": value for key, value in growth.items()}
        passed = max(growth.values()) <= limit.growth and bool(same) and not overflow.any()
        found.append(Check(f"{len(outcomes)} control steps", passed, figures | lost))
    return found


def _figures(errors: dict[str, np.ndarray]) -> dict[str, float | list[float]]:
    """Percentiles of the sizes of the errors, means of flags and edges."""
    sizes = {key: np.percentile(errors[key], PERCENTILES).tolist() for key in _SIZES}
    return sizes | {key: float(errors[key].mean()) for key in ("flags", "edges")}
