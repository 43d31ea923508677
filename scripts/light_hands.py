"""Measures what light hands (two hinges a finger) lose on clips: axes of the fingers, fingertips, reward factors.

    python scripts/light_hands.py --motion shipped path/to/BallPlay-M --json docs/results/light_hands.json

Prints and writes, for each collection, the axis that every finger segment turns about most, and how far the fingertips
of the projected clips are from the clips' own (docs/light_hands.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Prints and writes the report; 2 for a request that cannot be met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", nargs="+", default=["shipped"], help="shipped, a clip's name, a file or a folder")
    parser.add_argument("--preset", default="light", help="of the scene")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args(argv)
    from mjx_skillmimic.evaluation import light_hands
    from mjx_skillmimic.model.options import scene_options
    from mjx_skillmimic.model.scene import build_scene
    from mjx_skillmimic.motion.errors import MotionFormatError
    from mjx_skillmimic.motion.library import load_clips, motion_hash

    try:
        collections = {Path(motion).name: load_clips(motion) for motion in args.motion}
        scene = build_scene(scene_options(args.preset))
    except (FileNotFoundError, MotionFormatError, KeyError) as error:
        print(f"light_hands: {error}", file=sys.stderr)
        return 2
    document = {
        "command": f"python scripts/light_hands.py --motion {' '.join(collections)}",
        "preset": args.preset,
        "motion_hash": {name: motion_hash(clips) for name, clips in collections.items()},
        "collections": light_hands.hand_report(scene, collections),
    }
    for name, found in document["collections"].items():
        print(name)
        for part in ("axes", "skills"):
            for key, row in found[part].items():
                print(f"  {key:10s} {json.dumps(row)}")
        print(f"  {'total':10s} {json.dumps(found['total'])}")
    if args.json:
        args.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
