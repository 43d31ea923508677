"""Evaluates a policy: on motion clips accuracy, errors, success, survival; in a high-level task success, falls, return,
goals or baskets a minute; with 95 % intervals.

python scripts/evaluate.py --policy runs/x --episodes 256 --json runs/x/evaluation.json
python scripts/evaluate.py --policy ballplay-layup --motion BallPlay-M/layup --start random
python scripts/evaluate.py --policy zero --motion throw_catch --start random
python scripts/evaluate.py --policy runs/heading --episodes 1000
python scripts/evaluate.py --policy label:13 --task Heading
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from mjx_skillmimic.evaluation.policies import BASELINES

POLICIES = "a run's folder, a policy file, the name of a shipped policy (docs/pretrained.md)"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", required=True, help=f"{POLICIES}, {', '.join(BASELINES)}, or label:N")
    parser.add_argument("--task", help="of a baseline: Heading, Circling, Throwing, Scoring …; default: clips")
    parser.add_argument("--motion", help="clip name, file or folder; default: the run's own")
    parser.add_argument("--episodes", type=int, default=64, help="in all, dealt to the clips in turn (default 64)")
    parser.add_argument("--start", default="first", help="on clips: first (frame 2), random, or a frame number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", help="auto, mujoco, mjx-jax, mjx-warp or physx; default: the run's own")
    parser.add_argument("--preset", default="default", help="configuration of a baseline: default or reference")
    parser.add_argument("--stochastic", action="store_true", help="sample actions instead of taking their mean")
    parser.add_argument("--batch", type=int, default=1024, help="worlds at a time (default 1024)")
    parser.add_argument(
        "--import",
        nargs="+",
        default=[],
        metavar="MODULE",
        dest="modules",
        help="files or modules with your own tasks",
    )
    parser.add_argument("--json", type=Path, help="also write everything here")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Runs the evaluation; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.envs import import_tasks
    from mjx_skillmimic.evaluation import setup
    from mjx_skillmimic.evaluation.measure import measure
    from mjx_skillmimic.learning.describe import describe

    try:
        import_tasks(args.modules)
        env = setup.make_env(args.policy, args.motion, args.engine, args.preset, args.task)
        agent = setup.agent_for(args.policy, env, deterministic=not args.stochastic)
        began = time.perf_counter()
        measured = measure(env, agent, args.episodes, args.start, args.seed, args.batch)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    seconds = time.perf_counter() - began
    print(measured.text)
    print(f"{measured.frames} frames in {seconds:.1f} s, compilation included")
    if args.json:
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items() if k != "json"}
        document = {
            "settings": settings,
            "agent": {"name": agent.name, "metadata": agent.metadata},
            "run": describe(env),
            **measured.about,
            "seconds": seconds,
            "results": measured.results,
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(document, indent=2, sort_keys=True, default=str) + "\n")
        print(f"written to {args.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
