"""Engines with options as a command line names them: `mjx-warp:kernels=fused`, put into a configuration."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.physics.registry import ENGINES

# Not an engine behind the door: MuJoCo's own loop in C, the yardstick of the engine `mujoco`.
BARE = "bare"


@dataclasses.dataclass(frozen=True)
class Engine:
    """name: an engine of the registry, or `BARE`. options: arguments of its class, in the order they were given."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, *(f"{key}={value}" for key, value in self.options)])


def parse_engines(text: str, options: tuple[str, ...] = ()) -> list[Engine]:
    """Engines separated by commas, each NAME or NAME:key=value:key=value; `options` ("key=value") go to all of them.

    Values are Python literals, or else texts. Raises ValueError for an unknown engine or an option without a value.
    """
    return [_engine(part.strip(), options) for part in text.split(",") if part.strip()]


def configured(config: ConfigDict, engine: Engine, worlds: int) -> ConfigDict:
    """A copy of `config` with this engine and number of worlds.

    The minibatch grows or shrinks with the worlds where the configured one does not divide a rollout.
    """
    chosen = ConfigDict(config.to_dict())
    chosen.physics = {"engine": engine.name, "options": dict(engine.options)}
    chosen.ppo.num_envs = worlds
    batch = worlds * chosen.ppo.horizon
    if batch % chosen.ppo.minibatch_size:
        steps = max(1, config.ppo.num_envs * config.ppo.horizon // config.ppo.minibatch_size)
        chosen.ppo.minibatch_size = next(batch // n for n in range(min(steps, batch), 0, -1) if batch % n == 0)
    return chosen


def _engine(text: str, options: tuple[str, ...]) -> Engine:
    name, *given = text.split(":")
    if name not in (*ENGINES, "auto", BARE):
        raise ValueError(f"no engine {name!r}; there are auto, {', '.join(ENGINES)}, {BARE}")
    return Engine(name, tuple(_option(item, text) for item in (*options, *given)))


def _option(item: str, text: str) -> tuple[str, Any]:
    key, equals, value = item.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"engine {text!r} has the option {item!r}; expected key=value")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
