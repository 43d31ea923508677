"""Make, check and picture the clips that ship with the project (docs/clips.md).

Examples:
    python scripts/make_clips.py --out mjx_skillmimic/motion/clips
    python scripts/make_clips.py --out /tmp/clips --only throw_catch --check
    MUJOCO_GL=egl python scripts/make_clips.py --out /tmp/clips --sheets docs/images/clips
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mjx_skillmimic.motion.npz_format import load_clip_npz, save_clip
from mjx_skillmimic.motion.synthesis import checks
from mjx_skillmimic.motion.synthesis.skills import NAMES, skill


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the .npz files")
    parser.add_argument("--only", choices=NAMES, action="append", help="make this clip only; may be repeated")
    parser.add_argument("--check", action="store_true", help="print what every clip must hold; exit 1 if one fails")
    parser.add_argument("--sheets", type=Path, help="also draw key frames of each clip, and write what it holds, here")
    return parser.parse_args()


def main() -> int:
    """Make the clips; the exit status."""
    args = arguments()
    failed = 0
    for name in args.only or NAMES:
        from mjx_skillmimic.motion.synthesis.assemble import make_clip

        path = save_clip(make_clip(skill(name).make()), args.out / f"{name}.npz")
        clip = load_clip_npz(path)
        print(f"{path}: {clip.num_frames} frames, {path.stat().st_size / 1000:.0f} kB")
        results = checks.check(clip) if args.check or args.sheets else []
        if args.check:
            print(checks.describe(clip, results))
            failed += sum(not result.passed for result in results)
        if args.sheets:
            from mjx_skillmimic.motion.synthesis.sheets import save_sheet

            save_sheet(clip, args.sheets / f"{name}.png", **getattr(skill(name), "SHEET", {}))
            numbers = {r.name: {"value": float(r.value), "unit": r.unit, "passed": bool(r.passed)} for r in results}
            (args.sheets / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n")
    if failed:
        print(f"{failed} checks failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
