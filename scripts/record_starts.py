"""Records states that a policy reaches by itself, from which the viewers begin where its clips are not at hand.

python scripts/record_starts.py --policy ballplay-seven --motion clips/seven --table docs/viewer.md
python scripts/record_starts.py --policy runs/x

The states are written beside the policy file, as POLICY.starts.npz, and are used with this very file alone. From each
state every skill is tried, told after different delays; the table of what came of it is printed (docs/viewer.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# MuJoCo C simulates on the CPU; an accelerator would only be waited for.
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", required=True, help="a run's folder, a policy file, or a shipped policy's name")
    parser.add_argument("--motion", help="clip name, file or folder that it plays to get there; default: its own")
    parser.add_argument("--out", type=Path, help="default: beside the policy file, where the viewers look")
    parser.add_argument("--table", type=Path, metavar="DOCUMENT", help="also write the table between its marks there")
    parser.add_argument("--worlds", type=int, default=12, help="for every skill (default 12)")
    parser.add_argument("--candidates", type=int, default=6, help="for every situation (default 6)")
    parser.add_argument("--trials", type=int, default=16, help="of every key from every kept state (default 16)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.worlds, args.candidates, args.trials) < 1:
        parser.error("--worlds, --candidates and --trials: expected at least 1")
    return args


def main(argv: list[str] | None = None) -> int:
    """Writes the file and prints the table; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.evaluation.policies import policy_file
    from mjx_skillmimic.evaluation.record_starts import markdown, record, refresh
    from mjx_skillmimic.pretrained.starts import save_starts, starts_file

    sizes = f"--worlds {args.worlds} --candidates {args.candidates} --trials {args.trials} --seed {args.seed}"
    motion = f" --motion {Path(args.motion).name}" if args.motion else ""
    command = f"python scripts/record_starts.py --policy {Path(args.policy).name.removesuffix('.npz')}{motion} {sizes}"
    try:
        starts = record(
            args.policy,
            args.motion,
            worlds=args.worlds,
            each=args.candidates,
            trials=args.trials,
            seed=args.seed,
            command=command,
            say=lambda line: print(line, flush=True),
        )
        path = save_starts(starts, args.out or starts_file(policy_file(args.policy)))
        if args.table:
            refresh(args.table, starts)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"record_starts: {error}", file=sys.stderr)
        return 2
    print(markdown(starts))
    print(f"{path}  {path.stat().st_size / 1000:.0f} kB, {starts.metadata['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
