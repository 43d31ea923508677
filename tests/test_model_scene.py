"""The scene: masses, golden poses, collision filters, options, packing."""

import mujoco
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.model.build import THUMB_PAIRS
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.options import PRESETS, scene_options
from mjx_skillmimic.model.scene import build_scene


@pytest.fixture(scope="module")
def scene():
    return build_scene()


def contacts(scene, edit=None):
    """Names of touching geoms in the zero pose, humanoid and ball off the floor and apart, after `edit(data)`."""
    data = mujoco.MjData(scene.model)
    data.qpos[2] = 3.0
    data.qpos[scene.model.joint("object").qposadr[0] + 2] = 1.0
    if edit:
        edit(data)
    mujoco.mj_forward(scene.model, data)
    return {frozenset(scene.model.geom(g).name for g in pair) for pair in data.contact.geom}


@pytest.mark.parametrize(("box_hands", "mass"), [(False, 66.590), (True, 66.93)])
def test_masses_are_the_published_ones(box_hands, mass):
    model = build_scene(box_hands=box_hands).model
    assert model.body("Pelvis").subtreemass[0] == pytest.approx(mass, abs=0.005)


@pytest.mark.parametrize("preset", ["default", "reference"])
def test_ball_is_a_solid_sphere_of_density_1000(preset):
    ball = build_scene(PRESETS[preset]).model.body("object")
    assert ball.mass[0] == pytest.approx(7.238, abs=1e-3)
    np.testing.assert_allclose(ball.inertia, 0.4 * ball.mass[0] * 0.12**2, rtol=1e-9)


def test_a_real_ball_is_hollow():
    ball = build_scene(ball_mass=0.62, ball_shell=True).model.body("object")
    assert ball.mass[0] == pytest.approx(0.62)
    np.testing.assert_allclose(ball.inertia, 2 / 3 * 0.62 * 0.12**2, rtol=1e-6)


def test_zero_pose_is_the_published_one(scene):
    data = mujoco.MjData(scene.model)
    data.qpos[:3] = 0.0
    mujoco.mj_kinematics(scene.model, data)
    golden = {  # skillmimic.md §13
        "Chest": (0, 0.46697, -0.02798),
        "Head": (0, 0.66093, -0.01335),
        "L_Toe": (0.10972, -0.96081, 0.15658),
        "L_Index3": (0.83986, 0.43743, 0.06471),
        "R_Thumb3": (-0.77418, 0.43743, 0.07318),
    }
    for name, pos in golden.items():
        np.testing.assert_allclose(data.body(name).xpos, pos, atol=1e-5)


def test_pack_means_what_mujoco_means_and_unpack_inverts_it(scene):
    rng = np.random.default_rng(0)
    parts = (
        rng.normal(size=(5, 3)),
        rotations.normalize(rng.normal(size=(5, 4))),
        rotations.normalize(rng.normal(size=(5, 52, 4))),
        rng.normal(size=(5, 3)),
        rng.normal(size=(5, 3)),
        rng.normal(size=(5, 52, 3)),
        rng.normal(size=(5, 3)),
        rotations.normalize(rng.normal(size=(5, 4))),
        rng.normal(size=(5, 3)),
        rng.normal(size=(5, 3)),
    )
    qpos, qvel = scene.pack(*parts)
    assert qpos.shape == (5, scene.model.nq)
    assert qvel.shape == (5, scene.model.nv)
    for got, given in zip(scene.unpack(qpos, qvel), parts, strict=True):
        np.testing.assert_allclose(got, given, atol=1e-12)
    data, velocity = mujoco.MjData(scene.model), np.empty(6)
    data.qpos[:], data.qvel[:] = qpos[0], qvel[0]
    mujoco.mj_forward(scene.model, data)
    mujoco.mj_objectVelocity(scene.model, data, mujoco.mjtObj.mjOBJ_BODY, scene.object_body_id, velocity, 0)
    np.testing.assert_allclose(velocity, np.concatenate([parts[9][0], parts[8][0]]), atol=1e-12)
    np.testing.assert_array_equal(scene.humanoid_body_ids, [scene.model.body(name).id for name in BODIES])


def test_zero_pose_has_no_contacts_and_only_the_thumbs_overlap_without_the_exclusion(scene):
    assert contacts(scene) == set()
    assert contacts(build_scene(exclude_thumbs=False)) == {frozenset(pair) for pair in THUMB_PAIRS}


def test_self_collision_is_an_option(scene):
    def hand_in_pelvis(data):
        adr = scene.model.joint("L_Shoulder").qposadr[0]
        data.qpos[adr : adr + 4] = rotations.exp(np.array([0.0, 0.0, -2.2]))
        adr = scene.model.joint("L_Elbow").qposadr[0]
        data.qpos[adr : adr + 4] = rotations.exp(np.array([0.0, 0.0, -0.9]))

    assert contacts(scene, hand_in_pelvis)
    assert contacts(build_scene(self_collision=False), hand_in_pelvis) == set()


@pytest.mark.parametrize("feet", ["box", "corners"])
def test_ball_meets_floor_and_every_body_once(feet):
    scene = build_scene(feet=feet)
    start = int(scene.model.joint("object").qposadr[0])
    floor = contacts(scene, lambda data: data.qpos.__setitem__(start + 2, 0.11))
    assert floor == {frozenset(("object", "floor"))}
    for name in BODIES:
        data = mujoco.MjData(scene.model)
        data.qpos[2] = 3.0
        mujoco.mj_kinematics(scene.model, data)
        data.qpos[start : start + 3] = data.geom(name).xpos + np.array([0.0, 0.0, 0.05])
        mujoco.mj_forward(scene.model, data)
        pairs = [frozenset(scene.model.geom(g).name for g in pair) for pair in data.contact.geom]
        assert pairs.count(frozenset(("object", name))) == 1
        assert all("object" in pair for pair in pairs)


def test_corner_soles_stand_where_the_boxes_stand():
    data = {}
    for feet in ("box", "corners"):
        model = build_scene(feet=feet).model
        data[feet] = mujoco.MjData(model)
        data[feet].qpos[2] = 0.97
        data[feet].qpos[model.joint("object").qposadr[0]] = 2.0
        data[feet].qpos[3:7] = rotations.exp(np.array([np.pi / 2, 0, 0]))
        mujoco.mj_forward(model, data[feet])
        ankle = [c.dist for c in data[feet].contact if model.geom(c.geom2).name.startswith("L_Ankle")]
        assert len(ankle) == 4
        np.testing.assert_allclose(ankle, 0.97 - 0.0365719 - 0.461208 - 0.364385 - 0.07 - 0.0464, atol=1e-6)


def test_standing_feet_do_not_sink():
    """Held upright by stiff joints, the soles rest within 3 mm of the floor."""
    scene = build_scene()
    model, data = scene.model, mujoco.MjData(scene.model)
    data.qpos[2], data.qpos[3:7] = 0.981, rotations.exp(np.array([np.pi / 2, 0, 0]))
    for _ in range(12):
        mujoco.mj_step(model, data)
    feet = [c.dist for c in data.contact if "Ankle" in model.geom(c.geom2).name or "Toe" in model.geom(c.geom2).name]
    assert feet
    assert min(feet) > -3e-3


def test_bad_options_name_what_is_wrong():
    with pytest.raises(ValueError, match="feet='round'"):
        build_scene(feet="round")
    with pytest.raises(ValueError, match="ball_mass=-1"):
        build_scene(ball_mass=-1)
    with pytest.raises(TypeError, match="ball_mas"):
        build_scene(ball_mas=1.0)
    with pytest.raises(KeyError, match="reference"):
        scene_options("published")
