"""Trains on one of our own clips for a few minutes, evaluates, and draws: everything lands in runs/quickstart/.

    make quickstart

Interrupted, it continues where it was; finished, it only says where things are. `--fresh` starts over.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Runs the steps that are not done yet; returns the first exit status that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--fresh", action="store_true", help="delete an earlier quickstart first")
    options, overrides = parser.parse_known_args(arguments)
    folder, started = options.workdir, time.monotonic()
    again = ["--overwrite"] if options.fresh else ["--resume"] if (folder / "config.json").exists() else []
    train = ["train.py", f"--config={ROOT / 'configs' / 'quickstart.py'}", f"--workdir={folder}", *again, *overrides]
    render = ["render.py", f"--policy={folder}", f"--out={folder / 'quickstart'}", "--renderer=software"]
    for title, command in (
        ("1/4 train on the clip throw_catch: throw the ball up and catch it", train),
        (
            "2/4 evaluate from 64 start frames",
            ["evaluate.py", f"--policy={folder}", "--start=random", f"--json={folder / 'evaluation.json'}"],
        ),
        ("3/4 draw the learning curve", ["plot.py", str(folder)]),
        ("4/4 draw the policy beside its reference", render),
    ):
        print(f"\n== {title}\n   python scripts/{shlex.join(command)}", flush=True)
        status = subprocess.run([sys.executable, str(SCRIPTS / command[0]), *command[1:]]).returncode
        if status or (command is train and not _finished(folder)):
            print(f"\nNot finished. Go on with: make quickstart{_arguments(options.workdir)}", file=sys.stderr)
            return status
    _summary(folder, time.monotonic() - started)
    return 0


def _finished(folder: Path) -> bool:
    """Whether training reached its last step; a signal ends it earlier, saved."""
    wanted = json.loads((folder / "config.json").read_text())["run"]["total_env_steps"]
    return _lines(folder / "metrics.jsonl")[-1]["env_steps"] >= wanted


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _arguments(folder: Path) -> str:
    return "" if folder == Path("runs/quickstart") else f" ARGS='--workdir={folder}'"


def _summary(folder: Path, seconds: float) -> None:
    rewards = [line["reward"] for line in _lines(folder / "evaluations.jsonl")]
    first, last = rewards[0], rewards[-1]
    print(f"\nDone in {seconds / 60:.1f} minutes. Mean reward over the clip, policy without noise:")
    print(f"  untrained {first:.3f}, trained {last:.3f} ({last / first:.1f} times)")
    print("Look at:")
    for name, what in (
        ("quickstart.html", "the policy and its reference in 3-D: open it in a browser, no network needed"),
        ("quickstart.mp4", "the same as a video"),
        ("curves.png", "reward, its factors, episode length"),
        ("evaluation.json", "accuracy, errors, success, with intervals"),
        ("policy.npz", "the policy"),
    ):
        print(f"  {folder / name}  {what}")
    print("Next:")
    another = "--config.motion=dribble_in_place --workdir=runs/dribble"
    print(f"  python scripts/train.py --config=configs/quickstart.py {another}   # ballplay.py instead, on a GPU")
    print("  python scripts/import_motions.py --check YOUR_CLIPS   # then --config.motion=YOUR_CLIPS")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
