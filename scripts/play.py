"""Runs a policy in real time, watched and steered: in a browser, in MuJoCo's own window, or without either.

python scripts/play.py --policy shipped-six                    # opens a page at http://127.0.0.1:8080
python scripts/play.py --policy runs/x --viewer native --skill 13
python scripts/play.py --policy ballplay-seven --motion BallPlay-M/pick_40 --state_init 20
python scripts/play.py --motion pick_up                        # the clip itself, without physics
python scripts/play.py --policy shipped-six --viewer none --seconds 10
python scripts/play.py --policy runs/heading                   # a high-level policy chooses; click a goal on the floor
python scripts/play.py --policy random --task Scoring

Keys: docs/viewer.md. The simulation is MuJoCo C on the CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

# One world is no work for an accelerator: each of its steps would wait for the way there and back.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.session import Session

RESTART_SECONDS = 1.5  # after a fall


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policy",
        default="playback",
        help="a run's folder, a policy file, a shipped policy's name, zero or random; without: the clips themselves",
    )
    parser.add_argument("--task", help="high-level task of zero, random or label:13, such as Heading; default: none")
    parser.add_argument(
        "--motion", nargs="+", help="clip names, files or folders; default: the policy's own, else the shipped clips"
    )
    parser.add_argument("--viewer", choices=("web", "native", "none"), default="web", help="default: web")
    parser.add_argument("--skill", type=int, metavar="LABEL", help="told from the beginning; default: the clip's own")
    parser.add_argument("--state_init", type=int, default=2, metavar="N", help="start frame of the clips (default 2)")
    parser.add_argument("--clip", type=int, default=0, metavar="INDEX", help="the clip to begin with (default 0)")
    parser.add_argument("--seconds", type=float, help="ends after so long; --viewer none: 10 by default, simulated")
    parser.add_argument("--host", default="127.0.0.1", help="of the page; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=8080, help="of the page (default 8080)")
    parser.add_argument("--no-ghost", action="store_true", help="without the reference (the key g brings it back)")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds a second (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of boxes and of the policy random (default 0)")
    parser.add_argument("--keys", metavar="CONFIG", help="a file like configs/viewer.py with other keys")
    parser.add_argument(
        "--import",
        nargs="+",
        default=[],
        metavar="MODULE",
        dest="modules",
        help="files or modules with your own tasks",
    )
    args = parser.parse_args(argv)
    if args.speed <= 0:
        parser.error(f"--speed: expected a positive number, found {args.speed:g}")
    if args.seconds is not None and args.seconds <= 0:
        parser.error(f"--seconds: expected a positive number, found {args.seconds:g}")
    return args


def summary(session: Session, seconds: float) -> str:
    """Simulates so long as fast as it goes, and says what came of it."""
    steps = max(round(seconds / session.control_dt), 1)
    rewards: list[float] = []
    errors: list[float] = []
    frames: Counter[bool] = Counter()
    began = time.perf_counter()
    for _ in range(steps):
        session.step()
        status = session.status
        frames[status.hands_touch_ball] += 1
        if "total" in status.rewards:
            rewards.append(status.rewards["total"])
        if status.joint_error_m is not None:
            errors.append(status.joint_error_m)
    elapsed = time.perf_counter() - began
    simulated = steps * session.control_dt
    kind = "stored positions from joint angles" if session.kinematic else "reference"
    task = session.status.task
    where = f"{task.name}, reached {task.reached} since the last start, " if task else ""
    rewarded = "" if task else " with a reference"
    lines = [
        f"policy {session.policy}, {where}clip {session.clips[session.status.clip]}, skill {session.status.skill}",
        f"simulated {simulated:.1f} s in {elapsed:.1f} s: real-time factor {simulated / elapsed:.2f}, "
        f"{steps / elapsed:.0f} control steps a second",
        f"falls {session.falls}",
        f"reward {sum(rewards) / len(rewards):.3f} over {len(rewards)} steps{rewarded}" if rewards else "",
        f"mean distance from {kind} {1000 * sum(errors) / len(errors):.0f} mm" if errors else "",
        f"ball in the hands in {100 * frames[True] / steps:.0f} % of the steps",
    ]
    return "\n".join(line for line in lines if line)


def main(argv: list[str] | None = None) -> int:
    """Plays until the viewer is closed; 2 for a request that cannot be met."""
    args = parse(argv)
    from mjx_skillmimic.envs import import_tasks
    from mjx_skillmimic.viewing.keys import DEFAULT_KEYS, load_keys
    from mjx_skillmimic.viewing.native import NoWindowError, view
    from mjx_skillmimic.viewing.task_session import open_session

    try:
        import_tasks(args.modules)
        keys = load_keys(args.keys) if args.keys else DEFAULT_KEYS
        session = open_session(args.policy, args.motion, start=args.state_init, seed=args.seed, task=args.task)
        session.reset(args.clip)
        if args.skill is not None:
            session.set_skill(args.skill)
        session.ghost, session.speed = not args.no_ghost, args.speed
        session.restart_seconds = RESTART_SECONDS
        if args.viewer == "none":
            print(summary(session, args.seconds or 10.0))
            return 0
        stop = threading.Event()
        if args.seconds:
            threading.Timer(args.seconds, stop.set).start()
        if args.viewer == "native":
            view(session, keys, stop=stop)
        else:
            # needs viser, which is not among the requirements of the package
            from mjx_skillmimic.viewing.web import serve

            serve(session, host=args.host, port=args.port, keys=keys, stop=stop)
    except (FileNotFoundError, ValueError, KeyError, ImportError, NoWindowError, OSError) as error:
        print(f"play: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
