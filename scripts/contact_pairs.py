"""Counts which pairs of bodies touch in the frames of clips, and how many contacts each kind of pair makes.

    python scripts/contact_pairs.py --motion shipped path/to/BallPlay-M --json docs/results/contact_pairs.json

Frames are taken as they are. For each preset of the scene and each collection: contacts a frame by kind, and the pairs
of bodies that touch most often (docs/light_hands.md).
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
    parser.add_argument("--presets", default="reference,default,light", help="of the scene, comma-separated")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args(argv)
    from mjx_skillmimic.evaluation.contact_pairs import pair_report
    from mjx_skillmimic.model.options import scene_options
    from mjx_skillmimic.model.scene import build_scene
    from mjx_skillmimic.motion.errors import MotionFormatError
    from mjx_skillmimic.motion.library import load_clips, motion_hash

    try:
        collections = {Path(motion).name: load_clips(motion) for motion in args.motion}
        scenes = {preset: build_scene(scene_options(preset)) for preset in args.presets.split(",")}
    except (FileNotFoundError, MotionFormatError, KeyError) as error:
        print(f"contact_pairs: {error}", file=sys.stderr)
        return 2
    document = {
        "command": f"python scripts/contact_pairs.py --motion {' '.join(collections)} --presets {args.presets}",
        "motion_hash": {name: motion_hash(clips) for name, clips in collections.items()},
        "presets": {preset: pair_report(scene, collections) for preset, scene in scenes.items()},
    }
    for preset, report in document["presets"].items():
        for name, found in report.items():
            print(f"{preset}, {name}: {found['contacts_a_frame']} contacts a frame")
            for kind, row in found["kinds"].items():
                print(f"  {kind:11s} {json.dumps(row)}")
            for row in found["self_pairs"]:
                print(f"  {row[0]:10s} {row[1]:10s} {row[2]:11s} {row[3]:7.4f} {row[4]:5.1f} mm")
    if args.json:
        args.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
