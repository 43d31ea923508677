"""A scene as USD text, from which PhysX builds one world."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model.build import FLOOR
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.physx.bodies import COLLIDER, body, collider
from mjx_skillmimic.physics.physx.filters import Filters
from mjx_skillmimic.physics.physx.joints import joint
from mjx_skillmimic.physics.physx.settings import PhysxSettings
from mjx_skillmimic.physics.physx.usda import number, prim, row

HUMANOID = "/humanoid"
# Where the humanoid begins, m above floor and ball: nothing touches before the first state is written.
_HEIGHT = 5.0
_HEADER = """#usda 1.0
(
    metersPerUnit = 1
    kilogramsPerUnit = 1
    upAxis = "Z"
)
"""


def write_usd(scene: Scene, settings: PhysxSettings) -> str:
    """USDA text of one world at the zero pose, high above floor and ball.

    All is taken from the scene's compiled model but the bounce: MuJoCo's soft contacts have no coefficient of
    restitution, so it comes from `settings` if `SceneOptions.restitution` is on. What belongs to MuJoCo's solver
    (`solver`, `iterations`, `ls_iterations`) has no meaning here.

    Raises ValueError for a shape that PhysX is not given, and for a basket.
    """
    if scene.options.basket:
        raise ValueError("basket=True: the engine physx builds no basket; use mujoco, mjx-warp or mjx-jax")
    model, filters = scene.model, Filters.of(scene)
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    data.qpos[2] = _HEIGHT
    mujoco.mj_kinematics(model, data)

    def placed(index: int) -> str:
        filtered = [f"{HUMANOID}/{name}" for name in filters.excluded(model.body(index).name)]
        return body(model, settings, index, (data.xpos[index], data.xquat[index]), filtered)

    links = [int(index) for index in scene.humanoid_body_ids]
    parts = [
        _HEADER,
        *_materials(scene, settings),
        *filters.groups(),
        _physics_scene(scene, settings),
        prim("Plane", FLOOR, COLLIDER, ['uniform token axis = "Z"', *collider(settings, "floor")]),
        prim("Xform", HUMANOID[1:], [], [placed(index) for index in links]),
        prim("Scope", "joints", [], [joint(scene, settings, index, HUMANOID) for index in links[1:]]),
        placed(scene.object_body_id),
    ]
    return "\n".join(parts)


def _materials(scene: Scene, settings: PhysxSettings) -> list[str]:
    """Ball, floor and bodies; friction and restitution of a pair are the averages."""
    restitution = {
        "ball": settings.restitution_ball,
        "floor": settings.restitution_floor,
        "body": settings.restitution_body,
    }
    friction = number(scene.options.friction)
    return [
        prim(
            "Material",
            f"material_{name}",
            ["PhysicsMaterialAPI", "PhysxMaterialAPI"],
            [
                f"float physics:staticFriction = {friction}",
                f"float physics:dynamicFriction = {friction}",
                f"float physics:restitution = {number(bounce if scene.options.restitution else 0.0)}",
                'uniform token physxMaterial:frictionCombineMode = "average"',
                'uniform token physxMaterial:restitutionCombineMode = "average"',
            ],
        )
        for name, bounce in restitution.items()
    ]


def _physics_scene(scene: Scene, settings: PhysxSettings) -> str:
    """Gravity and solver."""
    gravity = np.asarray(scene.model.opt.gravity)
    strength = float(np.linalg.norm(gravity))
    lines = [
        f"vector3f physics:gravityDirection = {row(gravity / strength if strength else (0.0, 0.0, -1.0))}",
        f"float physics:gravityMagnitude = {number(strength)}",
        f"uniform uint physxScene:timeStepsPerSecond = {round(1.0 / scene.timestep)}",
        'uniform token physxScene:solverType = "TGS"',
        'uniform token physxScene:broadphaseType = "SAP"',
        'uniform token physxScene:collisionSystem = "PCM"',
        "uniform bool physxScene:enableGPUDynamics = 0",
        "uniform bool physxScene:enableStabilization = 0",
        "uniform bool physxScene:enableSceneQuerySupport = 0",
        "uniform bool physxScene:disableSleeping = 1",
        f"uniform bool physxScene:enableExternalForcesEveryIteration = {int(settings.forces_every_iteration)}",
        f"float physxScene:bounceThreshold = {number(settings.bounce_threshold)}",
    ]
    return prim("PhysicsScene", "scene", ["PhysxSceneAPI"], lines)
