"""One point of a benchmark: an engine, a level and a number of worlds, measured and described."""

from __future__ import annotations

import datetime
from typing import Any

import jax
from ml_collections import ConfigDict

from mjx_skillmimic import envs
from mjx_skillmimic.benchmark import engines, first_iteration, machine
from mjx_skillmimic.benchmark.engines import BARE, Engine
from mjx_skillmimic.benchmark.levels import START
from mjx_skillmimic.benchmark.records import Record
from mjx_skillmimic.benchmark.timing import REPEATS, measure
from mjx_skillmimic.benchmark.workloads import make_workload
from mjx_skillmimic.physics.registry import resolve_engine


def describe(config: ConfigDict, engine: Engine, level: str, worlds: int, variant: str = "") -> Record:
    """What is known of a point without looking at the device. variant: how `config` differs from the default."""
    return {
        "engine": str(engine),
        "level": level,
        "worlds": worlds,
        "source": machine.source_hash(),
        "config_hash": machine.config_hash(config),
        "variant": variant,
        "motion": config.motion.path,
        "seed": config.run.seed,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
    }


def start_point(config: ConfigDict, engine: Engine, worlds: int, variant: str = "") -> Record:
    """The record of the level start; see `first_iteration.cold_and_warm`, also for why this process must be idle."""
    found = first_iteration.cold_and_warm(engines.configured(config, engine, worlds))
    return describe(config, Engine(found.pop("resolved"), engine.options), START, worlds, variant) | found


class Bench:
    """Measures the points of one configuration; environments are built once an engine and number of worlds.

    Args:
        config: a configuration with the sections of the environment, `ppo` and `run`.
        seconds: of one repeat. repeats: how many. variant: as in `describe`.
    """

    def __init__(self, config: ConfigDict, seconds: float = 1.5, repeats: int = REPEATS, variant: str = "") -> None:
        self.config, self.seconds, self.repeats, self.variant = config, seconds, repeats, variant
        self._built: tuple[str, int] | None = None
        self._env: Any = None
        self._tables: dict[bool, Any] = {}

    def environment(self, engine: Engine, worlds: int) -> tuple[Any, ConfigDict]:
        """The environment of a point and its configuration."""
        chosen = engines.configured(self.config, engine, worlds)
        if self._built != (str(engine), worlds):
            # Other feet (MJX-JAX) have other start states; else the tables are the same for all.
            scene = engine.name == "mjx-jax"
            self._env = envs.load(chosen.env, chosen, tables=self._tables.get(scene))
            self._tables[scene] = self._env.tables
            self._built = (str(engine), worlds)
        return self._env, chosen

    def describe(self, engine: Engine, level: str, worlds: int) -> Record:
        """What is known of a point before it is measured; "auto" by the name of what it stands for."""
        if engine.name == "auto":
            engine = Engine(resolve_engine(), engine.options)
        return machine.machine() | describe(self.config, engine, level, worlds, self.variant)

    def run(self, engine: Engine, level: str, worlds: int) -> Record:
        """The record of a point; a MuJoCo loop without the door has only the level physics.

        Raises ValueError for what the level or the engine does not take.
        """
        about = self.describe(engine, level, worlds)
        if engine.name == BARE:
            return about | self._bare(engine, level, worlds)
        env, chosen = self.environment(engine, worlds)
        workload = make_workload(level, env, chosen.ppo, worlds, seed=self.config.run.seed)
        timing = measure(workload, self.seconds, self.repeats)
        held = workload.program_bytes
        return about | {
            "env_steps_per_s": timing.median,
            "spread": timing.spread,
            "rates": list(timing.rates),
            "calls_per_repeat": timing.calls,
            "env_steps_per_call": workload.steps,
            "compile_s": workload.compile_seconds,
            "program_bytes": held,
            "bytes_per_world": None if held is None else held / worlds,
            "process_peak_bytes": _peak(),
            "overflow_worlds": timing.overflow,
            "nonfinite_worlds": timing.nonfinite,
            "minibatch_size": chosen.ppo.minibatch_size,
        }

    def _bare(self, engine: Engine, level: str, worlds: int) -> Record:
        if level != "physics":
            raise ValueError(f"engine {BARE} has no level {level!r}; there is physics")
        from mjx_skillmimic.benchmark.bare import bare_rates

        env, _ = self.environment(Engine("mujoco", engine.options), worlds)
        rates = bare_rates(env, worlds, self.seconds, self.repeats, seed=self.config.run.seed, **dict(engine.options))
        median = sorted(rates)[len(rates) // 2]
        return {"env_steps_per_s": median, "spread": (max(rates) - min(rates)) / median, "rates": list(rates)}


def _peak() -> int | None:
    """The most bytes that this process ever held on the device, over all points so far; None where it is not known."""
    stats = jax.devices()[0].memory_stats()
    return None if stats is None else stats.get("peak_bytes_in_use")
