"""Compares training runs at equal samples and at equal training time: OUT.md, OUT.json and OUT.png.

python scripts/compare_runs.py runs/study runs/full runs/sum --at 60e6
python scripts/compare_runs.py runs/study --group full=runs/f0,runs/f1 --group sum=runs/s0,runs/s1 --baseline full
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.evaluation import study, study_plot, study_text


def group(text: str) -> tuple[str, list[str]]:
    """NAME=RUN,RUN as (name, folders)."""
    name, equals, runs = text.partition("=")
    folders = [run for run in runs.split(",") if run]
    if not (name and equals and folders):
        raise argparse.ArgumentTypeError(f"expected NAME=RUN,RUN, got {text!r}")
    return name, folders


def main(argv: list[str] | None = None) -> int:
    """Writes the three files; 2 for runs that cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="path of the files to write, without ending")
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs; one with several seeds is a group")
    parser.add_argument("--group", action="append", type=group, default=[], metavar="NAME=RUN,RUN")
    parser.add_argument("--at", type=float, help="samples to compare at; default: the most that all reached")
    parser.add_argument("--minutes", type=float, help="training time to compare at; default: likewise")
    parser.add_argument("--baseline", help="name of the run or group to compare with; default: the first")
    parser.add_argument("--title", default="Training runs compared")
    parser.add_argument("--note", type=Path, help="text that goes on top of the page")
    args = parser.parse_intermixed_args(argv)
    try:
        entries = study.read_entries(args.runs, args.group)
        result = study.compare(entries, args.at, args.minutes, args.baseline)
        note = args.note.read_text() if args.note else ""
    except (OSError, ValueError) as error:
        print(f"compare_runs: {error}", file=sys.stderr)
        return 2
    out = args.out.with_suffix("") if args.out.suffix in (".md", ".json", ".png") else args.out
    out.parent.mkdir(parents=True, exist_ok=True)
    page, data, picture = (out.with_name(out.name + ending) for ending in (".md", ".json", ".png"))
    study_plot.draw(result, picture)
    data.write_text(study_text.to_json(result))
    page.write_text(study_text.to_markdown(result, args.title, picture.name, note))
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
