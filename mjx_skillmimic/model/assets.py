"""Where the MJCF files are, and the tree of the standard humanoid."""

from __future__ import annotations

import functools
from pathlib import Path

from mjx_skillmimic.kinematics import Skeleton, skeleton_from_model


def assets_dir() -> Path:
    """The folder `assets_mjcf`: inside an installed package, beside it in a checkout. Raises FileNotFoundError."""
    package = Path(__file__).resolve().parents[1]
    for parent in (package, package.parent):
        if (parent / "assets_mjcf").is_dir():
            return parent / "assets_mjcf"
    raise FileNotFoundError(f"no folder assets_mjcf in {package} or beside it: was the package moved away from it?")


@functools.cache
def humanoid_skeleton() -> Skeleton:
    """The 53-body tree of `assets_mjcf/humanoid.xml` (skillmimic.md §1.2)."""
    import mujoco

    return skeleton_from_model(mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml")))
