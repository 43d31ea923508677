"""The stand-in's own reading of an MJCF: bodies, spherical joints out of hinge triples, masses from densities."""

import math
import xml.etree.ElementTree as ET

import numpy as np

from isaacgym import settings
from isaacgym.structures import DOF

_AXES = np.eye(3)


class Asset:
    """names, parents, offsets (B, 3), masses (B,), centres (B, 3); dof_names and dofs (D,) of dtype DOF."""

    def __init__(self, names, parents, offsets, masses, centres, dof_names, dofs, options):
        self.names, self.parents, self.offsets = names, parents, np.array(offsets)
        self.masses, self.centres = np.array(masses), np.array(centres)
        self.dof_names, self.dofs, self.options = dof_names, dofs, options


def sphere(radius, options):
    """A single body."""
    mass = options.density * 4.0 / 3.0 * math.pi * radius**3
    return Asset(["sphere"], [-1], np.zeros((1, 3)), [mass], np.zeros((1, 3)), [], np.zeros(0, DOF), options)


def load(path, options):
    """The humanoid of an MJCF; every body but the root must have hinges about x, y, z through its origin."""
    root = ET.parse(path).getroot()
    scale = math.pi / 180.0 if root.find("compiler").get("angle", "degree") == "degree" else 1.0
    first = root.find("worldbody").find("body")
    found, queue = [], [(first, -1)]
    while queue:
        element, parent = queue.pop(0)
        found.append((element, parent))
        children = [(child, len(found) - 1) for child in element.findall("body")]
        queue = children + queue if settings.order == "depth" else queue + children
    dof_names, rows = [], []
    for index, (element, _) in enumerate(found):
        joints = element.findall("joint")
        if (index == 0) != (element.find("freejoint") is not None) or len(joints) != (3 if index else 0):
            raise ValueError(f"{element.get('name')}: unexpected joints")
        for axis, joint in enumerate(joints):
            if not np.array_equal(_numbers(joint.get("axis")), _AXES[axis]) or _numbers(joint.get("pos")).any():
                raise ValueError(f"{joint.get('name')}: no triple of hinges that can be fused")
            lower, upper = scale * _numbers(joint.get("range"))
            gains = [float(joint.get(name)) for name in ("stiffness", "damping", "armature")]
            dof_names.append(joint.get("name"))
            rows.append((True, lower, upper, 0, 100.0, 3.4e38, gains[0], gains[1], 0.0, gains[2]))
    bodies = [_mass(element.findall("geom")) for element, _ in found]
    return Asset(
        names=[element.get("name") for element, _ in found],
        parents=[parent for _, parent in found],
        offsets=[_numbers(element.get("pos")) for element, _ in found],
        masses=[mass for mass, _ in bodies],
        centres=[centre for _, centre in bodies],
        dof_names=dof_names,
        dofs=np.array(rows, DOF),
        options=options,
    )


def _numbers(text):
    return np.array([float(x) for x in text.split()])


def _mass(geoms):
    """Mass and centre of a body with one geom."""
    (geom,) = geoms
    size = _numbers(geom.get("size"))
    centre = _numbers(geom.get("pos", "0 0 0"))
    if geom.get("type") == "sphere":
        volume = 4.0 / 3.0 * math.pi * size[0] ** 3
    elif geom.get("type") == "box":
        volume = 8.0 * size.prod()
    else:
        ends = _numbers(geom.get("fromto")).reshape(2, 3)
        centre = ends.mean(axis=0)
        volume = math.pi * size[0] ** 2 * (np.linalg.norm(ends[1] - ends[0]) + 4.0 / 3.0 * size[0])
    return float(geom.get("density")) * volume, centre
