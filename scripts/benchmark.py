"""Measures speed: physics alone, environment steps, rollouts, training; or shows where the time goes.

    python scripts/benchmark.py --engine mjx-warp --envs 1024,4096,8192,16384 --train --json benchmark.json
    python scripts/benchmark.py --engine mjx-warp --envs 4096 --level start --json benchmark.json
    python scripts/benchmark.py --engine mjx-warp --envs 4096 --level env --profile DIR
    python scripts/benchmark.py --roofline
    python scripts/benchmark.py --table docs/results/benchmark_*.json --readme README.md

Levels: physics (control steps from the clips' start states, targets around the reference), env (with observation,
reward, resets, random actions), rollout (with the networks), train (whole iterations), start (a new process up to its
first iteration, with empty and with filled compilation caches). Engines are NAME[:key=value…], separated by commas;
`bare` is MuJoCo's own loop in C, physics only. Results are the median of repeats after a warm-up; each is added to the
JSON at once, and a point that the same code has measured already is not measured again (--again does).
`--config=FILE.py`, `--config.key=value` as for training; without them configs/ballplay.py. Exit status: 0, 1 where a
point failed, 2 for what cannot run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from ml_collections import ConfigDict

from mjx_skillmimic.benchmark import table
from mjx_skillmimic.benchmark.levels import LEVELS, START
from mjx_skillmimic.benchmark.records import Record, find, read_records, write_record
from mjx_skillmimic.config import ConfigError, load_config, split_arguments

ROOT = Path(__file__).resolve().parent.parent


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--engine", default="auto", help="NAME[:key=value…], separated by commas (default: auto)")
    found.add_argument("--option", action="append", default=[], metavar="key=value", help="for every engine")
    found.add_argument("--envs", default="4096", help="numbers of worlds, separated by commas (default: 4096)")
    found.add_argument("--level", default="physics,env", help=f"of {', '.join([*LEVELS, START])}")
    found.add_argument("--train", action="store_true", help="also the levels rollout and train")
    found.add_argument("--seconds", type=float, default=1.5, help="length of one repeat (default: 1.5)")
    found.add_argument("--repeats", type=int, default=5, help="default: 5")
    found.add_argument("--minutes", type=float, default=0.0, help="begin no point after this time (default: 0, never)")
    found.add_argument("--json", type=Path, help="results are added to this file")
    found.add_argument("--again", action="store_true", help="measure what the file holds already, too")
    found.add_argument("--profile", type=Path, metavar="DIR", help="trace instead of timing; tables go to DIR")
    found.add_argument("--calls", type=int, default=1, help="--profile: calls to trace (default: 1)")
    found.add_argument("--keep-trace", action="store_true", help="--profile: leave the profiler's files in DIR")
    found.add_argument("--roofline", action="store_true", help="what a card could do at best")
    found.add_argument("--card", default="h200", help="--roofline: which one")
    found.add_argument("--contacts", type=float, default=10.0, help="--roofline: mean contacts of a world")
    found.add_argument("--rows", type=float, default=25.0, help="--roofline: mean active rows of the solver's system")
    found.add_argument("--solver-iterations", type=float, default=2.4, help="--roofline: mean Newton iterations")
    found.add_argument("--table", nargs="+", metavar="JSON", help="write the table of these results into a document")
    found.add_argument("--readme", type=Path, default=ROOT / "README.md", help="--table: the document")
    return found


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    try:
        path, overrides, rest = split_arguments(arguments)
        options = parser().parse_args(rest)
        if options.table:
            return write_table(options.table, options.readme)
        config = load_config(path or ROOT / "configs" / "ballplay.py", overrides, check=False)
        options.variant = variant(path, overrides)
        if options.roofline:
            return show_roofline(config, options)
        return profile(config, options) if options.profile else measure(config, options)
    except (ConfigError, ValueError, TypeError, ImportError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def variant(path: str | None, overrides: list[tuple[str, str]]) -> str:
    """How a configuration differs from the default, for a table: file, preset and overrides, where they do."""
    file, _, preset = (Path(path).name if path else "ballplay.py").partition(".py")
    words = [] if file == "ballplay" else [file]
    words += [preset.removeprefix(":")] if preset else []
    ignored = ("physics", "run", "ppo.num_envs")
    return " ".join(words + [f"{key}={value}" for key, value in overrides if not key.startswith(ignored)])


def points(options: argparse.Namespace) -> list[tuple]:
    """(engine, level, worlds) of every point; those that start a process come first, before this one takes the device.

    Raises ValueError for a level that does not exist.
    """
    from mjx_skillmimic.benchmark.engines import BARE, parse_engines

    levels = options.level.split(",") + (["rollout", "train"] if options.train else [])
    if unknown := [level for level in levels if level not in (*LEVELS, START)]:
        raise ValueError(f"no level {unknown[0]!r}; there are {', '.join([*LEVELS, START])}")
    worlds = [int(number) for number in options.envs.split(",")]
    engines = parse_engines(options.engine, tuple(options.option))
    found = [(engine, level, n) for engine in engines for n in worlds for level in dict.fromkeys(levels)]
    possible = [point for point in found if point[0].name != BARE or point[1] == "physics"]
    return sorted(possible, key=lambda point: point[1] != START)


def measure(config: ConfigDict, options: argparse.Namespace) -> int:
    """Measures all points; 1 where one failed."""
    from mjx_skillmimic.benchmark.points import Bench, describe, start_point

    bench = Bench(config, options.seconds, options.repeats, options.variant)
    results: list[Record] = []
    failed, began = 0, time.monotonic()
    for number, (engine, level, worlds) in enumerate(wanted := points(options)):
        if options.minutes and time.monotonic() - began > 60 * options.minutes:
            print(f"out of time: {len(wanted) - number} points left; the same command continues", flush=True)
            break
        known = read_records(options.json) if options.json and not options.again else []
        try:
            if level == START:
                record = find(known, describe(config, engine, level, worlds))
                record = record or start_point(config, engine, worlds, options.variant)
            else:
                record = find(known, bench.describe(engine, level, worlds)) or bench.run(engine, level, worlds)
        except (RuntimeError, MemoryError) as error:
            # Too many worlds for the device must not lose the points that follow.
            print(f"failed: {engine} {level} {worlds}: {str(error)[:500]}", file=sys.stderr, flush=True)
            failed += 1
            continue
        if options.json:
            write_record(options.json, record)
        results.append(record)
        print(table.compact([record]).splitlines()[-1], flush=True)
    print(f"\n{table.compact(results)}")
    return 1 if failed else 0


def profile(config: ConfigDict, options: argparse.Namespace) -> int:
    """Traces all points and prints where their time goes."""
    from mjx_skillmimic.benchmark.points import Bench
    from mjx_skillmimic.benchmark.profile import profile, text
    from mjx_skillmimic.benchmark.workloads import make_workload

    options.profile.mkdir(parents=True, exist_ok=True)
    bench = Bench(config)
    for engine, level, worlds in points(options):
        env, chosen = bench.environment(engine, worlds)
        workload = make_workload(level, env, chosen.ppo, worlds)
        found = profile(workload, options.calls, options.profile if options.keep_trace else None)
        found["engine"] = str(engine)
        stem = options.profile / f"{str(engine).replace(':', '_')}_{level}_{worlds}"
        stem.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
        stem.with_suffix(".txt").write_text(text(found, top=200) + "\n")
        print(f"{engine} {text(found)}\n", flush=True)
    return 0


def show_roofline(config: ConfigDict, options: argparse.Namespace) -> int:
    """Prints the roofline of a configuration."""
    from mjx_skillmimic.benchmark.roofline import CARDS, config_work, roofline

    if options.card not in CARDS:
        raise ValueError(f"no card {options.card!r}; there are {', '.join(CARDS)}")
    work = config_work(config, options.contacts, options.rows, options.solver_iterations)
    print(roofline(work, CARDS[options.card]), end="")
    return 0


def write_table(files: list[str], document: Path) -> int:
    """Writes the table between the markers of a document."""
    names = [Path(name).resolve().relative_to(ROOT).as_posix() for name in files]
    document.write_text(table.refresh(document.read_text(), names, ROOT))
    print(f"{document}: table of {', '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
