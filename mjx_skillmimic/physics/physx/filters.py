"""Which geoms may touch, as PhysX collision groups and filtered pairs.

MuJoCo decides by the bits of two geoms, plus explicit pairs, minus excluded pairs of bodies, minus parent and child.
"""

from __future__ import annotations

import dataclasses

import mujoco

from mjx_skillmimic.model.build import FLOOR, OBJECT
from mjx_skillmimic.model.scene import Scene


@dataclasses.dataclass(frozen=True)
class Filters:
    """Groups of geoms with equal rules.

    members: the geoms' prims, by group. silent: pairs of groups that never touch. pairs: excluded pairs of
    bodies, by the first one's name.
    """

    members: list[list[str]]
    silent: list[tuple[int, int]]
    pairs: dict[str, list[str]]

    @classmethod
    def of(cls, scene: Scene) -> Filters:
        """The rules of a compiled scene."""
        model = scene.model
        explicit = {frozenset(p) for p in zip(model.pair_geom1.tolist(), model.pair_geom2.tolist(), strict=True)}
        kinds: dict[tuple[object, ...], list[int]] = {}
        for geom in range(model.ngeom):
            # a geom of an explicit pair has rules of its own
            alone = geom if any(geom in pair for pair in explicit) else -1
            kinds.setdefault((int(model.geom_contype[geom]), int(model.geom_conaffinity[geom]), alone), []).append(geom)
        groups = list(kinds.values())
        silent = [
            (i, j)
            for i in range(len(groups))
            for j in range(i, len(groups))
            if not _may_touch(model, groups[i][0], groups[j][0], explicit)
        ]
        pairs: dict[str, list[str]] = {}
        excluded = [(int(signature) >> 16, int(signature) & 0xFFFF) for signature in model.exclude_signature]
        for first, second in sorted({(min(pair), max(pair)) for pair in [*excluded, *_rigid_neighbours(model)]}):
            pairs.setdefault(model.body(first).name, []).append(model.body(second).name)
        return cls([[_path(model, geom) for geom in group] for group in groups], silent, pairs)

    def excluded(self, body: str) -> list[str]:
        """Bodies that `body` never touches; each pair is named once."""
        return self.pairs.get(body, [])

    def groups(self) -> list[str]:
        """USDA text of the groups."""
        text = []
        for i, members in enumerate(self.members):
            silent = sorted({b if a == i else a for a, b in self.silent if i in (a, b)})
            includes = ", ".join(f"</{member}>" for member in members)
            text.append(
                f'def PhysicsCollisionGroup "group_{i}" (prepend apiSchemas = ["CollectionAPI:colliders"])\n{{\n'
                f"rel physics:filteredGroups = [{', '.join(f'</group_{j}>' for j in silent)}]\n"
                f"rel collection:colliders:includes = [{includes}]\n}}"
            )
        return text


def _rigid_neighbours(model: mujoco.MjModel) -> list[tuple[int, int]]:
    """Bodies that MuJoCo takes for parent and child because a body between them is rigidly on one of them."""
    weld, parent = model.body_weldid, model.body_parentid
    moving = [body for body in range(1, model.nbody) if weld[body]]
    return [
        (a, b)
        for a in moving
        for b in moving
        if a != b and weld[parent[weld[b]]] == weld[a] and parent[b] != a and weld[parent[weld[b]]] > 0
    ]


def _may_touch(model: mujoco.MjModel, first: int, second: int, explicit: set[frozenset[int]]) -> bool:
    if frozenset((first, second)) in explicit:
        return True
    types, affinities = model.geom_contype, model.geom_conaffinity
    return bool(types[first] & affinities[second] or types[second] & affinities[first])


def _path(model: mujoco.MjModel, geom: int) -> str:
    name, body = model.geom(geom).name, model.body(int(model.geom_bodyid[geom])).name
    if name == FLOOR:
        return FLOOR
    return f"{OBJECT}/geom_{name}" if body == OBJECT else f"humanoid/{body}/geom_{name}"
