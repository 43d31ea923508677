"""The session against the environment, and what can be asked of it."""

import threading

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.evaluation import setup
from mjx_skillmimic.evaluation.policies import make_agent
from mjx_skillmimic.evaluation.rollouts import evaluation_config
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.viewing import commands, projectile
from mjx_skillmimic.viewing.session import Session

POLICY, CLIPS, START, STEPS = "shipped-six", ["throw_catch", "pick_up"], 5, 80
BOX_Q, BOX_V = slice(-7, None), slice(-6, None)


@pytest.fixture(scope="module")
def made():
    return Session(POLICY, CLIPS, start=START)


@pytest.fixture
def session(made):
    """The one session of this file, as it was in the beginning."""
    made.set_policy(POLICY)
    made.paused, made.speed, made.ghost, made.restart_seconds = False, 1.0, True, None
    made.reset(0)
    return made


@pytest.fixture(scope="module")
def expected(made):
    """The environment's own steps: qpos, reward, whether a hand touched the ball, reference distance."""
    config = evaluation_config(setup.run_config(POLICY))
    config.physics.engine = "mujoco"
    # with the tables of the session: finding start states takes most of the time
    env = envs.load("BallPlay", config, clips=load_clips(CLIPS), tables=made._driver.program.env.tables)
    agent = make_agent(POLICY, env)
    state = env.begin(env.tables, jax.random.split(jax.random.key(3), 1), jnp.array([0]), jnp.array([START]))

    def body(state, _):
        state = env.step(state, agent.act(agent.parameters, state, jax.random.key(0)))
        return state, (state.data.qpos[0], state.reward[0], state.data.edges[0, 0], state.metrics["error/body_m"][0])

    return jax.device_get(jax.jit(lambda s: jax.lax.scan(body, s, None, STEPS)[1])(state))


def test_without_a_box_the_session_is_the_environment(session, expected):
    qpos, reward, touched, distance = [], [], [], []
    for _ in range(STEPS):
        session.step()
        status = session.status
        qpos.append(session.data.qpos[: session.scene.model.nq].copy())
        reward.append(status.rewards["total"])
        touched.append(status.hands_touch_ball)
        distance.append(status.joint_error_m)
    # the extra body changes the order of sums in the solver, and contacts magnify that
    np.testing.assert_allclose(qpos, expected[0], atol=1e-4)
    np.testing.assert_allclose(reward, expected[1], atol=1e-3)
    np.testing.assert_allclose(distance, expected[3], atol=1e-4)
    assert np.mean(touched == expected[2]) > 0.97
    assert 0 < sum(touched) < STEPS
    np.testing.assert_array_equal(session.data.qpos[BOX_Q][:3], projectile.PARKED)
    assert session.status.time == pytest.approx(STEPS / 60)
    # poses belong to the coordinates
    c = session.scene.unpack(session.data.qpos[: session.scene.model.nq], session.data.qvel[: session.scene.model.nv])
    pos = forward_kinematics(session.scene.skeleton, c.root_pos, c.root_quat, c.joint_quat).pos
    np.testing.assert_allclose(session.data.xpos[session.scene.humanoid_body_ids], pos, atol=1e-6)


def test_rewards_are_factors_whose_product_is_the_total(session):
    session.step()
    rewards = dict(session.status.rewards)
    total = rewards.pop("total")
    assert set(rewards) >= {"p", "r", "op", "ig", "cg_hands_object"}
    assert np.prod(list(rewards.values())) == pytest.approx(total, rel=1e-4)


def test_another_skill_changes_what_the_policy_does_and_ends_the_reference(session):
    session.step()
    assert session.status.reference_qpos is not None
    for told in (50, 1):
        session.reset(0, 30)
        session.set_skill(told)
        for _ in range(20):
            session.step()
        if told == 50:
            unsteered = session.data.qpos.copy()
            assert session.status.rewards
    assert np.abs(session.data.qpos - unsteered).max() > 0.01
    status = session.status
    assert (status.skill, status.rewards, status.reference_qpos, status.reference_contact) == (1, {}, None, None)
    session.reset()
    assert session.status.skill == 50
    with pytest.raises(ValueError, match=r"has not learned skill 31; it has learned 1 pick up, 4 pass"):
        session.set_skill(31)


def test_the_reference_is_the_clip_and_ends_with_it(session):
    last = session.lengths[0] - 1
    session.seek(last - 3)
    clip = load_clips("throw_catch")[0]
    seen = []
    for _ in range(5):
        session.step()
        seen.append(session.status)
    assert [s.frame for s in seen] == [last - 2, last - 1, last, last, last]
    for status in seen[:3]:
        np.testing.assert_allclose(status.reference_qpos[:3], clip.root_pos[status.frame], atol=1e-6)
        np.testing.assert_allclose(status.reference_qpos[-7:-4], clip.object_pos[status.frame], atol=1e-6)
        assert status.reference_contact == (clip.contact[status.frame] > 0.5)
    assert [bool(s.rewards) for s in seen] == [True] * 3 + [False] * 2
    assert [s.reference_qpos is None for s in seen] == [False] * 3 + [True] * 2


def test_playback_is_the_clip_round_and_round(session):
    session.kinematic = True
    session.seek(0)
    clip = load_clips("throw_catch")[0]
    assert session.policy == session.status.policy == "playback"
    for _ in range(3):
        session.step()
    status = session.status
    np.testing.assert_allclose(session.data.qpos[:3], clip.root_pos[3], atol=1e-6)
    np.testing.assert_allclose(session.data.xpos[session.scene.object_body_id], clip.object_pos[3], atol=1e-6)
    assert status.hands_touch_ball == status.reference_contact == (clip.contact[3] > 0.5)
    assert 0.0 <= status.joint_error_m < 0.1
    session.seek(session.lengths[0] - 1)
    session.step()
    assert session.status.frame == 0
    with pytest.raises(ValueError, match="played back"):
        session.throw_box()
    session.kinematic = False
    assert (session.policy, session.status.frame) == (POLICY, 0)


def test_a_box_flies_hits_and_is_put_away(session):
    for _ in range(3):
        session.step()
    hip, root = session.data.xpos[session.model.body("L_Hip").id].copy(), session.data.qpos[:3].copy()
    session.throw_box()
    session.step()
    velocity = session.data.qvel[BOX_V][:3]
    assert 25.0 < np.linalg.norm(velocity) < 45.0
    # three steps' way back along the flight lies the ring from which it was thrown
    start = session.data.qpos[BOX_Q][:3] - velocity / 60.0
    assert 3.5 < np.linalg.norm((start - root)[:2]) < 5.5
    aim = (hip - start) / np.linalg.norm(hip - start)
    assert aim @ velocity / np.linalg.norm(velocity) > 0.97
    session.reset()
    for _ in range(2):
        session.step()
    quiet = session.data.qvel[:6].copy()
    session.reset()
    # from an arm's length straight at the pelvis
    session.throw_box(session.data.qpos[:3] + np.array([0.0, 1.0, 0.0]), [0.0, -3.0, 0.0])
    for _ in range(2):
        session.step()
    assert session.data.qpos[BOX_Q][1] < session.data.qpos[1] + 0.9
    pushed = [session.status]
    for _ in range(4):
        session.step()
        pushed.append(session.status)
    assert np.abs(session.data.qvel[:6] - quiet).max() > 0.5
    assert max(force for status in pushed for _, force in status.contacts) > 1000.0
    session.reset()
    np.testing.assert_array_equal(session.data.qpos[BOX_Q][:3], projectile.PARKED)
    with pytest.raises(ValueError, match="both"):
        session.throw_box(origin=[0.0, 0.0, 1.0])


def fall(session):
    """Steps until the person, pushed by the pelvis, has fallen."""
    for step in range(200):
        session.data.xfrc_applied[session.model.body("Pelvis").id, :3] = [1500.0, 0.0, -1500.0] if step < 60 else 0.0
        session.step()
        if session.status.fallen:
            return


def test_another_policy_takes_over_in_the_world_as_it_is_and_a_fall_ends_it(session):
    for _ in range(10):
        session.step()
    before = session.data.qpos.copy()
    session.set_policy("zero")
    np.testing.assert_array_equal(session.data.qpos, before)
    falls = session.falls
    fall(session)
    assert session.status.fallen
    assert session.falls == falls + 1
    assert session.status.step > 20
    session.restart_seconds = 0.5
    session.reset()
    fall(session)
    for _ in range(round(0.5 * 60)):
        assert session.status.step > 0
        session.step()
    assert session.status.step == 0
    assert not session.status.fallen
    assert session.falls == falls + 2
    with pytest.raises(FileNotFoundError, match="shipped-six"):
        session.set_policy("shiped-six")
    assert session.policy == "zero"


def test_a_world_that_breaks_begins_again(session):
    session.step()
    data = session._state.data
    session._state = session._state.replace(data=data.replace(qvel=jnp.full_like(data.qvel, jnp.nan)))
    falls = session.falls
    session.step()
    assert (session.falls, session.status.step) == (falls + 1, 0)
    session.step()
    assert np.isfinite(session.data.qpos).all()


def test_every_command_does_what_it_says(session):
    assert session.do("skill:1") == "skill 1: pick up"
    assert session.do("pause") == "paused"
    session.paused = False
    assert session.do("step") == "step 1"
    assert session.paused
    assert (session.do("faster"), session.speed) == ("speed 2", 2.0)
    assert (session.do("slower"), session.do("slower")) == ("speed 1", "speed 0.5")
    assert (session.do("ghost"), session.ghost) == ("ghost hidden", False)
    assert session.do("next_clip") == "clip pick_up"
    assert (session.status.skill, session.status.frame) == (1, START)
    assert (session.do("next_clip"), session.do("previous_clip")) == ("clip throw_catch", "clip pick_up")
    session.step()
    assert (session.do("reset"), session.status.step) == ("clip pick_up", 0)
    assert session.do("box") == "box thrown"
    session.step()
    assert session.data.qpos[BOX_Q][0] < 100.0
    with pytest.raises(ValueError, match="no command 'jump'; there is pause") as caught:
        session.do("jump")
    assert all(name in str(caught.value) for name in commands.COMMANDS)


def test_clips_and_frames_that_are_not_there_are_refused(session):
    with pytest.raises(ValueError, match="clip 2: there are 2"):
        session.reset(2)
    with pytest.raises(ValueError, match=rf"frame 9999 of throw_catch: expected 0 to {session.lengths[0] - 1}"):
        session.seek(9999)


def test_viewers_may_read_and_command_while_it_runs(session):
    stop, errors = threading.Event(), []

    def watch():
        try:
            while not stop.is_set():
                with session.lock:
                    scene = session.data.geom_xpos.copy()
                session.set_skill(1)
                assert np.isfinite(scene).all()
        except Exception as error:  # told by the test, not lost in the thread
            errors.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    for _ in range(20):
        session.step()
    stop.set()
    for watcher in watchers:
        watcher.join()
    assert not errors
    assert session.status.step == 20


def test_forces_of_a_viewer_act(session):
    session.step()
    pelvis = session.model.body("Pelvis").id
    session.data.xfrc_applied[pelvis, 2] = 5000.0
    for _ in range(5):
        session.step()
    assert session.data.qvel[2] > 1.0
    session.reset()
    assert not session.data.xfrc_applied.any()
    assert isinstance(session.data, mujoco.MjData)
