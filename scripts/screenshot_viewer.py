"""Writes a screenshot of the web viewer, and a JSON beside it that says what it shows.

python scripts/screenshot_viewer.py --out docs/images/viewer.png

A policy acts for some steps, the session is paused, and a headless Chromium draws the page. Needs viser, playwright and
Chromium: pip install 'mjx_skillmimic[viewer,browser]'; Debian: apt-get install chromium.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="shipped-six", help="as for play.py (default shipped-six)")
    parser.add_argument("--motion", nargs="+", help="as for play.py (default: dribble_forward with the default policy)")
    parser.add_argument("--state_init", type=int, default=2, metavar="N", help="start frame (default 2)")
    parser.add_argument("--steps", type=int, default=75, help="control steps before the picture (default 75)")
    parser.add_argument("--size", default="1280x720", help="default 1280x720")
    parser.add_argument("--out", type=Path, required=True, help="a PNG; its numbers go to the JSON of the same name")
    args = parser.parse_args(argv)
    if args.motion is None and args.policy == "shipped-six":
        args.motion = ["dribble_forward"]
    return args


def describe(args: argparse.Namespace, session: object, width: int, height: int) -> dict[str, object]:
    """What the picture shows."""
    status = session.status  # type: ignore[attr-defined]
    return {
        "picture": f"screenshot of the web viewer in headless Chromium, {width} x {height}, session paused",
        "command": f"python scripts/screenshot_viewer.py --policy {Path(args.policy).name} --steps {args.steps}",
        "policy": Path(status.policy).name,
        "clip": session.clips[status.clip],  # type: ignore[attr-defined]
        "start_frame": args.state_init,
        "steps": status.step,
        "frame": status.frame,
        "skill": status.skill,
        "rewards": {name: round(value, 6) for name, value in sorted(status.rewards.items())},
        "joint_error_m": None if status.joint_error_m is None else round(status.joint_error_m, 6),
        "root_height_m": round(status.root_height, 6),
        "ball_height_m": round(status.ball_height, 6),
        **{name: importlib.metadata.version(name) for name in ("viser", "mujoco")},
    }


def main(argv: list[str] | None = None) -> int:
    """Writes both files; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.viewing.screenshot import NoBrowserError, take_screenshot
    from mjx_skillmimic.viewing.session import Session

    try:
        width, height = (int(n) for n in args.size.split("x"))
        session = Session(args.policy, args.motion, start=args.state_init)
        session.reset()
        path = take_screenshot(session, args.out, args.steps, width, height)
    except (FileNotFoundError, ValueError, KeyError, ImportError, RuntimeError, NoBrowserError) as error:
        print(f"screenshot_viewer: {error}", file=sys.stderr)
        return 2
    path.with_suffix(".json").write_text(json.dumps(describe(args, session, width, height), indent=2) + "\n")
    print(f"{path}  ({path.stat().st_size / 1000:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
