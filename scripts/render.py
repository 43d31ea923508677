"""Shows a policy or a clip: a self-contained HTML page and an MP4, the reference as a translucent ghost.

python scripts/render.py --policy runs/x --out runs/x/render
python scripts/render.py --policy ballplay-layup --motion BallPlay-M/layup --out runs/layup
python scripts/render.py --motion throw_catch --out runs/clip
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mjx_skillmimic.evaluation.policies import BASELINES
from mjx_skillmimic.viewing.gl import BACKENDS


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policy",
        help=f"a run's folder, a policy file, a shipped policy's name, or {', '.join(BASELINES)}; without: the clip",
    )
    parser.add_argument("--motion", help="clip name, file or folder; default: the run's own")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; OUT.html and OUT.mp4 are written")
    parser.add_argument("--start", type=int, default=2, help="first frame (default 2)")
    parser.add_argument("--clips", type=int, default=4, help="at most so many clips of the motion (default 4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", help="auto, mujoco, mjx-jax or mjx-warp; default: the run's own")
    parser.add_argument("--size", default="640x480", help="of the MP4 (default 640x480)")
    parser.add_argument("--renderer", default="auto", choices=("auto", *BACKENDS), help="who draws the MP4")
    parser.add_argument("--no-ghost", action="store_true", help="an MP4 without the reference")
    parser.add_argument(
        "--only", nargs="+", choices=("html", "mp4", "sheet"), default=["html", "mp4"],
        help="what to write: a 3-D page, videos, key frames as one PNG a clip (default html mp4)",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, help="bytes of each video: size and quality give way (default: none)")
    args = parser.parse_args(argv)
    if args.policy is None and args.motion is None:
        parser.error("give --policy, --motion or both")
    return args


def trajectories(args: argparse.Namespace) -> list:
    """What to show, one a clip."""
    from mjx_skillmimic.viewing import sources

    if args.policy is None:
        from mjx_skillmimic.model.scene import build_scene
        from mjx_skillmimic.motion.library import load_clips

        scene = build_scene()
        return [sources.clip_trajectory(clip, scene) for clip in load_clips(args.motion)[: args.clips]]
    from mjx_skillmimic.evaluation import setup
    from mjx_skillmimic.evaluation.policies import make_agent

    env = setup.make_env(args.policy, args.motion, args.engine)
    agent = make_agent(args.policy, env)
    shown = range(min(len(env.clips), args.clips))
    recorder = sources.make_recorder(env, agent, max(env.clips[i].num_frames for i in shown))
    return [sources.rollout_trajectory(env, agent, i, args.start, args.seed, recorder) for i in shown]


def main(argv: list[str] | None = None) -> int:
    """Writes the files and prints where they are; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.viewing import gl
    from mjx_skillmimic.viewing.html import write_html
    from mjx_skillmimic.viewing.results import write_sheet, write_small_video
    from mjx_skillmimic.viewing.video import write_video

    try:
        width, height = (int(n) for n in args.size.split("x"))
        shown = trajectories(args)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"render: {error}", file=sys.stderr)
        return 2
    if "html" in args.only:
        page = write_html(shown, args.out.with_name(f"{args.out.name}.html"))
        print(f"page   {page}  ({page.stat().st_size / 1e6:.1f} MB, opens without a network)")
    for i, trajectory in enumerate(shown):
        name = args.out.name if len(shown) == 1 else f"{args.out.name}_{i}"
        if "sheet" in args.only:
            path = args.out.with_name(f"{name}.png")
            write_sheet(trajectory, path)
            print(f"sheet  {path}")
        if "mp4" in args.only:
            began = time.perf_counter()
            path = args.out.with_name(f"{name}.mp4")
            if args.limit:
                video = write_small_video(trajectory, path, args.limit)
            else:
                video = write_video(trajectory, path, width, height, not args.no_ghost, args.renderer)
            seconds = time.perf_counter() - began
            print(f"video  {video.path}  ({trajectory.num_frames} frames by {video.backend} in {seconds:.0f} s)")
            if video.backend == gl.SOFTWARE and video.failures:
                print(gl.HELP, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
