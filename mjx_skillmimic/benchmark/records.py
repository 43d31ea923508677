"""Results in one JSON file, one record a point; a point that was measured with the same code is not measured again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]

# What makes two records the same point; a newer one replaces the older.
KEY = ("device", "engine", "level", "worlds", "config_hash")
_FORMAT = "mjx_skillmimic benchmark"


class RecordsError(ValueError):
    """A file that holds no results."""


def read_records(path: Path) -> list[Record]:
    """The records of a file, none where there is no file. Raises RecordsError for a file of another kind."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise RecordsError(f"{path} is no JSON ({error}); expected results of scripts/benchmark.py") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise RecordsError(f"{path} holds no results of scripts/benchmark.py: expected the format {_FORMAT!r}")
    return list(content["records"])


def write_record(path: Path, record: Record) -> None:
    """Adds a record to a file, in place of the one with the same key; the file is replaced as a whole."""
    kept = [other for other in read_records(path) if key(other) != key(record)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"format": _FORMAT, "records": [*kept, record]}, indent=1) + "\n")
    partial.replace(path)


def find(records: list[Record], wanted: Record) -> Record | None:
    """The record with the key and the source of `wanted`, as far as it has them; None where there is none."""
    known = [name for name in (*KEY, "source") if name in wanted]
    return next((record for record in records if all(record.get(name) == wanted[name] for name in known)), None)


def key(record: Record) -> tuple[Any, ...]:
    """The values of `KEY`."""
    return tuple(record.get(name) for name in KEY)
