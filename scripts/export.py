"""Exports the motion of a policy or a clip for programs outside: body poses as .npz, an animated scene as .glb.

python scripts/export.py --policy shipped-six --motion throw_catch --out runs/throw_catch
python scripts/export.py --motion throw_catch --out runs/clip --format gltf

The .glb opens in Blender (File > Import > glTF 2.0) and in any glTF viewer; it needs pip install -e '.[export]'.
What is in the files: docs/pictures.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.evaluation.policies import BASELINES

FORMATS = ("npz", "gltf")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policy",
        help=f"a run's folder, a policy file, a shipped policy's name, or {', '.join(BASELINES)}; without: the clip",
    )
    parser.add_argument("--motion", help="clip name, file or folder; default: the run's own")
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; OUT.npz and OUT.glb are written")
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=list(FORMATS), help="default: npz gltf")
    parser.add_argument("--start", type=int, default=2, help="first frame of an episode (default 2)")
    parser.add_argument("--clips", type=int, default=1, help="at most so many clips of the motion (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", help="auto, mujoco, mjx-jax or mjx-warp; default: the run's own")
    parser.add_argument("--no-ghost", action="store_true", help="a .glb without the reference")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the files and prints where they are; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.viewing import export_poses, gltf, gltf_buffer, recordings

    try:
        if "gltf" in args.format:
            gltf_buffer.library()
        shown = recordings.record(args.policy, args.motion, args.clips, args.start, args.seed, args.engine)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    for i, trajectory in enumerate(shown.trajectories):
        poses = export_poses.poses(trajectory, shown.skeleton.names, shown.skeleton.parents)
        written = []
        if "npz" in args.format:
            written.append(export_poses.write_npz(poses, shown.paths(args.out, ".npz")[i]))
        if "gltf" in args.format:
            written.append(gltf.write_glb(trajectory, poses, shown.paths(args.out, ".glb")[i], not args.no_ghost))
        what = f"{trajectory.title}, {trajectory.num_frames} frames at {trajectory.fps:g} Hz"
        for path in written:
            print(f"{path}  ({path.stat().st_size / 1e6:.2f} MB: {what})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
