"""SkillMimicV2 as an environment: what its options do to episodes, and that without them it is BallPlay."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic import config as configs
from mjx_skillmimic import envs
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.envs.v2.env import SkillMimicV2
from mjx_skillmimic.evaluation import policies, rollouts, setup
from mjx_skillmimic.history import encoder as network
from mjx_skillmimic.history import encoder_file, window
from mjx_skillmimic.history.frames import FrameOptions, live_frame, reference_frames
from mjx_skillmimic.learning import normalizer, policy
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip

WORLDS, STEPS, LENGTH = 8, 14, 9
ROOT = Path(__file__).resolve().parent.parent


def clips() -> list[MotionClip]:
    """Two short clips of two labels."""
    return [
        dataclasses.replace(clip, **{name: x[:40] for name, x in clip.arrays().items()})
        for clip in library.load_clips(["throw_catch", "pick_up"])
    ]


@functools.cache
def encoder() -> encoder_file.Encoder:
    return encoder_file.Encoder(network.init(jax.random.key(5)), FrameOptions())


def config(task: str = "SkillMimicV2", **changes: Any) -> ConfigDict:
    chosen = envs.default_config(task)
    chosen.physics.engine = "mujoco"
    chosen.start.max_kick = None
    chosen.termination.update(episode_length=LENGTH, object_distance=None, body_distance=None)
    for name, value in changes.items():
        section, option = name.split("__")
        chosen[section][option] = value
    return chosen


ALL = {
    "noise__probability": 0.4,
    "retime__search": "intended",
    "switch__probability": 0.6,
    "buffer__reward": "exclude",
    "ats__alpha": 1.0,
    "ats__interval": 0.05,
    "history__encoder": "given below",
}


@functools.cache
def course() -> tuple[SkillMimicV2, list[State]]:
    """Everything on: the state after `reset` and after each of STEPS steps."""
    env = SkillMimicV2(config(**ALL), clips(), encoder=encoder())
    state = jax.jit(env.reset)(jax.random.split(jax.random.key(3), WORLDS))
    step, states = jax.jit(env.step), [state]
    for _ in range(STEPS):
        states.append(step(states[-1], jnp.tile(env.initial_action, (WORLDS, 1))))
    return env, states


def test_observation_has_history_last() -> None:
    env, states = course()
    assert env.observation_size == 905
    for state in states:
        assert state.obs.shape == (WORLDS, 905)
        assert np.isfinite(state.obs).all()
        np.testing.assert_array_equal(state.obs[:, env.layout.slice("history")], state.info["code"])
    assert np.asarray(env.one_hot_mask).nonzero()[0].tolist() == list(range(838, 902))


def test_history_is_that_of_the_clip_and_then_of_the_world() -> None:
    """Against a plain list of frames for one world at a time, encoded without the shortcut."""
    env, states = course()
    motions, params = env.tables.motions, encoder().params
    frames = np.asarray(reference_frames(motions, FrameOptions(), env.scene.skeleton))
    past: list[np.ndarray] = [np.zeros(0)] * WORLDS
    for before, state in zip([None, *states], states, strict=False):
        begins = np.ones(WORLDS, bool) if before is None else np.asarray(state.done) > 0
        live = np.asarray(live_frame(env.body_state(state.data)))
        for world in range(WORLDS):
            if begins[world]:
                clip, frame = (int(state.info[name][world]) for name in ("clip", "frame"))
                first = int(motions.starts[clip])
                past[world] = np.concatenate([np.zeros((window.WINDOW, 316)), frames[first : first + frame]])
        windows = np.stack([rows[-window.WINDOW :] for rows in past]).astype(np.float32)
        np.testing.assert_allclose(state.info["code"], network.encode(params, windows), atol=2e-5)
        past = [np.concatenate([rows, live[world : world + 1]]) for world, rows in enumerate(past)]


def test_reference_waits_while_buffered_and_then_goes_on() -> None:
    env, states = course()
    motions = env.tables.motions
    buffered = 0
    for state in states:
        info = jax.tree.map(np.asarray, {k: state.info[k] for k in ("clip", "frame", "progress", "buffer")})
        row = info["frame"] + np.maximum(info["progress"] - info["buffer"], 0)
        expected = motions.reference.root_pos[table.rows(motions, info["clip"], row)]
        np.testing.assert_allclose(env.reference(env.tables, state.info).root_pos, expected, atol=1e-6)
        buffered += int((info["progress"] < info["buffer"]).sum())
    assert buffered > 10


def test_buffered_steps_are_lent_a_reward_and_left_out_of_learning() -> None:
    _, states = course()
    lent = 0
    for before, state in itertools.pairwise(states):
        progress = np.asarray(before.info["progress"]) + 1
        own = progress >= np.asarray(before.info["buffer"])
        np.testing.assert_array_equal(state.info["weight"], own)
        raw, given, clip = (np.asarray(x) for x in (state.metrics["reward/total"], state.reward, before.info["clip"]))
        np.testing.assert_allclose(given[own], raw[own], rtol=1e-6)
        for world in np.flatnonzero(~own):
            same = own & (clip == clip[world])
            np.testing.assert_allclose(given[world], raw[same if same.any() else own].mean(), rtol=1e-5)
            lent += 1
    assert lent > 5


def test_starts_are_disturbed_foreign_or_the_clips_own() -> None:
    env, states = course()
    kinds: dict[str, int] = {"own": 0, "other": 0}
    for state in [state for state in states if state.done.any()] + states[:1]:
        begins = np.ones(WORLDS, bool) if state is states[0] else np.asarray(state.done) > 0
        row = table.rows(env.tables.motions, state.info["clip"], state.info["frame"])
        apart = np.abs(np.asarray(state.data.qpos - env.tables.starts.qpos[row])).max(axis=1)
        similar = np.asarray(state.info["similarity"])
        own = (similar == 1.0) & begins
        np.testing.assert_allclose(apart[own], 0.0, atol=1e-6)
        assert np.all(apart[begins & (similar < 0.99)] > 0.05)
        kinds["own"] += int(own.sum())
        kinds["other"] += int((begins & ~own).sum())
        # The body that is observed is the one that the physics has.
        height = np.asarray(state.obs[:, env.layout.slice("root_height")])[:, 0]
        np.testing.assert_allclose(height, state.data.qpos[:, 2], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(state.data.qpos[:, 3:7], axis=1), 1.0, atol=1e-5)
    assert kinds["other"] > 4


def test_law_of_starts_follows_what_was_seen() -> None:
    env, states = course()
    assert env.adapts
    after = env.adapt(states[-1])
    assert int(after.info["finished"].steps[0]) == STEPS
    assert np.all(np.asarray(after.info["finished"].cell) == -1)
    found, ended = np.asarray(after.curriculum.score), np.asarray(states[-1].info["finished"].cell)
    assert set(np.flatnonzero(found)) == set(ended[ended >= 0])
    assert int(after.curriculum.passed) == STEPS // 4
    assert not np.array_equal(after.curriculum.frame, states[-1].curriculum.frame)


def test_worlds_can_be_put_elsewhere_and_remember_their_clip() -> None:
    env, states = course()
    state = states[0]
    put = jax.jit(env.put)(state, state.data.qpos.at[:, 2].add(0.3), state.data.qvel)
    np.testing.assert_array_equal(put.info["code"], state.info["code"])
    changed = np.abs(np.asarray(put.info["history"] - state.info["history"])).max(axis=(0, 2))
    assert changed[-1] > 0.0
    assert not changed[:-1].any()


def test_without_its_options_it_is_ball_play() -> None:
    plain = config(
        reward__without_object=(), termination__without_object=(), termination__never_fall=(), motion__order="path"
    )
    ours = SkillMimicV2(plain, clips())
    other = envs.load("BallPlay", config("BallPlay"), clips=clips())
    assert ours.observation_size == other.observation_size == 902
    keys = jax.random.split(jax.random.key(1), WORLDS)
    found, expected = jax.jit(ours.reset)(keys), jax.jit(other.reset)(keys)
    steps = jax.jit(ours.step), jax.jit(other.step)
    for _ in range(LENGTH + 2):
        np.testing.assert_array_equal(found.obs, expected.obs)
        np.testing.assert_array_equal(found.reward, expected.reward)
        action = jnp.tile(ours.initial_action, (WORLDS, 1))
        found, expected = steps[0](found, action), steps[1](expected, action)


def test_published_clock_is_a_step_behind() -> None:
    """Row k judges the state before step k, and an episode of L rows has L steps."""
    env, states = course()
    late = SkillMimicV2(config(timing__clock="published", reward__lag=1), clips(), tables=env.tables)
    after = SkillMimicV2(config(reward__lag=1), clips(), tables=env.tables)
    # Worlds that stand on the clip's own frame, as they do before their first step.
    own = np.flatnonzero(np.asarray(states[0].info["similarity"]) == 1.0)
    assert len(own)
    info = states[0].info | {"progress": jnp.ones(WORLDS, jnp.int32)}
    judged = {}
    for name, chosen in {"late": late, "after": after}.items():
        body = chosen.body_state(states[3].data)
        judged[name] = jax.jit(chosen._evaluate)(env.tables, body, info)[1]["reward/p"][own]
    assert np.all(np.asarray(judged["late"]) > 0.99999)
    assert np.all(np.asarray(judged["after"]) < 0.99999)
    length = np.asarray(info["episode_length"])
    ending = jax.jit(lambda progress: late._ending(env.tables, body, info | {"progress": progress}).truncated)
    assert not np.any(ending(length - 1))
    assert np.all(ending(length))


def test_evaluation_turns_off_what_changes_starts() -> None:
    found = rollouts.evaluation_config(config(**ALL))
    assert (found.noise.probability, found.switch.probability, found.ats.alpha) == (0.0, 0.0, 0.0)
    assert (found.buffer.reward, found.retime.search) == ("off", "off")
    assert found.history.encoder == ALL["history__encoder"]


def test_encoder_travels_in_the_policy_file(tmp_path: Path) -> None:
    env, states = course()
    options = default_ppo(actor_hidden=(8,), critic_hidden=(8,))
    params = make_networks(options, env.observation_size, env.action_size).init(jax.random.key(0))
    moments = normalizer.init(env.observation_size)
    metadata = dict(env.policy_metadata) | {"config": config(**ALL).to_dict()}
    made = policy.bundle(options, params, moments, metadata, env.policy_extras)
    file = policy.save_policy(tmp_path / "policy.npz", made)
    found = setup.run_config(file)
    assert found.history.encoder == str(file)
    travelled = encoder_file.load_encoder(found.history.encoder)
    assert travelled.frames == encoder().frames
    for ours, expected in zip(jax.tree.leaves(travelled.params), jax.tree.leaves(encoder().params), strict=True):
        np.testing.assert_array_equal(ours, expected)
    agent = policies.make_agent(file, env)
    np.testing.assert_array_equal(agent.act(agent.parameters, states[0], None), made(states[0].obs))
    policy.save_policy(file, dataclasses.replace(made, metadata={"history_encoder": "another"}))
    with pytest.raises(ValueError, match="history encoder another"):
        policies.make_agent(file, env)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ball", {"noise__probability": 0.1, "switch__probability": 0.1, "ats__alpha": 1.0, "buffer__reward": "mean"}),
        ("ball,sm", {"noise__probability": 0.0, "buffer__reward": "off", "termination__never_fall": ()}),
        ("locomotion,sm+nsi", {"noise__probability": 0.1, "retime__search": "off", "buffer__reward": "off"}),
        ("ball,dm+ours", {"reward__combine": "terms", "weights__p": 40.0, "switch__probability": 0.1}),
        ("pick", {"switch__probability": 0.0, "noise__probability": 0.1}),
        ("ball,reference", {"retime__search": "released", "timing__clock": "published", "reward__lag": 1}),
    ],
)
def test_configurations(words: str, expected: dict[str, Any]) -> None:
    found = configs.load_config(f"{ROOT / 'configs' / 'skillmimic_v2.py'}:{words}", [])
    assert {name: found[name.split("__")[0]][name.split("__")[1]] for name in expected} == expected


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("run.seeds=2", "expected run.seeds = 1"),
        ("noise.probability=0", "expected noise.probability above 0"),
        ("ats.alpha=1.5", r"expected a number in \[0, 1\]"),
        ("start.seam_probability=0.1", "switch, noise and retime instead"),
        ("switch.donor=nobody", "expected one of graph, random"),
    ],
)
def test_options_that_cannot_work_are_refused(override: str, complaint: str) -> None:
    with pytest.raises(configs.ConfigError, match=complaint):
        configs.load_config(f"{ROOT / 'configs' / 'skillmimic_v2.py'}:ball", [tuple(override.split("="))])
