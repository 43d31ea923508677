"""The exported MJCF opened in MuJoCo again, and the numbers beside it."""

import itertools
import json
import xml.etree.ElementTree as ET

import mujoco
import numpy as np
import pytest

from mjx_skillmimic.interop.isaacgym.description import DescriptionError, read_description
from mjx_skillmimic.interop.isaacgym.export import export_mjcf
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import build_scene


@pytest.fixture(scope="module", params=[{}, {"box_hands": True, "exclude_thumbs": False, "effort_limit": 150.0}])
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("isaacgym")
    scene = build_scene(**request.param)
    return scene, mujoco.MjModel.from_xml_path(str(export_mjcf(scene, folder))), read_description(folder)


def colliding(model, names):
    """Pairs of named geoms that MuJoCo would test for contact."""
    excluded = {(int(s) >> 16, int(s) & 0xFFFF) for s in model.exclude_signature}
    found = set()
    for first, second in itertools.combinations([model.geom(name).id for name in names], 2):
        a, b = sorted((int(model.geom_bodyid[first]), int(model.geom_bodyid[second])))
        kinds = (model.geom_contype[first] & model.geom_conaffinity[second]) | (
            model.geom_contype[second] & model.geom_conaffinity[first]
        )
        related = model.body_parentid[b] == a or model.body_parentid[a] == b
        if kinds and not related and (a, b) not in excluded:
            found.add(frozenset((model.geom(first).name, model.geom(second).name)))
    return found


def test_the_same_bodies_masses_inertias_and_geoms(exported):
    scene, model, _ = exported
    ours = scene.model
    ids, geoms = scene.humanoid_body_ids, [ours.geom(name).id for name in BODIES]
    assert [model.body(i).name for i in range(1, model.nbody)] == list(BODIES)
    assert [model.geom(i).name for i in range(model.ngeom)] == list(BODIES)
    np.testing.assert_array_equal(model.body_parentid[2:] - 1, scene.skeleton.parents[1:])
    for name in ("pos", "mass", "inertia", "ipos", "iquat"):
        values = getattr(model, f"body_{name}")[1:], getattr(ours, f"body_{name}")[ids]
        np.testing.assert_allclose(*values, rtol=1e-7, atol=1e-12)
    for name in ("type", "size", "pos", "quat", "friction", "condim"):
        values = getattr(model, f"geom_{name}"), getattr(ours, f"geom_{name}")[geoms]
        np.testing.assert_allclose(*values, rtol=1e-7, atol=1e-12)


def test_the_same_pairs_collide(exported):
    scene, model, description = exported
    pairs = colliding(scene.model, BODIES)
    assert colliding(model, BODIES) == pairs
    missing = {frozenset(pair) for pair in (("L_Thumb1", "L_Thumb3"), ("R_Thumb1", "R_Thumb3"))} - pairs
    assert {frozenset(pair) for pair in description.excluded_pairs} == missing


def test_each_ball_joint_is_a_triple_of_hinges_about_x_y_z(exported):
    scene, model, description = exported
    assert (model.njnt, model.nv) == (157, scene.model.nv - 6)
    assert [model.joint(i).name for i in range(1, model.njnt)] == list(description.dof_names)
    assert description.dof_names[:4] == ("L_Hip_x", "L_Hip_y", "L_Hip_z", "L_Knee_x")
    np.testing.assert_array_equal(model.jnt_type[1:], mujoco.mjtJoint.mjJNT_HINGE)
    np.testing.assert_array_equal(model.jnt_bodyid[1:], np.repeat(np.arange(2, 54), 3))
    np.testing.assert_array_equal(model.jnt_axis[1:], np.tile(np.eye(3), (52, 1)))
    assert not model.jnt_pos.any()
    assert model.jnt_limited[1:].all()
    np.testing.assert_allclose(model.jnt_range[1:], np.tile([-np.pi, np.pi], (156, 1)))


def test_the_drives_are_those_before_folding(exported):
    scene, model, description = exported
    np.testing.assert_array_equal(description.stiffness, scene.kp)
    np.testing.assert_array_equal(description.damping, scene.kd)
    np.testing.assert_allclose(model.jnt_stiffness[1:], scene.kp)
    np.testing.assert_allclose(model.dof_damping[6:], scene.kd)
    dt = scene.timestep
    # the scene's own armature: that of the drive plus what an implicit step of its gains amounts to
    folded = description.armature + dt * description.damping + dt**2 * description.stiffness
    np.testing.assert_allclose(folded, scene.model.dof_armature[6:162], rtol=1e-7)
    np.testing.assert_allclose(model.dof_armature[6:], description.armature)
    assert description.effort == scene.effort_limit


def test_ball_plane_and_simulation(exported):
    scene, _, description = exported
    np.testing.assert_allclose(description.ball["mass"], 7.238, atol=1e-3)
    np.testing.assert_allclose(description.ball["inertia"], 0.0417, atol=1e-4)
    # PhysX averages: 0.805 with the floor, 0.405 with bodies (skillmimic.md §2.1)
    bounce = description.ball["restitution"]
    assert (bounce + description.plane["restitution"]) / 2 == pytest.approx(0.805)
    assert (bounce + description.humanoid["restitution"]) / 2 == pytest.approx(0.405)
    assert description.simulation["control_dt"] == pytest.approx(1 / 60)
    assert (description.simulation["substeps"], description.simulation["position_iterations"]) == (2, 4)
    np.testing.assert_allclose(description.masses.sum(), scene.model.body_mass[scene.humanoid_body_ids].sum())


def test_without_self_collision_bodies_meet_other_things_only(tmp_path):
    model = mujoco.MjModel.from_xml_path(str(export_mjcf(build_scene(self_collision=False), tmp_path)))
    assert not colliding(model, BODIES)
    # MuJoCo's ordinary geom has contype 1 and conaffinity 1
    assert (model.geom_conaffinity & 1).all()


@pytest.mark.parametrize("changes", [{"hands": "hinge"}, {"feet": "corners"}])
def test_a_scene_without_counterpart_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match="expected hands='ball' and feet 'box' or 'auto'"):
        export_mjcf(build_scene(**changes), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="other"), "another kind of JSON"),
        (lambda c: c["dofs"].pop("armature"), "no dofs.armature"),
        (lambda c: c["dofs"]["stiffness"].pop(), r"dofs.stiffness of shape \(155,\)"),
        (lambda c: c["dofs"]["names"].reverse(), "other dof names"),
        (lambda c: c["humanoid"]["masses"].__setitem__(3, "heavy"), "humanoid.masses that holds no numbers"),
        (lambda c: c["humanoid"]["parents"].__setitem__(2, 7), "parents"),
    ],
)
def test_a_damaged_scene_file_is_named(tmp_path, change, message):
    export_mjcf(build_scene(), tmp_path)
    path = tmp_path / "scene.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DescriptionError, match=f"{path.name}: found {message}"):
        read_description(tmp_path)
    path.write_text("{")
    with pytest.raises(DescriptionError, match="no readable JSON"):
        read_description(tmp_path)


def test_the_file_stands_alone(tmp_path):
    root = ET.parse(export_mjcf(build_scene(), tmp_path)).getroot()
    assert not list(root.iter("include"))
    assert not list(root.iter("mesh"))
    assert {element.get("gear") for element in root.iter("motor")} == {"500"}
