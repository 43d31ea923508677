"""How many transitions between skills some clips offer, by distance (docs/imitation.md, "Transitions between skills").

    python scripts/transitions.py CLIPS [--skills 1 5 11] [--distance 0.2 0.3 0.4]

Prints a Markdown table: of the frames of each label, how many per cent have a frame of each other label nearer than the
distances, in their order.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.envs import transitions
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion import library, table


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="a file, a folder or a shipped clip's name")
    parser.add_argument("--skills", type=int, nargs="+", help="only clips of these labels")
    parser.add_argument("--distance", type=float, nargs="+", default=[0.2, 0.3, 0.4], metavar="M")
    options = parser.parse_args(arguments)
    try:
        clips = library.load_clips(options.clips)
    except (FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    clips = [clip for clip in clips if options.skills is None or clip.skill in options.skills]
    if len({clip.skill for clip in clips}) < 2:
        print(f"error: expected clips of two labels, found {sorted({c.skill for c in clips})}", file=sys.stderr)
        return 2
    motions = table.build_table(clips, humanoid_skeleton(), key_bodies="fk")
    for line in transitions.summary(motions, options.distance):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
