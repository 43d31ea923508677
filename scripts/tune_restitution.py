"""Searches the contact parameters that give the ball its bounce (mjx_skillmimic/model/restitution.py).

    python scripts/tune_restitution.py --target 0.805 --depth 0.06
    python scripts/tune_restitution.py --target 0.405 --depth 0.07
    python scripts/tune_restitution.py --check restitution.json

Drops a ball at 1–6 m/s that starts anywhere within a step of the surface and searches, by random steps, for the
stiffness, damping and impedance ramp with the right mean ratio of speeds, little scatter from drop to drop, no trend
with the speed, and no dent deeper than `--depth` metres at 6 m/s. Takes `--seconds`, prints the best. `--check`
searches nothing: it measures the package's two materials so and writes what it found, with the depth at rest.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import mujoco
import numpy as np

from mjx_skillmimic.model import restitution
from mjx_skillmimic.model.build import FLOOR, OBJECT
from mjx_skillmimic.model.scene import build_scene

GRAVITY = 9.81
# stiffness 1/s², damping 1/s, then solimp; the stiffest that a step of 1/120 s follows is 120²
LOWEST = np.array([2000.0, 1.0, 0.01, 0.9, 0.001, 0.05, 1.0])
HIGHEST = np.array([14400.0, 200.0, 0.93, 0.99, 0.1, 0.95, 3.0])


def ball_model() -> mujoco.MjModel:
    """The scene's ball and floor alone."""
    spec = build_scene().spec
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    for exclude in list(spec.excludes):
        spec.delete(exclude)
    spec.delete(spec.body("Pelvis"))
    return spec.compile()


def drops(model: mujoco.MjModel, values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Restitution (count,) and deepest dent (count,) m of impacts of rising speed with parameters `values` (7,)."""
    pair, radius = model.pair(f"{OBJECT}-{FLOOR}").id, model.geom(OBJECT).size[0]
    model.pair_solref[pair], model.pair_solimp[pair] = -values[:2], values[2:]
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    ratio, dent = np.zeros(count), np.zeros(count)
    for i, speed in enumerate(np.linspace(1.0, 6.0, count)):
        mujoco.mj_resetData(model, data)
        gap = rng.uniform(0.0, speed * model.opt.timestep)
        data.qpos[2], data.qvel[2] = radius + gap, -speed
        for _ in range(100):
            mujoco.mj_step(model, data)
            height = data.qpos[2] - radius
            dent[i] = max(dent[i], -height)
            if dent[i] > 0 and height > 0 and data.qvel[2] > 0:
                # Euler's steps keep v²/2 + g h − g dt v/2 in flight
                lost, up = GRAVITY * model.opt.timestep, data.qvel[2]
                after = max(up**2 + 2 * GRAVITY * height - lost * up, 0.0)
                ratio[i] = np.sqrt(after / (speed**2 + 2 * GRAVITY * gap + lost * speed))
                break
    return ratio, dent


def depth_at_rest(model: mujoco.MjModel) -> float:
    """How deep, m, the ball lies in the surface after 10 s."""
    data = mujoco.MjData(model)
    for _ in range(round(10.0 / model.opt.timestep)):
        mujoco.mj_step(model, data)
    return model.geom(OBJECT).size[0] - data.qpos[2]


def cost(ratio: np.ndarray, dent: np.ndarray, target: float, depth: float) -> float:
    """What the search makes small."""
    third = len(ratio) // 3
    trend = abs(ratio[:third].mean() - ratio[-third:].mean())
    return 2 * abs(ratio.mean() - target) + ratio.std() + 0.5 * trend + 10 * max(0.0, dent.max() - depth)


def check(path: Path, count: int = 300) -> None:
    """Drops with the package's materials: restitution and deepest dent, printed and written as JSON."""
    report: dict[str, dict[str, float]] = {}
    for name, material in (("floor", restitution.BALL_FLOOR), ("body", restitution.BALL_BODY)):
        values = np.array([*(-x for x in material.solref), *material.solimp])
        model = ball_model()
        ratio, dent = drops(model, values, count)
        found = {
            "mean": ratio.mean(),
            "std": ratio.std(),
            "least": ratio.min(),
            "most": ratio.max(),
            "dent_m": dent.max(),
            "rest_m": depth_at_rest(model),
        }
        report[name] = {key: round(float(value), 4) for key, value in found.items()} | {"drops": count}
        print(name, json.dumps(report[name]))
    path.write_text(json.dumps(report, indent=2) + "\n")


def main() -> None:
    """Searches and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=float, help="restitution to reach")
    parser.add_argument("--depth", type=float, help="m")
    parser.add_argument("--check", type=Path, metavar="JSON", help="measure the package's materials instead")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.check:
        check(args.check)
        return
    if args.target is None or args.depth is None:
        parser.error("--target and --depth are needed to search, or --check")
    model, rng = ball_model(), np.random.default_rng(args.seed)
    best, best_cost, end = LOWEST, np.inf, time.monotonic() + args.seconds
    while time.monotonic() < end:
        if not np.isfinite(best_cost) or rng.random() < 0.4:
            values = np.exp(rng.uniform(np.log(LOWEST), np.log(HIGHEST)))
        else:
            values = best * np.exp(0.15 * rng.normal(size=7) * (rng.random(7) < 0.5))
        values = np.clip(values, LOWEST, HIGHEST)
        found = cost(*drops(model, values, 30), args.target, args.depth)
        if found < best_cost:
            best, best_cost = values, found
    ratio, dent = drops(model, best, 300)
    print(f"solref ({-best[0]:.0f}, {-best[1]:.2f})  solimp ({', '.join(f'{x:.4g}' for x in best[2:])})")
    print(f"e = {ratio.mean():.3f} ± {ratio.std():.3f}, {ratio.min():.3f} to {ratio.max():.3f}")
    print(f"slow third {ratio[:100].mean():.3f}, fast third {ratio[-100:].mean():.3f}, dent {dent.max() * 100:.1f} cm")


if __name__ == "__main__":
    main()
