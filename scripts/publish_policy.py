"""Puts a finished run's policy into the package, in half precision and with a model card.

python scripts/publish_policy.py runs/layup --name ballplay-layup --motion BallPlay-M/layup --evaluate --limits "…"
python scripts/publish_policy.py runs/layup --name ballplay-layup --evaluation runs/layup/evaluation.json
python scripts/publish_policy.py runs/heading --name heading-seven --evaluation runs/table3.json --limits "…"
python scripts/publish_policy.py --refresh docs/pretrained.md

Writes NAME.npz, NAME.json (the card) and NAME.md (the card to read). A run's folder needs config.json, run.json,
metrics.jsonl and policy.npz; its clips must be at hand, they are named in the card. --evaluate runs whole clips in
MuJoCo C with the half-precision file: each clip from frame 2, and from random start frames with three seeds. A policy
that chooses among skills has the JSON of scripts/reproduce.py table3, or --evaluate makes that table; its low-level
policy must be a shipped one.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mjx_skillmimic import pretrained


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--name", help="of the policy, lower case with hyphens, e.g. ballplay-layup")
    parser.add_argument("--motion", help="where the run's clips are; default: where its configuration says")
    parser.add_argument(
        "--evaluation",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        help="JSON of scripts/evaluate.py and the like",
    )
    parser.add_argument("--evaluate", action="store_true", help="evaluate now; so too where no --evaluation is given")
    parser.add_argument("--episodes", type=int, default=32, help="of --evaluate, for each seed (default 32)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of --evaluate (default 0 1 2)")
    parser.add_argument("--limits", default="", help="what the policy cannot do, in words")
    parser.add_argument("--command", help="the training command; default: reconstructed from config.json")
    parser.add_argument("--steps-before", type=int, help="env steps of what the run continues (run.init_from)")
    parser.add_argument("--out", type=Path, default=pretrained.folder(), help="folder (default: the package's)")
    parser.add_argument(
        "--refresh", type=Path, metavar="DOCUMENT", help="write every NAME.md, and the table in this document, anew"
    )
    args = parser.parse_args(argv)
    if (args.run is None) != (args.name is None) or (args.run is None and args.refresh is None):
        parser.error("give RUN and --name, --refresh, or all three")
    return args


def main(argv: list[str] | None = None) -> int:
    """Writes the files and says where; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.pretrained.publish import Publication, publish, refresh

    written: list[Path] = []
    try:
        if args.run is not None:
            wanted = Publication(
                name=args.name,
                motion=args.motion,
                documents=[json.loads(path.read_text()) for path in args.evaluation],
                episodes=args.episodes if args.evaluate or not args.evaluation else 0,
                seeds=args.seeds,
                limits=args.limits,
                command=args.command,
                steps_before=args.steps_before,
            )
            written += publish(args.run, args.out, wanted)
        if args.refresh is not None:
            written += refresh(args.out, args.refresh)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"publish_policy: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
