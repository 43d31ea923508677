"""Checks physics engines against a slow MuJoCo C loop and against formulas, and compares their speed.

    python scripts/check_physics.py --engines mujoco,mjx-jax,mjx-warp --feet corners --json physics.json
    python scripts/check_physics.py --engines mjx-warp:kernels=fused --motion BallPlay-M/catch --worlds 256
    python scripts/check_physics.py --engines mujoco,mjx-jax --feet corners --speed 256 --speed-only

Engines are NAME[:key=value…]. Checks are those of `physics/contract/`: one and 16 control steps from perturbed frames
of clips, from made-up states and under a policy with noise, worlds that do not touch each other, restitution, friction,
servos and conservation in the air. Prints them and exits non-zero if one fails (docs/physics.md). `--speed` times the
engines and bare `mujoco.rollout` in turns on the same worlds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import jax

from mjx_skillmimic.benchmark.engines import parse_engines
from mjx_skillmimic.benchmark.machine import device_name
from mjx_skillmimic.evaluation.policy_courses import policy_courses
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.bare import engine_speeds
from mjx_skillmimic.physics.registry import make_physics

STEPS = 16


def courses(scene: Scene, args: argparse.Namespace) -> dict[str, contract.Courses]:
    """What the engines are compared on, by the name of its source."""
    made_up = contract.synthetic_states(scene, args.worlds)
    found = {
        "clips": contract.clip_courses(scene, load_clips(args.motion), args.worlds, STEPS),
        "synthetic": contract.Courses(made_up.qpos, made_up.qvel, made_up.target[None]),
    }
    if args.policy != "none":
        with _on_cpu():
            found["policy"] = policy_courses(args.policy, args.policy_motion, scene, args.worlds, STEPS)
    return found


def _on_cpu() -> contextlib.AbstractContextManager[Any]:
    """MuJoCo C is called from the host: without a detour over an accelerator, unless JAX was told to have no CPU."""
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:
        return contextlib.nullcontext()


def check(args: argparse.Namespace, scene: Scene) -> tuple[dict[str, Any], bool]:
    """The report, by engine and check, and whether all passed."""
    slow = {name: contract.SlowCourses.of(scene, found) for name, found in courses(scene, args).items()}
    report: dict[str, Any] = {}
    good = True
    for engine in parse_engines(args.engines):
        physics = make_physics(engine.name, scene, **dict(engine.options))
        name = str(dataclasses.replace(engine, name=physics.name))
        rows, start = {}, time.perf_counter()
        for found in contract.check_engine(contract.Stepper(physics, args.worlds), slow, args.impacts):
            rows[found.name] = {"passed": found.passed, **found.figures}
            good &= found.passed
            print(f"{name:14s} {'passed' if found.passed else 'FAILED'}  {found.name}: {_text(found.figures)}")
        rows["seconds"] = time.perf_counter() - start
        report[name] = rows
    return report, good


def _text(figures: dict[str, Any]) -> str:
    def number(value: Any) -> str:
        return "/".join(f"{x:.1e}" for x in value) if isinstance(value, list) else f"{value:.4g}"

    return ", ".join(f"{key} {number(value)}" for key, value in figures.items())


def speeds(args: argparse.Namespace, scene: Scene) -> dict[str, Any]:
    """Times the engines and bare MuJoCo, prints and returns it."""
    engines = {str(e): make_physics(e.name, scene, **dict(e.options)) for e in parse_engines(args.engines)}
    course = contract.clip_courses(scene, load_clips(args.motion), args.speed, args.speed_steps)
    found = engine_speeds(engines, *course, repeats=args.repeats)
    for name, row in found.items():
        print(f"{name:14s} {row['control_steps_per_s']:10.0f} control steps/s, {row['of_bare']:.3f} of bare")
    return found


def main() -> int:
    """Runs what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="auto", help="NAME[:key=value…], separated by commas")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--feet", default=None, help="box or corners; absent: the preset's")
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--impacts", type=int, default=100, help="of the ball on the floor, and as many on the body")
    parser.add_argument("--motion", default="shipped", help="clips to take states from (default: those of the package)")
    parser.add_argument("--policy", default="ballplay-catch", help="as scripts/evaluate.py takes it, or none")
    parser.add_argument("--policy-motion", default="throw_catch", help="clips that the policy begins on")
    parser.add_argument("--speed", type=int, default=0, help="also time this many worlds")
    parser.add_argument("--speed-steps", type=int, default=32, help="control steps of a timed call")
    parser.add_argument("--speed-only", action="store_true", help="check nothing")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    scene = build_scene(scene_options(args.preset, **({"feet": args.feet} if args.feet else {})))
    about = {"device": device_name(), "worlds": args.worlds, "feet": scene.options.feet}
    about |= {"preset": args.preset, "motion": Path(args.motion).name, "policy": Path(args.policy).name}
    report, good = {"about": about}, True
    if not args.speed_only:
        checked, good = check(args, scene)
        report["checks"] = checked
    if args.speed:
        about["speed_worlds"] = args.speed
        report["speed"] = speeds(args, scene)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
