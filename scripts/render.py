"""Shows a policy or a clip: a 3-D page, a video, pictures, key frames; the reference as a translucent ghost.

Of a policy that chooses among skills it shows episodes of its task, with the goal and the skill that was chosen.

python scripts/render.py --policy runs/x --out runs/x/render
python scripts/render.py --policy ballplay-layup --motion BallPlay-M/layup --out runs/layup
python scripts/render.py --motion throw_catch --out runs/clip --only sheet
python scripts/render.py --policy runs/x --out runs/x/render --only images --every 10 --size 1920x1080
python scripts/render.py --policy runs/heading --out runs/heading/render --only gif sheet --seconds 8 --takes 10
python scripts/render.py --policy ballplay-seven --begin "ball on the floor" --tell 1:2.5 13:3 31:2.2 --out runs/take

MUJOCO_GL=egl, osmesa or glfw chooses how OpenGL draws; without any of them a software renderer does (docs/pictures.md).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mjx_skillmimic.evaluation.policies import BASELINES
from mjx_skillmimic.viewing.gl import BACKENDS

KINDS = ("html", "mp4", "sheet", "images", "gif")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policy",
        help=f"a run's folder, a policy file, a shipped policy's name, or {', '.join(BASELINES)}; without: the clip",
    )
    parser.add_argument("--task", help="high-level task of zero, random or label:13, such as Heading")
    parser.add_argument("--motion", help="clip name, file or folder; default: the run's own")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; OUT.html and OUT.mp4 are written")
    parser.add_argument(
        "--tell",
        nargs="+",
        metavar="LABEL:SECONDS",
        help="one episode in which these skills are told in turn",
    )
    parser.add_argument("--begin", metavar="NAME", help="of --tell or a task: the clip or start state to begin in")
    parser.add_argument("--takes", type=int, default=1, help="of --tell or a task: tries until it succeeds (default 1)")
    parser.add_argument("--start", type=int, default=2, help="first frame (default 2)")
    parser.add_argument(
        "--clips", type=int, help="at most so many clips (default 4), or episodes of a task (default 1)"
    )
    parser.add_argument("--seconds", type=float, help="of an episode of a task, at most (default: all of it)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", help="auto, mujoco, mjx-jax or mjx-warp; default: the run's own")
    parser.add_argument("--size", help="of video and pictures (default 640x480; of a GIF 480x360)")
    parser.add_argument("--renderer", default="auto", choices=("auto", *BACKENDS), help="who draws video and pictures")
    parser.add_argument("--no-ghost", action="store_true", help="video and pictures without the reference")
    parser.add_argument(
        "--only", nargs="+", choices=KINDS,
        help="what to write: a 3-D page, videos, key frames as one PNG a clip, a folder of PNGs, a small GIF "
        "(default html mp4)",
    )  # fmt: skip
    parser.add_argument("--save_images", action="store_true", help="also frames as PNGs in the folder OUT_frames")
    parser.add_argument("--every", type=int, default=1, help="frames from one PNG to the next (default 1)")
    parser.add_argument("--frames", type=int, default=6, help="at most so many key frames on a sheet (default 6)")
    parser.add_argument("--limit", type=int, help="bytes of each video or GIF: size, quality, colours give way")
    args = parser.parse_args(argv)
    if args.policy is None and args.motion is None:
        parser.error("give --policy, --motion or both")
    if (args.tell or args.task) and args.policy is None:
        parser.error(f"{'--tell' if args.tell else '--task'} needs a --policy")
    args.only = [*(args.only or ("html", "mp4")), *(["images"] if args.save_images else [])]
    return args


def main(argv: list[str] | None = None) -> int:
    """Writes the files and prints where they are; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.viewing import contact_sheet, gif, gl, images, recordings, results, video
    from mjx_skillmimic.viewing.html import write_html

    try:
        width, height = (int(n) for n in (args.size or "640x480").split("x"))
        if args.tell:
            shown = recordings.record_take(
                args.policy, args.tell, args.motion, args.begin, args.takes, args.seed, say=print
            )
        elif recordings.is_task(args.policy, args.task):
            if args.engine not in (None, "mujoco"):
                raise ValueError(f"--engine {args.engine}: episodes of a high-level task are shown in mujoco")
            episodes = 1 if args.clips is None else args.clips
            shown = recordings.record_task(
                args.policy,
                args.motion,
                args.task,
                episodes,
                args.seconds,
                args.begin,
                args.takes,
                args.seed,
                say=print,
            )
        else:
            clips = 4 if args.clips is None else args.clips
            shown = recordings.record(args.policy, args.motion, clips, args.start, args.seed, args.engine)
        if "html" in args.only:
            page = write_html(shown.trajectories, args.out.with_name(f"{args.out.name}.html"))
            print(f"page   {page}  ({page.stat().st_size / 1e6:.1f} MB, opens without a network)")
        for i, trajectory in enumerate(shown.trajectories):
            drawn: list[images.Images | video.Video] = []
            if "sheet" in args.only:
                path = shown.paths(args.out, ".png")[i]
                contact_sheet.write_sheet(trajectory, path, count=args.frames)
                print(f"sheet  {path}")
            began = time.perf_counter()
            look = (width, height, not args.no_ghost, args.renderer)
            if "mp4" in args.only:
                path = shown.paths(args.out, ".mp4")[i]
                if args.limit:
                    drawn.append(results.write_small_video(trajectory, path, args.limit))
                else:
                    drawn.append(video.write_video(trajectory, path, *look))
                seconds = time.perf_counter() - began
                print(f"video  {path}  ({trajectory.num_frames} frames by {drawn[-1].backend} in {seconds:.0f} s)")
            if "gif" in args.only:
                path = shown.paths(args.out, ".gif")[i]
                small = (width, height) if args.size else (480, 360)
                options = {"ghost": not args.no_ghost, "backend": args.renderer, "limit": args.limit}
                drawn.append(gif.write_gif(trajectory, path, *small, **options))
                print(f"gif    {path}  ({path.stat().st_size / 1e6:.2f} MB by {drawn[-1].backend})")
            if "images" in args.only:
                folder = shown.paths(args.out, "_frames")[i]
                made = images.write_images(trajectory, folder, *look, args.every)
                drawn.append(made)
                print(f"images {folder}  ({len(made.paths)} of {trajectory.num_frames} frames by {made.backend})")
            if any(result.backend == gl.SOFTWARE and result.failures for result in drawn):
                print(gl.HELP, file=sys.stderr)
    except (FileNotFoundError, ValueError, KeyError, ImportError, video.VideoError) as error:
        print(f"render: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
