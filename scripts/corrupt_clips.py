"""Write clips with noise on the ball's position, and with frames lost where it bounces, as another set of clips.

    python scripts/corrupt_clips.py SRC OUT --kind masked --sigma 0.02 [--seed N] [--force]

SRC is a file, a folder or a shipped clip's name and stays as it is. The kinds are described in docs/motion_format.md.
"""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from mjx_skillmimic.motion.corruption import Kind, corrupt_clips


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("src", metavar="SRC", help="a .pt or .npz file, a folder, or the name of a shipped clip")
    parser.add_argument("out", metavar="OUT", help="folder for the .npz clips; paths within SRC are kept")
    parser.add_argument("--kind", choices=get_args(Kind), required=True, help="what happens to the ball")
    parser.add_argument("--sigma", type=float, required=True, help="metres: each axis is moved by U[-sigma, sigma]")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: 0)")
    parser.add_argument("--force", action="store_true", help="overwrite what is in OUT")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the clips and answers the exit status: 0, or 2 if nothing could be written."""
    chosen = parse(argv)
    try:
        made = corrupt_clips(chosen.src, chosen.out, chosen.kind, chosen.sigma, seed=chosen.seed, force=chosen.force)
    except (OSError, ValueError) as error:
        print(f"corrupt_clips: {error}", file=sys.stderr)
        return 2
    for clip in made:
        lost = f", frames {', '.join(map(str, clip.lost))} missing" if clip.lost else ""
        ratio = f"{clip.moved_m / chosen.sigma:.3f} sigma"
        print(f"{clip.output}: {clip.frames} frames, ball moved by {1000 * clip.moved_m:.1f} mm ({ratio}){lost}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
