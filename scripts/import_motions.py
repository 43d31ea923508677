"""Convert motion files (.pt or .npz, a file or a folder) into the project's .npz clips, and report on them.

    python scripts/import_motions.py SRC OUT [--skill N] [--fps F] [--source S] [--licence L] [--force]
    python scripts/import_motions.py --check SRC

Exit status: 0 if every file is sound, 1 if some are not (the others are converted), 2 if nothing could be done.
The formats and the warnings are described in docs/motion_format.md.
"""

from __future__ import annotations

import argparse
import sys

from mjx_skillmimic.motion.library import Metadata
from mjx_skillmimic.motion.report import import_motions, render_text


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments, with SRC alone allowed under --check only."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n", 1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("src", metavar="SRC", help="a .pt or .npz file, or a folder that is searched recursively")
    parser.add_argument("out", metavar="OUT", nargs="?", help="folder for the .npz clips and the report")
    parser.add_argument("--check", action="store_true", help="only report; write nothing")
    parser.add_argument("--skill", type=int, help="label 0-63 of every clip, instead of what the file says")
    parser.add_argument("--fps", type=float, help="frames a second of every clip (.pt files: 60 unless given)")
    parser.add_argument("--source", help="where the clips come from, kept in each file")
    parser.add_argument("--licence", help="the terms they may be used under, kept in each file")
    parser.add_argument("--force", action="store_true", help="overwrite what is in OUT")
    arguments = parser.parse_args(argv)
    if arguments.check == (arguments.out is not None):
        parser.error("give either SRC and OUT, or --check and SRC")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Runs the import and answers the exit status."""
    arguments = parse(argv)
    metadata = Metadata(arguments.skill, arguments.fps, arguments.source, arguments.licence)
    try:
        report = import_motions(arguments.src, arguments.out, metadata=metadata, force=arguments.force)
    except OSError as error:
        print(f"import_motions: {error}", file=sys.stderr)
        return 2
    sys.stdout.write(render_text(report))
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
