"""The measures on engines that are wrong by a known amount, and on traces whose differences are known."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.evaluation.parity import drives, dynamics, measures, responses
from mjx_skillmimic.evaluation.parity.drive_law import drive_laws
from mjx_skillmimic.evaluation.parity.reference_courses import courses
from mjx_skillmimic.evaluation.parity.replay import Replay
from mjx_skillmimic.evaluation.parity.scenarios import pd_steps
from mjx_skillmimic.interop.recorder import coordinates_of, states_of
from mjx_skillmimic.interop.trace import Trace
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import build_scene

GROUPS = ("free fall", "PD step", "ball drop")
GRAVITY = 9.81


@functools.cache
def base() -> Trace:
    return dynamics.base_trace(Engine("mujoco"), courses(build_scene(), GROUPS, share=0.1))


def measured(change) -> dict:
    """What `measure` says of MuJoCo with a model that `change` has changed."""
    replay = Replay("mujoco")
    change(replay.physics.model)
    forced, made = replay.forced(base(), stride=7)
    return dynamics.measure(replay.scene, base(), replay.open_loop(base()), forced, made)


def itself(trace: Trace) -> dict:
    made = np.arange(trace.target.shape[1]) < trace.lengths[:, None]
    return dynamics.measure(build_scene(), trace, trace, trace, made)


@functools.cache
def heavier() -> dict:
    def change(model):
        model.opt.gravity[2] *= 1.01

    return measured(change)


@functools.cache
def stiffer() -> dict:
    def change(model):
        model.actuator_gainprm[:, 0] *= 1.05
        model.actuator_biasprm[:, 1] *= 1.05

    return measured(change)


def test_a_trace_equals_itself():
    found = itself(dataclasses.replace(base(), meta={"lost_contacts": 0}))
    for group in found["groups"].values():
        for entry in (group["one_step"], *group["open_loop"].values()):
            assert max(x for name in measures.MEASURES for x in entry[name]["error"]) < 1e-12
        assert group["flags"]["both"] == group["flags"]["bodies"] == 1.0
    assert found["summary"]["pd"] == found["summary"]["bounce"] == 0.0
    assert found["summary"]["flags"] is None  # no reference states among these groups


def test_an_unchanged_engine_continues_from_a_trace():
    found = measured(lambda model: None)
    assert found["groups"]["PD step"]["one_step"]["joint_speed"]["error"][2] < 1e-6
    assert found["summary"]["pd"] < 1e-3
    assert found["summary"]["bounce"] < 1e-6


def test_gravity_1_percent_off_shows_exactly_that():
    fall = heavier()["groups"]["free fall"]
    dt = 1.0 / 60.0
    np.testing.assert_allclose(fall["one_step"]["root_speed"]["error"], 0.01 * GRAVITY * dt, rtol=1e-3)
    np.testing.assert_allclose(fall["one_step"]["ball_speed"]["error"], 0.01 * GRAVITY * dt, rtol=1e-3)
    # semi-implicit steps of half a control step: g dt² n (n + 1) / 2; float32 keeps 4e-6 m at 60 m
    for steps in (1, 10, 60):
        wanted = 0.01 * GRAVITY * (dt / 2) ** 2 * (2 * steps) * (2 * steps + 1) / 2
        found = fall["open_loop"][str(steps)]
        np.testing.assert_allclose(found["body_place"]["error"], wanted, rtol=1e-3, atol=2e-5)
        np.testing.assert_allclose(found["ball_place"]["error"], wanted, rtol=1e-3, atol=2e-5)
    assert fall["one_step"]["joint_speed"]["error"][2] < 1e-5
    assert heavier()["summary"]["pd"] < 0.01  # a falling person's joints do not feel it


def test_stiffness_5_percent_off_shows_in_the_steps_and_not_in_free_fall():
    found = stiffer()
    # a light joint follows 1 − exp(−kp t / kd), which moves by at most 5 % of 1/e
    assert found["pd"]["wrist x"]["most"] == pytest.approx(100 * 0.05 / np.e, rel=0.15)
    assert found["pd"]["wrist x"]["settled"] < 0.1
    assert found["summary"]["pd"] > 1.5
    assert found["groups"]["free fall"]["open_loop"]["60"]["body_place"]["error"][2] < 1e-6
    assert found["summary"]["bounce"] < 0.01


def test_the_base_says_how_much_it_moved():
    fall = heavier()["groups"]["free fall"]["one_step"]
    assert fall["root_speed"]["moved"] == pytest.approx(GRAVITY / 60, rel=1e-3)


def bouncing(ratio: float, drop: float = 1.0) -> Trace:
    """A ball that comes back to `ratio` of its height, without a person who moves; exact parabolas."""
    scene, steps = build_scene(), 110
    rest = states_of(scene, scene.model.qpos0[None], np.zeros((1, scene.model.nv)))
    arrays = {name: np.repeat(x[:, None], steps + 1, axis=1) for name, x in rest.items()}
    force, height, start, up = np.zeros((1, steps, 3)), drop, 0.0, 0.0
    for step in range(steps + 1):
        time = step / 60.0
        while time > start + (half := np.sqrt(2 * height / GRAVITY)) + up:
            start, height = start + half + up, height * ratio
            up = np.sqrt(2 * height / GRAVITY)
            force[0, step - 1, 2] = 1000.0
        since = time - start - up
        arrays["object_pos"][0, step, 2] = scene.object_radius + height - GRAVITY * since**2 / 2
        arrays["object_lin_vel"][0, step, 2] = -GRAVITY * since
    zeros = {"target": np.zeros((1, steps, 156)), "body_force": np.zeros((1, steps, 53, 3)), "object_force": force}
    return Trace("made up", 1 / 60, ("ball drop/1 m",), np.array([steps]), **arrays, **zeros)


def test_heights_of_bounces():
    scene = build_scene()
    assert responses.bounce_heights(scene, bouncing(0.6), 0) == pytest.approx([1.0, 0.6, 0.36], rel=1e-6)
    rows = responses.bounces(scene, bouncing(0.6), bouncing(0.63), [0])
    assert [row["difference"] for row in rows] == pytest.approx([5.0, 10.25], rel=1e-4)
    assert rows[0]["height"] == pytest.approx([0.6, 0.63], rel=1e-4)


def test_the_law_of_a_servo_is_told_from_one_course():
    scene = build_scene()
    course = courses(scene, ("large PD step",))
    trace = dynamics.base_trace(Engine("mujoco"), course)
    row = trace.names.index("large PD step/wrist")
    found = drive_laws(scene, trace, row)
    assert found["difference of rotation vectors"] < 0.003 < 0.03 < found["rotation between"]
    # with no inertia, the rotation between pose and target shrinks about its own axis
    columns = slice(3 * (BODIES.index("L_Wrist") - 1), 3 * BODIES.index("L_Wrist"))
    start, target = rotations.exp(trace.dof_pos[row, 0, columns]), rotations.exp(trace.target[row, 0, columns])
    way = rotations.log(rotations.multiply(rotations.conjugate(target), start))
    left = np.exp(-10.0 * np.arange(61) / 60.0)[:, None]
    dofs = trace.dof_pos.copy()
    dofs[row, :, columns] = rotations.log(rotations.multiply(target, rotations.exp(left * way)))
    found = drive_laws(scene, dataclasses.replace(trace, dof_pos=dofs), row)
    assert found["rotation between"] < 0.02 < 0.05 < found["difference of rotation vectors"]


def test_the_factor_of_weaker_servos_is_found():
    mujoco = Replay("mujoco", worlds=1)
    course = pd_steps(mujoco.scene)
    row = course.names.index("PD step/elbow x")
    elbows = np.repeat([name.endswith("Elbow") for name in BODIES[1:]], 3)
    drives.scale_gains(mujoco.physics.model, mujoco.scene, np.where(elbows, 0.4, 1.0))
    wanted = drives.steps_of(mujoco, course, np.arange(row + 1))
    drives.scale_gains(mujoco.physics.model, mujoco.scene, np.ones(156))
    np.testing.assert_allclose(mujoco.physics.model.dof_armature, mujoco.scene.model.dof_armature, rtol=1e-12)
    factor, left = drives.best_factor(mujoco, course, row, wanted, before=50.0)
    assert factor == pytest.approx(0.4, rel=0.05)
    assert left < 1.0


def test_flags_count_steps_and_forces_keep_their_sides():
    one = bouncing(0.6)
    body = np.zeros_like(one.body_force)
    head, foot = BODIES.index("Head"), BODIES.index("L_Toe")
    body[0, :11, head, 0] = 0.1  # the published threshold belongs to the flag
    body[0, :, foot, 2] = 50.0  # feet never raise it
    ball = np.zeros_like(one.object_force)
    ball[0, 99:, 1] = 0.2
    other = dataclasses.replace(one, body_force=body, object_force=ball)
    still = dataclasses.replace(one, object_force=np.zeros_like(ball))
    rows, mask = np.array([0]), np.ones((1, 110), bool)
    found = measures.flags(still, other, rows, mask)
    assert found["body"] == pytest.approx(99 / 110)
    assert found["ball"] == pytest.approx(99 / 110)
    assert found["both"] == pytest.approx(88 / 110)
    assert found["raised"]["body"] == pytest.approx([0.0, 11 / 110])
    assert "hands_object" not in found  # these traces have no edges
    spread = measures.forces(still, other, rows, mask)
    assert spread["feet"]["touching"] == pytest.approx([0.0, 0.25])
    assert spread["feet"]["newton"] == [[None] * 3, [50.0] * 3]
    assert spread["ball"]["mean"] == pytest.approx([0.0, 0.2 * 11 / 110])


def test_coordinates_survive_the_way_through_a_trace():
    scene = build_scene()
    qpos, qvel = coordinates_of(scene, base())
    there = states_of(scene, qpos[:, :5], qvel[:, :5])
    for name in ("root_ang_vel", "dof_pos", "object_ang_vel", "object_quat"):
        np.testing.assert_allclose(there[name], getattr(base(), name)[:, :5], atol=2e-6)
