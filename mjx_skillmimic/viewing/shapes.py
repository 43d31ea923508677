"""What the figures are made of: spheres, capsules and boxes, each fixed to a body."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import mujoco

KINDS = ("sphere", "capsule", "box")


@dataclasses.dataclass(frozen=True)
class Shapes:
    """S primitives, as arrays so that a whole frame is posed in one operation.

    kind (S,) int index into `KINDS`; body (S,) int; size (S, 3) m: radius of a sphere, radius and half length (along
    local z) of a capsule, half sides of a box; pos (S, 3) m and quat (S, 4) wxyz in the body's frame.
    """

    kind: np.ndarray
    body: np.ndarray
    size: np.ndarray
    pos: np.ndarray
    quat: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


def shapes_from_model(model: mujoco.MjModel, body_names: tuple[str, ...]) -> Shapes:
    """The geoms of the named bodies of a compiled model; `Shapes.body` counts in the order of `body_names`.

    Raises ValueError for a geom that is none of `KINDS`.
    """
    bodies = {model.body(name).id: i for i, name in enumerate(body_names)}
    geoms = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies]
    return Shapes(
        kind=np.array([kind_of(model, g) for g in geoms], np.int32),
        body=np.array([bodies[int(model.geom_bodyid[g])] for g in geoms], np.int32),
        size=model.geom_size[geoms].astype(np.float32),
        pos=model.geom_pos[geoms].astype(np.float32),
        quat=model.geom_quat[geoms].astype(np.float32),
    )


def kind_of(model: mujoco.MjModel, geom: int) -> int:
    """Index into `KINDS` of a geom (id). Raises ValueError for one of another shape."""
    import mujoco

    kinds = [int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}")) for kind in KINDS]
    found = int(model.geom_type[geom])
    if found not in kinds:
        raise ValueError(f"geom {model.geom(geom).name!r}: expected {', '.join(KINDS)}, got type {found}")
    return kinds.index(found)
