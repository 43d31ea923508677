"""Speed of an engine's solver settings against their error to a converged MuJoCo C, from states of clips."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic import envs
from mjx_skillmimic.benchmark import engines, machine
from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.benchmark.timing import measure
from mjx_skillmimic.benchmark.workloads import make_workload
from mjx_skillmimic.physics import contract

States = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A point of the sweep: an engine with options, and the scene's solver options."""

    engine: Engine
    solver: str
    iterations: int
    ls_iterations: int


class Sweep:
    """Measures settings on the states of one environment; the reference is computed once.

    Args:
        config: a configuration; its scene, but for the solver, is the one that is swept.
        count: states. worlds: for the speed, 0: no speed. seconds: of one repeat.
    """

    def __init__(self, config: ConfigDict, count: int, worlds: int, seconds: float, repeats: int = 3) -> None:
        self.config, self.worlds, self.seconds, self.repeats = config, worlds, seconds, repeats
        env = self._environment(Setting(Engine("mujoco"), "newton", 100, 50))
        self.tables = env.tables
        courses = contract.clip_courses(env.scene, env.clips, count, steps=1, seed=config.run.seed)
        self.states: States = courses.qpos, courses.qvel, courses.targets[0]
        self.reference = contract.slow_step(env.scene, *self.states)

    def run(self, setting: Setting) -> dict[str, Any]:
        """Greatest velocity error (m/s, rad/s) and force error (N) a state after one control step from a cold start:
        median, 99 % and maximum over the states; control steps/s; states with lost contacts or NaN."""
        env = self._environment(setting)
        outcome, overflow = contract.engine_step(env.physics, *self.states)
        errors = contract.compare(outcome, self.reference)
        found: dict[str, Any] = {
            "engine": str(setting.engine),
            "solver": setting.solver,
            "iterations": setting.iterations,
            "ls_iterations": setting.ls_iterations,
            "states": len(self.states[0]),
            "overflow": int(np.sum(overflow > 0)),
            "nonfinite": int(np.sum(~np.isfinite(errors["qvel"]))),
        }
        for name in ("qvel", "force"):
            finite = np.nan_to_num(errors[name], nan=np.inf)
            found[name] = {
                k: float(np.percentile(finite, p, method="higher"))
                for k, p in (("median", 50), ("p99", 99), ("max", 100))
            }
        if self.worlds:
            chosen = engines.configured(self.config, setting.engine, self.worlds)
            timing = measure(make_workload("physics", env, chosen.ppo, self.worlds), self.seconds, self.repeats)
            found |= {"worlds": self.worlds, "control_steps_per_s": timing.median, "spread": timing.spread}
        if hasattr(env.physics, "close"):
            env.physics.close()
        return found

    def _environment(self, setting: Setting) -> Any:
        chosen = engines.configured(self.config, setting.engine, max(self.worlds, 1))
        chosen.scene.solver = setting.solver
        chosen.scene.iterations, chosen.scene.ls_iterations = setting.iterations, setting.ls_iterations
        return envs.load(chosen.env, chosen, tables=getattr(self, "tables", None))


def to_json(rows: Sequence[dict[str, Any]], config: ConfigDict) -> str:
    """The rows with the machine and configuration that they belong to."""
    about = machine.machine() | {"motion": config.motion.path, "config_hash": machine.config_hash(config)}
    return json.dumps(about | {"rows": list(rows)}, indent=1) + "\n"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table of the rows."""
    lines = [
        "| engine | solver | iterations | line search | velocity error, median / 99 % / max | force error, N "
        "| control steps/s |",
        "|---|---|---:|---:|---|---|---:|",
    ]
    for row in rows:
        velocity, force = (" / ".join(f"{x:.1e}" for x in row[name].values()) for name in ("qvel", "force"))
        speed = f"{row['control_steps_per_s']:,.0f}" if "control_steps_per_s" in row else ""
        lost = f", {row['overflow']} overflow" * bool(row["overflow"]) + f", {row['nonfinite']} NaN" * bool(
            row["nonfinite"]
        )
        lines.append(
            f"| `{row['engine']}` | {row['solver']} | {row['iterations']} | {row['ls_iterations']} "
            f"| {velocity}{lost} | {force} | {speed} |"
        )
    return "\n".join(lines) + "\n"
