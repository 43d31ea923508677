"""Reports where the contact labels of clips and the simulator's contacts disagree, on the reference poses themselves.

python scripts/contact_report.py
python scripts/contact_report.py shipped path/to/BallPlay-M --out docs/results/contact_report

Without motions: the shipped clips, and the BallPlay-M folder of $MJX_SKILLMIMIC_DATA where it is set. OUT.json and
OUT.md are written; the columns are explained in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

BALLPLAY = "BallPlay-M"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", nargs="*", metavar="MOTION", help="shipped, a clip's name, a file or a folder")
    parser.add_argument("--preset", default="default", help="of the scene: default or reference")
    parser.add_argument("--out", type=Path, help="path without suffix; without: the totals are only printed")
    args = parser.parse_args(argv)
    if not args.motions:
        published = Path(os.environ.get("MJX_SKILLMIMIC_DATA", "")) / BALLPLAY
        given = "MJX_SKILLMIMIC_DATA" in os.environ and published.is_dir()
        args.motions = ["shipped", *([str(published)] if given else [])]
    return args


def main(argv: list[str] | None = None) -> int:
    """Prints the totals and writes the report; 2 for a request that cannot be met."""
    args = parse(argv)
    import mujoco

    from mjx_skillmimic.evaluation import contacts
    from mjx_skillmimic.model.options import PRESETS
    from mjx_skillmimic.model.scene import build_scene
    from mjx_skillmimic.motion.errors import MotionFormatError
    from mjx_skillmimic.motion.library import load_clips, motion_hash

    try:
        collections = {Path(motion).name: load_clips(motion) for motion in args.motions}
        scene = build_scene(PRESETS[args.preset])
    except (FileNotFoundError, MotionFormatError, KeyError) as error:
        print(f"contact_report: {error}", file=sys.stderr)
        return 2
    command = f"python scripts/contact_report.py {' '.join(collections)}"
    command += f" --preset {args.preset}" if args.preset != "default" else ""
    document = {
        "command": command,
        "engine": f"MuJoCo {mujoco.__version__}",
        "preset": args.preset,
        "motion_hash": {name: motion_hash(clips) for name, clips in collections.items()},
        "collections": contacts.contact_report(scene, collections),
    }
    for name, collection in document["collections"].items():
        print(name, json.dumps(collection["total"], indent=1))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        paths = [args.out.with_name(f"{args.out.name}{suffix}") for suffix in (".json", ".md")]
        paths[0].write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        paths[1].write_text(contacts.markdown(document))
        print(f"written to {paths[0]} and {paths[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
