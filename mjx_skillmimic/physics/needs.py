"""What states ask of Warp's contact buffers, counted on the CPU whichever engine made them."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics import variants

_BOX, _PLANE = int(mujoco.mjtGeom.mjGEOM_BOX), int(mujoco.mjtGeom.mjGEOM_PLANE)
_KNOWN = (_PLANE, _BOX, int(mujoco.mjtGeom.mjGEOM_SPHERE), int(mujoco.mjtGeom.mjGEOM_CAPSULE))
ROWS = 4  # constraint rows of a contact with three dimensions and a pyramidal cone
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
_BATCH = 256  # states at a time: poses of all geoms and distances of all pairs must fit in the cache


@dataclasses.dataclass(frozen=True)
class Counts:
    """What each of N states needs, all (N,) int; zero for states that are not finite.

    contacts: MuJoCo C's, and what Warp adds: the upper corners of a box that lie below the floor as well. pairs: pairs
    of geoms that Warp's broad phase passes on. boxes: those of them between two boxes, which alone need the general
    convex algorithm. rows: constraint rows of the contacts. capsules: pairs of capsules that pass MJX-JAX's test of
    bounding spheres.
    """

    contacts: np.ndarray
    pairs: np.ndarray
    boxes: np.ndarray
    rows: np.ndarray
    capsules: np.ndarray


QUANTITIES = tuple(field.name for field in dataclasses.fields(Counts))


def possible_pairs(model: mujoco.MjModel) -> np.ndarray:
    """Geom ids (P, 2), first < second, of the pairs that may collide at all: by their bits, by explicit pairs, and
    neither on one rigid body, nor on parent and child, nor excluded.

    Raises ValueError for a model with other geoms than planes, spheres, capsules and boxes.
    """
    if unknown := sorted({int(kind) for kind in model.geom_type} - set(_KNOWN)):
        names = ", ".join(mujoco.mjtGeom(kind).name for kind in unknown)
        raise ValueError(f"contacts are counted for planes, spheres, capsules and boxes; the model has {names}")
    first, second = np.triu_indices(model.ngeom, 1)
    body = model.geom_bodyid
    weld, above = model.body_weldid, model.body_weldid[model.body_parentid[model.body_weldid]]
    a, b = weld[body[first]], weld[body[second]]
    bits = (model.geom_contype[first] & model.geom_conaffinity[second]) > 0
    bits |= (model.geom_contype[second] & model.geom_conaffinity[first]) > 0
    family = (a != 0) & (b != 0) & ((a == above[b]) | (b == above[a]))
    fixed = (model.body_dofnum[a] == 0) & (model.body_dofnum[b] == 0)
    excluded = np.isin((body[first] << 16) + body[second], model.exclude_signature)
    chosen = bits & (a != b) & ~family & ~fixed & ~excluded
    explicit = np.sort(np.stack([model.pair_geom1, model.pair_geom2], axis=-1), axis=-1)
    chosen |= np.isin(first * model.ngeom + second, explicit[:, 0] * model.ngeom + explicit[:, 1])
    return np.stack([first, second], axis=-1)[chosen]


def is_box_pair(model: mujoco.MjModel, pairs: np.ndarray) -> np.ndarray:
    """Which of the pairs (P, 2) are between two boxes, (P,) bool."""
    return (model.geom_type[pairs] == _BOX).all(axis=-1)


def count(scene: Scene, qpos: np.ndarray) -> Counts:
    """What the states qpos (N, nq) need at the start of a physics step."""
    model, data = scene.model, mujoco.MjData(scene.model)
    qpos = np.asarray(qpos, np.float64)
    pairs = possible_pairs(model)
    boxes, capsules = is_box_pair(model, pairs), variants.capsule_pairs(model)
    found = {name: np.zeros(len(qpos), np.int64) for name in QUANTITIES}
    usable = np.flatnonzero(np.isfinite(qpos).all(axis=-1))
    for start in range(0, len(usable), _BATCH):
        rows = usable[start : start + _BATCH]
        pos, mat = np.empty((len(rows), model.ngeom, 3)), np.empty((len(rows), model.ngeom, 3, 3))
        for i, row in enumerate(rows):
            data.qpos[:] = qpos[row]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_collision(model, data)
            mujoco.mj_makeConstraint(model, data)
            found["contacts"][row], found["rows"][row] = data.ncon, data.nefc
            pos[i], mat[i] = data.geom_xpos, data.geom_xmat.reshape(-1, 3, 3)
        sunken = _sunken_corners(model, pairs, pos, mat)
        found["contacts"][rows] += sunken
        found["rows"][rows] += ROWS * sunken
        near = _near(model, pairs, pos, mat)
        found["pairs"][rows], found["boxes"][rows] = near.sum(axis=-1), near[:, boxes].sum(axis=-1)
        found["capsules"][rows] = _spheres_meet(model, capsules, pos).sum(axis=-1)
    return Counts(**found)


def _near(model: mujoco.MjModel, pairs: np.ndarray, pos: np.ndarray, mat: np.ndarray) -> np.ndarray:
    """Whether Warp's broad phase passes each pair on, (N, P): a plane by distance, others by bounding spheres and then
    by oriented bounding boxes."""
    near = _spheres_meet(model, pairs, pos)
    planes = (model.geom_rbound[pairs] == 0).any(axis=-1)
    for flat in np.flatnonzero(planes):
        plane, other = _plane_first(model, pairs[flat])
        height = np.einsum("ni,ni->n", pos[:, other] - pos[:, plane], mat[:, plane, :, 2])
        near[:, flat] = height <= model.geom_rbound[other]
    world, column = np.nonzero(near & ~planes)
    at = world[:, None], pairs[column]
    near[world, column] = _boxes_meet(model, pairs[column], pos[at], mat[at])
    return near


def _plane_first(model: mujoco.MjModel, pair: np.ndarray) -> tuple[int, int]:
    """The geoms of a pair with a plane in it."""
    first, second = (int(geom) for geom in pair)
    return (first, second) if model.geom_type[first] == _PLANE else (second, first)


def _sunken_corners(model: mujoco.MjModel, pairs: np.ndarray, pos: np.ndarray, mat: np.ndarray) -> np.ndarray:
    """How many upper corners of boxes lie below a plane that they may touch, (N,): MuJoCo C skips these."""
    found = np.zeros(len(pos), np.int64)
    kinds = model.geom_type[pairs]
    for pair in pairs[(kinds == _PLANE).any(axis=-1) & (kinds == _BOX).any(axis=-1)]:
        plane, box = _plane_first(model, pair)
        normal = mat[:, plane, :, 2]
        centre = np.einsum("ni,ni->n", pos[:, box] - pos[:, plane], normal)
        rise = np.einsum("ci,nji,nj->nc", _CORNERS * model.geom_size[box], mat[:, box], normal)
        found += ((rise > 0) & (centre[:, None] + rise < 0)).sum(axis=-1)
    return found


def _spheres_meet(model: mujoco.MjModel, pairs: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Whether the bounding spheres of pairs (P, 2) overlap at geom positions (N, ngeom, 3), (N, P)."""
    reach = model.geom_rbound[pairs].sum(axis=-1)
    square = sum((x[:, :, None] - x[:, None, :]) ** 2 for x in np.moveaxis(pos, -1, 0))
    return square.reshape(len(pos), -1)[:, pairs @ (model.ngeom, 1)] <= reach * reach


def _boxes_meet(model: mujoco.MjModel, pairs: np.ndarray, pos: np.ndarray, mat: np.ndarray) -> np.ndarray:
    """Whether the bounding boxes of pair k overlap along all six axes, (K,): pos (K, 2, 3), mat (K, 2, 3, 3)."""
    half, middle = model.geom_aabb[pairs, 3:], model.geom_aabb[pairs, :3]
    centre = pos + np.einsum("kgij,kgj->kgi", mat, middle)
    apart = centre[:, 1] - centre[:, 0]
    along = np.abs(np.einsum("kgij,ki->kgj", mat, apart))
    turn = np.abs(np.einsum("kij,kil->kjl", mat[:, 0], mat[:, 1]))
    first = along[:, 0] <= half[:, 0] + np.einsum("kjl,kl->kj", turn, half[:, 1])
    second = along[:, 1] <= half[:, 1] + np.einsum("kjl,kj->kl", turn, half[:, 0])
    return (first & second).all(axis=-1)


@dataclasses.dataclass(frozen=True)
class Need:
    """One quantity over T moments of N worlds that are alike at each moment (the same frame of the same clip).

    mean, p95, p99, max: over all worlds and moments. peak: greatest mean over the worlds of one moment. spread:
    greatest standard deviation between the worlds of one moment.
    """

    mean: float
    p95: float
    p99: float
    max: float
    peak: float
    spread: float


def summarise(samples: np.ndarray) -> Need:
    """The need of samples (T, N); NaN stands for a world that is not there, and no moment is without worlds."""
    p95, p99 = np.nanpercentile(samples, (95, 99))
    return Need(
        mean=float(np.nanmean(samples)),
        p95=float(p95),
        p99=float(p99),
        max=float(np.nanmax(samples)),
        peak=float(np.nanmean(samples, axis=1).max()),
        spread=float(np.nanstd(samples, axis=1).max()),
    )
