"""Runs every known check over a folder of golden files and gathers the results in one table."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.golden import registry

# Modules that register checks; one that a checkout does not have leaves its files "not covered".
_MODULES = (
    "imitation",
    "scripted_env",
    "motion",
    "ppo",
    "high_level",
    "v2_imitation",
    "v2_metrics",
    "stitching",
    "v2_env",
    "history",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: a compared quantity, or a file that could not be compared (`problem` says why)."""

    file: str
    quantity: str
    max_error: float
    atol: float
    rtol: float
    passed: bool
    problem: str = ""

    @property
    def tolerance(self) -> str:
        if self.atol == 0.0 and self.rtol == 0.0:
            return "exact"
        return f"{self.atol:g}" + (f" + {self.rtol:g}·|x|" if self.rtol else "")


@dataclasses.dataclass(frozen=True)
class Report:
    """All rows of a folder, and the names of the files that no check covers."""

    folder: str
    rows: tuple[Row, ...]
    not_covered: tuple[str, ...]

    @property
    def failures(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if not row.passed)

    @property
    def passed(self) -> bool:
        """Something was compared, and nothing failed."""
        return bool(self.rows) and not self.failures

    def as_json(self) -> dict[str, Any]:
        """Plain types; an infinite error is null, since JSON has no infinity."""
        rows = [{**dataclasses.asdict(row), "max_error": _finite(row.max_error)} for row in self.rows]
        return {"folder": self.folder, "passed": self.passed, "rows": rows, "not_covered": list(self.not_covered)}


def load_checks(modules: Iterable[str] = _MODULES) -> None:
    """Imports the modules that register checks."""
    package = registry.__name__.rpartition(".")[0]
    for name in modules:
        if importlib.util.find_spec(f"{package}.{name}") is not None:
            importlib.import_module(f"{package}.{name}")


def golden_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The `.npz` files of a folder, sorted. Raises FileNotFoundError if there is no such folder or none in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise FileNotFoundError(f"no .npz file in {folder}: expected golden vectors such as v1_obs.npz")
    return files


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a golden file. Raises whatever NumPy raises for a broken file; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as stored:
        if isinstance(stored, np.ndarray):
            raise ValueError("expected an .npz archive, found a single array")
        return {name: stored[name] for name in stored.files}


def check_file(path: Path) -> list[Row]:
    """Rows of one covered file. A file that cannot be read or compared gives one failed row that says why."""
    check = registry.find(path.stem)
    if check is None:
        return []
    try:
        arrays = read_arrays(path)
        for other in registry.needs(path.stem):
            beside = read_arrays(path.with_name(f"{other}.npz"))
            arrays |= {f"{other}/{name}": array for name, array in beside.items()}
    # the bytes are somebody else's: NumPy, zipfile and zlib each raise their own kinds
    except Exception as error:
        return [_problem(path, f"unreadable: {_describe(error)}")]
    rows: list[Row] = []
    try:
        for q in check(arrays):
            rows.append(Row(path.stem, q.name, q.max_error, q.atol, q.rtol, q.passed))
    except KeyError as error:
        rows.append(_problem(path, f"array {error.args[0]!r} is missing; it has {', '.join(sorted(arrays))}"))
    # an array of another shape or kind can fail anywhere inside a check; the other files are still worth checking
    except Exception as error:
        rows.append(_problem(path, f"not comparable: {_describe(error)}"))
    return rows or [_problem(path, "its check compared nothing")]


def run_folder(folder: str | os.PathLike[str]) -> Report:
    """Checks every covered file of a folder. Raises FileNotFoundError as `golden_files`."""
    load_checks()
    rows: list[Row] = []
    not_covered = []
    for path in golden_files(folder):
        if registry.find(path.stem) is None:
            not_covered.append(path.stem)
        rows.extend(check_file(path))
    return Report(str(folder), tuple(rows), tuple(not_covered))


def format_table(report: Report) -> str:
    """The report as text: one line a row, problems, the files not covered, and a last line with the verdict."""
    header = ("file", "quantity", "max error", "tolerance", "pass")
    cells = [
        (row.file, row.quantity, f"{row.max_error:.3g}", row.tolerance, "yes" if row.passed else "NO")
        for row in report.rows
    ]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]
    rules = tuple("-" * width for width in widths)
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, rules, *cells)
    ]
    lines += [f"{row.file}: {row.problem}" for row in report.rows if row.problem]
    if report.not_covered:
        lines.append(f"not covered: {', '.join(report.not_covered)}")
    files = len({row.file for row in report.rows})
    if not report.rows:
        lines.append("FAILED: nothing was compared, no file of this folder is covered")
    elif report.failures:
        lines.append(f"FAILED: {len(report.failures)} of {len(report.rows)} quantities in {files} files")
    else:
        lines.append(f"passed: {len(report.rows)} quantities in {files} files")
    return "\n".join(lines)


def _problem(path: Path, text: str) -> Row:
    return Row(path.stem, "(file)", math.inf, 0.0, 0.0, False, text)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
