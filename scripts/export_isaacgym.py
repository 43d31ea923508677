"""Writes what the recorder beside Isaac Gym needs: the humanoid, start states with targets, and a policy.

python scripts/export_isaacgym.py runs/isaacgym --policy shipped-six
python scripts/export_isaacgym.py runs/isaacgym --policy shipped-six --trace runs/physx.npz

OUT gets humanoid.xml, scene.json, starts.npz, policy.npz, policy.json, and python/: the modules of the recorder.
How to record with them: docs/isaacgym.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--policy", default="shipped-six", help="a run's folder, a policy file or a shipped policy")
    parser.add_argument("--motion", help="clips; default: those of the policy")
    parser.add_argument("--trace", type=Path, help="a trace whose courses are to be replayed instead of the clips")
    parser.add_argument("--courses", type=int, default=32, help="start states drawn from the clips (default 32)")
    parser.add_argument("--steps", type=int, default=60, help="longest course in control steps (default 60, 1 s)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the folder and prints what is in it; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.evaluation.setup import make_clip_env
    from mjx_skillmimic.interop.isaacgym import portable, starts
    from mjx_skillmimic.interop.isaacgym.export import export_mjcf
    from mjx_skillmimic.interop.isaacgym.record_isaacgym import STARTS_FILE
    from mjx_skillmimic.interop.trace import read_trace, write_trace

    try:
        env = make_clip_env(args.policy, args.motion, "mujoco", "what can be exported is its low-level policy")
        export_mjcf(env.scene, args.out)
        starts.export_policy(args.policy, args.out, env.options.observation, env.options.action)
        trace = read_trace(args.trace) if args.trace else starts.clip_starts(env, args.courses, args.steps, args.seed)
        write_trace(args.out / STARTS_FILE, trace)
        portable.copy_recorder(args.out / "python")
    except (FileNotFoundError, ValueError, ImportError) as error:
        print(f"export_isaacgym: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: humanoid.xml, scene.json, policy.npz, policy.json, python/")
    print(f"{args.out / STARTS_FILE}: {len(trace.names)} courses")
    return 0


if __name__ == "__main__":
    sys.exit(main())
