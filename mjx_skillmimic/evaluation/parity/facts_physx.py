"""What PhysX says of its model: tensors read back from a built world, the rest from the stage it was built from."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.parity.facts import MATERIALS, Facts
from mjx_skillmimic.model.build import FLOOR, OBJECT
from mjx_skillmimic.model.humanoid import BODIES

_SHAPE = re.compile(r'^def (Sphere|Capsule|Cube|Plane) "(\w+)"[^\n]*\n\{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
_JOINT = re.compile(r'^def Physics\w*Joint "\w+"[^\n]*\n\{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
_GROUP = re.compile(r'^def PhysicsCollisionGroup "(\w+)"[^\n]*\n\{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
_NAMES = {"Sphere": "sphere", "Capsule": "capsule", "Cube": "box", "Plane": "plane"}
# Settings of the stage by the names that reports give them.
_SETTINGS = {
    "solver": "solverType",
    "iterations": "physxArticulation:solverPositionIterationCount",
    "velocity iterations": "physxArticulation:solverVelocityIterationCount",
    "bounce threshold m/s": "bounceThreshold",
    "max depenetration velocity m/s": "maxDepenetrationVelocity",
    "gravity in every iteration": "enableExternalForcesEveryIteration",
}


def facts(physics: Any) -> Facts:
    """The facts of a `PhysxPhysics`."""
    found, stage = physics.inspect(), physics._usd
    place, turn = _frames(stage)
    friction, restitution = _materials(found, stage)
    return Facts(
        engine="physx",
        folded=False,
        mass=found.mass,
        com=found.com,
        inertia=found.inertia,
        joint_place=place,
        joint_turn=turn,
        stiffness=found.stiffness,
        damping=found.damping,
        armature=found.armature,
        effort_limit=found.effort_limit,
        range=np.full(len(found.stiffness), np.inf),
        speed_limit=found.speed_limit,
        shapes=_shapes(stage),
        pairs=_pairs(stage),
        friction=friction,
        restitution=restitution,
        settings=_settings(physics, found, stage),
    )


def _value(text: str, name: str) -> str | None:
    """The value of an attribute whose name ends so, as the stage has it; of the first prim that has it."""
    match = re.search(rf"(?:^|[\s:]){re.escape(name)} = ([^\n]+)", text)
    return match[1].strip('"') if match else None


def _row(text: str, name: str) -> np.ndarray:
    value = _value(text, name)
    return np.array([float(x) for x in value.strip("()").split(",")]) if value else np.zeros(0)


def _frames(stage: str) -> tuple[np.ndarray, np.ndarray]:
    """The child's frame in its parent's at rest, (52, 3) and (52, 4), in the order of the bodies."""
    by_child = {}
    for body in _JOINT.findall(stage):
        child = re.search(r"physics:body1 = <.*?(\w+)>", body)
        if child is not None:
            # the joint's frames are unrotated in the child, whose origin is the joint's
            by_child[child[1]] = _row(body, "physics:localPos0"), _row(body, "physics:localRot0")
    place, turn = zip(*(by_child[name] for name in BODIES[1:]), strict=True)
    return np.array(place), np.array(turn)


def _shapes(stage: str) -> dict[str, tuple[str, tuple[float, ...]]]:
    shapes = {}
    for kind, name, body in _SHAPE.findall(stage):
        if kind == "Cube":
            size = tuple(_row(body, "xformOp:scale") * float(_value(body, "size") or 2.0) / 2.0)
        else:
            size = tuple(float(x) for x in (_value(body, "radius"), _value(body, "height")) if x is not None)
            size = (size[0], size[1] / 2.0) if kind == "Capsule" else size
        shapes[name.removeprefix("geom_")] = (_NAMES[kind], tuple(float(x) for x in size))
    return shapes


def _pairs(stage: str) -> frozenset[frozenset[str]]:
    """Bodies of collision groups that are not filtered, minus filtered pairs, minus bodies with a joint between."""
    members, silent = {}, set()
    for group, body in _GROUP.findall(stage):
        text = _value(body, "collection:colliders:includes") or ""
        paths = [path.split("/") for path in re.findall(r"<([^>]+)>", text)]
        members[group] = {path[-1] if path[-1] == FLOOR else path[-2] for path in paths}
        others = re.findall(r"</?(\w+)>", _value(body, "physics:filteredGroups") or "")
        silent |= {frozenset((group, other)) for other in others}
    pairs = {
        frozenset((a, b))
        for one, two in itertools.combinations_with_replacement(members, 2)
        if frozenset((one, two)) not in silent
        for a, b in itertools.product(members[one], members[two])
        if a != b
    }
    for name, body in re.findall(r'^def Xform "(\w+)"[^\n]*\n\{\n(.*?)^(?:def|\})', stage, re.DOTALL | re.MULTILINE):
        excluded = re.findall(r"(\w+)>", _value(body, "physics:filteredPairs") or "")
        pairs -= {frozenset((name, other)) for other in excluded}
    for body in _JOINT.findall(stage):
        pairs.discard(frozenset(re.findall(r"physics:body[01] = <[^>]*?(\w+)>", body)))
    return frozenset(pairs)


def _materials(found: Any, stage: str) -> tuple[dict[str, float | str], dict[str, float | str]]:
    """Friction and restitution of each kind of contact, combined as PhysX averages them."""
    floor = re.search(r'"material_floor"[^\n]*\n\{\n(.*?)^\}', stage, re.DOTALL | re.MULTILINE)
    text = floor[1] if floor else ""
    alone = {
        FLOOR: (float(_value(text, "dynamicFriction") or "nan"), float(_value(text, "restitution") or "nan")),
        OBJECT: tuple(found.ball_material.reshape(-1, 3)[0, 1:]),
        "body": tuple(found.body_material.reshape(-1, 3)[0, 1:]),
    }
    friction, restitution = {}, {}
    for kind, pair in MATERIALS.items():
        one, two = (alone.get(name, alone["body"]) for name in pair)
        friction[kind] = round(float(one[0] + two[0]) / 2.0, 6)
        restitution[kind] = round(float(one[1] + two[1]) / 2.0, 6)
    return friction, restitution  # type: ignore[return-value]


def _settings(physics: Any, found: Any, stage: str) -> dict[str, float | str]:
    bodies = dict(re.findall(r'^def Xform "(\w+)"[^\n]*\n\{\n(.*?)^def', stage, re.DOTALL | re.MULTILINE))
    ball, body = bodies[OBJECT], bodies[BODIES[1]]
    settings: dict[str, float | str] = {
        "gravity m/s²": -float(_value(stage, "gravityMagnitude") or "nan"),
        "physics step s": 1.0 / float(_value(stage, "timeStepsPerSecond") or "nan"),
        "physics steps a control step": physics.scene.substeps,
        "friction cone": "patch",
        "contact margin m": round(float(found.contact_offset.max()), 6),
        "rest offset m": round(float(found.rest_offset.max()), 6),
        "linear damping 1/s": f"ball {_value(ball, 'linearDamping')}, bodies {_value(body, 'linearDamping')}",
        "angular damping 1/s": f"ball {_value(ball, 'angularDamping')}, bodies {_value(body, 'angularDamping')}",
        "max angular velocity rad/s": f"{float(_value(body, 'maxAngularVelocity') or 'nan') * np.pi / 180.0:.4g}",
    }
    for name, attribute in _SETTINGS.items():
        value = _value(stage, attribute)
        settings[name] = "–" if value is None else value if name == "solver" else float(value)
    return settings
