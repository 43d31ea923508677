"""`--config=configs/ballplay.py:reference --config.ppo.horizon=16`: from command line to checked configuration."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from mjx_skillmimic.config.errors import ConfigError, nearest
from mjx_skillmimic.config.overrides import apply_override
from mjx_skillmimic.config.validation import validate

Overrides = Mapping[str, str] | Iterable[tuple[str, str]]


def load_config(path: str | Path, overrides: Overrides = (), *, check: bool = True) -> ConfigDict:
    """The configuration that `get_config` of a Python file returns, with overrides, validated and locked.

    `path` may end in `:argument`, which `get_config` is called with (a preset). `overrides` are dotted keys and texts,
    applied in order. Raises ConfigError for a missing file, a preset the file does not know, an unknown key, a value of
    the wrong type, or values that cannot work together.
    """
    file, argument = _split_preset(str(path))
    module = _load_module(file)
    get_config = getattr(module, "get_config", None)
    if get_config is None:
        raise ConfigError(f"{file} has no function get_config()")
    config = _call(get_config, argument, file)
    if not isinstance(config, ConfigDict):
        raise ConfigError(
            f"get_config of {file} returned {type(config).__name__}, expected an ml_collections.ConfigDict"
        )
    config.lock()
    for key, text in overrides.items() if isinstance(overrides, Mapping) else overrides:
        apply_override(config, key, text)
    if check:
        validate(config)
    return config


def split_arguments(
    arguments: Sequence[str], name: str = "config"
) -> tuple[str | None, list[tuple[str, str]], list[str]]:
    """Splits a command line into (value of `--config`, overrides `--config.key=text`, everything else).

    Both `--config=X` and `--config X` are understood, with one dash or two. Raises ConfigError when a value is missing.
    """
    path: str | None = None
    overrides: list[tuple[str, str]] = []
    rest: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        flag, has_value, value = argument.partition("=")
        bare = flag.lstrip("-")
        if not argument.startswith("-") or (bare != name and not bare.startswith(f"{name}.")):
            rest.append(argument)
            continue
        if not has_value:
            if not remaining or remaining[0].startswith("--"):
                raise ConfigError(f"{flag} needs a value: {flag}=VALUE")
            value = remaining.pop(0)
        if bare == name:
            path = value
        else:
            overrides.append((bare.removeprefix(f"{name}."), value))
    return path, overrides, rest


def _split_preset(path: str) -> tuple[Path, str | None]:
    file, colon, argument = path.partition(".py:")
    return (Path(f"{file}.py"), argument) if colon else (Path(path), None)


def _load_module(file: Path) -> ModuleType:
    if not file.is_file():
        folder = file.parent if file.parent.is_dir() else Path("configs")
        existing = [str(p) for p in folder.glob("*.py")]
        raise ConfigError(f"no configuration file {file}{nearest(str(file), existing)}")
    spec = importlib.util.spec_from_file_location(f"mjx_skillmimic_config_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call(get_config: object, argument: str | None, file: Path) -> object:
    """Calls `get_config` with or without the preset, telling a wrong preset from a fault inside the file."""
    assert callable(get_config)
    parameters = inspect.signature(get_config).parameters
    if argument is None:
        return get_config()
    if not parameters:
        raise ConfigError(f"{file} takes no preset, found {file}:{argument}")
    try:
        return get_config(argument)
    except (KeyError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise ConfigError(f"{file} refuses the preset {argument!r}: {reason}") from error
