"""Runs the notebooks from top to bottom, at reduced size unless told otherwise, and writes them with their outputs.

    python scripts/run_notebooks.py                       # all, a few minutes on two CPU cores
    python scripts/run_notebooks.py 02 --full             # one, with the sizes that it has
    python scripts/run_notebooks.py 03 --set EPISODES=12  # one, reduced, with other values

The values come into a cell behind the one tagged `parameters`, as papermill does it. Results go to --out; the notebooks
themselves stay as they are. Exit status: 0, 1 where a cell failed, 2 for what cannot run.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PARAMETERS = "parameters"
TINY_NETWORKS = {"ppo.actor_hidden": "(16,)", "ppo.critic_hidden": "(16,)"}
# Enough to reach every cell on a CPU in well under a minute; the results mean nothing.
REDUCED: dict[str, dict[str, Any]] = {
    "01_data_and_model": {"PAGE_CLIPS": 2, "WORLDS": 2, "DROP_STEPS": 12, "REPLAY_STEPS": 20},
    "02_train_one_skill": {
        "OVERRIDES": {
            "ppo.num_envs": "4",
            "ppo.horizon": "4",
            "ppo.minibatch_size": "16",
            "run.eval_episodes": "1",
            "run.eval_every": "0",
            **TINY_NETWORKS,
        },
        "ENV_STEPS": 96,
        "FIRST_PART": 0.5,
    },
    "03_evaluate_render_switch": {
        "MOTION": "throw_catch",
        "EPISODES": 2,
        "VIDEO_SIZE": [160, 120],
        "START": 110,
        "SWITCHES": {0: 50, 10: 13},
        "STEERED_STEPS": 20,
        "WORLDS_A_PAIR": 2,
    },
    "04_scaling_and_engines": {
        "ENGINES": ["mujoco", "mjx-warp"],
        "COURSES": 2,
        "COURSE_STEPS": 2,
        "WORLDS": {"mujoco": [4], "mjx-warp": []},
        "SECONDS": 0.05,
        "REPEATS": 1,
        "DEVICES": [2],
        "DEVICE_WORLDS": {"cpu": 4},
        "HORIZON": 4,
    },
}
# Most of the time goes into compiling what then runs for an instant.
QUICK_COMPILING = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def with_parameters(notebook: Any, values: Mapping[str, Any]) -> Any:
    """A copy of a notebook with one more cell that sets `values` behind its cell tagged `parameters`.

    Raises ValueError where there is no such cell, or where it sets none of that name.
    """
    found = [i for i, cell in enumerate(notebook.cells) if PARAMETERS in cell.metadata.get("tags", [])]
    if len(found) != 1:
        raise ValueError(f"expected one cell tagged {PARAMETERS!r}, found {len(found)}")
    names = parameters(notebook.cells[found[0]].source)
    if unknown := [name for name in values if name not in names]:
        raise ValueError(f"no parameter {unknown[0]!r}; there are {', '.join(names)}")
    changed = nbformat.from_dict(notebook)
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    injected = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})
    changed.cells.insert(found[0] + 1, injected)
    return changed


def parameters(source: str) -> list[str]:
    """The names that a cell's plain assignments set, in order."""
    names: list[str] = []
    for statement in ast.parse(source).body:
        for target in statement.targets if isinstance(statement, ast.Assign) else []:
            names += [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
    return names


def run(path: Path, folder: Path, values: Mapping[str, Any], timeout: float, quick: bool) -> Any:
    """Executes a notebook with `folder` as its working directory and writes it there with its outputs; returns it.

    timeout: s a cell. quick: compile without optimising. Raises CellExecutionError where a cell fails, after writing.
    """
    notebook = with_parameters(nbformat.read(path, as_version=4), values)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **(QUICK_COMPILING if quick else {})}
    client = NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute(env=environment)
    finally:
        nbformat.write(notebook, folder / path.name)
    return notebook


def chosen(names: Sequence[str]) -> list[Path]:
    """The notebooks whose names begin with one of `names`, all without any. Raises ValueError for none."""
    every = sorted(NOTEBOOKS.glob("*.ipynb"))
    if missing := [name for name in names if not any(path.stem.startswith(name) for path in every)]:
        raise ValueError(f"no notebook {missing[0]!r}; there are {', '.join(path.stem for path in every)}")
    return [path for path in every if not names or path.stem.startswith(tuple(names))]


def _value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(argv: list[str] | None = None) -> int:
    """Runs the notebooks one after another; a failure does not keep the others from running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="beginnings of their names, such as 02; default: all")
    parser.add_argument("--full", action="store_true", help="with the sizes in the notebooks")
    parser.add_argument("--set", dest="values", type=_value, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/notebooks"), help="default: runs/notebooks")
    parser.add_argument("--timeout", type=float, default=1800.0, help="s a cell (default 1800)")
    args = parser.parse_args(argv)
    failed = 0
    try:
        for path in chosen(args.notebooks):
            values = {**({} if args.full else REDUCED[path.stem]), **dict(args.values)}
            began = time.monotonic()
            try:
                run(path, args.out, values, args.timeout, quick=not args.full)
            except CellExecutionError as error:
                print(f"{path.name}: {error}", file=sys.stderr)
                failed += 1
                continue
            print(f"{args.out / path.name}  {time.monotonic() - began:.0f} s", flush=True)
    except ValueError as error:
        print(f"run_notebooks: {error}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
