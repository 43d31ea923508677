"""Measures the states that episodes start from: overlaps in the clips, and the ball's kick after each correction.

    python scripts/check_starts.py --motion DIR/catch DIR/layup DIR/shot_style1 DIR/run DIR/pick_40 --json starts.json

Prints a table for each folder or clip and writes the numbers, over all frames that the sampling law may draw,
[2, T - 2]. Overlaps and contacts are those of the clips as they are: feet with the floor and with each other, ball with
a body. The kick is by how much one control step moves the ball's speed away from the clip's, the
nearer of its speeds before and after that step, under the worse of two actions, as the environment judges it: zero and
that of an untrained policy. Its definition is the same for every correction. Scene and velocities are those of the
preset; `--ball-mass` changes the ball.

The rise is what the floor does to bodies that begin inside it: by how much the pelvis comes above the clip's in the
highest of the first 12 control steps, with the clip's joint angles for targets and the ball put away; `feet_raised`
with the root first raised until the feet are on the floor, by `lift_m`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjx_skillmimic import envs, rotations
from mjx_skillmimic.envs import options
from mjx_skillmimic.imitation import actions
from mjx_skillmimic.model import clearance, depenetrate
from mjx_skillmimic.model.humanoid import BODIES, FEET
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.physics.registry import make_physics
from mjx_skillmimic.physics.starts import object_kick, settle_starts

PERCENTILES = (50, 95, 100)
RISE_STEPS = 12
EVERY = 4  # of how many frames one is simulated for the rise


def start_states(
    scene: Scene, chosen: options.EnvironmentOptions, motion: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """qpos (F, nq) and qvel (F, nv) of all frames of the clips as they are, targets (2, 156) of the two actions, and
    which frames may be drawn (F,)."""
    clips = library.load_clips(motion)
    motions = table.build_table(clips, scene.skeleton, key_bodies=chosen.motion.key_bodies)
    lengths = np.asarray(motions.lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    coordinates = table.initial_coordinates(
        motions,
        jnp.asarray(np.repeat(np.arange(len(lengths)), lengths)),
        jnp.asarray(frame),
        joint_velocity=chosen.start.joint_velocity,
        max_joint_speed=chosen.start.max_joint_speed,
        root_angular_velocity=chosen.start.root_angular_velocity,
    )
    qpos, qvel = (np.asarray(x, np.float64) for x in scene.pack(*coordinates))
    untrained = actions.initial_action(np.asarray(motions.reference.dof_pos), chosen.action)
    action = np.stack([np.zeros_like(untrained), untrained])
    drawn = (frame >= table.FIRST_START) & (frame <= np.repeat(lengths, lengths) - 2)
    return qpos, qvel, np.asarray(actions.pd_targets(action, chosen.action)), drawn


def collisions(scene: Scene, qpos: np.ndarray) -> dict[str, np.ndarray]:
    """Of each frame (F,): depth in m of a left foot box in a right one (0: apart), contacts, constraint rows, and pairs
    of geoms that may collide and whose bounding spheres overlap."""
    model, data = scene.model, mujoco.MjData(scene.model)
    left, right = ([model.geom(name).id for name in FEET if name[0] == side] for side in "LR")
    first, second = _pairs(model)
    reach = model.geom_rbound[first] + model.geom_rbound[second]
    found = {name: np.zeros(len(qpos)) for name in ("foot_in_foot_m", "contacts", "rows", "near_pairs")}
    for i, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_forward(model, data)
        depths = [-mujoco.mj_geomDistance(model, data, a, b, 0.01, None) for a in left for b in right]
        found["foot_in_foot_m"][i] = max(0.0, *depths)
        found["contacts"][i], found["rows"][i] = data.ncon, data.nefc
        apart = np.linalg.norm(data.geom_xpos[second] - data.geom_xpos[first], axis=-1)
        found["near_pairs"][i] = (apart < reach).sum()
    return found


def _pairs(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of geoms, without the plane, that may collide: by their bits, and neither in one body nor in parent and
    child."""
    solid = np.flatnonzero(model.geom_rbound > 0)
    first, second = (solid[i] for i in np.triu_indices(len(solid), 1))
    meet = (model.geom_contype[first] & model.geom_conaffinity[second]) > 0
    meet |= (model.geom_contype[second] & model.geom_conaffinity[first]) > 0
    a, b = model.geom_bodyid[first], model.geom_bodyid[second]
    meet &= (a != b) & (model.body_parentid[a] != b) & (model.body_parentid[b] != a)
    return first[meet], second[meet]


def overlaps(scene: Scene, qpos: np.ndarray) -> dict[str, object]:
    """Depths in m and counts at `PERCENTILES`, and the share of frames whose feet overlap each other."""
    pos, quat = clearance.geom_poses(scene, qpos)
    start = int(scene.model.joint("object").qposadr[0])
    ball, _ = clearance.sphere_depths(scene, qpos[:, start : start + 3], scene.object_radius, pos, quat)
    found = {
        "feet_in_floor_m": depenetrate.feet_depths(scene, qpos),
        "body_in_floor_m": -np.delete(
            clearance.lowest_points(scene.model, pos, quat), [BODIES.index(name) for name in FEET], axis=1
        ).min(axis=1),
        "ball_in_floor_m": scene.object_radius - qpos[:, start + 2],
        "ball_in_body_m": ball.max(axis=-1),
        **collisions(scene, qpos),
    }
    share = float((found["foot_in_foot_m"] > 0).mean())
    return {name: _percentiles(values) for name, values in found.items()} | {"foot_in_foot_share": share}


def kicks(
    scene: Scene,
    chosen: options.EnvironmentOptions,
    qpos: np.ndarray,
    qvel: np.ndarray,
    targets: np.ndarray,
    drawn: np.ndarray,
) -> dict[str, object]:
    """Kick in m/s at `PERCENTILES`, and the share of frames below the tolerance, for each correction in turn."""
    physics, tolerance = make_physics("mujoco", scene), chosen.start.max_kick or 0.5
    names = [field.name for field in dataclasses.fields(depenetrate.StartOptions)]
    full = depenetrate.StartOptions(**{name: getattr(chosen.start, name) for name in names})
    step = jax.jit(physics.step)

    def worst(corrected: np.ndarray) -> np.ndarray:
        start = physics.init(corrected, qvel)
        after = [step(start, np.tile(np.float32(target), (len(qpos), 1))) for target in targets]
        kicks = [object_kick(scene, np.asarray(x.qpos), np.asarray(x.qvel), qpos, qvel) for x in after]
        return np.max(kicks, axis=0)

    lifted = dataclasses.replace(full, push_object=False)
    found = {
        "none": worst(qpos),
        "lift": worst(depenetrate.depenetrate(scene, qpos, lifted).qpos),
        "lift_push": worst(depenetrate.depenetrate(scene, qpos, full).qpos),
        "lift_push_settle": settle_starts(scene, qpos, qvel, targets, full, tolerance=tolerance, physics=physics).kick,
    }
    return {
        name: {"kick_mps": _percentiles(kick[drawn]), "share": float((kick[drawn] <= tolerance).mean())}
        for name, kick in found.items()
    }


def rises(scene: Scene, qpos: np.ndarray, qvel: np.ndarray, drawn: np.ndarray) -> dict[str, object]:
    """Rise in m at `PERCENTILES`, from the clips as they are and with the feet raised out of the floor."""
    physics = make_physics("mujoco", scene)
    step = jax.jit(physics.step)
    # the frames behind the start must be of the same clip
    whole = np.convolve(drawn, np.ones(RISE_STEPS), "full")[RISE_STEPS - 1 :] == RISE_STEPS
    start = np.flatnonzero(whole)[::EVERY]
    joints = scene.unpack(qpos, qvel).joint_quat
    target = rotations.log(joints).reshape(len(qpos), -1).astype(np.float32)
    ball = int(scene.model.joint("object").qposadr[0])
    found: dict[str, object] = {"frames": len(start)}
    raised = depenetrate.depenetrate(scene, qpos[start], depenetrate.StartOptions(push_object=False, feet_depth=0.0))
    for name, begun in (("none", qpos[start]), ("feet_raised", raised.qpos)):
        begun = begun.copy()
        begun[:, ball : ball + 3] = begun[:, :3] + 3.0
        state, height = physics.init(begun, qvel[start]), []
        for ahead in range(1, RISE_STEPS + 1):
            state = step(state, target[start + ahead])
            height.append(np.asarray(state.qpos)[:, 2] - qpos[start + ahead, 2])
        found[name] = _percentiles(np.max(height, axis=0))
    return found | {"lift_m": _percentiles(raised.root_lift)}


def _percentiles(values: np.ndarray) -> list[float]:
    return [float(f"{x:.4g}") for x in np.percentile(values, PERCENTILES)]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", nargs="+", required=True, help="files, folders or names of shipped clips")
    parser.add_argument("--preset", default="default", choices=options.PRESETS)
    parser.add_argument("--ball-mass", type=float, default=None, help="kg; absent: the preset's ball")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    chosen = options.from_config(envs.default_config("BallPlay", args.preset))
    changes = {} if args.ball_mass is None else {"ball_mass": args.ball_mass}
    scene = build_scene(chosen.scene, **changes)
    settings = {"preset": args.preset, "ball_kg": float(scene.model.body("object").mass[0]), "engine": "mujoco"}
    rows: dict[str, dict[str, object]] = {}
    for motion in args.motion:
        qpos, qvel, targets, drawn = start_states(scene, chosen, motion)
        row = {"frames": int(drawn.sum()), **overlaps(scene, qpos[drawn])}
        moved = kicks(scene, chosen, qpos, qvel, targets, drawn)
        row["rise_m"] = rises(scene, qpos, qvel, drawn)
        name = Path(motion).stem
        rows[name] = row | {"kicks": moved}
        print(name)
        for key, value in (row | moved).items():
            print(f"  {key:20s} {json.dumps(value)}")
    if args.json:
        report = {"settings": settings, "percentiles": PERCENTILES, "motions": rows}
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
