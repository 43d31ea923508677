"""Draws runs: learning curves, reward factors, success by skill, comparison at equal samples; a PNG and an HTML page.

python scripts/plot.py runs/x
python scripts/plot.py full=runs/a,runs/b,runs/c sum=runs/d,runs/e --out runs/compare --at 20e6
python scripts/plot.py runs/x --only factors --format png

A folder of several seeds (run.seeds) is one curve with a band, and so is NAME=FOLDER,FOLDER. The page works without a
network; it needs pip install -e '.[plots]'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.viewing import curves, panels, plot_page, plots

FORMATS = ("png", "html")


def main(argv: list[str] | None = None) -> int:
    """Writes the files; 2 for runs that hold nothing to draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="folders of runs, or NAME=FOLDER,FOLDER")
    parser.add_argument("--out", type=Path, help="path without suffix; default: curves in the first run's folder")
    parser.add_argument("--format", nargs="+", choices=FORMATS, help="default: png, and html where plotly is installed")
    parser.add_argument("--only", nargs="+", choices=panels.SECTIONS, default=panels.SECTIONS, help="default: all")
    parser.add_argument("--at", type=float, help="samples to compare at; default: the most that all reached")
    args = parser.parse_args(argv)
    try:
        groups = curves.read_groups(args.runs)
        names = [group.name for group in groups]
        shown = panels.sections(groups, args.only, args.at)
        out = args.out or Path(args.runs[0].partition("=")[2].split(",")[0] or args.runs[0]) / "curves"
        out = out.with_suffix("") if out.suffix in (".png", ".html") else out
        if args.format is None or "png" in args.format:
            print(plots.draw(shown, names, out.with_name(f"{out.name}.png")))
        if args.format is None or "html" in args.format:
            print(plot_page.write_page(shown, names, out.with_name(f"{out.name}.html")))
    except plot_page.PlotPageError as error:
        print(f"plot: {error}", file=sys.stderr)
        return 2 if args.format else 0
    except ValueError as error:
        print(f"plot: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
