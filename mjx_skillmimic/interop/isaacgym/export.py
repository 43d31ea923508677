"""The humanoid as MJCF in the form that Isaac Gym's importer needs, and the scene's numbers as JSON beside it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mjx_skillmimic.interop.isaacgym.description import FORMAT, SCENE_FILE, VERSION
from mjx_skillmimic.model import build
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import Scene

HUMANOID_FILE = "humanoid.xml"
_AXES = {"x": "1 0 0", "y": "0 1 0", "z": "0 0 1"}
_GEOMS = {
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_BOX: "box",
}
_SIZES = {"sphere": 1, "capsule": 1, "box": 3}
_ALONE = {"contype": "2", "conaffinity": "1"}  # meets MuJoCo's ordinary geoms, but not its like
_LIMIT = 180.0  # degrees a component, as published (skillmimic.md §1.2)
_GEAR = 500.0  # of the published motors, which a position drive does not use (§1.2)

# What the published scene asks of PhysX (§1.4, §2.1–§2.3); the rest comes from the scene's own options.
_DAMPING = {"linear_damping": 0.0, "angular_damping": 0.01, "max_angular_velocity": 100.0}
_BALL_DAMPING = {**_DAMPING, "linear_damping": 0.01}
_BALL_RESTITUTION, _PLANE_RESTITUTION = 0.81, 0.8
_SOLVER = {
    "solver_type": 1,
    "position_iterations": 4,
    "velocity_iterations": 0,
    "contact_offset": 0.02,
    "rest_offset": 0.0,
    "bounce_threshold_velocity": 0.2,
    "max_depenetration_velocity": 10.0,
    "buffer_size_multiplier": 10.0,
    "max_gpu_contact_pairs": 8 * 1024**2,
    "threads": 4,
    "env_spacing": 2.0,
}


def export_mjcf(scene: Scene, folder: str | Path) -> Path:
    """Writes FOLDER/humanoid.xml and FOLDER/scene.json; returns the first.

    The MJCF holds the humanoid alone, every ball joint as hinges x, y, z at the body's origin, which Isaac Gym's
    importer makes one spherical joint of (skillmimic.md §1.1); joint stiffness, damping and armature are the published
    ones of the drives, before folding. Opened in MuJoCo it is another robot: hinges, and springs towards zero.

    Raises ValueError for a scene with hinged hands, spheres under the soles or a basket, which the published one has
    not.
    """
    if scene.options.hands != "ball" or scene.options.feet == "corners" or scene.options.basket:
        raise ValueError(
            f"a scene with hands={scene.options.hands!r}, feet={scene.options.feet!r}, basket={scene.options.basket} "
            "has no counterpart in Isaac Gym; expected hands='ball' and feet 'box' or 'auto', without a basket"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    spec = build.load_humanoid()
    kp, kd = build.gains(spec)
    build.set_humanoid_geoms(spec, scene.options)
    armature = np.repeat([spec.joint(name).armature for name in BODIES[1:]], 3)
    root = ET.Element("mujoco", model="humanoid")
    ET.SubElement(root, "compiler", angle="degree")
    world = ET.SubElement(root, "worldbody")
    dofs = {"stiffness": kp, "damping": kd, "armature": armature}
    _write_body(world, spec.body(BODIES[0]), dofs, scene.options.self_collision)
    contact = ET.SubElement(root, "contact")
    for exclude in spec.excludes:
        ET.SubElement(contact, "exclude", body1=exclude.bodyname1, body2=exclude.bodyname2)
    actuator = ET.SubElement(root, "actuator")
    for name in _dof_names():
        ET.SubElement(actuator, "motor", name=name, joint=name, gear=_text([_GEAR]))
    ET.indent(root)
    path = folder / HUMANOID_FILE
    path.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    described = json.dumps(_description(scene, dofs), indent=1)
    (folder / SCENE_FILE).write_text(described + "\n", encoding="utf-8")
    return path


def _dof_names() -> list[str]:
    return [f"{body}_{axis}" for body in BODIES[1:] for axis in "xyz"]


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{float(value):.9g}" for value in values)


def _write_body(parent: ET.Element, body: mujoco.MjsBody, dofs: dict[str, np.ndarray], collides: bool) -> None:
    element = ET.SubElement(parent, "body", name=body.name, pos=_text(body.pos))
    if body.name == BODIES[0]:
        ET.SubElement(element, "freejoint", name="root")
    else:
        first = 3 * (BODIES.index(body.name) - 1)
        for dof, (letter, axis) in enumerate(_AXES.items(), start=first):
            values = {name: _text([array[dof]]) for name, array in dofs.items()}
            hinge = {"name": f"{body.name}_{letter}", "type": "hinge", "pos": "0 0 0", "axis": axis, "limited": "true"}
            ET.SubElement(element, "joint", {**hinge, "range": _text([-_LIMIT, _LIMIT]), **values})
    for geom in body.geoms:
        kind = _GEOMS[geom.type]
        place = {"pos": _text(geom.pos)} if np.isnan(geom.fromto[0]) else {"fromto": _text(geom.fromto)}
        material = {"density": _text([geom.density]), "friction": _text(geom.friction), "condim": str(geom.condim)}
        shape = {"name": geom.name, "type": kind, "size": _text(geom.size[: _SIZES[kind]]), **place}
        ET.SubElement(element, "geom", {**shape, **material, **({} if collides else _ALONE)})
    for child in body.bodies:
        _write_body(element, child, dofs, collides)


def _description(scene: Scene, dofs: dict[str, np.ndarray]) -> dict[str, Any]:
    options, model, ids = scene.options, scene.model, scene.humanoid_body_ids
    bounce = 1.0 if options.restitution else 0.0
    return {
        "format": FORMAT,
        "version": VERSION,
        "humanoid": {
            "file": HUMANOID_FILE,
            "bodies": list(BODIES),
            "parents": scene.skeleton.parents.tolist(),
            "offsets": scene.skeleton.offsets.tolist(),
            "masses": model.body_mass[ids].tolist(),
            "centres": model.body_ipos[ids].tolist(),
            "friction": options.friction,
            "restitution": 0.0,
            "self_collision": options.self_collision,
            "excluded_pairs": [list(pair) for pair in build.THUMB_PAIRS] if options.exclude_thumbs else [],
            **_DAMPING,
        },
        "dofs": {
            "names": _dof_names(),
            **{name: array.tolist() for name, array in dofs.items()},
            "limit": float(np.deg2rad(_LIMIT)),
            "effort": options.effort_limit,
        },
        "ball": {
            "radius": options.ball_radius,
            "mass": float(model.body_mass[scene.object_body_id]),
            "inertia": float(model.body_inertia[scene.object_body_id][0]),
            "friction": options.friction,
            "restitution": bounce * _BALL_RESTITUTION,
            **_BALL_DAMPING,
        },
        "plane": {"friction": options.friction, "restitution": bounce * _PLANE_RESTITUTION},
        "simulation": {
            "control_dt": scene.control_dt,
            "substeps": scene.substeps,
            "gravity": model.opt.gravity.tolist(),
            **_SOLVER,
        },
    }
