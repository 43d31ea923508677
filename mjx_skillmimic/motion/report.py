"""Importing motion files: convert what is sound, list what is not, and report on both."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mjx_skillmimic.kinematics import Skeleton
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.library import Metadata, clip_files, load_clip, motion_hash
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.motion.quality import ClipQuality, Warn, measure

JSON_NAME, MARKDOWN_NAME = "import_report.json", "import_report.md"
HEADINGS = ("clip", "skill", "frames", "seconds", "contact", "FK gap mm", "warnings")


@dataclasses.dataclass(frozen=True)
class Imported:
    """A sound file: where it came from (relative to the source folder), where it was written (None: only checked)."""

    file: str
    output: str | None
    quality: ClipQuality


@dataclasses.dataclass(frozen=True)
class Failed:
    """A file that could not be read or written, with the two halves of the error's message."""

    file: str
    found: str
    expected: str


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """Everything that one import did, in the order of the files."""

    source: str
    clips: tuple[Imported, ...]
    failures: tuple[Failed, ...]

    @property
    def ok(self) -> bool:
        return not self.failures

    def table(self, *, sentences: bool) -> list[tuple[str, ...]]:
        """One row of text a clip, under HEADINGS; the warnings as whole sentences or only their kinds."""
        return [_row(clip.quality, sentences) for clip in self.clips]

    def warnings_by_kind(self) -> dict[str, list[tuple[str, str]]]:
        """(clip, sentence) pairs of every kind of warning."""
        kinds: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for clip in self.clips:
            for warning in clip.quality.warnings:
                kinds[warning.kind].append((clip.quality.name, warning.text))
        return dict(kinds)

    def summary(self) -> str:
        frames = sum(clip.quality.frames for clip in self.clips)
        seconds = sum(clip.quality.seconds for clip in self.clips)
        skills = len({clip.quality.skill for clip in self.clips})
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{len(self.clips)} clips, {skills} skills, {frames} frames, {seconds:.1f} s{failed}"

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        lines = ["# Imported motion clips", "", f"From `{self.source}`: {self.summary()}.", ""]
        lines += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in self.table(sentences=True)]
        if self.failures:
            lines += ["", "## Not imported", "", "| file | found | expected |", "|---|---|---|"]
            lines += [f"| {_cell(f.file)} | {_cell(f.found)} | {_cell(f.expected)} |" for f in self.failures]
        return "\n".join(lines) + "\n"


def _row(quality: ClipQuality, sentences: bool) -> tuple[str, ...]:
    warnings = [w.text for w in quality.warnings] if sentences else [*dict.fromkeys(w.kind for w in quality.warnings)]
    return (
        quality.name,
        str(quality.skill),
        str(quality.frames),
        f"{quality.seconds:.2f}",
        f"{quality.contact_fraction:.2f}",
        f"{quality.fk_gap_mm:.1f}",
        ("; " if sentences else ", ").join(warnings),
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def import_motions(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    metadata: Metadata | None = None,
    force: bool = False,
    skeleton: Skeleton | None = None,
) -> ImportReport:
    """Reads every motion file of `source`; writes `.npz` clips and the report into `output`, or only checks without it.

    A folder's structure is kept. A bad file is listed among the failures and the others go on.

    Raises:
        FileNotFoundError: no motion file there.
        FileExistsError: something that would be written exists and `force` is not set; nothing has been written then.
    """
    files = clip_files(source)
    if not files:
        raise FileNotFoundError(f"no .npz or .pt file under {source}")
    root = Path(source) if Path(source).is_dir() else files[0].parent
    names = [file.relative_to(root).as_posix() for file in files]
    targets = [Path(output, name).with_suffix(".npz") if output is not None else None for name in names]
    if output is not None and not force:
        refuse_existing([*filter(None, targets), Path(output, JSON_NAME), Path(output, MARKDOWN_NAME)])
    skeleton = skeleton or humanoid_skeleton()
    clips: list[Imported] = []
    failures: list[Failed] = []
    hashes: list[str] = []
    written: set[Path] = set()
    for file, name, target in zip(files, names, targets, strict=True):
        try:
            clip = load_clip(file, metadata)
            if target is not None:
                _write(clip, target, written)
        except MotionFormatError as error:
            failures.append(Failed(name, error.found, error.expected))
            continue
        clips.append(Imported(name, str(target) if target else None, measure(clip, skeleton)))
        hashes.append(_contents_hash(clip))
    report = ImportReport(str(source), tuple(_with_duplicates(clips, hashes)), tuple(failures))
    if output is not None:
        _write_reports(report, Path(output))
    return report


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises FileExistsError, naming some, if any of the paths exists."""
    if existing := [str(path) for path in paths if path.exists()]:
        more = f" and {len(existing) - 3} more" if len(existing) > 3 else ""
        raise FileExistsError(
            f"{', '.join(existing[:3])}{more} already there; nothing was written (--force overwrites)"
        )


def _write(clip: MotionClip, target: Path, written: set[Path]) -> None:
    if target in written:
        raise MotionFormatError(target, "a second file that would be written there", "one file a name")
    try:
        save_clip(clip, target)
    except OSError as error:
        raise MotionFormatError(target, f"no way to write it ({error.strerror})", "a writable folder") from error
    written.add(target)


def _contents_hash(clip: MotionClip) -> str:
    """Equal for clips with the same frames, whatever they are called or labelled."""
    return motion_hash([dataclasses.replace(clip, name="", skill=0)])


def _with_duplicates(clips: list[Imported], hashes: list[str]) -> list[Imported]:
    """The clips with a warning on each whose frames another one has too."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for i, digest in enumerate(hashes):
        groups[digest].append(i)
    result = list(clips)
    for group in (g for g in groups.values() if len(g) > 1):
        for i in group:
            others = ", ".join(clips[j].file for j in group if j != i)
            quality = clips[i].quality
            warning = Warn("duplicate", f"same frames as {others}")
            quality = dataclasses.replace(quality, warnings=(*quality.warnings, warning))
            result[i] = dataclasses.replace(clips[i], quality=quality)
    return result


def _write_reports(report: ImportReport, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / JSON_NAME).write_text(report.to_json(), encoding="utf-8")
    (output / MARKDOWN_NAME).write_text(report.to_markdown(), encoding="utf-8")


def render_text(report: ImportReport, width: int | None = None) -> str:
    """Table, failures and warnings as text: through rich, as wide as the terminal or `width`, else plain lines."""
    rows = report.table(sentences=False)
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return "\n".join(["  ".join(row) for row in (HEADINGS, *rows)] + _closing_lines(report)) + "\n"
    table = Table()
    for heading in HEADINGS:
        numeric = heading not in (HEADINGS[0], HEADINGS[-1])
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
        for line in _closing_lines(report):
            console.print(Text(line))
    return capture.get()


def _closing_lines(report: ImportReport) -> list[str]:
    """Each kind of warning with one example, each failure, the totals."""
    lines = []
    for kind, found in report.warnings_by_kind().items():
        clips = len({name for name, _ in found})
        lines.append(f"{kind} ({clips} clip{'s' if clips > 1 else ''}): {found[0][1]} ({found[0][0]})")
    lines += [f"FAILED {f.file}: found {f.found}; expected {f.expected}" for f in report.failures]
    return [*lines, report.summary()]
