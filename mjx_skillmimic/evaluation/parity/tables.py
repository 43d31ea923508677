"""Tables as data, for a terminal (rich) and for a page (Markdown)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

_LEAST = 1e-3  # smaller figures say no more than that


@dataclasses.dataclass(frozen=True)
class Table:
    """title, heads, rows of cells; note: what stands below. The first `words` columns are text, the others figures."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    words: int = 1


def markdown(table: Table, level: int = 3) -> str:
    """The table under a heading of that level."""
    cells = lambda row: "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"  # noqa: E731
    rule = "| " + " | ".join("---" if i < table.words else "---:" for i in range(len(table.heads))) + " |"
    lines = [f"{'#' * level} {table.title}", "", cells(table.heads), rule, *map(cells, table.rows)]
    return "\n".join([*lines, *(["", table.note] if table.note else [])]) + "\n"


def terminal(tables: Sequence[Table], width: int | None = None) -> str:
    """The tables through rich, as wide as the terminal (not less than 150 columns where there is none) or `width`."""
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    console = Console(width=width)
    if width is None and not console.is_terminal:
        console = Console(width=150)
    with console.capture() as capture:
        for table in tables:
            drawn = Drawn(title=table.title, title_justify="left", title_style="bold", caption=table.note or None)
            for i, head in enumerate(table.heads):
                drawn.add_column(head, justify="left" if i < table.words else "right", overflow="fold")
            for row in table.rows:
                drawn.add_row(*map(Text, row))
            console.print(drawn)
    return capture.get()


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many significant digits, "–" for none."""
    if value is None:
        return "–"
    if 0.0 < abs(value) < _LEAST:
        return f"<{_LEAST:g}"
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text else text


def percent(value: float | None, digits: int = 1) -> str:
    """A share as %, "–" for none."""
    return "–" if value is None else f"{100.0 * value:.{digits}f}"
