"""The scene as Isaac Gym's side needs it: one JSON file beside the humanoid's MJCF, written by `export`.

Runs in Python 3.8 with NumPy alone.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.kinematics import Skeleton

FORMAT = "mjx_skillmimic Isaac Gym scene"
VERSION = 1
SCENE_FILE = "scene.json"

# What each section of the file has; lists of numbers and their lengths are checked by `read_description`.
SECTIONS: dict[str, tuple[str, ...]] = {
    "humanoid": (
        *("file", "bodies", "parents", "offsets", "masses", "centres", "friction", "restitution"),
        *("self_collision", "excluded_pairs", "linear_damping", "angular_damping", "max_angular_velocity"),
    ),
    "dofs": ("names", "stiffness", "damping", "armature", "limit", "effort"),
    "ball": (
        *("radius", "mass", "inertia", "friction", "restitution"),
        *("linear_damping", "angular_damping", "max_angular_velocity"),
    ),
    "plane": ("friction", "restitution"),
    "simulation": (
        *("control_dt", "substeps", "gravity", "solver_type", "position_iterations", "velocity_iterations"),
        *("contact_offset", "rest_offset", "bounce_threshold_velocity", "max_depenetration_velocity"),
        *("buffer_size_multiplier", "max_gpu_contact_pairs", "threads", "env_spacing"),
    ),
}


class DescriptionError(ValueError):
    """A scene file that is not what `export_mjcf` writes; names the file, what was found and what was expected."""

    def __init__(self, path: str | Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class Description:
    """A humanoid of B bodies, each below the root turned by one ball joint, a ball, a plane and how to simulate them.

    folder: where the MJCF lies. bodies (B,) depth first, parents (B,) with −1, offsets (B, 3) m, masses (B,) kg and
    centres of mass (B, 3) m in each body's frame. dof_names (3 (B − 1),): "<body>_x", "_y", "_z"; stiffness N·m/rad,
    damping N·m·s/rad, armature kg·m² (3 (B − 1),), joint limits ±limit rad a component, effort N·m or None.
    excluded_pairs: bodies that must not collide although they are no parent and child. humanoid, ball, plane,
    simulation: the other values of `SECTIONS`, in SI units.
    """

    folder: Path
    bodies: tuple[str, ...]
    parents: np.ndarray
    offsets: np.ndarray
    masses: np.ndarray
    centres: np.ndarray
    dof_names: tuple[str, ...]
    stiffness: np.ndarray
    damping: np.ndarray
    armature: np.ndarray
    limit: float
    effort: float | None
    excluded_pairs: tuple[tuple[str, str], ...]
    humanoid: dict[str, Any]
    ball: dict[str, Any]
    plane: dict[str, Any]
    simulation: dict[str, Any]

    @property
    def skeleton(self) -> Skeleton:
        """The tree for `kinematics.forward_kinematics`."""
        return Skeleton(self.bodies, self.parents, self.offsets)

    @property
    def control_dt(self) -> float:
        """Seconds between two actions."""
        return float(self.simulation["control_dt"])


def read_description(folder: str | Path) -> Description:
    """The scene that `export_mjcf` wrote into a folder. Raises FileNotFoundError, DescriptionError."""
    path = Path(folder) / SCENE_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DescriptionError(path, f"no readable JSON ({error})", f"a {FORMAT}") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise DescriptionError(path, "another kind of JSON", f"a {FORMAT} version {VERSION}")
    missing = [
        f"{section}.{name}"
        for section, names in SECTIONS.items()
        for name in names
        if name not in (content[section] if isinstance(content.get(section), dict) else {})
    ]
    if missing:
        raise DescriptionError(path, f"no {', '.join(missing)}", "every value of a scene")
    humanoid, dofs = content["humanoid"], content["dofs"]
    bodies = tuple(str(name) for name in humanoid["bodies"])
    count = len(bodies)

    def numbers(section: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
        try:
            array = np.array(content[section][name], float)
        except (TypeError, ValueError) as error:
            raise DescriptionError(path, f"{section}.{name} that holds no numbers", f"shape {shape}") from error
        if array.shape != shape or not np.isfinite(array).all():
            raise DescriptionError(path, f"{section}.{name} of shape {array.shape}", f"finite numbers, shape {shape}")
        return array

    parents = numbers("humanoid", "parents", (count,)).astype(int)
    if parents[0] != -1 or any(not 0 <= parent < body for body, parent in enumerate(parents[1:], start=1)):
        raise DescriptionError(path, f"parents {parents.tolist()}", "−1, then for each body one before it")
    names = tuple(str(name) for name in dofs["names"])
    expected = tuple(f"{body}_{axis}" for body in bodies[1:] for axis in "xyz")
    if names != expected:
        raise DescriptionError(path, "other dof names", "<body>_x, _y, _z for every body but the root, in order")
    return Description(
        folder=Path(folder),
        bodies=bodies,
        parents=parents,
        offsets=numbers("humanoid", "offsets", (count, 3)),
        masses=numbers("humanoid", "masses", (count,)),
        centres=numbers("humanoid", "centres", (count, 3)),
        dof_names=names,
        stiffness=numbers("dofs", "stiffness", (len(names),)),
        damping=numbers("dofs", "damping", (len(names),)),
        armature=numbers("dofs", "armature", (len(names),)),
        limit=float(numbers("dofs", "limit", ())),
        effort=None if dofs["effort"] is None else float(numbers("dofs", "effort", ())),
        excluded_pairs=tuple((str(first), str(second)) for first, second in humanoid["excluded_pairs"]),
        humanoid=humanoid,
        ball=content["ball"],
        plane=content["plane"],
        simulation=content["simulation"],
    )
