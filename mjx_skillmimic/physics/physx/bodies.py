"""Bodies and their shapes as USD text."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.physics.physx.settings import PhysxSettings
from mjx_skillmimic.physics.physx.usda import number, pose, prim, row

COLLIDER = ("PhysicsCollisionAPI", "PhysxCollisionAPI", "MaterialBindingAPI")
_DEGREE = np.pi / 180.0
_SHAPES = {
    mujoco.mjtGeom.mjGEOM_SPHERE: "Sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "Capsule",
    mujoco.mjtGeom.mjGEOM_BOX: "Cube",
}


def collider(settings: PhysxSettings, material: str) -> list[str]:
    """What every shape says."""
    return [
        f"float physxCollision:contactOffset = {number(settings.contact_offset)}",
        f"float physxCollision:restOffset = {number(settings.rest_offset)}",
        f"rel material:binding:physics = </material_{material}>",
    ]


def body(
    model: mujoco.MjModel,
    settings: PhysxSettings,
    index: int,
    place: tuple[np.ndarray, np.ndarray],
    filtered: Sequence[str],
) -> str:
    """A rigid body at a position and quaternion, with the mass properties of the model, where the folded PD is no part.

    filtered: prims that it never touches, beside its parent and children. Raises ValueError for a shape that is none of
    sphere, capsule and box.
    """
    name = model.body(index).name
    schemas = ["PhysicsRigidBodyAPI", "PhysxRigidBodyAPI", "PhysicsMassAPI", "PhysxContactReportAPI"]
    lines = [
        *pose(*place),
        f"float physics:mass = {number(model.body_mass[index])}",
        f"point3f physics:centerOfMass = {row(model.body_ipos[index])}",
        f"float3 physics:diagonalInertia = {row(model.body_inertia[index])}",
        f"quatf physics:principalAxes = {row(model.body_iquat[index])}",
        "float physxContactReport:threshold = 0",
        *_motion(settings, name == OBJECT),
    ]
    if name == BODIES[0]:
        schemas += ["PhysicsArticulationRootAPI", "PhysxArticulationAPI"]
        lines += [
            "bool physxArticulation:enabledSelfCollisions = 1",
            "float physxArticulation:sleepThreshold = 0",
            "float physxArticulation:stabilizationThreshold = 0",
            *_iterations(settings, "physxArticulation"),
        ]
    if filtered:
        schemas.append("PhysicsFilteredPairsAPI")
        lines.append(f"rel physics:filteredPairs = [{', '.join(f'<{path}>' for path in filtered)}]")
    first, count = int(model.body_geomadr[index]), int(model.body_geomnum[index])
    material = collider(settings, "ball" if name == OBJECT else "body")
    shapes = [_shape(model, geom, material) for geom in range(first, first + count)]
    return prim("Xform", name, schemas, [*lines, *shapes])


def _motion(settings: PhysxSettings, ball: bool) -> list[str]:
    """Damping, limits and iterations of a body."""
    return [
        f"float physxRigidBody:linearDamping = {number(settings.ball_damping if ball else 0.0)}",
        f"float physxRigidBody:angularDamping = {number(settings.ball_damping if ball else settings.body_damping)}",
        f"float physxRigidBody:maxAngularVelocity = {number(settings.max_angular_velocity / _DEGREE)}",
        f"float physxRigidBody:maxDepenetrationVelocity = {number(settings.max_depenetration_velocity)}",
        *_iterations(settings, "physxRigidBody"),
    ]


def _iterations(settings: PhysxSettings, schema: str) -> list[str]:
    return [
        f"int {schema}:solverPositionIterationCount = {settings.position_iterations}",
        f"int {schema}:solverVelocityIterationCount = {settings.velocity_iterations}",
    ]


def _shape(model: mujoco.MjModel, geom: int, material: list[str]) -> str:
    name, kind, size = model.geom(geom).name, mujoco.mjtGeom(int(model.geom_type[geom])), model.geom_size[geom]
    if kind not in _SHAPES:
        raise ValueError(f"geom {name!r} is a {kind.name}; expected a sphere, a capsule or a box")
    box = kind == mujoco.mjtGeom.mjGEOM_BOX
    lines = ["double size = 2"] if box else [f"double radius = {number(size[0])}"]
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        lines += [f"double height = {number(2.0 * size[1])}", 'uniform token axis = "Z"']
    lines += pose(model.geom_pos[geom], model.geom_quat[geom], size if box else None)
    return prim(_SHAPES[kind], f"geom_{name}", COLLIDER, [*lines, *material])
