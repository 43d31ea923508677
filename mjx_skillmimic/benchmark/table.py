"""Results as tables: Markdown between two markers of a document, and compact lines for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mjx_skillmimic.benchmark.levels import LEVELS, START
from mjx_skillmimic.benchmark.records import Record, read_records

_BLOCK = re.compile(r"(<!-- benchmark:begin( [^>]*?)? -->\n)(.*?)(<!-- benchmark:end -->)", re.DOTALL)
_TITLES = {"physics": "physics only", "env": "env step", "rollout": "rollout", "train": "training"}


def markdown(records: Sequence[Record]) -> str:
    """One table: a row a device, engine, configuration and number of worlds; thousands of env steps/s by level.

    The last column tells what disturbs a comparison: worlds that lost contacts (overflow) or became non-finite (NaN) in
    the worst call, and repeats that differ by more than a tenth.
    """
    rows: dict[tuple[Any, ...], dict[str, Record]] = {}
    starts: dict[tuple[Any, ...], Record] = {}
    for record in records:
        what = " ".join(filter(None, [f"`{record['engine']}`", record.get("variant", "")]))
        where = (record["device"], what, record["worlds"], record.get("config_hash"))
        if record["level"] == START:
            starts[where] = record
        else:
            rows.setdefault(where, {})[record["level"]] = record
    levels = [level for level in LEVELS if any(level in found for found in rows.values())]
    heads = ["device", "engine", "worlds", *(_TITLES[level] for level in levels), "MB a world in JAX", "remarks"]
    lines = [_line(heads), _line(["---"] * 3 + ["---:"] * (len(levels) + 1) + ["---"])]
    devices = list(dict.fromkeys(device for device, *_ in rows))
    for where in sorted(rows, key=lambda row: (devices.index(row[0]), *row[1:3])):
        (device, what, worlds, _), found = where, rows[where]
        speeds = [_thousands(found[level]["env_steps_per_s"]) if level in found else "" for level in levels]
        cells = [device, what, f"{worlds}", *speeds, _memory(found), _remarks(found)]
        lines.append(_line(cells))
    if starts:
        lines += ["", _line(["device", "engine", "worlds", "first iteration, cold", "with filled caches"])]
        lines.append(_line(["---", "---", "---", "---:", "---:"]))
        for (device, what, worlds, _), record in starts.items():
            seconds = [f"{record[name]['total']:.0f} s" for name in ("cold", "warm")]
            lines.append(_line([device, what, f"{worlds}", *seconds]))
    return "\n".join(lines) + "\n"


def refresh(text: str, files: Sequence[str] | None, root: Path) -> str:
    """`text` with its block between the markers made anew from result files, named relative to `root`.

    The names stand in the first marker; absent: those that stand there already. Raises ValueError where the text has no
    markers or names no files, FileNotFoundError for a file that is not there.
    """
    match = _BLOCK.search(text)
    if match is None:
        raise ValueError("no block <!-- benchmark:begin FILES --> … <!-- benchmark:end --> in the document")
    names = list(files) if files is not None else (match[2] or "").split()
    if not names:
        raise ValueError("the marker benchmark:begin names no result files")
    records = []
    for name in names:
        if not (root / name).is_file():
            raise FileNotFoundError(f"{root / name}, named by the marker benchmark:begin, does not exist")
        records += read_records(root / name)
    block = f"<!-- benchmark:begin {' '.join(names)} -->\n\n{markdown(records)}\n<!-- benchmark:end -->"
    return text[: match.start()] + block + text[match.end() :]


def has_block(text: str) -> bool:
    """Whether a document has a block to refresh that names result files."""
    match = _BLOCK.search(text)
    return match is not None and bool((match[2] or "").strip())


def compact(records: Sequence[Record]) -> str:
    """A line a record for a terminal."""
    lines = [
        f"{'engine':<34s} {'level':<8s} {'worlds':>7s} {'env steps/s':>12s} {'spread':>7s} {'MB/world':>9s}"
        f" {'compile':>8s}  remarks"
    ]
    for record in records:
        name = f"{record['engine']:<34s} {record['level']:<8s} {record['worlds']:>7d}"
        if record["level"] == START:
            parts = [f"{k} {record[k]['total']:.1f} s (compile {record[k]['compile']:.1f})" for k in ("cold", "warm")]
            lines.append(f"{name} first iteration: {', '.join(parts)}")
            continue
        held, compiled = record.get("bytes_per_world"), record.get("compile_s")
        lines.append(
            f"{name} {record['env_steps_per_s']:>12,.0f} {record['spread']:>7.1%} "
            f"{'' if held is None else f'{held / 1e6:.3f}':>9s} "
            f"{'' if compiled is None else f'{compiled:.1f} s':>8s}  {_remarks({'': record})}"
        )
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _thousands(rate: float) -> str:
    return f"{rate / 1e3:.0f} k" if rate >= 1e5 else f"{rate / 1e3:.1f} k" if rate >= 1e3 else f"{rate:.0f}"


def _memory(found: dict[str, Record]) -> str:
    """Of training, or the environment, without which a world holds next to nothing."""
    held = [
        found[level]["bytes_per_world"] for level in found if level != "physics" and found[level].get("bytes_per_world")
    ]
    return f"{max(held) / 1e6:.2f}" if held else ""


def _remarks(found: dict[str, Record]) -> str:
    remarks = []
    for level, record in found.items():
        marks = [
            f"{record[key]} {word}"
            for key, word in (("overflow_worlds", "overflow"), ("nonfinite_worlds", "NaN"))
            if record.get(key)
        ]
        if record["spread"] > 0.1:
            marks.append(f"spread {record['spread']:.0%}")
        if marks:
            remarks.append(f"{level}: {', '.join(marks)}".removeprefix(": "))
    return "; ".join(remarks)
