"""Engines with a compiled step, shared by all test files of a process: compiling MJX-JAX takes most of a minute."""

from __future__ import annotations

import functools
import importlib.util

import pytest

from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.physics.contract import Stepper
from mjx_skillmimic.physics.registry import make_physics

WORLDS = 32
WARP = importlib.util.find_spec("warp") is not None
ENGINES = [
    "mujoco",
    "mjx-jax",
    *(
        pytest.param(f"mjx-warp:{kernels}", marks=pytest.mark.skipif(not WARP, reason="Warp is not installed"))
        for kernels in ("fused", "mujoco_warp")
    ),
]


@functools.cache
def corner_scene() -> Scene:
    """Corner soles: the feet that all engines agree on."""
    return build_scene(feet="corners")


@functools.cache
def stepper(name: str) -> Stepper:
    """The engine, with the kernels after a colon if any, on that scene, `WORLDS` worlds at a time."""
    engine, _, kernels = name.partition(":")
    return Stepper(make_physics(engine, corner_scene(), **({"kernels": kernels} if kernels else {})), WORLDS)
