"""Build the stitched trajectory graph of some clips: from which frames of other skills each frame can be taken up.

    python scripts/build_graph.py MOTIONS OUT.npz [--picture OUT.png] [--json OUT.json]
    python scripts/build_graph.py MOTIONS OUT.npz --preset reference --without-ball code

MOTIONS is a file or a folder of clips of two labels or more, or "shipped". --without-ball: weights for labels without
ball, those of the published graph ("shipped") or of the published code ("code"). Prints what was found, by pairs of
labels. The similarity and the file are described in docs/stitching.md. Exit status: 0, or 2 for what cannot be built.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.stitching import BODY_WEIGHTS, GraphOptions, StitchedGraph, build_graph, read_graph, save_graph
from mjx_skillmimic.stitching.summary import markdown, summarise


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", metavar="MOTIONS", help="a file, a folder, or a shipped clip's name")
    parser.add_argument("out", metavar="OUT", type=Path, help="the graph, .npz")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="which frames lead where, and histograms")
    parser.add_argument("--json", type=Path, help="the numbers of the picture")
    parser.add_argument("--preset", choices=("default", "reference"), default="default")
    parser.add_argument("--without-ball", choices=sorted(BODY_WEIGHTS), default="shipped", metavar="SET")
    parser.add_argument("--least-similarity", type=float, metavar="S", help="below it, no donor (default: 1e-10)")
    parser.add_argument("--key-bodies", choices=("stored", "fk"), default="stored", help="default: stored (published)")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    arguments = parse(argv)
    try:
        if arguments.out.suffix != ".npz" or arguments.out.is_dir():
            raise ValueError(f"OUT: found {str(arguments.out)!r}; expected the name of a .npz file")
        options = options_of(arguments)
        clips = library.load_clips(arguments.motions)
        missing = "published" if arguments.preset == "reference" else "bridged"
        motions = table.build_table(clips, humanoid_skeleton(), key_bodies=arguments.key_bodies, missing=missing)
        began = time.perf_counter()
        graph = with_progress(motions, options)
        seconds = time.perf_counter() - began
        made = {"key_bodies": arguments.key_bodies, "seconds": round(seconds, 2)}
        file = read_graph(save_graph(arguments.out, graph, clips, options, **made))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    summary = summarise(file)
    print(markdown(summary))
    print(f"\nfound in {seconds:.1f} s; wrote {arguments.out}")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")
    if arguments.picture is not None:
        from mjx_skillmimic.viewing.graph_picture import draw_graph

        print(f"wrote {draw_graph(file, arguments.picture)}")
    return 0


def options_of(arguments: argparse.Namespace) -> GraphOptions:
    """The preset with what was asked for beside it."""
    preset = GraphOptions.reference() if arguments.preset == "reference" else GraphOptions.default()
    options = dataclasses.replace(preset, without_ball=BODY_WEIGHTS[arguments.without_ball])
    if arguments.least_similarity is None:
        return options
    return dataclasses.replace(options, least_similarity=arguments.least_similarity)


def with_progress(motions: table.MotionTable, options: GraphOptions) -> StitchedGraph:
    """Builds the graph under a bar, which goes to the standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("records", total=None)
        return build_graph(motions, options, lambda done, total: bar.update(task, completed=done, total=total))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
