"""An engine on the courses of a trace: open loop, and teacher-forced from each of its states."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mjx_skillmimic.interop.recorder import coordinates_of, record
from mjx_skillmimic.interop.trace import STATES, STEPS, Trace
from mjx_skillmimic.model.options import SceneOptions, scene_options
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.physics.base import Physics
from mjx_skillmimic.physics.contract.stepper import Stepper
from mjx_skillmimic.physics.registry import make_physics, resolve_engine


def scene_for(engine: str, options: SceneOptions | None = None) -> Scene:
    """The scene that an environment builds for this engine: with `feet="auto"` MJX-JAX gets corner soles."""
    options = options or scene_options("default")
    if options.feet == "auto" and resolve_engine(engine) == "mjx-jax":
        options = dataclasses.replace(options, feet="corners")
    return build_scene(options)


class Replay:
    """An engine, compiled once for `worlds` worlds.

    engine: a name of the registry. Raises ValueError for an unknown one, ImportError that names what to install.
    """

    def __init__(self, engine: str, options: SceneOptions | None = None, worlds: int = 64, **engine_options: Any):
        self.scene = scene_for(engine, options)
        self.physics: Physics = make_physics(engine, self.scene, **engine_options)
        self.stepper = Stepper(self.physics, worlds)

    def close(self) -> None:
        """Frees what the engine holds; it cannot step any more."""
        if hasattr(self.physics, "close"):
            self.physics.close()

    def open_loop(self, base: Trace) -> Trace:
        """From the first state of each course, with its targets."""
        qpos, qvel = coordinates_of(self.scene, base)
        return record(
            self.physics, self.scene, qpos[:, 0], qvel[:, 0], base.target, base.names, None, base.lengths, self.stepper
        )

    def forced(self, base: Trace, stride: int = 1) -> tuple[Trace, np.ndarray]:
        """One control step from every `stride`-th state of each course.

        Returns a trace whose instants t + 1 hold what became of the base's state t, and which steps (C, T) were made;
        all else is NaN.
        """
        courses, steps = base.target.shape[:2]
        made = (np.arange(steps) % stride == 0) & (np.arange(steps) < base.lengths[:, None])
        qpos, qvel = coordinates_of(self.scene, base)
        names = [f"{c}" for c in np.nonzero(made)[0]]
        flat = record(
            self.physics,
            self.scene,
            qpos[:, :-1][made],
            qvel[:, :-1][made],
            base.target[made][:, None],
            names,
            stepper=self.stepper,
        )
        arrays = {name: np.full((courses, steps + 1, *shape), np.nan) for name, shape in STATES.items()}
        arrays |= {name: np.full((courses, steps, *shape), np.nan) for name, shape in STEPS.items()}
        for name in STATES:
            arrays[name][:, 1:][made] = getattr(flat, name)[:, 1]
        for name in STEPS:
            arrays[name][made] = getattr(flat, name)[:, 0]
        edges = np.zeros((courses, steps, 3), bool)
        edges[made] = np.asarray(flat.edges)[:, 0]
        forced = Trace(flat.engine, base.control_dt, base.names, base.lengths, meta=flat.meta, edges=edges, **arrays)
        return forced, made
