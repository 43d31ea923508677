"""Records a trace in Isaac Gym. Runs in Python 3.8 with NumPy and Isaac Gym (docs/isaacgym.md).

python -m mjx_skillmimic.interop.isaacgym.record_isaacgym FOLDER --out open.npz
python -m mjx_skillmimic.interop.isaacgym.record_isaacgym FOLDER --policy FOLDER/policy.npz --out closed.npz

FOLDER: what scripts/export_isaacgym.py wrote.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from mjx_skillmimic.interop.isaacgym import conventions, recording
from mjx_skillmimic.interop.isaacgym.adapter import IsaacGymPhysics
from mjx_skillmimic.interop.isaacgym.policy import NumPyPolicy, read_settings
from mjx_skillmimic.interop.isaacgym.simulation import IsaacGymError
from mjx_skillmimic.interop.trace import Trace, read_trace, write_trace

STARTS_FILE = "starts.npz"
_LOG = logging.getLogger("record_isaacgym")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="humanoid.xml and scene.json, as exported")
    parser.add_argument("--input", type=Path, help=f"a trace: start states and targets; default FOLDER/{STARTS_FILE}")
    parser.add_argument("--out", type=Path, required=True, help="the trace to write")
    parser.add_argument("--policy", type=Path, help="closed loop: this policy acts, its settings in POLICY.json beside")
    parser.add_argument("--skill", type=int, help="closed loop: one label for all; default: the input's own")
    parser.add_argument("--steps", type=int, help="closed loop: control steps; default: as in the input")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda:N")
    parser.add_argument("--worlds", type=int, help="courses at a time; default: all, at most 256")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Writes the trace; 2 for a request that cannot be met."""
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        trace = record(args)
        write_trace(args.out, trace)
    except (FileNotFoundError, ValueError, ImportError, IsaacGymError) as error:
        _LOG.error("record_isaacgym: %s", error)
        return 2
    _LOG.info("%s: %d courses, %d control steps", args.out, len(trace.names), int(trace.lengths.sum()))
    return 0


def record(args: argparse.Namespace) -> Trace:
    """The trace that a command line asks for; raises what reading files and building the simulation raise."""
    source = read_trace(args.input or args.folder / STARTS_FILE)
    worlds = args.worlds or min(len(source.names), 256)
    # the small files first: building a simulation takes long
    policy = NumPyPolicy(args.policy) if args.policy else None
    settings = read_settings(args.policy.with_suffix(".json")) if args.policy else None
    skills = _skills(source, args.skill) if args.policy else []
    physics = IsaacGymPhysics(args.folder, worlds, args.device)
    found = conventions.check(physics)
    _LOG.info("conventions: %s", json.dumps({name: x for name, x in found.items() if name != "importer"}))
    meta: dict[str, Any] = {"conventions": found, "python": sys.version.split()[0]}
    if policy is None or settings is None:
        return recording.open_loop(physics, source, meta)
    meta["policy"] = args.policy.name
    return recording.closed_loop(physics, source, policy, settings, skills, args.steps, meta)


def _skills(source: Trace, skill: int | None) -> list[int]:
    if skill is not None:
        return [skill] * len(source.names)
    if "skills" not in source.meta:
        raise ValueError("the input names no skill labels (meta 'skills'); give --skill")
    return [int(label) for label in source.meta["skills"]]


if __name__ == "__main__":
    sys.exit(main())
