"""Light hands: two hinges a finger, the mapping from clips, and the same door above them."""

import importlib.util

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.ball_play import BallPlay, default_config
from mjx_skillmimic.evaluation.light_hands import projected
from mjx_skillmimic.kinematics import Coordinates, forward_kinematics
from mjx_skillmimic.model.hands import FINGERS, hinge_axis, is_finger
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.joints import twist
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion import library
from mjx_skillmimic.physics import batch, contract, variants
from mjx_skillmimic.physics.registry import make_physics
from mjx_skillmimic.physics.state import body_state

HINGES = [BODIES.index(f"{side}_{finger}{i}") - 1 for side in "LR" for finger in FINGERS for i in (1, 2)]
RIGID = [BODIES.index(f"{side}_{finger}3") - 1 for side in "LR" for finger in FINGERS]
BALLS = [j for j in range(52) if j not in HINGES + RIGID]
AXES = np.array([hinge_axis(BODIES[1 + j]) for j in HINGES])


@pytest.fixture(scope="module")
def full():
    return build_scene()


@pytest.fixture(scope="module")
def scene():
    return build_scene(scene_options("light"))


def random_coordinates(count, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=(count, *shape))  # noqa: E731
    quat = lambda *shape: rotations.normalize(normal(*shape, 4))  # noqa: E731
    joints = rotations.exp(size * normal(52, 3))
    return Coordinates(
        normal(3), quat(), joints, *(normal(*s) for s in ((3,), (3,), (52, 3), (3,))), quat(), normal(3), normal(3)
    )


def test_bodies_and_geoms_stay_and_70_dofs_go(full, scene):
    model = scene.model
    assert (model.nq, model.nv, model.nu) == (122, 98, 86)
    for count in ("nbody", "ngeom"):
        assert getattr(model, count) == getattr(full.model, count)
    assert scene.skeleton.names == full.skeleton.names
    np.testing.assert_array_equal(scene.skeleton.offsets, full.skeleton.offsets)
    np.testing.assert_allclose(model.body_mass, full.model.body_mass)
    assert not any(is_finger(name) and name.endswith("3") for name in (model.joint(j).name for j in range(model.njnt)))


def test_hinges_are_across_the_finger_mirrored_and_bend_towards_the_palm(scene):
    for side, finger, i in ((s, f, i) for s in "LR" for f in FINGERS for i in (1, 2)):
        name = f"{side}_{finger}{i}"
        axis, along = hinge_axis(name), np.array(scene.model.body(f"{side}_{finger}{i + 1}").pos)
        assert abs(axis @ along) < 0.03 * np.linalg.norm(along)
        np.testing.assert_allclose(hinge_axis(f"R{name[1:]}"), hinge_axis(f"L{name[1:]}") * [1, -1, -1])
        # the palm faces −y
        assert rotations.rotate(rotations.exp(0.3 * axis), along)[1] < 0.0
    for name in ("L_Index3", "L_Wrist", "Head"):
        with pytest.raises(KeyError, match=f"no hinge '{name}'"):
            hinge_axis(name)


def test_pack_keeps_balls_and_the_twist_of_hinges(scene):
    given = random_coordinates(6)
    qpos, qvel = scene.pack(*given)
    assert (qpos.shape, qvel.shape) == ((6, 122), (6, 98))
    found = scene.unpack(qpos, qvel)
    for name in Coordinates._fields:
        if not name.startswith("joint"):
            np.testing.assert_allclose(getattr(found, name), getattr(given, name), atol=1e-12)
    np.testing.assert_allclose(found.joint_quat[:, BALLS], given.joint_quat[:, BALLS])
    np.testing.assert_allclose(found.joint_vel[:, BALLS], given.joint_vel[:, BALLS])
    np.testing.assert_array_equal(found.joint_quat[:, RIGID], np.broadcast_to([1.0, 0, 0, 0], (6, 10, 4)))
    np.testing.assert_array_equal(found.joint_vel[:, RIGID], 0.0)
    across = np.cross(rotations.log(found.joint_quat[:, HINGES]), AXES)
    np.testing.assert_allclose(across, 0.0, atol=1e-12)
    # of all turns about the axis the twist is the one nearest to the clip's rotation
    kept = rotations.geodesic(given.joint_quat[:, HINGES], found.joint_quat[:, HINGES])
    for angle in np.linspace(-np.pi, np.pi, 61):
        other = np.broadcast_to(rotations.exp(angle * AXES), (6, 20, 4))
        assert (kept <= rotations.geodesic(given.joint_quat[:, HINGES], other) + 1e-9).all()


def test_unpack_then_pack_is_the_identity(scene):
    rng = np.random.default_rng(1)
    qpos, qvel = scene.pack(*random_coordinates(6))
    for j in HINGES:
        qpos[:, scene.model.joint(BODIES[1 + j]).qposadr[0]] = rng.uniform(-3.1, 3.1, 6)
    again = scene.pack(*scene.unpack(qpos, qvel))
    for got, given in zip(again, (qpos, qvel), strict=True):
        np.testing.assert_allclose(got, given, atol=1e-12)


def test_twist_rate_is_the_derivative_of_the_twist():
    rng = np.random.default_rng(2)
    quat, velocity = rotations.exp(rng.normal(size=(40, 3))), rng.normal(size=(40, 3)) * 3.0
    axis = rotations.normalize(rng.normal(size=(40, 3)))
    h = 1e-6
    ahead, behind = (
        twist(rotations.multiply(quat, rotations.exp(s * h * velocity)), velocity, axis)[0] for s in (1, -1)
    )
    slope = np.angle(np.exp(1j * (ahead - behind))) / (2 * h)
    np.testing.assert_allclose(twist(quat, velocity, axis)[1], slope, atol=1e-6, rtol=1e-6)


def test_poses_and_velocities_equal_mujoco(scene):
    qpos, qvel = scene.pack(*random_coordinates(1, seed=3))
    data, velocity = mujoco.MjData(scene.model), np.empty(6)
    data.qpos[:], data.qvel[:] = qpos[0], qvel[0]
    mujoco.mj_forward(scene.model, data)
    c = scene.unpack(qpos[0], qvel[0])
    found = forward_kinematics(scene.skeleton, *c[:6])
    ids = scene.humanoid_body_ids
    np.testing.assert_allclose(found.pos, data.xpos[ids], atol=1e-12)
    np.testing.assert_allclose(rotations.geodesic(found.quat, data.xquat[ids]), 0.0, atol=1e-7)
    for i, body in enumerate(ids):
        mujoco.mj_objectVelocity(scene.model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        np.testing.assert_allclose(np.r_[found.ang_vel[i], found.lin_vel[i]], velocity, atol=1e-10)


def test_jax_answers_as_numpy_does(scene):
    given = random_coordinates(3, size=0.5)
    target = np.random.default_rng(0).normal(size=(3, 156))
    qpos, qvel = scene.pack(*given)
    packed = jax.jit(scene.pack)(*(jnp.asarray(x) for x in given))
    unpacked = jax.jit(scene.unpack)(jnp.asarray(qpos), jnp.asarray(qvel))
    servos = jax.jit(lambda q, t: (scene.servo_positions(q), scene.servo_targets(t)))(
        jnp.asarray(qpos), jnp.asarray(target)
    )
    expected = (qpos, qvel, *scene.unpack(qpos, qvel), scene.servo_positions(qpos), scene.servo_targets(target))
    for got, wanted in zip((*packed, *unpacked, *servos), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("hands", ["ball", "hinge"])
def test_servos_name_what_the_model_actuates(hands):
    scene = build_scene(hands=hands)
    model, servos = scene.model, scene.servos
    np.testing.assert_array_equal(servos.dof, np.arange(6, model.nv - 6))
    assert model.nu == len(servos.joint) == len(servos.kp)
    target = np.random.default_rng(0).normal(size=156)
    wanted = scene.servo_targets(target)
    dt = scene.timestep
    for i in range(model.nu):
        joint = model.joint(BODIES[1 + servos.joint[i]])
        assert model.dof_jntid[servos.dof[i]] == joint.id
        assert servos.qpos_address[i] == joint.qposadr[0]
        assert servos.is_hinge[i] == (joint.type[0] == mujoco.mjtJoint.mjJNT_HINGE)
        vector = target[3 * servos.joint[i] : 3 * servos.joint[i] + 3]
        assert wanted[i] == pytest.approx(servos.axis[i] @ vector)
        np.testing.assert_allclose(
            servos.axis[i], joint.axis if servos.is_hinge[i] else np.eye(3)[servos.dof[i] - joint.dofadr[0]]
        )
        row = 3 * servos.joint[i]
        assert (servos.kp[i], servos.kd[i]) == (scene.kp[row], scene.kd[row])
        assert model.actuator_gainprm[i, 0] == servos.kp[i]
        assert model.actuator_biasprm[i, 2] == pytest.approx(-(servos.kd[i] + dt * servos.kp[i]))
        assert model.dof_armature[servos.dof[i]] == pytest.approx(0.02 + dt * servos.kd[i] + dt * dt * servos.kp[i])


def test_the_door_shows_156_dofs(scene):
    qpos, qvel = scene.pack(*random_coordinates(2, size=0.3))
    body = jax.jit(lambda q, v: body_state(scene, batch.new_state(q, v, engine=None)))(qpos, qvel)
    assert body.dof_pos.shape == body.dof_vel.shape == (2, 156)
    vectors, rates = (np.asarray(x).reshape(2, 52, 3) for x in (body.dof_pos, body.dof_vel))
    names = [BODIES[1 + j] for j in HINGES]
    for values, flat, address in ((vectors, qpos, "qposadr"), (rates, qvel, "dofadr")):
        scalars = np.stack([flat[:, getattr(scene.model.joint(name), address)[0]] for name in names], axis=-1)
        np.testing.assert_allclose(values[:, HINGES], scalars[..., None] * AXES, atol=1e-5)
        np.testing.assert_array_equal(values[:, RIGID], 0.0)


def test_rigid_segments_collide_as_one_body(full, scene):
    def pairs(chosen):
        model = variants.without_actuators(chosen)
        return {frozenset(model.geom(g).name for g in pair) for pair in variants.capsule_pairs(model)}

    lost = pairs(full) - pairs(scene)
    assert {frozenset((f"{s}_{f}1", f"{s}_{f}3")) for s in "LR" for f in FINGERS} - pairs(full) == set()
    assert lost == {frozenset((f"{s}_{f}1", f"{s}_{f}3")) for s in "LR" for f in FINGERS}
    assert pairs(scene) <= pairs(full)


@pytest.mark.parametrize("name", ["mujoco", "mjx-warp"])
def test_engines_agree_with_the_slow_loop(name):
    if name == "mjx-warp" and importlib.util.find_spec("warp") is None:
        pytest.skip("Warp is not installed")
    scene = build_scene(scene_options("light", feet="corners"))
    states = contract.synthetic_states(scene, 48)
    outcome, overflow = contract.engine_step(make_physics(name, scene), *states)
    errors = contract.compare(outcome, contract.slow_step(scene, *states))
    assert overflow.max() == 0
    assert contract.passes(name, errors), {k: np.percentile(v, [50, 95, 100]) for k, v in errors.items()}


def test_ball_play_runs_on_the_light_preset():
    config = default_config("light")
    config.physics.engine = "mujoco"
    env = BallPlay(config, library.load_clips("throw_catch"))
    assert env.scene.model.nv == 98

    @jax.jit
    def roll(rng):
        start = env.reset(rng)
        action = jnp.tile(env.initial_action, (len(rng), 1))
        return jax.lax.scan(
            lambda s, _: ((t := env.step(s, action)), (t.reward, t.metrics["nonfinite"])), start, None, 3
        )

    state, (reward, nonfinite) = roll(jax.random.split(jax.random.key(0), 4))
    assert state.data.qpos.shape == (4, 122)
    assert state.obs.shape == (4, env.observation_size)
    assert np.isfinite(state.obs).all()
    assert (np.asarray(reward) > 0.0).all()
    assert not np.asarray(nonfinite).any()
    # episodes start from the clip's joints as far as the hinges can follow
    dof_pos = rotations.log(projected(env.scene, env.clips[0])[0]).reshape(-1, 156)
    assert np.abs(dof_pos - np.asarray(env.tables.motions.reference.dof_pos)).max() > 0.1
    np.testing.assert_allclose(env.tables.starts.body.dof_pos, dof_pos, atol=1e-5)


def test_unknown_hands_are_refused():
    with pytest.raises(ValueError, match="hands='mitten'; expected one of ball, hinge"):
        build_scene(hands="mitten")
