"""PhysX behind the door, against formulas, MuJoCo C and what PhysX says of itself."""

import functools

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

pytest.importorskip("ovphysx", reason="ovphysx is not installed: pip install 'mjx_skillmimic[physx]'")

from mjx_skillmimic import rotations
from mjx_skillmimic.model.build import FLOOR
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.contract.stepper import floating, object_addresses
from mjx_skillmimic.physics.physx import PhysxSettings
from mjx_skillmimic.physics.physx.convert import dof_columns, to_raw
from mjx_skillmimic.physics.physx.usd import write_usd
from mjx_skillmimic.physics.physx.world import World
from mjx_skillmimic.physics.registry import make_physics

WORLDS = 6
GRAVITY, BALL, WEIGHT = 9.81, 7.238229, 66.590  # m/s², kg, kg: skillmimic.md §0
E_FLOOR, E_BODY = 0.805, 0.405
UPRIGHT = np.sqrt([0.5, 0.5, 0.0, 0.0])
SCENE = build_scene()
AT, SPEED = object_addresses(SCENE)


@functools.cache
def stepper(**options):
    return contract.Stepper(make_physics("physx", SCENE, **options), WORLDS)


def joint(name):
    return slice(3 * (BODIES.index(name) - 1), 3 * BODIES.index(name))


def inertia_about(model, body):
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, model.body_iquat[body])
    turn = turn.reshape(3, 3)
    return turn @ np.diag(model.body_inertia[body]) @ turn.T


def test_physx_has_the_published_numbers_and_not_the_folded_ones():
    limited = make_physics("physx", build_scene(effort_limit=30.0, ball_mass=0.62, friction=0.7))
    found, model = limited.inspect(), limited.scene.model
    limited.close()
    ids = [*SCENE.humanoid_body_ids, SCENE.object_body_id]
    np.testing.assert_allclose(found.mass[:-1].sum(), WEIGHT, atol=1e-3)
    np.testing.assert_allclose(found.mass[-1], 0.62, rtol=1e-6)
    np.testing.assert_allclose(found.com, model.body_ipos[ids], atol=1e-7)
    inertia = np.array([inertia_about(model, body) for body in ids])
    np.testing.assert_allclose(found.inertia, inertia, atol=1e-6 * inertia.max())
    np.testing.assert_allclose(found.stiffness, SCENE.kp, rtol=1e-6)
    np.testing.assert_allclose(found.damping, SCENE.kp / 10.0, rtol=1e-6)
    np.testing.assert_allclose(found.armature, 0.02, rtol=1e-5)
    np.testing.assert_array_equal(found.effort_limit, 30.0)
    np.testing.assert_array_equal(found.speed_limit, np.inf)
    np.testing.assert_allclose(found.body_material, np.tile([0.7, 0.7, 0.0], (len(found.body_material), 1)), rtol=1e-6)
    np.testing.assert_allclose(found.ball_material, [[0.7, 0.7, 0.81]], rtol=1e-6)
    np.testing.assert_allclose(found.contact_offset, 0.02, rtol=1e-6)
    np.testing.assert_array_equal(found.rest_offset, 0.0)


def collisions(scene, poses=6):
    """Pairs of bodies in contact in random heaps, and how deep, in MuJoCo C; the pairs in PhysX."""
    world, rng = World(write_usd(scene, PhysxSettings()), 4096), np.random.default_rng(0)
    data, columns = mujoco.MjData(scene.model), dof_columns(scene, world.dof_names)
    adr, _ = object_addresses(scene)
    for _ in range(poses):
        qpos = scene.model.qpos0.copy()
        qpos[2], qpos[3:7] = 0.3, rotations.exp(2.0 * rng.normal(size=3))
        heap = scene.unpack(qpos, np.zeros(scene.model.nv))
        heap.joint_quat[:] = rotations.exp(rng.normal(size=(52, 3)))
        qpos, qvel = scene.pack(*heap)
        qpos[adr : adr + 3] = (*rng.normal(size=2) * 0.1, rng.uniform(0.05, 0.6))
        world.renew()
        world.write(to_raw(scene, qpos[None], qvel[None], columns))
        world.step(1e-5)
        data.qpos[:] = qpos
        mujoco.mj_forward(scene.model, data)
        depth = {}
        for contact in data.contact[: data.ncon]:
            bodies = scene.model.geom_bodyid[[contact.geom1, contact.geom2]]
            pair = frozenset(scene.model.body(body).name if body else FLOOR for body in bodies)
            depth[pair] = max(depth.get(pair, 0.0), -contact.dist)
        yield depth, {frozenset(pair) for pair in world.touching()}
    world.close()


@pytest.mark.parametrize(
    "options", [{"exclude_thumbs": False}, {"feet": "corners"}, {"self_collision": False}, {"hands": "hinge"}]
)
def test_the_same_pairs_collide_as_in_mujoco(options):
    seen, missed = 0, 0
    for depth, pairs in collisions(build_scene(**options)):
        assert pairs <= set(depth)
        # PhysX's manifolds of two short capsules may lie a few mm off
        assert {pair for pair, d in depth.items() if d > 5e-3} <= pairs
        seen, missed = seen + len(depth), missed + len(set(depth) - pairs)
    assert seen > 60
    assert missed <= 0.05 * seen


def test_ball_and_humanoid_fall_freely():
    qpos, qvel, target = floating(SCENE, WORLDS)
    outcomes, _ = stepper().rollout(qpos, qvel, target, steps=20)
    dt, steps, damping = SCENE.timestep, 20 * SCENE.substeps, 0.01
    speed, fallen = 0.0, 0.0
    for _ in range(steps):
        speed = (speed + GRAVITY * dt) * (1.0 - damping * dt)
        fallen += speed * dt
    np.testing.assert_allclose(outcomes[-1].qvel[:, SPEED + 2], -speed, rtol=1e-4)
    np.testing.assert_allclose(10.0 - outcomes[-1].qpos[:, AT + 2], fallen, rtol=1e-4)
    free = GRAVITY * dt * dt * steps * (steps + 1) / 2.0
    np.testing.assert_allclose(10.0 - outcomes[-1].qpos[:, 2], free, rtol=1e-3)
    assert not any(o.force.any() or o.edges.any() for o in outcomes)


@pytest.mark.parametrize("drive", ["shortest", "components"])
def test_what_a_drive_takes_for_its_error(drive):
    """A finger's last segment hangs on its armature alone, so its first speed tells."""
    dt = 1.0 / 12000.0
    scene = build_scene(timestep=dt, substeps=1, self_collision=False)
    physics = make_physics("physx", scene, position_iterations=1, drive=drive)
    rng, here = np.random.default_rng(0), joint("L_Index3")
    qpos, qvel, target = floating(scene, WORLDS)
    start, goal = 0.8 * rng.normal(size=(WORLDS, 3)), rng.normal(size=(WORLDS, 3))
    turned = scene.unpack(qpos, qvel)
    turned.joint_quat[:, here.start // 3] = rotations.exp(start)
    target[:, here] = goal
    qpos, qvel = scene.pack(*turned)
    after = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    physics.close()
    kp, kd, armature = 100.0, 10.0, 0.02
    error = np.asarray(after.qvel)[:, 6:-6][:, here] * (armature + dt * kd + dt * dt * kp) / (dt * kp)
    between = rotations.multiply(rotations.conjugate(rotations.exp(start)), rotations.exp(goal))
    shortest = 2.0 * np.sign(between[:, :1]) * between[:, 1:]
    components = (goal - start) * np.minimum(1.0, 2.0 / np.linalg.norm(goal - start, axis=-1, keepdims=True))
    assert np.abs(shortest - components).max() > 0.3
    np.testing.assert_allclose(error, {"shortest": shortest, "components": components}[drive], atol=0.03)


def test_single_joints_follow_their_targets_as_in_mujoco():
    moves = {"L_Knee": 0.5, "L_Elbow": 0.5, "L_Index1": 0.5, "Head": 0.5, "R_Shoulder": -0.8, "Torso": 0.3}
    qpos, qvel, target = floating(SCENE, WORLDS)
    columns = [joint(name).start for name in moves]
    target[np.arange(WORLDS), columns] = list(moves.values())
    mujoco_c = make_physics("mujoco", SCENE, threads=1)
    turned = [
        [SCENE.servo_positions(o.qpos.astype(np.float64))[np.arange(WORLDS), columns] for o in outcomes]
        for outcomes, _ in (s.rollout(qpos, qvel, target, steps=12) for s in (stepper(), contract.Stepper(mujoco_c, 6)))
    ]
    ratio = np.array(turned[0]) / np.array(turned[1])
    limbs, torso = ratio[:, :-1], ratio[:, -1]
    assert np.abs(limbs - 1.0).max() < 0.04
    # four sweeps do not carry a drive's torque through the whole body
    assert 0.75 < torso[0] < 0.9
    assert 0.9 < torso[-1] < 1.1


def test_the_effort_limit_bounds_the_torque():
    limit, here = 5.0, joint("L_Index3")
    physics = make_physics("physx", build_scene(effort_limit=limit), position_iterations=16)
    qpos, qvel, target = floating(SCENE, 1)
    target[:, here.start] = 1.0
    after = physics.step(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
    physics.close()
    rate = float(np.asarray(after.qvel)[0, 6:][here.start])
    bound = limit * SCENE.control_dt / 0.02
    assert 0.8 * bound < rate < 1.01 * bound


def bounces(heights, steps=40, **options):
    physics = make_physics("physx", build_scene(**options))
    qpos, qvel, target = floating(SCENE, len(heights))
    qpos[:, AT + 2] = SCENE.object_radius + np.array(heights)
    outcomes, _ = contract.Stepper(physics, len(heights)).rollout(qpos, qvel, target, steps=steps)
    physics.close()
    return np.array([o.qpos[:, AT + 2] for o in outcomes]) - SCENE.object_radius, outcomes


def test_the_ball_bounces_back_to_e_squared_of_its_height():
    heights = np.array([0.3, 0.4, 0.41, 0.5, 0.51])
    course, outcomes = bounces(heights)
    hit = (np.array([o.qvel[:, SPEED + 2] for o in outcomes]) > 0.0).argmax(axis=0)
    top = np.array([course[k:, i].max() for i, k in enumerate(hit)])
    np.testing.assert_allclose(np.sqrt(top / heights), E_FLOOR, atol=0.015)
    assert course.min() > -2e-3


def test_without_restitution_it_stays_down_and_a_slow_one_does_too():
    course, _ = bounces([0.2], restitution=False)
    assert course[20:].max() < 2e-3
    slow, outcomes = bounces([0.0015], 10)
    assert slow.max() < 2e-3
    np.testing.assert_allclose(outcomes[-1].force[0, -1], [0.0, 0.0, BALL * GRAVITY], atol=0.1)


def test_standing_carries_the_weight_and_the_edges_are_seen():
    """World 0 stands; in 1 the ball lies on the head, in 2 on a hand; in 3 a hand is inside the thigh."""
    qpos, qvel, target = floating(SCENE, WORLDS, 0.9814)
    qpos[:, 3:7] = UPRIGHT
    qpos[:, AT + 2] = SCENE.object_radius
    data = mujoco.MjData(SCENE.model)
    data.qpos[:] = qpos[0]
    mujoco.mj_kinematics(SCENE.model, data)
    for world, geom in ((1, "Head"), (2, "L_Middle1")):
        qpos[world, AT : AT + 3] = data.geom(geom).xpos
        qpos[world, AT + 2] += SCENE.object_radius + SCENE.model.geom(geom).size[0] - 1e-3
    arms = SCENE.unpack(qpos[3:4], qvel[3:4])
    shoulder = rotations.exp(np.array([0.0, 0.0, -1.75]))
    arms.joint_quat[:, BODIES.index("L_Shoulder") - 1] = shoulder
    target[3, joint("L_Shoulder")] = rotations.log(shoulder)
    qpos[3:4], qvel[3:4] = SCENE.pack(*arms)
    outcomes, overflow = stepper().rollout(qpos, qvel, target, steps=24)
    last = outcomes[-1]
    np.testing.assert_allclose(
        last.force[0, :-1].sum(axis=0), [0.0, 0.0, WEIGHT * GRAVITY], atol=0.02 * WEIGHT * GRAVITY
    )
    np.testing.assert_allclose(last.force[0, -1, 2], BALL * GRAVITY, rtol=1e-3)
    assert abs(last.qpos[0, 2] - 0.9814) < 0.01
    assert not overflow.any()
    seen = np.array([o.edges for o in outcomes[:3]]).any(axis=0)
    assert seen[0].tolist() == [False, False, False]
    assert seen[1].tolist() == [False, True, False]
    assert seen[2].tolist() == [True, False, False]
    assert seen[3, 2]


def test_the_ball_bounces_on_the_floating_pelvis():
    speed = np.array([2.0, 3.0, 4.0, 5.0, 5.5, 6.0])
    qpos, qvel, target = floating(SCENE, WORLDS)
    qpos[:, AT : AT + 3] = qpos[:, :3]
    qpos[:, AT + 2] += SCENE.object_radius + SCENE.model.geom("Pelvis").size[0] + 0.1
    qvel[:, SPEED + 2] = -speed
    outcomes, _ = stepper().rollout(qpos, qvel, target, steps=5)
    apart = np.array([o.qvel[:, SPEED + 2] - o.qvel[:, 2] for o in outcomes])
    first = np.array([o.force[:, -1, 2] > 0.0 for o in outcomes]).argmax(axis=0)
    ratio = apart[first, np.arange(WORLDS)] / speed
    np.testing.assert_allclose(ratio, E_BODY, atol=0.06)
    assert abs(ratio.mean() - E_BODY) < 0.03


def test_light_hands_turn_as_in_mujoco():
    scene = build_scene(hands="hinge")
    physics = make_physics("physx", scene, position_iterations=64)
    flights = [
        contract.fly(contract.Stepper(engine, 4), 4) for engine in (physics, make_physics("mujoco", scene, threads=1))
    ]
    physics.close()
    a, b = (scene.servo_positions(f.outcomes[-1].qpos[:2].astype(np.float64)) for f in flights)
    moved = np.abs(b - scene.servo_positions(flights[1].qpos[:2])).max()
    assert np.abs(a - b).max() < 0.08 * moved
