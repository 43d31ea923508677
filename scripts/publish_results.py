"""Turns finished runs into a page of results: numbers, curves, videos and key frames.

python scripts/publish_results.py runs/catch runs/layup --out docs/results/skills --notes notes.md

Writes OUT.json, OUT.md, OUT.png and, for each run, OUT_<run>.mp4 and OUT_<run>.png. A run's folder needs config.json,
run.json, metrics.jsonl and policy.npz (evaluations.jsonl if there is one), and its clips must be found: at the
configured path, or under --motion-root. Every policy is evaluated anew, by default with MuJoCo C. The policy itself is
published by scripts/publish_policy.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mjx_skillmimic.viewing.gl import BACKENDS

BASELINE = Path("docs/results/baseline_experiment.json")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix, e.g. docs/results/skills")
    parser.add_argument("--motion-root", type=Path, help="folder under which the runs' motion paths are looked for")
    parser.add_argument("--engine", action="append", help="evaluates with it; may be repeated (default mujoco)")
    parser.add_argument("--episodes", type=int, default=96, help="from random start frames, a run (default 96)")
    parser.add_argument("--seed", type=int, default=0, help="of the random start frames")
    parser.add_argument("--baseline", type=Path, help=f"earlier figures to compare with (default {BASELINE})")
    parser.add_argument("--notes", type=Path, help="Markdown that is put at the top of the page")
    parser.add_argument("--renderer", default="software", choices=("auto", *BACKENDS), help="who draws the videos")
    args = parser.parse_args(argv)
    if args.baseline is None and BASELINE.is_file():
        args.baseline = BASELINE
    return args


def command(args: argparse.Namespace) -> str:
    """The command line for the page, without the folders of this machine."""
    words = ["python scripts/publish_results.py", *(f"runs/{run.resolve().name}" for run in args.runs)]
    words += [f"--out docs/results/{args.out.name}", f"--episodes {args.episodes}", f"--seed {args.seed}"]
    return " ".join([*words, *(f"--engine {engine}" for engine in args.engine or [])])


def main(argv: list[str] | None = None) -> int:
    """Writes the page and says where; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.evaluation.publish import PublishOptions, publish
    from mjx_skillmimic.viewing.video import VideoError

    try:
        options = PublishOptions(
            motion_root=args.motion_root,
            engines=tuple(args.engine or ["mujoco"]),
            episodes=args.episodes,
            seed=args.seed,
            baseline=json.loads(args.baseline.read_text()) if args.baseline else None,
            notes=args.notes.read_text() if args.notes else "",
            command=command(args),
            renderer=args.renderer,
        )
        written = publish(args.runs, args.out, options, say=lambda line: print(line, flush=True))
    except (FileNotFoundError, ValueError, KeyError, ImportError, VideoError) as error:
        print(f"publish_results: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
