"""Forward kinematics against MuJoCo, and against the measured numbers of skillmimic.md §13."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import Skeleton, forward_kinematics, skeleton_from_model
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.model.assets import assets_dir


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml"))


@pytest.fixture(scope="module")
def skeleton(model) -> Skeleton:
    return skeleton_from_model(model)


def random_coordinates(model: mujoco.MjModel, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    qpos, qvel = rng.normal(size=model.nq), rng.normal(size=model.nv) * 3.0
    quats = qpos[3:].reshape(-1, 4)
    quats /= np.linalg.norm(quats, axis=-1, keepdims=True)
    return qpos, qvel


def ours(skeleton: Skeleton, qpos: np.ndarray, qvel: np.ndarray):
    lead = qpos.shape[:-1]
    return forward_kinematics(
        skeleton,
        qpos[..., 0:3],
        qpos[..., 3:7],
        qpos[..., 7:].reshape(*lead, -1, 4),
        qvel[..., 0:3],
        qvel[..., 3:6],
        qvel[..., 6:].reshape(*lead, -1, 3),
    )


@pytest.mark.parametrize("seed", range(5))
def test_poses_and_velocities_equal_mujoco(model, skeleton, seed):
    qpos, qvel = random_coordinates(model, seed)
    data = mujoco.MjData(model)
    data.qpos, data.qvel = qpos, qvel
    mujoco.mj_forward(model, data)
    found = ours(skeleton, qpos, qvel)
    first = model.body("Pelvis").id
    bodies = range(first, first + skeleton.num_bodies)
    np.testing.assert_allclose(found.pos, data.xpos[first:], atol=1e-12)
    np.testing.assert_allclose(rotations.geodesic(found.quat, data.xquat[first:]), 0.0, atol=1e-7)
    velocity = np.zeros(6)
    for i, body in enumerate(bodies):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        np.testing.assert_allclose(found.ang_vel[i], velocity[:3], atol=1e-11)
        np.testing.assert_allclose(found.lin_vel[i], velocity[3:], atol=1e-11)


def test_velocities_are_the_derivative_of_the_poses(model, skeleton):
    qpos, qvel = random_coordinates(model, 7)
    h = 1e-6
    after, before = qpos.copy(), qpos.copy()
    mujoco.mj_integratePos(model, after, qvel, h)
    mujoco.mj_integratePos(model, before, qvel, -h)
    slope = (ours(skeleton, after, 0 * qvel).pos - ours(skeleton, before, 0 * qvel).pos) / (2 * h)
    np.testing.assert_allclose(ours(skeleton, qpos, qvel).lin_vel, slope, atol=1e-6)


def test_jax_batches_equal_numpy_one_by_one(model, skeleton):
    states = [random_coordinates(model, seed) for seed in range(4)]
    qpos, qvel = (np.stack(x).astype(np.float32) for x in zip(*states, strict=True))
    batch = jax.jit(lambda q, v: ours(skeleton, q, v))(qpos, qvel)
    for i in range(4):
        for found, expected in zip(batch, ours(skeleton, qpos[i], qvel[i]), strict=True):
            np.testing.assert_allclose(found[i], expected, atol=2e-5, rtol=1e-5)


def test_without_velocities_everything_rests(model, skeleton):
    qpos, qvel = random_coordinates(model, 3)
    found = forward_kinematics(skeleton, qpos[0:3], qpos[3:7], qpos[7:].reshape(-1, 4))
    np.testing.assert_array_equal(found.pos, ours(skeleton, qpos, qvel).pos)
    assert not found.lin_vel.any()
    assert not found.ang_vel.any()


def test_zero_pose_of_the_specification(skeleton):
    """skillmimic.md §13, root at the origin without rotation."""
    one = np.zeros((humanoid.NUM_JOINTS, 4))
    one[:, 0] = 1.0
    found = forward_kinematics(skeleton, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), one).pos
    expected = {
        "Chest": (0, 0.46697, -0.02798),
        "Head": (0, 0.66093, -0.01335),
        "L_Toe": (0.10972, -0.96081, 0.15658),
        "L_Index3": (0.83986, 0.43743, 0.06471),
        "R_Thumb3": (-0.77418, 0.43743, 0.07318),
    }
    for name, position in expected.items():
        np.testing.assert_allclose(found[skeleton.index(name)], position, atol=6e-6, err_msg=name)


def published_layup() -> Path:
    root = Path(os.environ.get("MJX_SKILLMIMIC_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = root / "BallPlay-M" / "layup" / "031_015pickle_layup_001_001.pt"
    if not path.is_file():
        pytest.skip(f"published clip {path} is not here (MJX_SKILLMIMIC_DATA names the folder)")
    return path


def test_layup_frame_20_of_the_specification(skeleton):
    """skillmimic.md §13: root, velocities, ball and forward kinematics of one published frame."""
    from mjx_skillmimic.imitation.options import RewardOptions
    from mjx_skillmimic.imitation.reward import RewardWeights, body_factors
    from mjx_skillmimic.motion.derive import derive
    from mjx_skillmimic.motion.library import load_clip

    clip = load_clip(published_layup())
    stored, kinematic = (derive(clip, skeleton, key) for key in ("stored", "fk"))
    t = 20
    np.testing.assert_allclose(stored.root_pos[t], (0.17502, 0.63106, 0.87762), atol=6e-6)
    np.testing.assert_allclose(stored.root_rotvec[t], (1.60447, -0.01832, -0.23524), atol=6e-6)
    quat = stored.root_quat[t]
    np.testing.assert_allclose(quat, (0.68887, 0.71717, -0.00819, -0.10515), atol=6e-6)
    np.testing.assert_allclose(rotations.heading(quat), -0.15883, atol=6e-6)
    np.testing.assert_allclose(
        rotations.tan_norm(quat), (0.9778, -0.1566, -0.1395, -0.1621, -0.9864, -0.0288), atol=6e-5
    )
    np.testing.assert_allclose(stored.root_lin_vel[t], (-0.04488, -1.60122, 0.31124), atol=2e-5)
    np.testing.assert_allclose(stored.root_ang_vel[t], (0.31697, 0.49232, 0.93412), atol=2e-2)
    np.testing.assert_allclose(rotations.rotate(quat, stored.root_ang_vel[t]), (0.22404, -0.99601, 0.41617), atol=2e-2)
    np.testing.assert_allclose(stored.object_pos[t], (-0.24068, 0.43014, 1.22057), atol=6e-6)
    np.testing.assert_allclose(stored.object_lin_vel[t], (0.47748, -3.41206, -0.08243), atol=2e-5)
    assert stored.contact[t] == 1
    expected = {
        "Head": ((0.1427, 0.46145, 1.49266), (0.14371, 0.4612, 1.50526)),
        "R_Elbow": ((-0.08975, 0.71223, 1.10781), (-0.10943, 0.71799, 1.12099)),
        "L_Ankle": ((0.30374, 0.89873, 0.2266), (0.31149, 0.90867, 0.23649)),
        "R_Index3": ((-0.35649, 0.47821, 1.28516), (-0.39556, 0.4724, 1.24547)),
    }
    for name, (computed, captured) in expected.items():
        key = humanoid.KEY_BODIES.index(name)
        np.testing.assert_allclose(kinematic.key_body_pos[t, key], computed, atol=6e-6, err_msg=name)
        np.testing.assert_allclose(stored.key_body_pos[t, key], captured, atol=6e-6, err_msg=name)
    sim, ref = kinematic.features(), stored.features()
    factors = body_factors(sim, ref, sim.dof_vel, RewardWeights(), RewardOptions.reference())
    np.testing.assert_allclose(factors["p"][t], 0.98793, atol=6e-6)


def test_unknown_bodies_are_named(skeleton):
    with pytest.raises(KeyError, match=r"no body 'Tail'.*Pelvis"):
        skeleton.index("Tail")


@pytest.mark.parametrize(
    "arm", ["<joint type='slide'/>", "<joint type='hinge' pos='0 0 1'/>", "<joint type='hinge'/><joint type='hinge'/>"]
)
def test_only_trees_that_turn_about_their_bodies_origins_are_accepted(arm):
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body name='Pelvis'><freejoint/><geom size='1'/>"
        f"<body name='Arm'>{arm}<geom size='1'/></body></body></worldbody></mujoco>"
    )
    with pytest.raises(ValueError, match="'Arm': expected an unrotated frame and at most one joint"):
        skeleton_from_model(model)
