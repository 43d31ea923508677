#!/usr/bin/env python
"""How far this project agrees with published numbers, and its engines with each other.

parity.py golden DIR                                     pure functions against golden vectors
parity.py model --engines mujoco,mjx-jax,physx           the compiled models side by side, differences explained
parity.py dynamics --engines mjx-warp,mjx-jax,physx      one step and open loop against a base (default mujoco)
parity.py dynamics --record base.npz --engine mujoco     writes the base's courses, to be compared elsewhere:
parity.py dynamics --engines mjx-warp --trace base.npz
parity.py drives --engines physx                         gains with which MuJoCo's servos answer like PhysX's
parity.py policy --policy shipped-six --engines mjx-warp,mujoco,physx
parity.py report FILE.json … --page docs/parity.md       joins the runs of several machines in the page
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any


def golden(args: argparse.Namespace) -> int:
    """Prints the table of a folder of golden vectors; 0 if everything that is covered passes."""
    from mjx_skillmimic.evaluation.golden import locate, report

    if args.data:
        os.environ[locate.DATA_VARIABLE] = args.data
    try:
        result = report.run_folder(args.folder)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report.format_table(result))
    if args.json:
        Path(args.json).write_text(json.dumps(result.as_json(), indent=2) + "\n")
    return 0 if result.passed else 1


def model(args: argparse.Namespace) -> int:
    """Prints the models of the engines side by side; 1 if a difference has no known reason."""
    from mjx_skillmimic.evaluation.parity import model, model_text

    document = model.compare(engines(args.engines), scene(args))
    show(args, document, model_text.tables(document))
    missing = model.unexplained(document["rows"])
    if missing:
        print(f"unexplained: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


def dynamics(args: argparse.Namespace) -> int:
    """Records a base, or compares engines with one."""
    from mjx_skillmimic.evaluation.parity import dynamics, dynamics_text, plots
    from mjx_skillmimic.evaluation.parity.reference_courses import GROUPS, courses
    from mjx_skillmimic.interop.trace import read_trace, write_trace
    from mjx_skillmimic.model.scene import build_scene

    settings = {"motion": args.motion, "policy": args.policy, "seed": args.seed, "share": args.share}
    compared = engines(args.engines)
    if args.trace and args.record:
        raise ValueError("--trace and --record exclude each other: a base is read, or it is written")
    if args.trace:
        base = read_trace(args.trace)
        settings = dict(base.meta.get("settings", {}))
    else:
        groups = [g.strip() for g in args.groups.split(",")] if args.groups else GROUPS
        found = courses(build_scene(scene(args)), groups, args.motion, args.policy, args.share, args.seed)
        (engine,) = engines(args.engine)
        base = dynamics.base_trace(engine, found, scene(args), args.worlds)
        base.meta["settings"] = {**settings, "motion": Path(args.motion).name, "policy": Path(args.policy).name}
        settings = base.meta["settings"]
    if args.record:
        write_trace(args.record, base)
        print(f"{args.record}: {len(base.names)} courses of {base.engine}, {int(base.lengths.sum())} control steps")
        return 0
    document = dynamics.compare(base, compared, scene(args), args.worlds, args.stride, settings, say)
    show(args, document, dynamics_text.tables(document))
    if args.plots:
        for path in plots.draw(document, args.plots):
            print(path)
    return 0


def drives(args: argparse.Namespace) -> int:
    """Finds the gains with which MuJoCo's servos answer as another engine's do."""
    from mjx_skillmimic.evaluation.parity import drives

    (engine,) = engines(args.engines)
    document = drives.fit(engine, scene(args), say)
    show(args, document, drives.tables(document))
    return 0


def policy(args: argparse.Namespace) -> int:
    """Evaluates a policy in several engines."""
    from mjx_skillmimic.evaluation.parity import policy

    start = int(args.start) if args.start.isdigit() else args.start
    document = policy.run(
        args.policy,
        engines(args.engines),
        args.motion,
        args.episodes,
        start,
        args.seed,
        args.batch,
        args.trained_in,
        say,
    )
    show(args, document, policy.tables(document))
    return 0


def report(args: argparse.Namespace) -> int:
    """Renews the page from result files."""
    from mjx_skillmimic.evaluation.parity import report

    for path in report.write(args.files, args.page, args.pictures):
        print(path)
    return 0


def engines(text: str) -> list[Any]:
    """The engines that a text names. Raises ValueError for one that does not exist."""
    import dataclasses

    from mjx_skillmimic.benchmark.engines import parse_engines
    from mjx_skillmimic.physics.registry import resolve_engine

    return [dataclasses.replace(e, name=resolve_engine(e.name)) for e in parse_engines(text)]


def scene(args: argparse.Namespace) -> Any:
    """The scene's options."""
    from mjx_skillmimic.model.options import scene_options

    return scene_options(args.preset, **({"feet": args.feet} if args.feet else {}))


def say(line: str) -> None:
    """Progress, apart from results."""
    print(line, file=sys.stderr, flush=True)


def show(args: argparse.Namespace, document: dict[str, Any], tables: list[Any]) -> None:
    """Prints tables, and writes the JSON and the Markdown that were asked for."""
    from mjx_skillmimic.evaluation.parity.tables import markdown, terminal
    from mjx_skillmimic.evaluation.publish import compact_json

    print(terminal(tables), end="")
    for path, text in ((args.json, compact_json(document)), (args.markdown, "\n".join(map(markdown, tables)))):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"written to {path}")


def parser() -> argparse.ArgumentParser:
    """The command line; one subcommand a kind of comparison."""
    root = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = root.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "golden",
        help="golden vectors of pure functions",
        description="Exit status: 0 all pass, 1 something failed, 2 no such folder or no vectors in it.",
    )
    one.add_argument("folder", metavar="DIR", help="folder of .npz files")
    one.add_argument("--json", metavar="OUT", help="also write the results here")
    one.add_argument(
        "--data",
        metavar="DIR",
        help="published clips, for files that name them (default: $MJX_SKILLMIMIC_DATA, else ../shared/data)",
    )
    one.set_defaults(run=golden)

    one = commands.add_parser("model", help="the compiled models side by side", description=model.__doc__)
    _common(one, "mujoco,mjx-jax")
    one.set_defaults(run=model)

    one = commands.add_parser("dynamics", help="courses replayed: one step, open loop", description=dynamics.__doc__)
    _common(one, "mujoco")
    one.add_argument("--engine", default="mujoco", help="the base, where no trace is given (default mujoco)")
    one.add_argument("--trace", type=Path, help="a trace file is the base: every engine is compared with it")
    one.add_argument("--record", type=Path, metavar="OUT.npz", help="only write the base's courses here")
    one.add_argument("--groups", help="of courses, separated by commas (default: all)")
    one.add_argument("--motion", default="shipped", help="clips for the reference states (default: those shipped)")
    one.add_argument("--policy", default="shipped-six", help="for the group policy (default shipped-six)")
    one.add_argument("--share", type=float, default=1.0, help="of the usual number of courses (default 1)")
    one.add_argument("--stride", type=int, default=1, help="teacher-forced from every so many states (default 1)")
    one.add_argument("--worlds", type=int, default=64, help="at a time (default 64)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--plots", type=Path, metavar="OUT", help="draw OUT_pd.png, OUT_drop.png, OUT_divergence.png")
    one.set_defaults(run=dynamics)

    one = commands.add_parser("drives", help="gains that make MuJoCo answer alike", description=drives.__doc__)
    _common(one, "physx")
    one.set_defaults(run=drives)

    one = commands.add_parser("policy", help="one policy in several engines", description=policy.__doc__)
    _common(one, "mujoco")
    one.add_argument("--policy", required=True, help="a run's folder, a policy file, the name of a shipped policy")
    one.add_argument("--motion", help="clip name, file or folder; default: the policy's own")
    one.add_argument("--episodes", type=int, default=96, help="dealt to the clips in turn (default 96)")
    one.add_argument("--start", default="random", help="first (frame 2), random, or a frame number (default random)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--batch", type=int, default=256, help="worlds at a time (default 256)")
    one.add_argument("--trained-in", help="the engine that it was trained in (default: as its card or run says)")
    one.set_defaults(run=policy)

    one = commands.add_parser("report", help="the page, from the JSON of several runs", description=report.__doc__)
    one.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    one.add_argument("--page", type=Path, default=Path("docs/parity.md"))
    one.add_argument("--pictures", type=Path, default=Path("docs/results/parity"), help="path without suffix")
    one.set_defaults(run=report)
    return root


def _common(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--engines", default=default, help=f"NAME[:key=value…], separated by commas (default {default})"
    )
    command.add_argument("--preset", default="default", help="of the scene: default or reference")
    command.add_argument("--feet", help="box or corners; absent: box, with corners for MJX-JAX")
    command.add_argument("--json", type=Path, metavar="OUT", help="also write everything here")
    command.add_argument("--markdown", type=Path, metavar="OUT", help="also write the tables here")


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns the exit status; 2 for a request that cannot be met."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    # golden vectors are float32 on the CPU; an accelerator would only add its start-up time
    if sys.argv[1:2] == ["golden"]:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
