"""From an operation of a compiled program back to the line of Python that asked for it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePath

_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*?metadata=\{([^}]*)\}", re.MULTILINE)
_ROW = re.compile(r"^(\d+) (.*)$")
_NUMBER = re.compile(r"(\w+)=(\d+)")


@dataclasses.dataclass(frozen=True)
class Source:
    """file: the last two parts of its path. function: as Python names it, "" where unknown. operation: JAX's name."""

    file: str
    line: int
    function: str
    operation: str


def sources(program_text: str) -> dict[str, Source]:
    """The origin of every instruction of an HLO program (`compiled.as_text()`), by its name; without metadata, none."""
    tables = _tables(program_text)
    found = {}
    for name, metadata in _INSTRUCTION.findall(program_text):
        operation = _text(metadata, "op_name")
        file, line, function = _location(metadata, tables)
        if operation or file:
            found[name] = Source("/".join(PurePath(file).parts[-2:]), line, function, operation)
    return found


def kernel_name(operation: str) -> str:
    """The name that XLA gives the kernel of an operation."""
    return re.sub(r"[^\w]", "_", operation)


def _tables(text: str) -> dict[str, dict[int, str]]:
    """The sections that frames are looked up in: FileNames, FunctionNames, FileLocations, StackFrames."""
    tables: dict[str, dict[int, str]] = {}
    current: dict[int, str] | None = None
    for line in text.splitlines():
        if line in ("FileNames", "FunctionNames", "FileLocations", "StackFrames"):
            current = tables.setdefault(line, {})
        elif current is not None and (match := _ROW.match(line)):
            current[int(match[1])] = match[2].strip('"')
        elif line.strip():
            current = None
    return tables


def _location(metadata: str, tables: dict[str, dict[int, str]]) -> tuple[str, int, str]:
    """File, line and function of the innermost frame; older compilers write file and line themselves."""
    numbers = dict(_NUMBER.findall(metadata))
    frame = tables.get("StackFrames", {}).get(int(numbers.get("stack_frame_id", 0)))
    if frame is None:
        return _text(metadata, "source_file"), int(numbers.get("source_line", 0)), ""
    location = dict(_NUMBER.findall(tables["FileLocations"][int(dict(_NUMBER.findall(frame))["file_location_id"])]))
    file = tables["FileNames"][int(location["file_name_id"])]
    return file, int(location["line"]), tables["FunctionNames"][int(location["function_name_id"])]


def _text(metadata: str, key: str) -> str:
    match = re.search(rf'{key}="([^"]*)"', metadata)
    return match[1] if match else ""
