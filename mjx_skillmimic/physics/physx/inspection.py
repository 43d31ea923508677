"""What PhysX says of a world that was built, in our order and units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.physx.convert import dof_columns
from mjx_skillmimic.physics.physx.runtime import runtime
from mjx_skillmimic.physics.physx.usd import HUMANOID
from mjx_skillmimic.physics.physx.world import World


class Inspected(NamedTuple):
    """Of the 53 bodies and, last, the ball: mass (54,) kg, com (54, 3) m and inertia (54, 3, 3) kg·m² about it, in the
    body's axes. Of the S servos of the scene: stiffness N·m/rad, damping N·m·s/rad, armature kg·m², effort_limit N·m,
    speed_limit rad/s, inf without a limit. Of every shape, in no particular order: body_material (K, 3) and
    ball_material (1, 3): static and dynamic friction, restitution; contact_offset, rest_offset (K + 1,) m."""

    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    armature: np.ndarray
    effort_limit: np.ndarray
    speed_limit: np.ndarray
    body_material: np.ndarray
    ball_material: np.ndarray
    contact_offset: np.ndarray
    rest_offset: np.ndarray


def inspect(scene: Scene, world: World) -> Inspected:
    """Reads everything back from PhysX."""
    kind = runtime().types.TensorType
    names: list[str] = []

    def read(which: str, path: str = f"{HUMANOID}/{BODIES[0]}") -> np.ndarray:
        binding = world.bind(path, getattr(kind, which))
        if not names:
            names.extend(binding.body_names)
        out = np.zeros(binding.shape, np.float32)
        binding.read(out)
        binding.destroy()
        return out[0] if path.startswith(HUMANOID) else out

    ball = f"/{OBJECT}"
    mass = read("ARTICULATION_BODY_MASS")
    order = [names.index(name) for name in BODIES]
    com = np.concatenate([read("ARTICULATION_BODY_COM_POSE")[order], read("RIGID_BODY_COM_POSE", ball)])[:, :3]
    inertia = np.concatenate([read("ARTICULATION_BODY_INERTIA")[order], read("RIGID_BODY_INERTIA", ball)])
    inverse = np.argsort(dof_columns(scene, world.dof_names))

    def dofs(which: str) -> np.ndarray:
        values = read(f"ARTICULATION_DOF_{which}")[inverse]
        return np.where(values >= np.finfo(np.float32).max, np.inf, values)

    return Inspected(
        mass=np.append(mass[order], read("RIGID_BODY_MASS", ball)),
        com=com,
        inertia=inertia.reshape(-1, 3, 3),
        stiffness=dofs("STIFFNESS"),
        damping=dofs("DAMPING"),
        armature=dofs("ARMATURE"),
        effort_limit=dofs("MAX_FORCE"),
        speed_limit=dofs("MAX_VELOCITY"),
        body_material=read("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION"),
        ball_material=read("RIGID_BODY_SHAPE_FRICTION_AND_RESTITUTION", ball)[0],
        contact_offset=np.append(read("ARTICULATION_CONTACT_OFFSET"), read("RIGID_BODY_CONTACT_OFFSET", ball)),
        rest_offset=np.append(read("ARTICULATION_REST_OFFSET"), read("RIGID_BODY_REST_OFFSET", ball)),
    )
