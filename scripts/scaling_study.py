"""Measures weak and strong scaling of training over devices, worlds, horizons, seeds and engines.

    python scripts/scaling_study.py --devices 1,2,4 --envs 4096 --engine mjx-warp --json scaling.json --plot scaling.png
    python scripts/scaling_study.py --devices 1 --envs 1024,4096,16384 --horizons 16,32,64 --json scaling.json
    python scripts/scaling_study.py --json scaling.json --plot scaling.png --points-of-file

Weak scaling gives every device `--envs` worlds, strong scaling shares them; both are measured unless --modes names one.
Steady state of whole iterations after a warm-up, the median of repeats. Each point is added to the JSON at once; one
that is there already is skipped (--again measures it anew), so that the same command continues a study. CPU devices:
XLA_FLAGS=--xla_force_host_platform_device_count=4 JAX_PLATFORMS=cpu. `--config=FILE.py`, `--config.key=value` as for
training; without them configs/ballplay.py. Exit status: 0, 1 where a point failed, 2 for what cannot run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mjx_skillmimic.config import ConfigError, load_config, split_arguments

ROOT = Path(__file__).resolve().parent.parent


def numbers(text: str) -> list[int]:
    """'1,2,4' as [1, 2, 4]."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected numbers above 0")
    return found


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="auto", help="NAME[:key=value…], separated by commas (default: auto)")
    parser.add_argument("--devices", type=numbers, default=[1], help="separated by commas (default: 1)")
    parser.add_argument("--envs", type=numbers, default=[4096], help="worlds, separated by commas (default: 4096)")
    parser.add_argument("--horizons", type=numbers, help="steps of an iteration (default: the configuration's)")
    parser.add_argument("--seeds", type=numbers, default=[1], help="seeds at once, separated by commas (default: 1)")
    parser.add_argument("--modes", default="weak,strong", help="default: weak,strong")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one repeat (default: 5)")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--json", type=Path, required=True, help="the study: results are added to this file")
    parser.add_argument("--plot", type=Path, help="draw the study into this PNG")
    parser.add_argument("--again", action="store_true", help="measure what the file holds already, too")
    parser.add_argument("--points-of-file", action="store_true", help="measure nothing; print and draw what is there")
    try:
        path, overrides, rest = split_arguments(arguments)
        options = parser.parse_args(rest)
        failed = 0 if options.points_of_file else measure(options, path, overrides)
        report(options)
        return failed
    except (ConfigError, ValueError, TypeError, ImportError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def measure(options: argparse.Namespace, path: str | None, overrides: list[tuple[str, str]]) -> int:
    """Measures the points that the file lacks; 1 where one failed."""
    from mjx_skillmimic.benchmark.engines import parse_engines
    from mjx_skillmimic.benchmark.scaling import Study, make_points, read_study, same_point, write_study

    config = load_config(path or ROOT / "configs" / "ballplay.py", overrides, check=False)
    study = Study(config, options.seconds, options.repeats)
    points = make_points(
        parse_engines(options.engine),
        options.devices,
        options.envs,
        options.horizons or [config.ppo.horizon],
        options.modes.split(","),
        options.seeds,
    )
    failed = 0
    for point in points:
        about = study.describe(point)
        if not options.again and any(same_point(about, record) for record in read_study(options.json)):
            continue
        name = f"{about['engine']}, {point.devices} devices, {point.worlds} worlds, {point.horizon} steps"
        name += f", {point.seeds} seeds" if point.seeds > 1 else ""
        try:
            record = study.run(point)
        except (RuntimeError, MemoryError, ValueError) as error:
            # Too many worlds for the device must not lose the points that follow.
            print(f"failed: {name}: {str(error)[:500]}", file=sys.stderr, flush=True)
            failed = 1
            continue
        write_study(options.json, record)
        print(f"{name}: {record['env_steps_per_s']:,.0f} env steps/s", flush=True)
    return failed


def report(options: argparse.Namespace) -> None:
    """Prints the study and draws it where asked to."""
    from mjx_skillmimic.benchmark.scaling import read_study
    from mjx_skillmimic.benchmark.scaling_report import plot_study, table

    records = read_study(options.json)
    print(f"\n{table(records)}")
    if options.plot:
        print(plot_study(records, options.plot))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
