"""Engines by name."""

from __future__ import annotations

from typing import Any

import jax

from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.base import Physics

ENGINES = ("mujoco", "mjx-jax", "mjx-warp", "physx")


def resolve_engine(engine: str = "auto") -> str:
    """The engine that `auto` stands for: MJX-Warp on an NVIDIA GPU, MuJoCo C on a CPU, MJX-JAX on anything else.

    Raises ValueError for a name that does not exist.
    """
    if engine in ENGINES:
        return engine
    if engine != "auto":
        raise ValueError(f"no physics engine {engine!r}; there are auto, {', '.join(ENGINES)}")
    backend = jax.default_backend()
    if backend == "cpu":
        return "mujoco"
    nvidia = backend in ("gpu", "cuda") and "nvidia" in jax.devices()[0].device_kind.lower()
    return "mjx-warp" if nvidia else "mjx-jax"


def make_physics(engine: str, scene: Scene, **engine_options: Any) -> Physics:
    """Opens the door to an engine; `engine_options` are the arguments of its class.

    Raises ValueError for an unknown engine, ImportError that names the extra to install if it is not there.
    """
    name = resolve_engine(engine)
    if name == "mujoco":
        from mjx_skillmimic.physics.mujoco_c import MujocoPhysics

        return MujocoPhysics(scene, **engine_options)
    if name == "mjx-jax":
        from mjx_skillmimic.physics.mjx_jax import MjxJaxPhysics

        return MjxJaxPhysics(scene, **engine_options)
    if name == "physx":
        from mjx_skillmimic.physics.physx import PhysxPhysics

        return PhysxPhysics(scene, **engine_options)
    from mjx_skillmimic.physics.mjx_warp import MjxWarpPhysics

    return MjxWarpPhysics(scene, **engine_options)
