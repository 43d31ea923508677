"""Speed of solver settings against their error to a converged MuJoCo C, after one control step from a cold start.

    python scripts/sweep_solver.py --engine mjx-warp --solver newton --iterations 2,3,4,5,8 --ls-iterations 6 \\
        --states 512 --worlds 4096 --json OUT.json

Every combination of engine (with options, as in scripts/benchmark.py), solver, iterations and line-search iterations is
one row. Prints a Markdown table; `--json` also keeps the rows with machine and versions, after every row.
`--config=FILE.py`, `--config.key=value` change the scene and the clips; exit status 2 for what cannot run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

from mjx_skillmimic.config import ConfigError, load_config, split_arguments

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="auto", help="NAME[:key=value…], separated by commas")
    parser.add_argument("--option", action="append", default=[], metavar="key=value", help="for every engine")
    parser.add_argument("--solver", default="newton", help="newton, cg")
    parser.add_argument("--iterations", default="2,3,4,5,8")
    parser.add_argument("--ls-iterations", default="6")
    parser.add_argument("--states", type=int, default=512, help="perturbed frames of the clips (default: 512)")
    parser.add_argument("--worlds", type=int, default=4096, help="for the speed; 0: no speed (default: 4096)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one of three repeats (default: 1)")
    parser.add_argument("--json", type=Path)
    try:
        path, overrides, rest = split_arguments(arguments)
        options = parser.parse_args(rest)
        config = load_config(path or ROOT / "configs" / "ballplay.py", overrides, check=False)
        from mjx_skillmimic.benchmark import engines, sweep

        chosen = engines.parse_engines(options.engine, tuple(options.option))
        numbers = [[int(n) for n in text.split(",")] for text in (options.iterations, options.ls_iterations)]
        study = sweep.Sweep(config, options.states, options.worlds, options.seconds)
        rows = []
        for values in itertools.product(chosen, options.solver.split(","), *numbers):
            rows.append(study.run(sweep.Setting(*values)))
            print(sweep.markdown(rows).splitlines()[-1], flush=True)
            if options.json:
                options.json.write_text(sweep.to_json(rows, config))
    except (ConfigError, ValueError, TypeError, ImportError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{sweep.markdown(rows)}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
