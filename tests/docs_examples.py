"""The examples of a document, to be run as they are printed or with smaller numbers."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def example(document: str, section: str, smaller: dict[str, str] | None = None) -> str:
    """The first Python block of a section of docs/`document`, with texts of `smaller` replaced; each must occur."""
    text = (DOCS / document).read_text()
    found = re.search(rf"^#+ {re.escape(section)}\n.*?^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no example in a section {section!r}"
    code = found[1]
    for old, new in (smaller or {}).items():
        assert old in code, f"the example of {section!r} has no {old!r}"
        code = code.replace(old, new)
    return code
