"""docs/parity.md from the documents of several runs and machines; what people wrote between the markers stays."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mjx_skillmimic.evaluation.parity import (
    drives,
    dynamics,
    dynamics_text,
    model,
    model_text,
    plots,
    policy,
    reference_courses,
)
from mjx_skillmimic.evaluation.parity.tables import markdown
from mjx_skillmimic.evaluation.publish import compact_json

FORMATS = (model.FORMAT, dynamics.FORMAT, drives.FORMAT, policy.FORMAT)
FORMAT = "mjx_skillmimic parity"  # of a file that holds several documents
# of dynamics after the first, which explain it
_ALWAYS = ("Summary", "PD step", "What a ball joint", "Bounces")
PARTS = ("summary", "model", "dynamics", "drives", "policy")


class ReportError(ValueError):
    """Documents that cannot be read or do not belong together; names the file."""


def read(path: str | Path) -> list[dict[str, Any]]:
    """The documents of a file that a command wrote: one, or all that `write` kept.

    Raises FileNotFoundError, or ReportError naming file, found and expected.
    """
    expected = f"expected one of {', '.join((*FORMATS, FORMAT))}"
    try:
        document = json.loads(Path(path).read_text())
        documents = document["documents"] if document["format"] == FORMAT else [document]
        found = [d["format"] for d in documents]
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{path}: found no parity document ({error!r}), {expected}") from error
    for name in found:
        if name not in FORMATS:
            raise ReportError(f"{path}: found a {name!r}, {expected}")
    return documents


def merge(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Documents of one kind with rows of one comparison joined: dynamics against the same base, a policy over the same
    episodes, models. Later rows replace earlier ones of the same engine."""
    merged: dict[str, dict[str, Any]] = {}
    for document in documents:
        key = _same(document)
        if key not in merged:
            merged[key] = json.loads(json.dumps(document))
        elif document["format"] != model.FORMAT:
            merged[key]["engines"].update(document["engines"])
    return list(merged.values())


def _same(document: Mapping[str, Any]) -> str:
    """What makes rows comparable, as text."""
    kind = document["format"]
    if kind == dynamics.FORMAT:
        return f"{kind} {document['base']['hash']}"
    if kind == policy.FORMAT:
        return f"{kind} {document['policy']} {json.dumps(document['settings'], sort_keys=True)}"
    return kind if kind == drives.FORMAT else f"{kind} {json.dumps(document['rows'], sort_keys=True)}"


def refresh(text: str, parts: Mapping[str, str]) -> str:
    """`text` with the blocks of these parts replaced. Raises ReportError where the text has no such block."""
    for name, content in parts.items():
        block = re.compile(rf"(<!-- parity:begin {name} -->\n)(.*?)(<!-- parity:end {name} -->)", re.DOTALL)
        if not block.search(text):
            raise ReportError(f"the page has no block <!-- parity:begin {name} --> … <!-- parity:end {name} -->")
        text = block.sub(lambda m, content=content: f"{m[1]}\n{content.strip()}\n\n{m[3]}", text)  # type: ignore[misc]
    return text


def write(files: Sequence[str | Path], page: str | Path, pictures: str | Path) -> list[Path]:
    """Renews the page's blocks from result files; pictures: path without suffix for those of the dynamics.

    All numbers are kept in a file of that name with .json, which is a result file like those given. The summaries are
    of the dynamics over all groups of courses, else of the first. Only the first dynamics have all their tables on the
    page. A part that no file is about stays as it is. Raises FileNotFoundError, ReportError.
    """
    page, pictures = Path(page), Path(pictures)
    documents = merge(document for path in files for document in read(path))
    kinds = {kind: [d for d in documents if d["format"] == kind] for kind in FORMATS}
    parts, made = {}, []
    if kinds[model.FORMAT]:
        parts["model"] = "\n".join(_section(d, model_text.tables(d)) for d in kinds[model.FORMAT])
    if kinds[dynamics.FORMAT]:
        texts: list[str] = []
        summaries: list[str] = []
        groups = set(reference_courses.GROUPS)
        whole = [d for d in kinds[dynamics.FORMAT] if groups <= set(d["base"]["courses"])] or kinds[dynamics.FORMAT][:1]
        for number, document in enumerate(kinds[dynamics.FORMAT]):
            stem = pictures if not number else pictures.with_name(f"{pictures.name}_{number + 1}")
            drawn = plots.draw(document, stem) if not number else plots.draw(document, stem, ("pd",))
            made += drawn
            found = [t for t in dynamics_text.tables(document) if not number or t.title.startswith(_ALWAYS)]
            # the page begins with comparisons over all groups of courses; those of some, which explain it, come later
            first, others = (found[:1], found[1:]) if document in whole else ([], found)
            shown = "\n".join(f"![{p.stem}]({Path(os.path.relpath(p, page.parent)).as_posix()})\n" for p in drawn)
            summaries += [f"Base `{document['base']['hash']}`:\n\n{markdown(table)}" for table in first]
            texts.append(_about(document) + "\n" + shown + "\n" + "\n".join(map(markdown, others)))
        parts["summary"], parts["dynamics"] = "\n".join(summaries), "\n".join(texts)
    if kinds[drives.FORMAT]:
        parts["drives"] = "\n".join(_section(d, drives.tables(d)) for d in kinds[drives.FORMAT])
    if kinds[policy.FORMAT]:
        parts["policy"] = "\n".join(_section(d, policy.tables(d)) for d in kinds[policy.FORMAT])
    text = page.read_text() if page.is_file() else blank()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(refresh(text, parts))
    numbers = pictures.with_name(f"{pictures.name}.json")
    numbers.parent.mkdir(parents=True, exist_ok=True)
    numbers.write_text(compact_json({"format": FORMAT, "documents": documents}))
    return [page, numbers, *made]


def blank() -> str:
    """A page with all blocks and nothing in them."""
    blocks = (f"## {name.title()}\n\n<!-- parity:begin {name} -->\n<!-- parity:end {name} -->\n" for name in PARTS)
    return "# Parity of the engines\n\n" + "\n".join(blocks)


def _section(document: Mapping[str, Any], tables: Sequence[Any]) -> str:
    return _about(document) + "\n" + "\n".join(map(markdown, tables))


def _about(document: Mapping[str, Any]) -> str:
    """Who was compared, where, with which versions and settings."""
    lines = []
    base = document.get("base")
    if base:
        courses = sum(base["courses"].values())
        where = _machine(base["meta"].get("machine"))
        lines.append(f"Base: `{base['engine']}`, {courses} courses, hash `{base['hash']}`; {where}.")
    machines: dict[str, list[str]] = {}
    engines = document["engines"]
    for name in engines:
        about = engines[name] if isinstance(engines, Mapping) else document["machines"][name]
        feet = " (corner soles)" if about.get("feet") == "corners" else ""
        machines.setdefault(_machine(about["machine"]), []).append(f"`{name}`{feet}")
    lines += [f"{', '.join(names)}: {where}." for where, names in machines.items()]
    settings = {k: v for k, v in document.get("settings", {}).items() if v is not None}
    if settings:
        lines.append("Settings: " + ", ".join(f"{key} {value}" for key, value in settings.items()) + ".")
    return "\n\n".join(lines) + "\n"


def _machine(machine: Mapping[str, Any] | None) -> str:
    if not machine:
        return "machine not recorded"
    kept = ("mjx_skillmimic", "mujoco", "mujoco-mjx", "jax", "warp-lang", "ovphysx")
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in kept if name in machine["versions"])
    driver = f", driver {machine['driver']}" if machine.get("driver") else ""
    return f"{machine['device']}{driver}; {versions}"
