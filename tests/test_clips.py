"""The shipped clips hold what docs/clips.md says, and the checks that say so can fail."""

import dataclasses
import importlib.util

import mujoco
import numpy as np
import pytest

from mjx_skillmimic.model.humanoid import HANDS, indices
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.library import shipped_clips_dir
from mjx_skillmimic.motion.npz_format import load_clip_npz
from mjx_skillmimic.motion.synthesis import checks, hands, paths, rig, stage
from mjx_skillmimic.motion.synthesis.skills import NAMES, skill

LABELS = {
    "pick_up": 1,
    "chest_pass": 4,
    "set_shot": 5,
    "dribble_forward": 13,
    "throw_catch": 50,
    "dribble_in_place": 51,
}


@pytest.fixture(scope="module")
def throw_catch() -> MotionClip:
    return load_clip_npz(shipped_clips_dir() / "throw_catch.npz")


def failing(clip: MotionClip) -> set[str]:
    return {c.name for c in checks.check(clip) if not c.passed}


@pytest.mark.parametrize("name", NAMES)
def test_shipped_clip_holds_what_is_promised(name):
    path = shipped_clips_dir() / f"{name}.npz"
    clip = load_clip_npz(path)
    assert path.stat().st_size < 500_000
    assert (clip.name, clip.skill, clip.licence, clip.fps) == (name, LABELS[name], "Apache-2.0", 60.0)
    assert 2.0 <= clip.seconds <= 4.0
    results = checks.check(clip)
    assert all(r.passed for r in results), checks.describe(clip, [r for r in results if not r.passed])


@pytest.mark.parametrize(("name", "bounces"), [("dribble_in_place", 4), ("chest_pass", 1), ("set_shot", 1)])
def test_the_ball_bounces(name, bounces):
    clip = load_clip_npz(shipped_clips_dir() / f"{name}.npz")
    assert sum(c.name.startswith("restitution") for c in checks.check(clip)) == bounces


def test_walk_goes_forward_and_lifts_each_foot():
    clip = load_clip_npz(shipped_clips_dir() / "dribble_forward.npz")
    travelled = clip.root_pos[-1] - clip.root_pos[0]
    assert -travelled[1] / (clip.seconds - 1 / 60) == pytest.approx(skill("dribble_forward").SPEED, rel=0.02)
    ankles = clip.body_pos[:, indices(("L_Ankle", "R_Ankle")), 2]
    assert np.all(np.ptp(ankles, axis=0) > 0.08)


def _spoil(clip: MotionClip, what: str) -> MotionClip:
    fields = {k: v.copy() for k, v in clip.arrays().items()}
    if what == "label":
        fields["contact"][40] = 1.0
    elif what == "flight":
        fields["object_pos"][50, 2] += 2e-4
    elif what == "press":
        fields["object_pos"][10, 2] -= 0.03
    elif what == "sink":
        fields["root_pos"][:, 2] -= 0.02
    elif what == "slide":
        fields["root_pos"][:, 0] += 0.04 * np.arange(clip.num_frames, dtype=np.float32) / 60
    elif what == "jump":
        fields["dof_pos"][60, 48:51] += 0.4
    elif what == "stored":
        fields["body_pos"][5, 7, 1] += 1e-3
    elif what == "cross":
        fields["dof_pos"][:, 0:3] += np.array([0.0, 0.0, -0.5], np.float32)
    return dataclasses.replace(clip, **fields)


@pytest.mark.parametrize(
    ("what", "check"),
    [
        ("label", "frames of wrong contact label"),
        ("flight", "flight against gravity"),
        ("press", "ball into the hands"),
        ("sink", "feet below the floor"),
        ("slide", "sliding while planted"),
        ("jump", "joint speed"),
        ("stored", "forward kinematics gap"),
        ("cross", "self-penetration"),
    ],
)
def test_a_spoilt_clip_is_noticed(throw_catch, what, check):
    assert check in failing(_spoil(throw_catch, what))


def test_ball_gap_of_the_checks_equals_point_to_segment_distance(throw_catch):
    model, frame = stage.stage(), 45
    data = mujoco.MjData(model)
    data.qpos[:] = stage.coordinates(throw_catch, frame)
    mujoco.mj_forward(model, data)
    expected = []
    for name in HANDS:
        g = model.geom(name).id
        half = data.geom_xmat[g].reshape(3, 3)[:, 2] * model.geom_size[g, 1]
        s = np.linspace(-1, 1, 20001)[:, None]
        near = np.linalg.norm(data.geom_xpos[g] + s * half - throw_catch.object_pos[frame], axis=1).min()
        expected.append(near - model.geom_size[g, 0] - rig.BALL_RADIUS)
    gap = checks.replay(throw_catch).gap[frame, np.array(indices(HANDS))]
    np.testing.assert_allclose(gap, expected, atol=1e-6)


@pytest.mark.parametrize("side", rig.SIDES)
def test_a_wrapped_hand_touches_the_ball_with_every_finger(side):
    grip = hands.grip(side)
    model = rig.full_model()
    for finger, joints in zip(hands.FINGERS, grip.wrapped.reshape(5, 3, 3), strict=True):
        depth = [hands.finger_gap(model, f"{side}_{finger}", joints, grip.centre, i) for i in range(3)]
        assert min(depth) == pytest.approx(-hands.FINGER_PRESS, abs=2e-4)


def test_flight_equals_small_steps():
    flight = paths.Flight(0.0, np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.5, 2.0]))
    p, v, h = flight.position.copy(), flight.velocity.copy(), 1e-5
    for _ in range(round(1.2 / h)):
        p = p + h * v + 0.5 * h * h * rig.GRAVITY
        v = v + h * rig.GRAVITY
        if p[2] < rig.BALL_RADIUS and v[2] < 0:
            v[2] *= -paths.RESTITUTION
    got, speed, _ = flight.at(1.2)
    np.testing.assert_allclose(got, p, atol=2e-4)
    np.testing.assert_allclose(speed, v, atol=2e-3)


def test_spline_meets_its_end_states():
    rng = np.random.default_rng(0)
    start, end = tuple(rng.normal(size=(3, 3))), tuple(rng.normal(size=(3, 3)))
    h = 1e-3
    for t, state in ((0.2, start), (0.9, end)):
        a, b, c = paths.spline(np.array([t - h, t, t + h]), start, end, 0.2, 0.9, ((0.5, np.ones(3)),))
        np.testing.assert_allclose(b, state[0], atol=1e-9)
        np.testing.assert_allclose((c - a) / (2 * h), state[1], atol=1e-2)
        np.testing.assert_allclose((c - 2 * b + a) / h**2, state[2], atol=0.1)
    np.testing.assert_allclose(paths.spline(np.array([0.5]), start, end, 0.2, 0.9, ((0.5, np.ones(3)),)), 1.0)


@pytest.mark.skipif(importlib.util.find_spec("mink") is None, reason="needs the extra `clips` (mink)")
def test_the_script_makes_the_shipped_clip(throw_catch):
    from mjx_skillmimic.motion.synthesis.assemble import make_clip

    made = make_clip(skill("throw_catch").make())
    for name, array in made.arrays().items():
        np.testing.assert_allclose(array, throw_catch.arrays()[name], atol=1e-4, err_msg=name)
