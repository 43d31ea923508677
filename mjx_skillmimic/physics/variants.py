"""What the MJX engines need of the model: no actuators, and which geom belongs to which node of the contact graph."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model.humanoid import BODIES, HANDS
from mjx_skillmimic.model.scene import Scene

# Nodes of the contact graph; the world is none of them.
WORLD, HAND, BODY, OBJECT = 0, 1, 2, 3
_EDGE_NODES = ((HAND, OBJECT), (BODY, OBJECT), (HAND, BODY))


def without_actuators(scene: Scene, numerics: dict[str, float] | None = None) -> mujoco.MjModel:
    """The scene with its folded armature but no servos (`pd.generalised_force` replaces them); `numerics` are added."""
    spec = scene.spec.copy()
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for name, value in (numerics or {}).items():
        spec.add_numeric(name=name, data=[value], size=1)
    return spec.compile()


def geom_nodes(scene: Scene, model: mujoco.MjModel) -> np.ndarray:
    """The contact-graph node of every geom, (ngeom,) int: hands are both wrists and all below them."""
    node_of_body = np.full(model.nbody, WORLD)
    for name, body in zip(BODIES, scene.humanoid_body_ids, strict=True):
        node_of_body[body] = HAND if name in HANDS else BODY
    node_of_body[scene.object_body_id] = OBJECT
    return node_of_body[model.geom_bodyid]


def capsule_pairs(model: mujoco.MjModel) -> np.ndarray:
    """Geom ids (P, 2) of the pairs of capsules that may collide: neither in one body nor in parent and child."""
    capsules = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    first, second = (capsules[i] for i in np.triu_indices(len(capsules), 1))
    # bodies rigidly on one another count as one
    a, b = (model.body_weldid[model.geom_bodyid[ids]] for ids in (first, second))
    above = model.body_weldid[model.body_parentid]
    free = (a != b) & (above[a] != b) & (above[b] != a)
    meet = (model.geom_contype[first] & model.geom_conaffinity[second]) > 0
    return np.stack([first, second], axis=-1)[free & meet]


def edge_table() -> np.ndarray:
    """(4, 4, 3) bool: which edge of `EDGES` a contact between two nodes is."""
    table = np.zeros((4, 4, len(_EDGE_NODES)), bool)
    for edge, (a, b) in enumerate(_EDGE_NODES):
        table[a, b, edge] = table[b, a, edge] = True
    return table
