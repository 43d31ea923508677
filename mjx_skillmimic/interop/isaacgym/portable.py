"""The part of this package that the recorder needs, as files to copy beside Isaac Gym."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import mjx_skillmimic

RECORDER = "mjx_skillmimic.interop.isaacgym.record_isaacgym"


def modules(first: str = RECORDER) -> dict[str, Path]:
    """The module `first` and all that importing it imports of this package, by name, with their files.

    Found by reading the files: imports inside functions and under `if TYPE_CHECKING` are made later or never.
    """
    found: dict[str, Path] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in found:
            continue
        found[name] = path
        waiting += [".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)]
        waiting += imports(path)
    return dict(sorted(found.items()))


def imports(path: Path) -> list[str]:
    """What a module imports when it is imported: modules, and names in them that may be modules too."""
    return [name for node in _at_import(ast.parse(path.read_text(encoding="utf-8")).body) for name in _names(node)]


def copy_recorder(folder: str | Path) -> Path:
    """Copies these modules to FOLDER/mjx_skillmimic/… and returns FOLDER, to be put on PYTHONPATH."""
    folder, package = Path(folder), Path(mjx_skillmimic.__file__).resolve().parent
    for path in modules().values():
        target = folder / package.name / path.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder


def _at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            guard = ast.unparse(node.test) if isinstance(node, ast.If) else ""
            if "TYPE_CHECKING" not in guard:
                yield from _at_import(node.body)
            yield from _at_import(getattr(node, "orelse", []))
        else:
            yield node


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _file(name: str) -> Path | None:
    """The file of a module of this package; None for others, and for names that are no modules."""
    top, *rest = name.split(".")
    package = Path(mjx_skillmimic.__file__).resolve().parent
    if top != package.name:
        return None
    path = package.joinpath(*rest)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None
