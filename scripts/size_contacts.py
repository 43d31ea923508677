"""Measures how much room for contacts the states of a task need, and whether `physics.sizing.capacity` gives it.

    python scripts/size_contacts.py --motion throw_catch --policy runs/throw_catch --worlds 4096
    python scripts/size_contacts.py --motion BallPlay-M shipped --config.scene.self_collision=false --json needs.json

The states that episodes start on, then control steps from each clip's first start frame, with noise on pose, ball and
velocities: open loop along the clip (pd-playback), an untrained policy, uniformly random actions, and the policies
named. Worlds that fall stay lying. All states are counted on the CPU, whichever engine made them, as
Warp's broad phase and MuJoCo C's collision functions count. `--config.key=value` changes the environment, as in
training. Exit status: 0 if the room is enough, 1 if it is not, 2 for a request that cannot be met.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mjx_skillmimic.config import ConfigError, apply_override, split_arguments

STARTS = 128  # of each clip


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line without the overrides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", nargs="+", required=True, help="files, folders or names of shipped clips")
    parser.add_argument("--policy", nargs="*", default=[], help="runs' folders or policy files, played too")
    parser.add_argument("--preset", default="default", help="the environment's configuration")
    parser.add_argument("--worlds", type=int, default=4096, help="worlds on one device to give room for (default 4096)")
    parser.add_argument("--margin", type=float, help="instead of the default of sizing.capacity")
    parser.add_argument("--repeats", type=int, default=16, help="worlds played on each clip (default 16)")
    parser.add_argument("--steps", type=int, default=120, help="control steps played (default 120)")
    parser.add_argument("--noise", type=float, default=1.0, help="factor on the noise of the starts (default 1)")
    parser.add_argument("--engine", default="auto", help="auto, mujoco, mjx-jax or mjx-warp")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--table", type=Path, help="add what is needed to this table, as sizing.TABLE is one")
    args = parser.parse_args(arguments)
    if min(args.worlds, args.repeats, args.steps) < 1 or (args.margin is not None and args.margin < 1):
        parser.error("--worlds, --repeats, --steps and --margin: expected 1 or more")
    return args


def situations(env: Any, args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Name and what was played; the first are states alone."""
    from mjx_skillmimic.evaluation import contact_needs
    from mjx_skillmimic.evaluation.policies import make_agent

    noise = contact_needs.Noise().scaled(args.noise)
    yield "starts", contact_needs.Played(contact_needs.start_states(env, STARTS, args.seed), broken=0, overflow=0)
    agents = [make_agent("pd-playback", env), contact_needs.untrained(env), make_agent("random", env)]
    for agent in [*agents, *(make_agent(policy, env, deterministic=False) for policy in args.policy)]:
        yield agent.name, contact_needs.play(env, agent, args.repeats, args.steps, noise, args.seed)


def show(name: str, needs: Any) -> None:
    """A line for each quantity."""
    for quantity, need in needs.items():
        numbers = "  ".join(f"{value:8.2f}" for value in dataclasses.astuple(need))
        print(f"{name[-24:]:24s} {quantity:9s} {numbers}")


def main(arguments: list[str]) -> int:
    """Measures, prints, writes, judges."""
    try:
        path, overrides, rest = split_arguments(arguments)
        if path is not None:
            raise ConfigError(f"--config={path}: expected --preset and single values --config.key=value")
    except ConfigError as error:
        print(f"size_contacts: {error}", file=sys.stderr)
        return 2
    args = parse(rest)
    from mjx_skillmimic import envs
    from mjx_skillmimic.evaluation import contact_needs, rollouts
    from mjx_skillmimic.learning.describe import describe
    from mjx_skillmimic.motion import library
    from mjx_skillmimic.physics import sizing

    try:
        config = envs.default_config("BallPlay", args.preset)
        for key, value in overrides:
            apply_override(config, key, value)
        config.physics.engine = args.engine
        clips = library.load_clips(args.motion)
        env = envs.load("BallPlay", rollouts.evaluation_config(config), clips=clips)
        found, lost, broken = {}, {}, {}
        heads = "  ".join(f"{field.name:>8s}" for field in dataclasses.fields(contact_needs.Need))
        print(f"{'situation':24s} {'a world':9s} {heads}")
        for name, played in situations(env, args):
            lost[name], broken[name] = played.overflow, played.broken
            found[name] = contact_needs.measure(env.scene, played.qpos)
            show(name, found[name])
    except (ConfigError, FileNotFoundError, ValueError, KeyError, ImportError) as error:
        print(f"size_contacts: {error}", file=sys.stderr)
        return 2
    hardest = contact_needs.hardest(list(found.values()))
    show("hardest", hardest)
    settings = {"command": shlex.join(["python", "scripts/size_contacts.py", *arguments]), "seed": args.seed}
    settings |= {"clips": len(clips), "engine": env.physics.name, "versions": describe(env)["versions"]}
    if args.table:
        sizing.write_row(sizing.table_row(env.scene, hardest, settings), args.table)
    room = sizing.capacity(env.scene, args.worlds, sizing.MARGIN if args.margin is None else args.margin)
    if sum(broken.values()):
        print(f"left out, because they broke: {broken}")
    missing = sizing.shortfalls(room, hardest, args.worlds)
    missing += [f"{name}: the engine lost contacts in {count} world-steps" for name, count in lost.items() if count]
    print(f"room for {args.worlds} worlds: {room}")
    print("\n".join(missing) or "enough")
    if args.json:
        report = {
            "settings": settings,
            "situations": {
                name: {k: dataclasses.asdict(v) for k, v in needs.items()}
                for name, needs in (*found.items(), ("hardest", hardest))
            },
            "overflow": lost,
            "broken_worlds": broken,
            "capacity": {"worlds": args.worlds} | dataclasses.asdict(room),
            "missing": missing,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
