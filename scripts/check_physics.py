"""Compares physics engines with a slow MuJoCo C loop: one control step from many states, contacts included.

    python scripts/check_physics.py --engines mujoco,mjx-jax,mjx-warp --worlds 256 --json physics.json
    python scripts/check_physics.py --engines mjx-warp --speed 4096

Prints a table and exits non-zero if an engine breaks its tolerance (docs/physics.md).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.base import Physics, PhysicsState
from mjx_skillmimic.physics.registry import make_physics, resolve_engine

PERCENTILES = (50, 95, 99, 100)


def clip_states(scene: Scene, motion: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` perturbed frames of the clips in `motion`, and targets near their pose."""
    from mjx_skillmimic.motion.library import load_clips

    rng = np.random.default_rng(seed)
    qpos, qvel, target = [], [], []
    for clip in load_clips(motion):
        quat, joints = rotations.exp(clip.root_rotvec), rotations.exp(clip.dof_pos.reshape(-1, 52, 3))
        rate = clip.fps * (clip.num_frames > 1)

        def spin(q: np.ndarray, rate: float = rate) -> np.ndarray:
            step = rotations.log(rotations.multiply(rotations.conjugate(q[:-1]), q[1:])) * rate
            return np.concatenate([np.zeros_like(step[:1]), step])

        def move(x: np.ndarray, rate: float = rate) -> np.ndarray:
            return np.concatenate([np.zeros_like(x[:1]), (x[1:] - x[:-1]) * rate])

        identity = np.tile(np.array([1, 0, 0, 0], np.float32), (clip.num_frames, 1))
        q, v = scene.pack(
            clip.root_pos,
            quat,
            joints,
            move(clip.root_pos),
            spin(quat),
            spin(joints),
            clip.object_pos,
            identity,
            move(clip.object_pos),
            np.zeros_like(clip.object_pos),
        )
        qpos.append(q)
        qvel.append(v)
        target.append(clip.dof_pos)
    pick = rng.choice(sum(map(len, qpos)), count)
    q, v, t = (np.concatenate(x)[pick].astype(np.float64) for x in (qpos, qvel, target))
    v = np.clip(v, -20.0, 20.0) + 0.2 * rng.normal(size=v.shape)
    t = t + 0.5 * rng.normal(size=t.shape)
    return q, v.astype(np.float32).astype(np.float64), t.astype(np.float32).astype(np.float64)


def speed(physics: Physics, qpos: np.ndarray, qvel: np.ndarray, worlds: int, steps: int = 64) -> tuple[float, int]:
    """Control steps a second of `worlds` worlds in one scan with random targets, and the greatest overflow."""
    pick = np.arange(worlds) % len(qpos)
    noise = 0.3 * np.random.default_rng(0).normal(size=(steps, 156)).astype(np.float32)

    @jax.jit
    def roll(state: PhysicsState) -> PhysicsState:
        def one(state: PhysicsState, target: jax.Array) -> tuple[PhysicsState, None]:
            return physics.step(state, jnp.broadcast_to(target, (worlds, 156))), None

        return jax.lax.scan(one, state, jnp.asarray(noise))[0]

    state = physics.init(jnp.asarray(qpos[pick]), jnp.asarray(qvel[pick]))
    jax.block_until_ready(roll(state))
    start = time.perf_counter()
    last = jax.block_until_ready(roll(state))
    return worlds * steps / (time.perf_counter() - start), int(last.overflow.max())


def main() -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="auto", help="comma-separated")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--feet", default=None, help="box or corners; absent: the preset's")
    parser.add_argument("--worlds", type=int, default=256)
    parser.add_argument("--motion", default=None, help="clips to take states from; absent: synthetic states")
    parser.add_argument("--speed", type=int, default=0, help="also time this many worlds")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    changes = {"feet": args.feet} if args.feet else {}
    scene = build_scene(scene_options(args.preset, **changes))
    if args.motion:
        states = clip_states(scene, args.motion, args.worlds, seed=0)
    else:
        states = contract.synthetic_states(scene, args.worlds)
    reference = contract.slow_step(scene, *states)
    report: dict[str, dict] = {}
    print(f"{args.worlds} worlds, feet={scene.options.feet}; error of the worlds at percentiles {PERCENTILES}")
    for engine in args.engines.split(","):
        physics = make_physics(resolve_engine(engine), scene)
        start = time.perf_counter()
        outcome, overflow = contract.engine_step(physics, *states)
        errors = contract.compare(outcome, reference)
        row: dict = {k: np.percentile(errors[k], PERCENTILES).tolist() for k in ("qpos", "qvel", "force")}
        row |= {k: float(errors[k].mean()) for k in ("flags", "edges")}
        row |= {"overflow": int(overflow.max()), "first_call_s": time.perf_counter() - start}
        row |= {"device": jax.devices()[0].device_kind, "worlds": args.worlds, "feet": scene.options.feet}
        row["states"] = Path(args.motion).stem if args.motion else "synthetic"
        row["passed"] = bool(contract.passes(physics.name, errors) and row["overflow"] == 0)
        if args.speed:
            row["control_steps_per_s"], row["speed_overflow"] = speed(physics, *states[:2], args.speed)
        report[physics.name] = row
        for key, value in row.items():
            text = "  ".join(f"{x:9.2e}" for x in value) if isinstance(value, list) else str(value)
            print(f"{physics.name:9s} {key:20s} {text}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(row["passed"] for row in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
