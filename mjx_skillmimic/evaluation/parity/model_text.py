"""The table of a document of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mjx_skillmimic.evaluation.parity.tables import Table


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Values side by side, then every difference from the first engine with its reason."""
    engines = document["engines"]
    values = tuple(
        (f"{row['quantity']}{', ' + row['unit'] if row['unit'] else ''}", *(row["values"][e] for e in engines))
        for row in document["rows"]
    )
    differences = tuple(
        (row["quantity"], engine, apart, row["reason"][engine] or "UNEXPLAINED")
        for row in document["rows"]
        for engine, apart in row["difference"].items()
        if apart
    )
    note = "" if differences else f"No engine differs from {engines[0]}."
    made = [Table("The model as the engines compiled it", ("quantity", *engines), values, note, words=1 + len(engines))]
    if differences:
        heads = ("quantity", "engine", f"difference from {engines[0]}", "reason")
        made.append(Table("Differences", heads, differences, words=4))
    return made
