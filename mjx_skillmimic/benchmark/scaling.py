"""Throughput of whole training iterations over devices, worlds, horizons and engines, one JSON record a point.

Every point makes as many gradient steps an iteration as the configuration: minibatches grow with worlds and horizon.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from mjx_skillmimic import envs
from mjx_skillmimic.benchmark.engines import Engine, configured
from mjx_skillmimic.benchmark.machine import config_hash, device_name, machine
from mjx_skillmimic.learning import compiling, parallel, ppo
from mjx_skillmimic.physics.registry import resolve_engine

Record = dict[str, Any]
MODES = ("weak", "strong")
_FORMAT = "mjx_skillmimic scaling study"
_KEY = ("device", "engine", "devices", "worlds", "horizon", "seeds", "config_hash")


class StudyError(ValueError):
    """A file that holds no scaling study, or a mode that does not exist."""


@dataclasses.dataclass(frozen=True)
class Point:
    """devices that share `worlds` worlds of each of `seeds` seeds; horizon: steps of an iteration."""

    engine: Engine
    devices: int
    worlds: int
    horizon: int
    seeds: int = 1


def make_points(
    engines: Sequence[Engine],
    devices: Sequence[int],
    worlds: Sequence[int],
    horizons: Sequence[int],
    modes: Iterable[str] = MODES,
    seeds: Sequence[int] = (1,),
) -> list[Point]:
    """All points of a study, each once, those with fewer devices first.

    weak: `worlds` are those of a device; strong: `worlds` are shared by the devices, where they divide. Raises
    StudyError for another mode.
    """
    found: dict[Point, None] = {}
    for mode in modes:
        if mode not in MODES:
            raise StudyError(f"no mode {mode!r}; there are {', '.join(MODES)}")
        for engine in engines:
            for number in worlds:
                for horizon in horizons:
                    for count in devices:
                        total = number * count if mode == "weak" else number
                        if total % count == 0:
                            found |= {Point(engine, count, total, horizon, seed): None for seed in seeds}
    return sorted(found, key=lambda point: (str(point.engine), point.devices, point.seeds, point.worlds, point.horizon))


class Study:
    """Measures points of one configuration.

    Args:
        config: a configuration with the sections of the environment, `ppo` and `run`.
        seconds: least length of a repeat. repeats: how many. clock: in s.
    """

    def __init__(
        self, config: ConfigDict, seconds: float, repeats: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.config, self.seconds, self.repeats, self.clock = config, seconds, repeats, clock
        self._environment = functools.lru_cache(1)(self._build)

    def describe(self, point: Point) -> Record:
        """What is known of a point before it is measured."""
        name = resolve_engine(point.engine.name)
        return {
            "device": device_name(),
            "engine": str(dataclasses.replace(point.engine, name=name)),
            "devices": point.devices,
            "worlds": point.worlds,
            "horizon": point.horizon,
            "seeds": point.seeds,
            "config_hash": config_hash(self._configured(point, horizon=self.config.ppo.horizon)),
            "motion": self.config.motion.path,
            "seed": self.config.run.seed,
        }

    def run(self, point: Point) -> Record:
        """The point's record: env steps a second (median, all repeats, over all seeds), what compiling took, bytes a
        device, and the worst iteration's fraction of env steps with lost contacts and with non-finite worlds.

        Raises DeviceError if the devices are not there or worlds do not split over them.
        """
        env, chosen = self._environment(point.engine), self._configured(point)
        make_train = functools.partial(
            ppo.make_train,
            initial_action=jnp.asarray(env.initial_action),
            one_hot_mask=jnp.asarray(env.one_hot_mask),
        )
        program = parallel.assemble(make_train, env, chosen.ppo, parallel.make_mesh(point.devices), point.seeds)
        state = compiling.compile_init(program.init)(program.keys(self.config.run.seed))
        began = self.clock()
        iterate = compiling.compile_iteration(program.train_iteration, state)
        compile_seconds = self.clock() - began
        lost: list[Any] = []

        def stretch(iterations: int) -> float:
            nonlocal state
            began = self.clock()
            for _ in range(iterations):
                state, metrics = iterate(state)
                lost.append([metrics.get(f"env/{name}", jnp.zeros(())) for name in ("overflow", "nonfinite")])
            jax.block_until_ready(state)
            return self.clock() - began

        stretch(1)
        iterations = max(1, round(self.seconds / max(stretch(1), 1e-9)))
        steps = iterations * point.worlds * point.horizon * point.seeds
        rates = [steps / stretch(iterations) for _ in range(self.repeats)]
        overflow, nonfinite = (max(float(jnp.max(pair[i])) for pair in jax.device_get(lost)) for i in range(2))
        return (
            machine()
            | self.describe(point)
            | {
                "env_steps_per_s": statistics.median(rates),
                "rates": rates,
                "iterations_per_repeat": iterations,
                "minibatch_size": chosen.ppo.minibatch_size,
                "compile_s": compile_seconds,
                "process_peak_bytes": (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
                "overflow_fraction": overflow,
                "nonfinite_fraction": nonfinite,
            }
        )

    def _configured(self, point: Point, horizon: int | None = None) -> ConfigDict:
        chosen = configured(self.config, point.engine, point.worlds)
        steps = self.config.ppo.num_envs * self.config.ppo.horizon // self.config.ppo.minibatch_size
        chosen.ppo.horizon = horizon or point.horizon
        chosen.ppo.minibatch_size = point.worlds * chosen.ppo.horizon // steps
        return chosen

    def _build(self, engine: Engine) -> Any:
        chosen = configured(self.config, engine, self.config.ppo.num_envs)
        return envs.load(chosen.env, chosen)


def read_study(path: Path) -> list[Record]:
    """The records of a file, none where there is no file. Raises StudyError for a file of another kind."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise StudyError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise StudyError(f"{path} holds no scaling study: expected the format {_FORMAT!r}")
    return list(content["records"])


def write_study(path: Path, record: Record) -> None:
    """Adds a record, in place of one of the same point; the file is replaced as a whole."""
    kept = [other for other in read_study(path) if not same_point(other, record)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"format": _FORMAT, "records": [*kept, record]}, indent=1) + "\n")
    partial.replace(path)


def same_point(one: Record, other: Record) -> bool:
    """Whether two records are of the same point on the same kind of device."""
    return all(one[name] == other[name] for name in _KEY)
