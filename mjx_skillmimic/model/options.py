"""Every choice of the simulated scene by name, and the presets."""

from __future__ import annotations

import dataclasses
from typing import Any

_CHOICES: dict[str, tuple[str, ...]] = {
    "hands": ("ball", "hinge"),
    "feet": ("auto", "box", "corners"),
    "solver": ("newton", "cg"),
}


@dataclasses.dataclass(frozen=True)
class SceneOptions:
    """What `build_scene` builds; the values here are the `default` preset.

    ball_mass: kg; None takes `ball_density` (kg/m³), hence the published 7.238 kg (skillmimic.md §2.1). Both presets
        keep it, for all published numbers are of that ball; a real one has 0.62 kg and `ball_shell`.
    ball_radius: m. ball_shell: inertia of a hollow sphere (a real ball) instead of a solid one (published).
    restitution: bounce of the ball on the floor (0.805) and on bodies (0.405), §2.1; off: MuJoCo's inelastic contact.
    self_collision: every pair of bodies except parent and child, as published (§1.5).
    exclude_thumbs: leaves out Thumb1–Thumb3, which overlap in every pose and push on an observed fingertip for ever
        (§12 item 4); `reference` keeps the pair.
    hands: "ball" has three ball joints a finger, as published; "hinge" (preset `light`) two hinges, the last segment
        rigid: 98 dofs instead of 168, for quick experiments (docs/light_hands.md).
    box_hands: the asset variant with box wrists (§1.3).
    feet: "box" touches the floor with the published boxes; "corners" with small spheres in the four corners of each
        sole, which gives the same contacts in every engine (docs/physics.md); other contacts keep the boxes. "auto" is
        "box", but "corners" in an environment whose engine is MJX-JAX.
    basket: board and rim over the origin that only the ball touches (model/basket.py); basket_height: of the rim, m.
    effort_limit: N·m, clips each component of a joint's torque; None: unlimited (§1.4).
    friction: sliding friction coefficient of every contact (§2.2).
    timestep: s; substeps: physics steps in a control step (§2.3).
    solver, iterations, ls_iterations: constraint solver and its limits; Newton stops by itself when it has converged.
    """

    ball_mass: float | None = None
    ball_density: float = 1000.0
    ball_radius: float = 0.12
    ball_shell: bool = False
    restitution: bool = True
    self_collision: bool = True
    exclude_thumbs: bool = True
    hands: str = "ball"
    box_hands: bool = False
    feet: str = "auto"
    basket: bool = False
    basket_height: float = 2.0
    effort_limit: float | None = None
    friction: float = 1.0
    timestep: float = 1.0 / 120.0
    substeps: int = 2
    solver: str = "newton"
    iterations: int = 8
    ls_iterations: int = 6

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected one of {', '.join(allowed)}")
        positive = ["ball_density", "ball_radius", "basket_height", "timestep", "substeps"]
        positive += ["iterations", "ls_iterations"]
        positive += [name for name in ("ball_mass", "effort_limit") if getattr(self, name) is not None]
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected a positive number")
        if self.friction < 0:
            raise ValueError(f"friction={self.friction!r}; expected zero or more")


PRESETS: dict[str, SceneOptions] = {
    "default": SceneOptions(),
    "reference": SceneOptions(exclude_thumbs=False),
    "light": SceneOptions(hands="hinge"),
}


def scene_options(preset: str = "default", **changes: Any) -> SceneOptions:
    """A preset with some options changed. Raises KeyError for an unknown preset, TypeError for an unknown option."""
    if preset not in PRESETS:
        raise KeyError(f"no scene preset {preset!r}; there are {', '.join(PRESETS)}")
    return dataclasses.replace(PRESETS[preset], **changes)
