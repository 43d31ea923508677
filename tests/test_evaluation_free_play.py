"""Free play in MuJoCo C: placed balls, labels, and agreement with the imitation environment."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs, rotations
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.evaluation import free_play, placed_balls, setup
from mjx_skillmimic.evaluation.policies import Agent, make_agent
from mjx_skillmimic.evaluation.rollouts import evaluation_config
from mjx_skillmimic.motion.library import load_clips

RADIUS = 0.12
COUNT = 200
LONG = 75


@pytest.fixture(scope="module")
def env():
    config = evaluation_config(setup.run_config("zero"))
    config.physics.engine = "mujoco"
    config.start.max_kick = None
    return envs.load("BallPlay", config, clips=load_clips(["pick_up", "dribble_forward"]))


def pick_up_clip(env):
    return np.flatnonzero(np.asarray(env.tables.motions.skills) == 1)


@pytest.fixture(scope="module")
def begin(env):
    """States of COUNT worlds with placed balls, compiled once."""
    start = jax.jit(lambda *a: free_play.begin(env, env.tables, *a))

    def states(placed):
        ball = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), placed.ball)
        return start(jax.random.split(jax.random.key(0), COUNT), placed.clip, placed.frame, ball)

    return states


@pytest.mark.parametrize("motion", placed_balls.MOTIONS)
def test_balls_lie_where_they_were_asked_for(env, begin, motion):
    placed = placed_balls.place_balls(env, pick_up_clip(env), COUNT, motion, seed=4)
    body = env.body_state(begin(placed).data)
    root, ball = np.asarray(body.root_pos), np.asarray(body.object_pos)
    np.testing.assert_allclose(ball[:, 2], RADIUS, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm((ball - root)[:, :2], axis=-1), placed.distance, atol=1e-5)
    assert placed.distance.min() < 1.2
    assert placed.distance.max() > 4.8
    assert 1.0 <= placed.distance.min() <= placed.distance.max() <= 5.0
    assert np.histogram(placed.direction, 8, (-np.pi, np.pi))[0].min() >= 10
    # for the person: its root's +x points to the left, and its −y ahead
    seen = np.asarray(rotations.rotate(rotations.heading_inverse(body.root_quat), body.object_pos - body.root_pos))
    np.testing.assert_allclose(-seen[:, :2], placed.seen_from_above, atol=1e-4)

    velocity, spin = np.asarray(body.object_lin_vel), np.asarray(body.object_ang_vel)
    bottom = velocity + np.cross(spin, [0.0, 0.0, -RADIUS])
    np.testing.assert_allclose(bottom, 0.0, atol=1e-5)
    speed = np.linalg.norm(velocity, axis=-1)
    if motion == "still":
        np.testing.assert_array_equal(speed, 0.0)
    else:
        assert 0.9 < speed.max() <= 1.0
        assert speed.min() < 0.1
        np.testing.assert_array_equal(velocity[:, 2], 0.0)


def test_the_observation_shows_the_placed_ball(env, begin):
    placed = placed_balls.place_balls(env, pick_up_clip(env), COUNT, "rolling", seed=1)
    parts = env.layout.split(begin(placed).obs)
    np.testing.assert_allclose(-parts["object_pos"][:, :2], placed.seen_from_above, atol=1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(parts["object_lin_vel"], axis=-1), np.linalg.norm(placed.ball.lin_vel, axis=-1), atol=1e-5
    )


def test_draws_repeat_and_bad_requests_are_refused(env):
    clips = pick_up_clip(env)
    first, again, other = (placed_balls.place_balls(env, clips, 5, "still", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.ball.pos, again.ball.pos)
    assert (first.distance != other.distance).all()
    with pytest.raises(ValueError, match="still, rolling, got 'thrown'"):
        placed_balls.place_balls(env, clips, 5, "thrown")
    with pytest.raises(ValueError, match="at least one clip"):
        placed_balls.place_balls(env, [], 5)
    with pytest.raises(ValueError, match="nearest <= farthest"):
        placed_balls.place_balls(env, clips, 5, nearest=3.0, farthest=2.0)


def spying_agent(env):
    """Acts with what it reads, so that the actions tell which label it was given; its parameter is added."""
    mean = jnp.asarray(env.initial_action)
    columns = env.layout.slice("skill")

    def act(parameters, state, rng):
        label = state.obs[:, columns] @ jnp.arange(64.0)
        wrong = jnp.abs(state.obs[:, columns].sum(axis=1) - 1.0)
        return jnp.clip(mean + 1e-3 * label[:, None] + 10.0 * wrong[:, None] + parameters, -1.0, 1.0)

    return Agent("spy", act, jnp.float32(0.0))


@pytest.fixture(scope="module")
def play(env):
    """Free play of the spying agent with LONG steps, compiled once."""
    return free_play.make_free_play(env, spying_agent(env), LONG)


def test_free_play_feeds_the_labels_and_equals_the_imitation_environment(env, play):
    clip, frame = np.array([0, 1, 1]), np.array([2, 10, 40])
    labels = np.random.default_rng(0).integers(0, 64, (LONG, 3))
    free = free_play.run_free_play(env, spying_agent(env), clip, frame, labels, batch=2, play=play)
    np.testing.assert_array_equal(free.label, labels.T)
    assert free.clip.tolist() == clip.tolist()

    keys = jax.random.split(jax.random.key(7), 3)
    state = env.begin(env.tables, keys, jnp.asarray(clip), jnp.asarray(frame))
    step = jax.jit(env.step)
    for k in range(6):
        state = step(state, jnp.clip(env.initial_action + 1e-3 * labels[k][:, None], -1.0, 1.0))
        body = env.body_state(state.data)
        np.testing.assert_allclose(free.root_pos[:, k], body.root_pos, atol=1e-5)
        np.testing.assert_allclose(free.object_pos[:, k], body.object_pos, atol=1e-5)
        np.testing.assert_allclose(free.object_lin_vel[:, k], body.object_lin_vel, atol=1e-4)
        np.testing.assert_array_equal(free.hands_object[:, k], body.edges[:, 0])


def test_free_play_goes_on_after_the_clip_and_notices_falls(env, play):
    length = int(env.tables.motions.lengths[0])
    limp = dataclasses.replace(spying_agent(env), parameters=jnp.float32(0.5))
    clip, frame = np.array([0, 0]), np.array([2, length - 3])
    free = free_play.run_free_play(env, limp, clip, frame, np.ones((LONG, 2), int), play=play)
    assert free.fell.any()
    for world in np.flatnonzero(free.fell):
        last = int(free.valid[world].sum()) - 1
        assert free.root_pos[world, last, 2] < 0.3
        assert (free.root_pos[world, 1:last, 2] >= 0.3).all()
    assert free.valid[~free.fell].all()
    # the second world is past its clip's end and is not put back on a frame
    assert np.abs(np.diff(free.root_pos, axis=1)).max() < 0.2


class TwoNumbers:
    """The least that free play needs of an environment: the state counts the labels that it was told."""

    options = SimpleNamespace(observation=SimpleNamespace(num_skills=64))
    layout = SimpleNamespace(slice=lambda name: slice(0, 64))

    def begin(self, tables, keys, clip, frame):
        worlds = clip.shape[0]
        info = {"clip": clip, "skill": jnp.zeros(worlds, jnp.int32)}
        zero = jnp.zeros(worlds)
        return State(zero, jnp.zeros((worlds, 64)), zero, zero, {"nonfinite": zero, "overflow": zero}, info)

    def step(self, state, action):
        return state.replace(data=state.data + action)

    def body_state(self, data):
        points = jnp.ones((len(data), 53, 3)) * data[:, None, None]
        edges, vector = jnp.zeros((len(data), 3), bool), points[:, 0]
        return SimpleNamespace(
            root_pos=vector + 1.0, body_pos=points, object_pos=vector, object_lin_vel=vector, edges=edges
        )


def test_a_label_function_sees_the_state():
    def label(step, state):
        return jnp.where(state.info["clip"] == 1, 13, step + state.data.astype(jnp.int32))

    agent = Agent("labels", lambda _, state, rng: jnp.argmax(state.obs, axis=1).astype(jnp.float32))
    play = free_play.make_free_play(TwoNumbers(), agent, 4, label)
    two = jnp.array([0, 1], jnp.int32)
    seen = play(None, None, two, two, None, None, jax.random.key(0))
    # the first world adds what it has been told so far to the step's number
    assert np.asarray(seen["label"]).T.tolist() == [[0, 1, 3, 7], [13, 13, 13, 13]]
    np.testing.assert_array_equal(seen["object_pos"][:, :, 0].T, [[0, 1, 4, 11], [13, 26, 39, 52]])


def test_bad_requests_are_refused(env):
    agent, one = make_agent("zero", env), np.array([0])
    with pytest.raises(ValueError, match=r"expected \(steps, 1\), got \(3, 2\)"):
        free_play.run_free_play(env, agent, one, one + 2, np.zeros((3, 2), int))
    with pytest.raises(ValueError, match="0 to 63, got 64 to 64"):
        free_play.run_free_play(env, agent, one, one + 2, np.full((3, 1), 64))
    with pytest.raises(ValueError, match="playback shows the reference itself"):
        free_play.make_free_play(env, make_agent("playback", env), 3)
