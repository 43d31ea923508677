"""The steps of building a scene: each edits an MjSpec."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic.model import basket, restitution
from mjx_skillmimic.model.assets import assets_dir
from mjx_skillmimic.model.humanoid import BODIES, FEET
from mjx_skillmimic.model.options import SceneOptions

OBJECT = "object"
FLOOR = "floor"
THUMB_PAIRS = (("L_Thumb1", "L_Thumb3"), ("R_Thumb1", "R_Thumb3"))

# Collision bits. Ball and floor meet through an explicit pair, because their bounce is no geom's own property.
_FLOOR_BIT, _BODY_BIT, _BALL_BIT, _SOLE_BIT, _RAISED_BIT = 1, 2, 4, 8, 16

# Box wrists of the box-hand variant (skillmimic.md §1.3): centre and half sizes in m.
_BOX_HANDS = {"L_Wrist": (0.03, 0.005, 0.01), "R_Wrist": (-0.03, 0.005, 0.01)}
_BOX_HAND_SIZE = (0.06, 0.01, 0.04)
_SOLE_RADIUS = 0.005  # m
# Bytes for contacts and constraints in MuJoCo C: a heap of limbs must not run out of them.
_MEMORY = 16 * 2**20


def load_humanoid() -> mujoco.MjSpec:
    """The humanoid as authored, with the published gains."""
    return mujoco.MjSpec.from_file(str(assets_dir() / "humanoid.xml"))


def set_physics(spec: mujoco.MjSpec, options: SceneOptions) -> None:
    """Integrator and solver."""
    spec.modelname = "ballplay"
    spec.memory = _MEMORY
    option = spec.option
    option.timestep = options.timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_EULER
    option.solver = {"newton": mujoco.mjtSolver.mjSOL_NEWTON, "cg": mujoco.mjtSolver.mjSOL_CG}[options.solver]
    option.iterations = options.iterations
    option.ls_iterations = options.ls_iterations
    # the folded armature already is the implicit damping
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_EULERDAMP


def _set_material(item: mujoco.MjsGeom | mujoco.MjsPair, material: restitution.ContactMaterial) -> None:
    item.solref = list(material.solref)
    item.solimp = list(material.solimp)


def set_humanoid_geoms(spec: mujoco.MjSpec, options: SceneOptions) -> None:
    """Collision bits, material, box hands and soles."""
    affinity = _FLOOR_BIT | _BALL_BIT | (_BODY_BIT | _RAISED_BIT if options.self_collision else 0)
    for name in BODIES:
        geom = spec.geom(name)
        geom.contype, geom.conaffinity = _BODY_BIT, affinity
        geom.condim = 3
        geom.friction[0] = options.friction
        geom.rgba = [0.62, 0.66, 0.72, 1.0]
        _set_material(geom, restitution.BODY)
    if options.box_hands:
        for name, centre in _BOX_HANDS.items():
            geom = spec.geom(name)
            geom.type = mujoco.mjtGeom.mjGEOM_BOX
            geom.fromto = [np.nan] * 6
            geom.size = list(_BOX_HAND_SIZE)
            geom.pos = list(centre)
    if options.feet == "corners":
        for name in FEET:
            _add_sole(spec, name, options)
    if options.exclude_thumbs:
        for first, second in THUMB_PAIRS:
            spec.add_exclude(name=f"{first}-{second}", bodyname1=first, bodyname2=second)


def _add_sole(spec: mujoco.MjSpec, name: str, options: SceneOptions) -> None:
    """Moves a foot's floor contact from its box to massless spheres in the lower corners (−y is down, z forward)."""
    box = spec.geom(name)
    box.contype = _RAISED_BIT
    box.conaffinity &= ~_FLOOR_BIT
    half, centre = np.array(box.size), np.array(box.pos)
    inset = half - _SOLE_RADIUS
    for i, (x, z) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        sphere = spec.body(name).add_geom(
            name=f"{name}_sole{i}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[_SOLE_RADIUS, 0, 0],
            pos=(centre + inset * [x, -1, z]).tolist(),
            mass=0.0,
            contype=_SOLE_BIT,
            conaffinity=_FLOOR_BIT,
            condim=3,
            friction=[options.friction, 0.005, 0.0001],
            rgba=[0.3, 0.3, 0.35, 1.0],
        )
        _set_material(sphere, restitution.BODY)


def add_floor(spec: mujoco.MjSpec, options: SceneOptions) -> None:
    """A checked plane at z = 0 and a light."""
    spec.add_texture(
        name=FLOOR,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=300,
        height=300,
        rgb1=[0.80, 0.72, 0.60],
        rgb2=[0.74, 0.65, 0.52],
    )
    material = spec.add_material(name=FLOOR, texrepeat=[1, 1], texuniform=True, reflectance=0.05)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = FLOOR
    spec.worldbody.add_light(pos=[0, -1, 5], dir=[0, 0.2, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    floor = spec.worldbody.add_geom(
        name=FLOOR,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        contype=_FLOOR_BIT,
        conaffinity=_BODY_BIT | _SOLE_BIT,
        condim=3,
        friction=[options.friction, 0.005, 0.0001],
        material=FLOOR,
    )
    _set_material(floor, restitution.BODY)


def add_ball(spec: mujoco.MjSpec, options: SceneOptions) -> None:
    """The ball, its bounce on bodies (its geom wins by priority) and on the floor (an explicit pair)."""
    body = spec.worldbody.add_body(name=OBJECT, pos=[0, 0, options.ball_radius])
    body.add_freejoint(name=OBJECT)
    inertia = mujoco.mjtGeomInertia.mjINERTIA_SHELL if options.ball_shell else mujoco.mjtGeomInertia.mjINERTIA_VOLUME
    ball = body.add_geom(
        name=OBJECT,
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[options.ball_radius, 0, 0],
        typeinertia=inertia,
        contype=_BALL_BIT,
        conaffinity=_BODY_BIT | _RAISED_BIT,
        condim=3,
        priority=1,
        friction=[options.friction, 0.005, 0.0001],
        rgba=[0.85, 0.40, 0.12, 1.0],
    )
    volume = 4.0 / 3.0 * np.pi * options.ball_radius**3
    ball.mass = options.ball_mass if options.ball_mass is not None else options.ball_density * volume
    _set_material(ball, restitution.BALL_BODY if options.restitution else restitution.BODY)
    pair = spec.add_pair(name="object-floor", geomname1=OBJECT, geomname2=FLOOR, condim=3)
    pair.friction = [options.friction, options.friction, 0.005, 0.0001, 0.0001]
    _set_material(pair, restitution.BALL_FLOOR if options.restitution else restitution.BODY)


def add_basket(spec: mujoco.MjSpec, options: SceneOptions) -> None:
    """The basket, if the options have one; call after `add_ball`, whose ball is to touch it."""
    if options.basket:
        basket.add_basket(spec, options, OBJECT)


def gains(spec: mujoco.MjSpec) -> tuple[np.ndarray, np.ndarray]:
    """kp (nu,) N·m/rad and kd (nu,) N·m·s/rad of the servos as authored."""
    kp = np.array([actuator.gainprm[0] for actuator in spec.actuators])
    return kp, np.array([-actuator.biasprm[2] for actuator in spec.actuators])


def fold_pd(spec: mujoco.MjSpec, options: SceneOptions) -> tuple[np.ndarray, np.ndarray]:
    """Turns the published gains into the implicit update; returns them, kp (nu,) and kd (nu,).

    An implicit PD step, τ = kp (target − q − dt ω⁺) − kd ω⁺ with ω⁺ = ω + dt a, is the explicit torque
    kp (target − q) − (kd + dt kp) ω plus the inertia dt kd + dt² kp at the joint (docs/physics.md).
    """
    dt = options.timestep
    kp, kd = gains(spec)
    for actuator, p, d in zip(spec.actuators, kp, kd, strict=True):
        actuator.biasprm[2] = -(d + dt * p)
        joint = spec.joint(actuator.target)
        if actuator.name.endswith("_x"):
            joint.armature += dt * d + dt * dt * p
        if options.effort_limit is not None:
            actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
            actuator.forcerange = [-options.effort_limit, options.effort_limit]
    return kp, kd
