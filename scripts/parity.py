#!/usr/bin/env python
"""Compares this project with published numbers: `parity.py golden DIR` checks a folder of golden vectors."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path


def golden(args: argparse.Namespace) -> int:
    """Prints the table of a folder of golden vectors; 0 if everything that is covered passes."""
    from mjx_skillmimic.evaluation.golden import locate, report

    if args.data:
        os.environ[locate.DATA_VARIABLE] = args.data
    try:
        result = report.run_folder(args.folder)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.format_table(result))
    if args.json:
        Path(args.json).write_text(json.dumps(result.as_json(), indent=2) + "\n")
    return 0 if result.passed else 1


def parser() -> argparse.ArgumentParser:
    """The command line; one subcommand a kind of comparison."""
    root = argparse.ArgumentParser(description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "golden",
        help="golden vectors of pure functions",
        description="Exit status: 0 all pass, 1 something failed, 2 no such folder or no vectors in it.",
    )
    one.add_argument("folder", metavar="DIR", help="folder of .npz files")
    one.add_argument("--json", metavar="OUT", help="also write the results here")
    one.add_argument(
        "--data",
        metavar="DIR",
        help="published clips, for files that name them (default: $MJX_SKILLMIMIC_DATA, else ../shared/data)",
    )
    one.set_defaults(run=golden)
    return root


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    args = parser().parse_args(argv)
    return args.run(args)


if __name__ == "__main__":
    # golden vectors are float32 on the CPU; an accelerator would only add its start-up time
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
