"""NVIDIA PhysX 5 behind the door, by `ovphysx` (docs/physx.md)."""

from mjx_skillmimic.physics.physx.engine import PhysxPhysics
from mjx_skillmimic.physics.physx.settings import PhysxSettings

__all__ = ["PhysxPhysics", "PhysxSettings"]
