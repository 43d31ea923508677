"""Checks that what the documentation names exists: `make docs-check`.

In README.md, CHANGELOG.md and every Markdown file under docs/: relative links and their anchors, files in `code` spans
that start with a folder of the repository, targets of `make`, configuration keys in `--config.key=`. Under docs/, each
PNG and SVG needs the JSON of the same name beside it: the numbers that it shows; NAME_<anything>.png may share
NAME.json. A table of speeds must be the one that `scripts/benchmark.py --table` makes of the files that its marker
names. Exit status 1 if anything is missing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("assets_mjcf", "configs", "docs", "mjx_skillmimic", "notebooks", "scripts", "tests")
FIGURES = (".png", ".svg")

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)
# Not Gymnasium's ids, which look like files of the package: mjx_skillmimic/BallPlay-v0.
NAMED_FILE = re.compile(rf"(?<![\w./-])(?!mjx_skillmimic/\w+-v\d)(?:{'|'.join(FOLDERS)})/[\w./-]*")
MAKE = re.compile(r"(?:^|[`;&|]\s*|\$ )make ((?:[a-z][\w-]*[ \t]*)+)", re.MULTILINE)
CONFIG_KEY = re.compile(r"--config\.([a-z]\w*(?:\.\w+)*)[= ]")


def main() -> int:
    """Prints every complaint and returns the exit status."""
    documents = [p for p in (ROOT / "README.md", ROOT / "CHANGELOG.md") if p.exists()]
    documents += sorted((ROOT / "docs").rglob("*.md"))
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    keys = config_keys()
    complaints = [f"{d.relative_to(ROOT)}: {text}" for d in documents for text in check(d, targets, keys)]
    complaints += [f"{d.relative_to(ROOT)}: {text}" for d in documents for text in stale_table(d)]
    complaints += figures_without_numbers(ROOT / "docs")
    for complaint in complaints:
        print(complaint)
    print(f"{len(documents)} documents, {len(complaints)} complaints")
    return 1 if complaints else 0


def check(document: Path, targets: set[str], keys: set[str], root: Path = ROOT) -> Iterator[str]:
    """What a document names and what is not there."""
    text = document.read_text()
    prose = FENCE.sub("", text)
    for link in LINK.findall(CODE_SPAN.sub("", prose)):
        yield from broken_link(document, link)
    for named in sorted(set(NAMED_FILE.findall("\n".join([*CODE_SPAN.findall(prose), *code_blocks(text)])))):
        # A name that goes on with a wildcard or a placeholder ends in what was matched before it.
        if not (root / named.rstrip(".")).exists() and not list(root.glob(f"{named}*")):
            yield f"names {named}, which does not exist"
    for words in MAKE.findall(text):
        target = words.split()[0]
        if target not in targets:
            yield f"names make {target}, the targets are {', '.join(sorted(targets))}"
    for key in sorted(set(CONFIG_KEY.findall(text))):
        if keys and key not in keys:
            yield f"names --config.{key}, which no configuration has"


def stale_table(document: Path, root: Path = ROOT) -> Iterator[str]:
    """A complaint about a table of speeds that is not the one of its files."""
    from mjx_skillmimic.benchmark import table

    text = document.read_text()
    if not table.has_block(text):
        return
    try:
        if table.refresh(text, None, root) != text:
            yield "its table of speeds is not that of its files: scripts/benchmark.py --table makes it anew"
    except (ValueError, FileNotFoundError) as error:
        yield str(error)


def code_blocks(text: str) -> list[str]:
    """The fenced blocks of a document."""
    return [match.group(0) for match in FENCE.finditer(text)]


def broken_link(document: Path, link: str) -> Iterator[str]:
    """A complaint about a relative link whose file or heading is missing."""
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    if not target.exists():
        yield f"links to {link}, which does not exist"
    elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
        yield f"links to {link}, but {target.name} has no such heading"


def anchors(text: str) -> set[str]:
    """The anchors that a forge makes of a document's headings."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found


def figures_without_numbers(folder: Path) -> list[str]:
    """Figures under a folder without a JSON beside them that has their name, or their name up to an underscore."""
    figures = [p for p in sorted(folder.rglob("*")) if p.suffix in FIGURES]
    missing = [p for p in figures if not any(p.with_name(f"{name}.json").exists() for name in beginnings(p.stem))]
    return [
        f"{p.relative_to(folder.parent)}: no {p.with_suffix('.json').name} beside it with its numbers" for p in missing
    ]


def beginnings(stem: str) -> list[str]:
    """A name and what is before each of its underscores: a_b_c, a_b, a."""
    parts = stem.split("_")
    return ["_".join(parts[:end]) for end in range(len(parts), 0, -1)]


def config_keys() -> set[str]:
    """Every key, and every section, of every configuration file."""
    from ml_collections import ConfigDict

    from mjx_skillmimic.config import flatten, load_config

    keys: set[str] = set()
    for path in sorted((ROOT / "configs").glob("*.py")):
        config = load_config(path, check=False)
        sections = [f"{k}." for k in config if isinstance(config[k], ConfigDict)]
        # an empty section below a section holds what an engine takes, and no key of its own
        deeper = [f"{s}{k}" for s in sections for k, v in config[s[:-1]].items() if isinstance(v, ConfigDict)]
        for name in [*flatten(config), *(s[:-1] for s in sections), *deeper]:
            parts = name.split(".")
            keys |= {".".join(parts[: end + 1]) for end in range(len(parts))}
    return keys


if __name__ == "__main__":
    sys.exit(main())
