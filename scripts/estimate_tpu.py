"""Compiles a training iteration for one TPU v5e chip, without the chip, and estimates memory and time.

    pip install libtpu
    JAX_PLATFORMS=cpu python scripts/estimate_tpu.py --size 1024x32 --json tpu_v5e.json

Sizes are worlds x steps; the TPU's compiler takes many minutes for each, and one that is in the file is not compiled
again. Memory is the compiler's figure. Times are estimates, not measurements: the bytes that the compiled program moves
and its matrix products at the chip's published ceilings, the solver's loop at its limit. `--config=FILE.py` and
`--config.key=value` as for training. Exit status: 0, 2 for what cannot run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ml_collections import ConfigDict

from mjx_skillmimic.config import ConfigError, load_config, split_arguments

ROOT = Path(__file__).resolve().parent.parent


def sizes(text: str) -> list[tuple[int, int]]:
    """'128x2,256x4' as [(128, 2), (256, 4)]."""
    return [(int(worlds), int(steps)) for worlds, _, steps in (part.partition("x") for part in text.split(","))]


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=sizes, default=sizes("1024x32"), metavar="WORLDSxSTEPS,…", help="default: 1024x32"
    )
    parser.add_argument("--json", type=Path, required=True, help="results are added to this file")
    try:
        path, overrides, rest = split_arguments(arguments)
        options = parser.parse_args(rest)
        config = load_config(path or ROOT / "configs" / "ballplay.py", overrides, check=False)
        estimate(config, options.size, options.json)
    except (ConfigError, ValueError, ImportError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def estimate(config: ConfigDict, wanted: list[tuple[int, int]], path: Path) -> None:
    """Compiles what the file lacks, and prints all of it."""
    from mjx_skillmimic.benchmark import tpu
    from mjx_skillmimic.benchmark.machine import config_hash
    from mjx_skillmimic.learning.describe import versions

    about = {"chip": tpu.V5E.name, "config_hash": config_hash(config)}
    known = json.loads(path.read_text()) if path.exists() else {}
    records = known["records"] if all(known.get(name) == value for name, value in about.items()) else []
    for worlds, steps in wanted:
        if not any((record["worlds"], record["horizon"]) == (worlds, steps) for record in records):
            record = tpu.compile_iteration(config, worlds, steps)
            records.append(record | tpu.estimate_times(record))
            path.write_text(json.dumps(about | {"versions": versions(), "records": records}, indent=1) + "\n")
    print(
        "| worlds | steps | memory | of 16 GiB | moving memory | matrix products | instructions, 1 µs each (assumed) |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for found in records:
        print(
            f"| {found['worlds']} | {found['horizon']} | {found['memory_bytes'] / 2**30:.1f} GiB "
            f"| {found['memory_share']:.0%} | {found['memory_s']:.2f} s | {found['matrix_s']:.3f} s "
            f"| {found['operations']:,.0f}: {found['launch_s']:.2f} s |"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
