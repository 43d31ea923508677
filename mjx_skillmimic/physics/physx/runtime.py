"""The `ovphysx` library: imported late, set up once a process."""

from __future__ import annotations

import functools
import importlib
import threading
from types import ModuleType
from typing import NamedTuple

# PhysX builds and frees no scene of the process while another one steps.
LOCK = threading.RLock()


class Runtime(NamedTuple):
    """The modules that the engine uses."""

    ovphysx: ModuleType
    ovstage: ModuleType
    types: ModuleType


@functools.cache
def runtime() -> Runtime:
    """Loads the libraries, on the CPU, without worker threads of their own, and makes the PhysX schemas known.

    One world is too small to be shared between workers: with them a step takes three times as long.

    Raises ImportError that names the extra to install.
    """
    try:
        ovphysx, ovstage = (importlib.import_module(name) for name in ("ovphysx", "ovstage"))
        types = importlib.import_module("ovphysx.types")
        schemas = importlib.import_module("ovphysx.samples.python_samples.schema_support")
        roots = [*schemas.physx_schema_paths(), ovphysx.newton_schema_root()]
    except (ImportError, FileNotFoundError) as error:
        extra = "pip install 'mjx_skillmimic[physx]'"
        raise ImportError(f"the engine physx needs ovphysx and its schemas ({error}): {extra}") from error
    key = types.GlobalConfigKey
    ovphysx.enable_default_log_output(False)
    ovphysx.enable_python_logging(min_severity=types.LogLevel.ERROR)
    ovphysx.set_global_config(key.CPU_ONLY, True)
    ovphysx.set_global_config(key.NUM_THREADS, 0)
    ovstage.population.register_usd_schemas([str(root) for root in roots])
    return Runtime(ovphysx, ovstage, types)
