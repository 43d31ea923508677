"""The command lines under scripts/ as modules, to call their `main` without a new process."""

import importlib.util
from pathlib import Path


def script(name):
    """The module scripts/NAME.py."""
    path = Path(__file__).resolve().parent.parent / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
