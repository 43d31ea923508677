"""Start states: clearance against MuJoCo's own distances, and no kick after a reset."""

import os
from pathlib import Path

import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.model import clearance
from mjx_skillmimic.model.depenetrate import START_PRESETS, StartOptions, depenetrate, feet_depths
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.starts import settle_starts

DATA = Path(os.environ.get("MJX_SKILLMIMIC_DATA", Path(__file__).parents[1] / "../shared/data")) / "BallPlay-M"


@pytest.fixture(scope="module")
def scene():
    return build_scene()


@pytest.fixture(scope="module")
def states(scene):
    return contract.synthetic_states(scene, 60, seed=3)


@pytest.mark.parametrize("box_hands", [False, True])
def test_sphere_depths_equal_mujoco_distances(states, box_hands):
    scene = build_scene(box_hands=box_hands)
    qpos = states[0]
    start = int(scene.model.joint("object").qposadr[0])
    centre = qpos[:, start : start + 3]
    depth, normal = clearance.sphere_depths(scene, centre, scene.object_radius, *clearance.geom_poses(scene, qpos))
    data, ball, segment = mujoco.MjData(scene.model), scene.model.geom("object").id, np.empty(6)
    for frame in range(0, 60, 7):
        data.qpos[:] = qpos[frame]
        mujoco.mj_kinematics(scene.model, data)
        for i, name in enumerate(BODIES):
            distance = mujoco.mj_geomDistance(scene.model, data, scene.model.geom(name).id, ball, 5.0, segment)
            if distance > -0.1:  # deeper than its radius the centre is inside and MuJoCo's answer is approximate
                assert depth[frame, i] == pytest.approx(-distance, abs=1e-4), name
            if distance > 1e-3:
                np.testing.assert_allclose(normal[frame, i], (segment[3:] - segment[:3]) / distance, atol=1e-3)


def test_the_ball_leaves_the_body_and_the_floor(scene, states):
    result = depenetrate(scene, states[0])
    before, _ = clearance.sphere_depths(
        scene, states[0][:, -7:-4], scene.object_radius, *clearance.geom_poses(scene, states[0])
    )
    assert before.max() > 0.05
    assert np.quantile(result.remaining, 0.9) < 1e-3
    assert (result.qpos[:, -5] >= scene.object_radius - 1e-9).all()
    shift = np.linalg.norm(result.object_shift, axis=-1)
    assert shift.max() <= 0.12 + 0.02
    free = (before.max(axis=-1) < 0) & (states[0][:, -5] > scene.object_radius)
    assert free.any()
    np.testing.assert_array_equal(shift[free], 0.0)
    np.testing.assert_array_equal(result.qpos[:, :-7], states[0][:, :-7])


def test_one_sided_overlap_is_left_by_the_shortest_way(scene):
    """Ball in the head: out along the line of centres."""
    qpos = scene.model.qpos0[None].copy()
    qpos[0, 2], qpos[0, 3:7] = 1.5, rotations.exp(np.array([np.pi / 2, 0, 0]))
    pos, _ = clearance.geom_poses(scene, qpos)
    head = pos[0, BODIES.index("Head")]
    qpos[0, -7:-4] = head + np.array([0.0, -0.03, 0.17])
    result = depenetrate(scene, qpos)
    out = np.array([0.0, -0.03, 0.17])
    length = np.linalg.norm(out)
    np.testing.assert_allclose(result.object_shift[0], out / length * (0.12 + 0.1011 - length), atol=2e-4)


def test_feet_are_raised_to_the_depth_asked_for(scene, states):
    result = depenetrate(scene, states[0], StartOptions(feet_depth=0.005))
    before = feet_depths(scene, states[0])
    assert (before > 0.005).any()
    np.testing.assert_allclose(feet_depths(scene, result.qpos), np.minimum(before, 0.005), atol=1e-9)
    np.testing.assert_allclose(result.root_lift, np.maximum(before - 0.005, 0.0), atol=1e-9)


def test_reference_preset_changes_nothing(scene, states):
    result = depenetrate(scene, states[0], START_PRESETS["reference"])
    np.testing.assert_array_equal(result.qpos, states[0])


@pytest.mark.skipif(not DATA.is_dir(), reason="the BallPlay clips are not there (MJX_SKILLMIMIC_DATA)")
@pytest.mark.parametrize(("clip", "share"), [("catch", 0.99), ("layup", 0.98), ("shot_style1", 0.99), ("run", 0.96)])
def test_the_ball_is_not_kicked_after_a_reset(scene, clip, share):
    from mjx_skillmimic.motion.library import load_clips

    motion = load_clips(str(DATA / clip))[0]
    joints = rotations.exp(motion.dof_pos.astype(float).reshape(-1, 52, 3))
    identity = np.tile([1.0, 0.0, 0.0, 0.0], (motion.num_frames, 1))

    def rate(x):
        return np.concatenate([np.zeros_like(x[:1]), (x[1:] - x[:-1]) * motion.fps])

    def spin(q):
        step = rotations.log(rotations.multiply(rotations.conjugate(q[:-1]), q[1:])) * motion.fps
        return np.concatenate([np.zeros_like(step[:1]), step])

    root = rotations.exp(motion.root_rotvec.astype(float))
    qpos, qvel = scene.pack(
        motion.root_pos.astype(float),
        root,
        joints,
        rate(motion.root_pos.astype(float)),
        spin(root),
        spin(joints),
        motion.object_pos.astype(float),
        identity,
        rate(motion.object_pos.astype(float)),
        np.zeros((motion.num_frames, 3)),
    )
    qvel = np.clip(qvel, -30.0, 30.0)
    mean_pose = rotations.log(joints).reshape(motion.num_frames, -1).mean(axis=0)
    settled = settle_starts(scene, qpos[2:], qvel[2:], mean_pose[None])
    raw = settle_starts(scene, qpos[2:], qvel[2:], mean_pose[None], START_PRESETS["reference"])
    assert np.median(settled.kick) < 0.2
    assert (settled.kick < 0.5).mean() >= share
    assert (settled.kick < 0.5).mean() >= (raw.kick < 0.5).mean()
