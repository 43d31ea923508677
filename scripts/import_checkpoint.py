"""Reads a published checkpoint (.pth, rl_games) and writes its policy as a file of this project: docs/checkpoints.md.

python scripts/import_checkpoint.py model.pth runs/published/layup.npz
python scripts/evaluate.py --policy runs/published/layup.npz --motion BallPlay-M/layup

It needs no torch and executes nothing that the file contains.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.pth", help="what the published code saved, low or high level")
    parser.add_argument("out", type=Path, metavar="OUT.npz")
    parser.add_argument("--motion", help="clips that other commands take without --motion (default: BallPlay-M)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the file and says what is in it; 2 for a checkpoint that cannot be taken."""
    args = parse(argv)
    from mjx_skillmimic.interop import published_policy
    from mjx_skillmimic.interop.rl_games import read_checkpoint
    from mjx_skillmimic.motion.skill_names import skill_name

    try:
        checkpoint = read_checkpoint(args.file)
        motion = args.motion or published_policy.PUBLISHED_MOTION
        written = published_policy.save_checkpoint(args.out, checkpoint, motion)
    except (ValueError, OSError) as error:
        print(f"import_checkpoint: {error}", file=sys.stderr)
        return 2
    counters = [f"{name} {checkpoint.origin[name]:,}" for name in ("epoch", "frame") if name in checkpoint.origin]
    print(", ".join([f"{args.file}: {checkpoint}", *counters]))
    if checkpoint.kind == "llc":
        labels = published_policy.labels_seen(checkpoint)
        print(f"skills seen in training: {', '.join(f'{x} {skill_name(x)}' for x in labels) or 'none'}")
        print(f"{written}: for evaluate.py, play.py and render.py with --policy")
    else:
        task = published_policy.task_of(checkpoint)
        print(f"task: {task[0]}, which chooses among skills {task[1]}" if task else "it fits no published task")
        print(f"{written}: kept for the project's high-level tasks, which will read it; nothing runs it yet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
