"""Adapter and recorder on the stand-in for Isaac Gym (tests/isaacgym_standin)."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.actions import pd_targets
from mjx_skillmimic.imitation.observation import observe, skill_one_hot
from mjx_skillmimic.imitation.options import ActionOptions, ObservationOptions
from mjx_skillmimic.interop.isaacgym import conventions, record_isaacgym, recording, starts
from mjx_skillmimic.interop.isaacgym.adapter import IsaacGymPhysics
from mjx_skillmimic.interop.isaacgym.export import export_mjcf
from mjx_skillmimic.interop.isaacgym.policy import NumPyPolicy, read_settings
from mjx_skillmimic.interop.isaacgym.simulation import IsaacGymError
from mjx_skillmimic.interop.recorder import coordinates_of, record
from mjx_skillmimic.interop.trace import STATES, STEPS, read_trace, write_trace
from mjx_skillmimic.learning import networks, normalizer
from mjx_skillmimic.learning.options import PPOOptions
from mjx_skillmimic.learning.policy import bundle, load_policy, save_policy
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics.registry import make_physics
from mjx_skillmimic.physics.state import body_state

STANDIN = Path(__file__).parent / "isaacgym_standin"
COURSES, LENGTHS = 3, (8, 5, 8)


@pytest.fixture
def standin(monkeypatch):
    """The stand-in's settings; its modules are gone after the test."""
    monkeypatch.syspath_prepend(str(STANDIN))
    import isaacgym

    yield isaacgym.settings
    for name in [name for name in sys.modules if name.split(".")[0] == "isaacgym"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def scene():
    return build_scene()


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory):
    """An export with a small random policy."""
    folder = tmp_path_factory.mktemp("isaacgym")
    export_mjcf(scene, folder)
    options = PPOOptions(actor_hidden=(24, 16), critic_hidden=(8,))
    params = networks.make_networks(options, 902, 156).init(jax.random.key(1))
    rng = np.random.default_rng(2)
    moments = normalizer.merge(normalizer.init(902), jnp.asarray(rng.normal(0.3, 2.0, (64, 902)), jnp.float32))
    source = save_policy(folder / "made.npz", bundle(options, params, moments))
    starts.export_policy(source, folder, ObservationOptions(), ActionOptions())
    return folder


@pytest.fixture(scope="module")
def recorded(scene):
    """Start states with everything moving, and what MuJoCo C makes of them: falls, ball on floor and body."""
    rng = np.random.default_rng(0)
    small = lambda *shape: rng.normal(size=(COURSES, *shape))  # noqa: E731
    upright = np.tile(rotations.exp(np.array([np.pi / 2, 0.0, 0.0])), (COURSES, 1))
    qpos, qvel = scene.pack(
        np.array([0.0, 0.0, 0.99]) + 0.02 * small(3),
        rotations.multiply(rotations.about_z(np.array([0.3, 1.5, -2.0])), upright),
        rotations.exp(0.2 * small(52, 3)),
        0.5 * small(3),
        0.5 * small(3),
        small(52, 3),
        np.array([[0.0, 0.0, 1.9], [1.0, 0.0, 0.12], [0.0, 1.0, 1.0]]),
        rotations.normalize(small(4)),
        0.5 * small(3) + [0.0, 0.0, -3.0],
        2.0 * small(3),
    )
    targets = 0.3 * rng.normal(size=(COURSES, max(LENGTHS), 156))
    names = [f"made/{i}" for i in range(COURSES)]
    lengths, meta = np.array(LENGTHS), {"skills": [3, 0, 63]}
    return record(make_physics("mujoco", scene), scene, qpos, qvel, targets, names, meta, lengths)


def gap(one, other, names=(*STATES, *STEPS)):
    """Largest difference of two traces, array by array, NaN being equal to NaN."""
    found = {}
    for name in names:
        a, b = np.asarray(getattr(one, name), float), np.asarray(getattr(other, name), float)
        if name.endswith("quat"):
            b = b * np.where(np.sum(a * b, -1, keepdims=True) < 0, -1.0, 1.0)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), err_msg=name)
        found[name] = np.nanmax(np.abs(a - b))
    return found


def test_open_loop_over_the_same_physics_gives_the_same_trace(standin, folder, recorded):
    """The whole way there and back: quaternions, frames, dof and body order, targets, forces."""
    standin.physics, standin.order = "mujoco", "breadth"
    physics = IsaacGymPhysics(folder, COURSES)
    again = recording.open_loop(physics, recorded)
    found = gap(recorded, again)
    forces = {name: found.pop(name) for name in ("body_force", "object_force")}
    assert max(found.values()) < 2e-3, found
    assert np.nanmax(np.abs(recorded.body_force)) > 100.0
    assert np.nanmax(np.abs(recorded.object_force)) > 100.0
    assert max(forces.values()) < 2.0, forces
    assert again.engine == "isaacgym"
    assert again.meta["not_finite"] == []
    np.testing.assert_array_equal(again.lengths, LENGTHS)


def test_closed_loop_does_what_the_policy_does_here(standin, folder, scene, recorded):
    """Against our own observation, network and MuJoCo C in JAX, step by step."""
    standin.physics = "mujoco"
    steps, settings = 5, read_settings(folder / "policy.json")
    trace = recording.closed_loop(
        IsaacGymPhysics(folder, COURSES), recorded, NumPyPolicy(folder / "policy.npz"), settings, [3, 0, 63], steps
    )
    physics, policy = make_physics("mujoco", scene), load_policy(folder / "made.npz")
    one_hot = jnp.asarray(skill_one_hot(np.array([3, 0, 63])))

    @jax.jit
    def step(state):
        obs = observe(body_state(scene, state), one_hot, ObservationOptions())
        target = pd_targets(policy(obs), ActionOptions())
        return physics.step(state, target), target

    qpos, qvel = (x[:, 0].astype(np.float32) for x in coordinates_of(scene, recorded))
    state = physics.init(qpos, qvel)
    for t in range(steps):
        state, target = step(state)
        np.testing.assert_allclose(trace.target[:, t], target, atol=5e-3)
        body = body_state(scene, state)
        np.testing.assert_allclose(trace.root_pos[:, t + 1], body.root_pos, atol=1e-3)
        np.testing.assert_allclose(trace.dof_pos[:, t + 1], body.dof_pos, atol=5e-3)
        np.testing.assert_allclose(trace.object_pos[:, t + 1], body.object_pos, atol=1e-3)
    assert trace.meta["skills"] == [3, 0, 63]


def test_three_worlds_or_two_at_a_time_give_the_same(standin, folder, recorded):
    together = recording.open_loop(IsaacGymPhysics(folder, COURSES), recorded)
    in_turns = recording.open_loop(IsaacGymPhysics(folder, 2), recorded)
    assert max(gap(together, in_turns).values()) == 0.0


@pytest.mark.parametrize(("name", "value"), [("order", "breadth"), ("velocity_frame", "parent")])
def test_what_is_uncertain_about_isaac_gym_is_found_out(standin, folder, recorded, name, value):
    believed = recording.open_loop(IsaacGymPhysics(folder, COURSES), recorded)
    setattr(standin, name, value)
    physics = IsaacGymPhysics(folder, COURSES)
    found = conventions.check(physics)
    assert found["velocity_frame"] == ("parent" if name == "velocity_frame" else "child")
    assert found["importer"]["depth_first"] == (name != "order")
    assert max(gap(believed, recording.open_loop(physics, recorded)).values()) < 1e-3


@pytest.mark.parametrize("point", ["origin", "centre"])
def test_the_conventions_are_measured(standin, folder, point):
    standin.velocity_point = point
    found = conventions.check(IsaacGymPhysics(folder, 2))
    other = {"origin": "centre", "centre": "origin"}[point]
    assert found["link_velocity_point"] == point
    assert found[f"link_velocity_gap_{point}_m_s"] < 1e-4 < 0.1 < found[f"link_velocity_gap_{other}_m_s"]
    assert found["joint_velocity_gap_child_rad_s"] < 1e-4 < 0.01 < found["joint_velocity_gap_parent_rad_s"]
    np.testing.assert_allclose(found["resting_ball_force_N"], [0.0, 0.0, found["ball_weight_N"]], atol=0.1)
    assert found["importer"]["mass_gap_kg"] < 1e-6
    assert max(found["importer"]["imported_gaps"].values()) < 1e-6


@pytest.mark.parametrize(("forces", "least", "largest"), [("mean", 1.0, 1.0), ("last", 0.0, 2.0)])
def test_the_period_of_contact_forces_is_measured(standin, folder, forces, least, largest):
    standin.forces = forces
    found = conventions.check(IsaacGymPhysics(folder, 6))
    np.testing.assert_allclose(found["bounce_impulse_ratio"], [least, largest], atol=0.15)


def test_hinges_that_were_not_fused_are_refused(standin, folder):
    standin.fused = False
    with pytest.raises(IsaacGymError, match=r"link_position_gap_m is .* not rotation vectors of spherical joints"):
        conventions.check(IsaacGymPhysics(folder, 1))


def test_after_a_reset_bodies_are_those_of_the_new_state(standin, folder, recorded):
    physics = IsaacGymPhysics(folder, COURSES)
    start = {name: np.asarray(getattr(recorded, name))[:, 0] for name in STATES}
    physics.reset(start)
    first = physics.step(recorded.target[:, 0])
    np.testing.assert_allclose(physics.links().body_pos, first.body_pos, atol=1e-5)
    moved = physics.reset({**start, "root_pos": start["root_pos"] + [0.0, 0.0, 3.0]})
    # Isaac Gym's own links are still those of the step before
    with pytest.raises(IsaacGymError, match="stale"):
        physics.links()
    np.testing.assert_allclose(moved.root_pos[:, 2], start["root_pos"][:, 2] + 3.0, rtol=1e-6)
    assert (np.abs(moved.body_pos[..., 2] - moved.root_pos[:, None, 2]) < 1.5).all()
    assert not moved.body_force.any()
    assert not moved.object_force.any()
    again = physics.reset(start)
    np.testing.assert_allclose(again.dof_pos, start["dof_pos"], atol=1e-5)
    np.testing.assert_allclose(again.body_ang_vel[:, 0], start["root_ang_vel"], atol=1e-5)


def test_properties_reach_the_simulation(standin, scene, tmp_path, recorded):
    shell = build_scene(ball_mass=0.62, ball_shell=True, effort_limit=150.0, friction=0.7)
    export_mjcf(shell, tmp_path)
    physics = IsaacGymPhysics(tmp_path, 2)
    person, ball = physics.simulation.sim.envs[1].actors
    shapes = dict(zip(person.asset.names, person.shapes, strict=True))
    apart = [(a, b) for a in shapes for b in shapes if a < b and shapes[a].filter & shapes[b].filter]
    assert apart == [("L_Thumb1", "L_Thumb3"), ("R_Thumb1", "R_Thumb3")]
    assert {shape.friction for shape in [*person.shapes, *ball.shapes]} == {0.7}
    assert ball.shapes[0].restitution == 0.81
    assert ball.bodies[0].mass == pytest.approx(0.62)
    assert ball.bodies[0].inertia.y.y == pytest.approx(2 / 3 * 0.62 * 0.12**2)
    assert (person.dofs["effort"] == 150.0).all()
    assert (person.dofs["driveMode"] == 1).all()
    params = physics.simulation.sim.params
    assert (params.substeps, params.physx.solver_type, params.physx.num_velocity_iterations) == (2, 1, 0)
    assert (params.gravity.z, params.physx.rest_offset) == (-9.81, 0.0)
    export_mjcf(build_scene(self_collision=False), tmp_path)
    person, ball = IsaacGymPhysics(tmp_path, 1).simulation.sim.envs[0].actors
    assert all(shape.filter & 1 for shape in person.shapes)
    assert ball.shapes[0].filter == 0


def test_bad_input_is_named(standin, folder, recorded):
    physics = IsaacGymPhysics(folder, COURSES)
    start = {name: np.asarray(getattr(recorded, name))[:, 0] for name in STATES}
    with pytest.raises(ValueError, match=r"root_pos has shape \(2, 3\), expected \(3, 3\)"):
        physics.reset({**start, "root_pos": start["root_pos"][:2]})
    with pytest.raises(ValueError, match="dof_pos of a start state is not finite"):
        physics.reset({**start, "dof_pos": np.nan * start["dof_pos"]})
    with pytest.raises(ValueError, match="target has shape"):
        physics.step(np.zeros((COURSES, 98)))
    with pytest.raises(ValueError, match="device='tpu'"):
        IsaacGymPhysics(folder, 1, device="tpu")
    settings, policy = read_settings(folder / "policy.json"), NumPyPolicy(folder / "policy.npz")
    with pytest.raises(ValueError, match=r"found skill labels \[3, 64, 0\]"):
        recording.closed_loop(physics, recorded, policy, settings, [3, 64, 0])


def test_the_command_line(standin, folder, recorded, tmp_path, caplog):
    write_trace(folder / "starts.npz", recorded)
    out = tmp_path / "closed.npz"
    arguments = [str(folder), "--policy", str(folder / "policy.npz"), "--steps", "4", "--out", str(out)]
    assert record_isaacgym.main(arguments) == 0
    trace = read_trace(out)
    assert (trace.engine, trace.names, trace.lengths.tolist()) == ("isaacgym", recorded.names, [4, 4, 4])
    assert trace.meta["skills"] == [3, 0, 63]
    assert trace.meta["conventions"]["velocity_frame"] == "child"
    assert record_isaacgym.main([*arguments, "--policy", str(folder / "scene.json")]) == 2
    assert "scene.json: found no readable policy" in caplog.text


def test_without_isaac_gym_the_error_says_where_it_comes_from(folder):
    with pytest.raises(ImportError, match="Isaac Gym Preview 4, which comes from NVIDIA"):
        IsaacGymPhysics(folder, 1)
