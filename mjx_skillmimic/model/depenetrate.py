"""Start states without overlap: lifts the feet and the ball out of the floor and the ball out of the hands.

The clips were recorded, not simulated: their feet are up to 6 cm in the floor and the ball is up to 12 cm inside the
hands. Dropped into a simulator such a state kicks the ball out of the hand with up to some metres a second.
Runs once, when the motion table is built; NumPy, vectorised over frames.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from mjx_skillmimic.model import build, clearance
from mjx_skillmimic.model.humanoid import FEET
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.rotations import rotate

_Z = 2


@dataclasses.dataclass(frozen=True)
class StartOptions:
    """What to correct; the values are the `default` preset. `reference` corrects nothing (skillmimic.md §12 item 8).

    lift_object: the ball's lowest point is at the floor or above. push_object: the ball leaves the humanoid's geoms by
    about the shortest way, until it overlaps by `slop` m (negative: a gap); between two hands it ends where both
    overlap alike.
    feet_depth: m; the root is raised until no foot is deeper in the floor; None leaves it. The ball rises with it by
    no more than its own corrections ask for.
    max_push: m; no ball is moved further by `push_object`.
    """

    lift_object: bool = True
    push_object: bool = True
    feet_depth: float | None = None
    slop: float = 0.0
    max_push: float = 0.12


START_PRESETS: dict[str, StartOptions] = {
    "default": StartOptions(),
    "reference": StartOptions(lift_object=False, push_object=False, feet_depth=None),
}


class StartStates(NamedTuple):
    """Corrected qpos (T, nq); root_lift (T,) m; object_shift (T, 3) m; remaining (T,) m, the ball's deepest overlap
    with a body after the correction (negative: apart)."""

    qpos: np.ndarray
    root_lift: np.ndarray
    object_shift: np.ndarray
    remaining: np.ndarray


def depenetrate(scene: Scene, qpos: np.ndarray, options: StartOptions | None = None) -> StartStates:
    """Corrects the start coordinates qpos (T, nq) of T frames, each on its own."""
    options = options or StartOptions()
    qpos = np.array(qpos, np.float64)
    frames = len(qpos)
    lift = np.zeros(frames)
    if options.feet_depth is not None:
        lift = np.maximum(feet_depths(scene, qpos) - options.feet_depth, 0.0)
        qpos[:, _Z] += lift
    pos, quat = clearance.geom_poses(scene, qpos)
    start = int(scene.model.joint(build.OBJECT).qposadr[0])
    original = qpos[:, start : start + 3].copy()
    lowest = scene.object_radius if options.lift_object else -np.inf
    centre = original.copy()
    centre[:, _Z] = np.maximum(centre[:, _Z], lowest)
    if options.push_object:
        centre = _push_out(scene, centre, lowest, pos, quat, options)
    qpos[:, start : start + 3] = centre
    depth, _ = clearance.sphere_depths(scene, centre, scene.object_radius, pos, quat)
    return StartStates(qpos, lift, centre - original, depth.max(axis=-1))


def feet_depths(scene: Scene, qpos: np.ndarray) -> np.ndarray:
    """How deep the lowest corner of the feet is below the floor, (T,) m, at qpos (T, nq); negative in the air."""
    pos, quat = clearance.geom_poses(scene, qpos)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    lowest = np.full(len(qpos), np.inf)
    for name in FEET:
        i = scene.skeleton.index(name)
        corners = pos[:, i, None] + rotate(quat[:, i, None], signs * scene.model.geom(name).size)
        lowest = np.minimum(lowest, corners[..., _Z].min(axis=-1))
    return -lowest


def _push_out(
    scene: Scene, start: np.ndarray, lowest: float, pos: np.ndarray, quat: np.ndarray, options: StartOptions
) -> np.ndarray:
    """Moves sphere centres (T, 3) out of the geoms by projecting on the deepest overlap again and again.

    Where overlaps oppose each other no place is free; shrinking steps settle where the deepest is least. The best
    place seen wins.
    """
    radius = scene.object_radius
    centre, best = start.copy(), start.copy()
    rows = np.arange(len(start))
    best_depth = np.full(len(start), np.inf)
    for step in range(60):
        depth, normal = clearance.sphere_depths(scene, centre, radius, pos, quat)
        worst = depth.argmax(axis=-1)
        deepest = depth[rows, worst]
        better = deepest < best_depth - 1e-6
        best[better], best_depth[better] = centre[better], deepest[better]
        push = np.maximum(deepest - options.slop, 0.0) * min(1.0, 12.0 / (step + 1.0))
        # a frame that is free stays at the first free place, which is the nearest that this walk finds
        centre = np.where(
            (best_depth <= options.slop + 1e-4)[:, None], best, centre + push[:, None] * normal[rows, worst]
        )
        away = centre - start
        length = np.linalg.norm(away, axis=-1, keepdims=True)
        centre = start + away * np.minimum(1.0, options.max_push / np.maximum(length, 1e-9))
        centre[:, _Z] = np.maximum(centre[:, _Z], lowest)
    return best
