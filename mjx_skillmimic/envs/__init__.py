"""Tasks: one readable file each, batched over worlds, found by name in `registry`."""

from mjx_skillmimic.envs.registry import default_config, import_tasks, load, names, register
from mjx_skillmimic.envs.state import State

__all__ = ["State", "default_config", "import_tasks", "load", "names", "register"]
