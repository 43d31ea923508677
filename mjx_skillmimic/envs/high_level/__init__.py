"""Tasks that choose among the skills of one frozen policy; one file each (docs/high_level.md)."""

from __future__ import annotations

import functools
from typing import Any

from mjx_skillmimic.envs.high_level import options
from mjx_skillmimic.envs.high_level.circling import Circling
from mjx_skillmimic.envs.high_level.heading import Heading
from mjx_skillmimic.envs.high_level.hierarchy import HighLevel
from mjx_skillmimic.envs.high_level.scoring import Scoring
from mjx_skillmimic.envs.high_level.throwing import Throwing
from mjx_skillmimic.envs.registry import register

TASKS = (Heading, Circling, Throwing, Scoring)

__all__ = ["TASKS", "HighLevel", "register_task"]


def register_task(kind: Any) -> None:
    """Adds the environment of a kind of task (`task.Task`) under the kind's name."""
    options.KINDS[kind.name] = kind
    register(kind.name, functools.partial(HighLevel, kind), functools.partial(options.to_config, kind))
