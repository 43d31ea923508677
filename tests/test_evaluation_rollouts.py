"""Rollouts of whole clips: the playback baseline, determinism, and a slow loop over the same environment."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.evaluation import report, rollouts, setup
from mjx_skillmimic.evaluation.policies import make_agent, policy_file
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.viewing.sources import clip_trajectory, rollout_trajectory

CLIP = "throw_catch"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def env():
    return setup.make_env("zero", CLIP, "mujoco")


@pytest.fixture(scope="module")
def begin(env):
    return jax.jit(lambda rng, clip, frame: env.begin(env.tables, rng, clip, frame))


@pytest.fixture(scope="module")
def length(env):
    return int(env.tables.motions.lengths[0])


def test_starts_deal_clips_in_turn_and_stay_in_the_clip():
    clip, frame = rollouts.draw_starts([10, 40], 7, "random", seed=1)
    assert clip.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert (frame >= 2).all()
    assert (frame <= np.array([8, 38])[clip]).all()
    np.testing.assert_array_equal(frame, rollouts.draw_starts([10, 40], 7, "random", seed=1)[1])
    assert rollouts.draw_starts([10, 40], 4, "first")[1].tolist() == [2, 2, 2, 2]
    assert rollouts.draw_starts([10, 40], 2, 20)[1].tolist() == [8, 20]
    with pytest.raises(ValueError, match="'last'"):
        rollouts.draw_starts([10], 1, "last")
    with pytest.raises(ValueError, match="at least one episode"):
        rollouts.draw_starts([10], 0)


def test_playback_is_perfect_by_every_metric(env, length):
    episodes = rollouts.run_episodes(env, make_agent("playback", env), 3, "random", seed=2)
    numbers = report.numbers(episodes)
    assert numbers["acc"] == numbers["acc_edges"] == numbers["survived"] == 1.0
    assert numbers["e_b_mpjpe_mm"] < 0.01
    assert numbers["e_o_mpjpe_mm"] == 0.0
    assert numbers["reward"] > 0.97
    np.testing.assert_array_equal(episodes.steps, length - 1 - episodes.start)
    whole = rollouts.run_episodes(env, make_agent("playback", env), 1, "first")
    assert report.numbers(whole)["success"] == 1.0


def test_rollout_equals_a_loop_over_steps(env, begin, length):
    agent = make_agent("random", env)
    steps, clip, frame = 6, jnp.zeros(2, jnp.int32), jnp.array([2, length - 4], jnp.int32)
    rng = jax.random.key(5)
    record = rollouts.make_rollout(env, agent, steps)(None, clip, frame, rng)
    reset_rng, rest = jax.random.split(rng)
    state = begin(jax.random.split(reset_rng, 2), clip, frame)
    step = jax.jit(lambda state, key: env.step(state, agent.act(None, state, key)))
    rewards, roots = [], []
    for key in jax.random.split(rest, steps):
        state = step(state, key)
        rewards.append(np.asarray(state.reward))
        roots.append(np.asarray(simulated_features(env.body_state(state.data)).root_pos))
    np.testing.assert_allclose(record.reward, rewards, atol=1e-5)
    np.testing.assert_allclose(record.root_pos, roots, atol=1e-4)
    # the second world has three frames left after its start, and is not restarted when they are over
    assert np.asarray(record.valid).sum(axis=0).tolist() == [6, 3]
    assert int(state.info["progress"][1]) == steps


def test_a_world_begins_on_the_frame_it_was_given(env, begin):
    clip, frame = jnp.zeros(2, jnp.int32), jnp.array([5, 40], jnp.int32)
    state = begin(jax.random.split(jax.random.key(0), 2), clip, frame)
    sim, ref = simulated_features(env.body_state(state.data)), env.reference(state.shared, state.info)
    np.testing.assert_allclose(sim.root_pos, ref.root_pos, atol=1e-5)
    np.testing.assert_allclose(sim.key_body_pos, ref.key_body_pos, atol=1e-4)
    np.testing.assert_allclose(sim.object_pos, ref.object_pos, atol=2e-2)
    assert state.obs.shape == (2, env.observation_size)


def test_evaluation_repeats_itself_whatever_the_batch_leaves_over(env):
    agent = make_agent("zero", env)
    once = rollouts.run_episodes(env, agent, 3, 60, seed=1, batch=2)
    again = rollouts.run_episodes(env, agent, 3, 60, seed=1, batch=2)
    assert len(once) == 3
    for name in ("reward", "body_error", "object_error", "valid"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    # the same start and no randomness: three times the same episode
    np.testing.assert_allclose(once.reward[2], once.reward[0], atol=1e-6)


def test_pd_playback_asks_for_the_next_pose(env, begin):
    clip, frame = jnp.zeros(2, jnp.int32), jnp.array([30, 30], jnp.int32)
    state = begin(jax.random.split(jax.random.key(0), 2), clip, frame)
    action = make_agent("pd-playback", env).act(None, state, jax.random.key(1))
    joints = env.clips[0].dof_pos[31]
    np.testing.assert_allclose(np.asarray(action[0]) * env.options.action.scale, joints, atol=1e-4)


def test_trajectory_of_an_agent_shows_the_clip_as_its_reference(env, length):
    shown = rollout_trajectory(env, make_agent("playback", env), 0, start=length - 8)
    whole = clip_trajectory(env.clips[0], env.scene)
    assert shown.num_frames == 7
    np.testing.assert_allclose(shown.reference_object_pos, whole.object_pos[-7:], atol=1e-6)
    np.testing.assert_allclose(shown.body_pos, shown.reference_body_pos, atol=1e-4)
    assert set(shown.labels) >= {"reward", "contact", "reference_contact"}


def test_missing_policies_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"policy\.npz.*zero, random"):
        policy_file(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        setup.make_env(tmp_path / "nowhere", CLIP)


def test_command_line_writes_what_it_printed(tmp_path):
    out = tmp_path / "deep" / "e.json"
    command = [sys.executable, str(ROOT / "scripts" / "evaluate.py"), "--policy", "playback", "--motion", CLIP]
    done = subprocess.run(
        [*command, "--episodes", "2", "--json", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    assert document["results"]["total"]["acc"]["value"] == 1.0
    assert document["settings"]["seed"] == 0
    assert document["run"]["versions"]["mujoco"]
    assert CLIP in done.stdout
