"""Configurations: Python files that return `ml_collections`, command-line overrides, checks before compiling."""

from mjx_skillmimic.config.compare import Difference, differences, flatten, from_json, to_json
from mjx_skillmimic.config.defaults import run_defaults
from mjx_skillmimic.config.errors import ConfigError
from mjx_skillmimic.config.loading import load_config, split_arguments
from mjx_skillmimic.config.overrides import apply_override
from mjx_skillmimic.config.validation import validate, validator

__all__ = [
    "ConfigError",
    "Difference",
    "apply_override",
    "differences",
    "flatten",
    "from_json",
    "load_config",
    "run_defaults",
    "split_arguments",
    "to_json",
    "validate",
    "validator",
]
