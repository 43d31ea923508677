"""What a measurement was made on and with: device, driver, versions, source, configuration."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

import mjx_skillmimic
from mjx_skillmimic.learning.describe import versions

_PACKAGE = Path(mjx_skillmimic.__file__).parent
_DIGITS = 12


def machine() -> dict[str, Any]:
    """device, devices (how many), driver, versions, commit and source (`source_hash`), JSON-able."""
    return {
        "device": device_name(),
        "devices": jax.device_count(),
        "driver": driver(),
        "versions": versions(),
        "commit": commit(),
        "source": source_hash(),
    }


def device_name() -> str:
    """The accelerator's name, or the processor's with the number of cores that this process may use."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return str(device.device_kind)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def driver() -> str | None:
    """The version of the NVIDIA driver, None where there is none."""
    if not shutil.which("nvidia-smi"):
        return None
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")


def commit() -> str | None:
    """The commit of the package's repository, with "-dirty" where files differ from it; None outside one."""
    return _output("git", "-C", str(_PACKAGE), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*")


@functools.cache
def source_hash() -> str:
    """A hash of the package's Python files: equal where the same code was measured."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def config_hash(config: ConfigDict) -> str:
    """A hash of what decides a measurement: every section but `run`, and neither engine nor number of worlds."""
    kept = {key: value for key, value in config.to_dict().items() if key not in ("run", "physics")}
    kept["ppo"] = {key: value for key, value in kept["ppo"].items() if key not in ("num_envs", "minibatch_size")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _output(*command: str) -> str | None:
    """The command's first line of output, None where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else None
