"""Replays a dump of non-finite worlds on another engine and reports what became non-finite, and when.

    python scripts/replay_dump.py runs/catch/dumps/nonfinite_000123.npz [--engine mujoco] [--steps 60] [--all]

Step 0 is the recorded state, step 1 the one after the recorded targets, which are held from then on. Exit status: 0
when everything stayed finite, 1 when something did not, 2 for a file that is no dump.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.config import from_json
from mjx_skillmimic.learning.dump import DumpFormatError, read_dump, replay
from mjx_skillmimic.physics.registry import ENGINES


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump", type=Path, help="an .npz from the folder dumps/ of a run")
    parser.add_argument("--engine", default="mujoco", choices=("auto", *ENGINES), help="default: mujoco")
    parser.add_argument("--steps", type=int, default=60, help="control steps to replay (default: 60, one second)")
    parser.add_argument("--all", action="store_true", help="show quantities that stayed finite as well")
    options = parser.parse_args(arguments)
    try:
        dump = read_dump(options.dump)
    except (DumpFormatError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    from mjx_skillmimic.model.options import SceneOptions
    from mjx_skillmimic.model.scene import build_scene
    from mjx_skillmimic.physics.registry import make_physics

    physics = make_physics(options.engine, build_scene(SceneOptions(**from_json(dump.config).scene)))
    recorded = "their last failing step" if len(dump.actions) else "no failing step, only their state"
    print(f"{options.dump}: iteration {dump.iteration}, {len(dump.world)} worlds, recorded with {recorded}")
    print(f"why: {dump.reason}\nreplayed on {physics.name}, {options.steps} control steps\n")
    print(f"{'world':>8}  {'failures':>8}  {'quantity':<14}{'first non-finite step':>22}  {'largest finite value':>22}")
    failures = dict(zip(dump.world.tolist(), dump.count.tolist(), strict=True))
    broken = 0
    for finding in replay(dump, physics, options.steps):
        broken += finding.first_step is not None
        if finding.first_step is not None or options.all:
            step = "never" if finding.first_step is None else str(finding.first_step)
            row = f"{finding.world:>8}  {failures[finding.world]:>8}  {finding.quantity:<14}{step:>22}"
            print(f"{row}  {finding.largest:>22.6g}")
    print("everything stayed finite" if not broken else f"\n{broken} quantities became non-finite")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
