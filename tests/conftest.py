"""Where the tests find data that is not part of the repository, and how JAX runs in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before JAX is imported by any test: the CPU unless asked otherwise, and compiled programs kept between runs.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


def _folder(variable: str, name: str) -> Path:
    """A folder named by an environment variable, else `shared/<name>` beside the checkout; skips without it."""
    path = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not path.is_dir():
        pytest.skip(f"needs {path}, which is not here; set {variable} to its place")
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of published motion data, `$MJX_SKILLMIMIC_DATA`."""
    return _folder("MJX_SKILLMIMIC_DATA", "data")


@pytest.fixture(scope="session")
def ballplay_dir(data_dir: Path) -> Path:
    """The BallPlay-M clips (`.pt`, one folder a skill)."""
    path = data_dir / "BallPlay-M"
    if not path.is_dir():
        pytest.skip(f"needs the BallPlay-M clips in {path}")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of golden vectors, `$MJX_SKILLMIMIC_GOLDEN`."""
    return _folder("MJX_SKILLMIMIC_GOLDEN", "golden")


@pytest.fixture(autouse=True, scope="module")
def _programs_do_not_pile_up() -> Iterator[None]:
    """Lets go of a module's compiled programs: kept by JAX, those of the whole suite take many GB."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` are skipped where JAX sees none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import jax

    if not any(device.platform == "gpu" for device in jax.devices()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a GPU: JAX sees none, or JAX_PLATFORMS leaves it out"))
