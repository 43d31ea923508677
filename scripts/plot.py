"""Draws the learning curves of one or several runs into a PNG.

python scripts/plot.py runs/x --out runs/x/curves.png
python scripts/plot.py runs/a runs/b --label "lr 2e-5" --label adaptive --out compare.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.viewing.plots import plot_runs


def main(argv: list[str] | None = None) -> int:
    """Writes the picture; 2 for runs that hold nothing to draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--out", type=Path, help="default: curves.png in the first run's folder")
    parser.add_argument("--label", action="append", help="one a run, instead of the folders' names")
    args = parser.parse_args(argv)
    try:
        path = plot_runs(args.runs, args.out or args.runs[0] / "curves.png", args.label)
    except ValueError as error:
        print(f"plot: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
