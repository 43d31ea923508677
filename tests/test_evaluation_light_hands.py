"""What light hands lose, on a clip made for it; which bodies touch, against a walk through MuJoCo's contacts."""

import dataclasses

import mujoco
import numpy as np
import pytest

from mjx_skillmimic.evaluation import contact_pairs, contacts, light_hands
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.options import scene_options
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.library import load_clips


@pytest.fixture(scope="module")
def scene():
    return build_scene(scene_options("light"))


def clip_with(**joints):
    """A clip whose only turned joints are the given ones, a rotation vector each."""
    clip = load_clips("throw_catch")[0]
    dof_pos = np.zeros_like(clip.dof_pos).reshape(-1, 52, 3)
    for name, vector in joints.items():
        dof_pos[:, BODIES.index(name) - 1] = vector
    return dataclasses.replace(clip, dof_pos=dof_pos.reshape(-1, 156))


def test_full_hands_lose_nothing():
    found = light_hands.displacement(build_scene(), load_clips("throw_catch"))
    assert found["key_body_mm"]["max"] == found["tip_mm"]["max"] == 0.0
    assert found["p"] == found["r"] == 1.0


def test_bending_is_kept_and_spreading_is_lost(scene):
    bent = light_hands.displacement(scene, [clip_with(L_Index1=(0, 0, -0.8), R_Ring2=(0, 0, 1.1))])
    assert bent["tip_mm"]["max"] == 0.0
    assert bent["r"] == 1.0
    angle = 0.4
    spread = light_hands.displacement(scene, [clip_with(L_Index1=(0, angle, 0))])
    reach = sum(scene.model.body(f"L_Index{i}").pos[0] for i in (2, 3))
    chord = 2 * np.sin(angle / 2)
    assert spread["key_body_mm"]["max"] == pytest.approx(1000 * chord * reach, abs=0.01)
    tip = reach + 0.0149205  # the last capsule's end in humanoid.xml
    assert spread["tip_mm"]["max"] == pytest.approx(1000 * chord * tip, abs=0.01)
    assert spread["r"] < 1.0


def test_axes_are_those_that_fingers_turn_about():
    axis = np.array([0.0, 0.6, -0.8])
    clip = clip_with(L_Middle1=0.5 * axis, R_Middle1=0.5 * axis * [1, -1, -1])
    found = light_hands.finger_axes([clip])["Middle1"]
    assert found == {"rms_rad": 0.5, "axis": [0.0, 0.6, -0.8], "share": 1.0, "hinge_share": 0.64}


@pytest.mark.parametrize(
    ("pair", "kind"),
    [
        (("floor", "L_Toe"), "body_floor"),
        (("floor", "object"), "ball_floor"),
        (("L_Ring2", "object"), "hands_ball"),
        (("Head", "object"), "rest_ball"),
        (("R_Wrist", "R_Thumb3"), "same_hand"),
        (("L_Wrist", "R_Wrist"), "hands_rest"),
        (("L_Index1", "Pelvis"), "hands_rest"),
        (("L_Hip", "R_Hip"), "rest_rest"),
    ],
)
def test_kinds_of_contacts(pair, kind):
    assert contact_pairs.kind_of(*pair) == contact_pairs.kind_of(*reversed(pair)) == kind


def test_pairs_equal_a_walk_through_the_contacts(scene):
    clips = load_clips("throw_catch")
    found = contact_pairs.contact_pairs(scene, clips, top=1000)
    data, frames, total = mujoco.MjData(scene.model), {}, 0
    qpos, _ = contacts.reference_qpos(scene, clips[0])
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_forward(scene.model, data)
        total += data.ncon
        names = {frozenset(scene.model.geom(g).name for g in geoms) for geoms in data.contact.geom}
        for pair in names:
            frames[pair] = frames.get(pair, 0) + 1
    assert found["frames"] == len(qpos)
    assert found["contacts_a_frame"] == pytest.approx(total / len(qpos), abs=0.01)
    assert {frozenset(row[:2]): row[3] for row in found["pairs"]} == {
        pair: round(count / len(qpos), 4) for pair, count in frames.items()
    }
    assert sum(kind["contacts_a_frame"] for kind in found["kinds"].values()) == pytest.approx(
        total / len(qpos), abs=0.01
    )
    assert found["kinds"]["hands_ball"]["pairs_seen"] > 10
