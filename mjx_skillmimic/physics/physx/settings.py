"""What the published system tells PhysX beside the model itself (skillmimic.md §1.4, §2)."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class PhysxSettings:
    """Options of the PhysX engine; the values are the published ones.

    position_iterations, velocity_iterations: of the TGS solver in a physics step. contact_offset, rest_offset: m.
    bounce_threshold: m/s, slower impacts do not bounce. max_depenetration_velocity: m/s. body_damping: angular damping
    1/s of the humanoid's bodies. ball_damping: linear and angular damping 1/s of the ball. max_angular_velocity: rad/s
    of every body. max_joint_velocity: rad/s of every dof; nothing published limits it. restitution_ball, _floor, _body:
    of the materials, which PhysX averages in pairs. forces_every_iteration: gravity in every iteration of the solver,
    the default of a newer PhysX than the published one, instead of once a step.

    Raises ValueError for a number out of range.
    """

    position_iterations: int = 4
    velocity_iterations: int = 0
    contact_offset: float = 0.02
    rest_offset: float = 0.0
    bounce_threshold: float = 0.2
    max_depenetration_velocity: float = 10.0
    body_damping: float = 0.01
    ball_damping: float = 0.01
    max_angular_velocity: float = 100.0
    max_joint_velocity: float = np.inf
    restitution_ball: float = 0.81
    restitution_floor: float = 0.8
    restitution_body: float = 0.0
    forces_every_iteration: bool = False

    def __post_init__(self) -> None:
        rules = {
            "position_iterations": (1, 255),
            "velocity_iterations": (0, 255),
            "contact_offset": (1e-6, np.inf),
            **dict.fromkeys(("bounce_threshold", "body_damping", "ball_damping"), (0.0, np.inf)),
            **{f"max_{name}_velocity": (1e-6, np.inf) for name in ("depenetration", "angular", "joint")},
            **{f"restitution_{name}": (0.0, 1.0) for name in ("ball", "floor", "body")},
        }
        for name, (least, most) in rules.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected {least:g} to {most:g}")
        if not self.rest_offset < self.contact_offset:
            raise ValueError(f"rest_offset={self.rest_offset!r}; expected less than contact_offset")
