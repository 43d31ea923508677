"""Where the MJCF files are, and the tree of the standard humanoid."""

from __future__ import annotations

import functools
from pathlib import Path

from mjx_skillmimic.kinematics import Skeleton, skeleton_from_model


def assets_dir() -> Path:
    """The folder `assets_mjcf` beside the package. Raises FileNotFoundError if the package was moved away from it."""
    folder = Path(__file__).resolve().parents[2] / "assets_mjcf"
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}: install the checkout with `pip install -e .`, or run from it")
    return folder


@functools.cache
def humanoid_skeleton() -> Skeleton:
    """The 53-body tree of `assets_mjcf/humanoid.xml` (skillmimic.md §1.2)."""
    import mujoco

    return skeleton_from_model(mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml")))
