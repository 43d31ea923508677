"""The documentation checker finds what is missing and lets pass what is there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def checker() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "check_docs.py"))


def complaints(checker: dict[str, Any], folder: Path, text: str) -> list[str]:
    document = folder / "page.md"
    document.write_text(text)
    (folder / "scripts").mkdir(exist_ok=True)
    (folder / "scripts" / "train.py").touch()
    return list(checker["check"](document, {"test", "docs-check"}, {"ppo", "ppo.horizon"}, folder))


def test_what_exists_passes(checker: dict[str, Any], tmp_path: Path) -> None:
    text = """
# A heading, with `code`!
# A heading, with `code`!
[here](page.md#a-heading-with-code) [again](#a-heading-with-code-1) [web](https://example.org/x) `scripts/train.py`
```sh
make test
python scripts/train.py --config.ppo.horizon=3 --config.ppo=4
```
Run `make docs-check`; people make mistakes and make do. Files: `scripts/*.py`. `[not a](link)`
"""
    assert complaints(checker, tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](gone.md)", "links to gone.md, which does not exist"),
        ("# One\n[a](#two)", "links to #two, but page.md has no such heading"),
        ("see `scripts/tarin.py`", "names scripts/tarin.py, which does not exist"),
        ("```\npython scripts/tarin.py\n```", "names scripts/tarin.py, which does not exist"),
        ("`make tset`", "names make tset, the targets are docs-check, test"),
        ("```\nmake tset\n```", "names make tset, the targets are docs-check, test"),
        ("`--config.ppo.horizn=3`", "names --config.ppo.horizn, which no configuration has"),
    ],
)
def test_what_is_missing_is_named(checker: dict[str, Any], tmp_path: Path, text: str, expected: str) -> None:
    assert complaints(checker, tmp_path, text) == [expected]


def test_a_figure_needs_its_numbers(checker: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    for name in ("with.png", "with.json", "with_a_run.png", "without.svg", "within_a_run.png"):
        (tmp_path / "docs" / "results" / name).touch()
    assert checker["figures_without_numbers"](tmp_path / "docs") == [
        "docs/results/within_a_run.png: no within_a_run.json beside it with its numbers",
        "docs/results/without.svg: no without.json beside it with its numbers",
    ]
