"""The Gymnasium environments over BallPlay: Gymnasium's own checker, and step by step what the JAX environment does."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from docs_examples import example

pytest.importorskip("gymnasium", reason="the extra gym is not installed")

import gymnasium
from gymnasium.utils.env_checker import check_env

from mjx_skillmimic.interop.gymnasium_env import SkillEnv, SkillVectorEnv

WORLDS, STEPS = 4, 8
ID = "mjx_skillmimic/BallPlay-v0"


@pytest.fixture(scope="module")
def single() -> SkillEnv:
    made = gymnasium.make(ID, motion="throw_catch", engine="mujoco", render_mode="rgb_array", width=96, height=72)
    assert made.spec is not None
    return made.unwrapped


@pytest.fixture(scope="module")
def vector() -> SkillVectorEnv:
    """What docs/interfaces.md makes and steps, smaller."""
    smaller = {"=64": f"={WORLDS}", "range(100)": "range(6)", "worlds.close()\n": ""}
    variables: dict[str, Any] = {}
    exec(compile(example("interfaces.md", "Gymnasium", smaller), "docs/interfaces.md", "exec"), variables)
    made = variables["worlds"]
    assert isinstance(made, SkillVectorEnv)
    assert made.metadata["render_fps"] == 60
    assert variables["obs"].shape == (WORLDS, 902)
    return made


@pytest.mark.filterwarnings("error:.*WARN:UserWarning", "ignore:.*A Box observation space m:UserWarning")
def test_gymnasiums_checker_is_content(single: SkillEnv) -> None:
    assert single.observation_space.shape == (902,)
    assert single.action_space == gymnasium.spaces.Box(-1.0, 1.0, (156,), np.float32)
    # Its last two checks make two more environments, which shows nothing that the others do not.
    check_env(single, skip_render_check=True, skip_close_check=True)


def test_an_episode_begins_where_it_is_told_and_ends_with_its_clip(single: SkillEnv) -> None:
    clip = single.worlds.env.clips[0]
    obs, info = single.reset(seed=0, options={"clip": 0, "frame": clip.num_frames - 4})
    assert (info["skill"], info["clip"], info["frame"], info["progress"]) == (50, 0, clip.num_frames - 4, 0)
    ends, seen = [], [obs]
    pictures = [single.render()]
    while not ends or not (ends[-1][0] or ends[-1][1]):
        obs, gained, *ended, info = single.step(single.worlds.env.initial_action)
        ends.append(tuple(ended))
        seen.append(obs)
        pictures.append(single.render())
        assert 0.0 <= gained <= 1.0
        assert gained == pytest.approx(info["reward/total"])
    # Four reference frames leave three steps; the last observation continues the episode, not the next one.
    assert ends == [(False, False), (False, False), (False, True)]
    assert info["progress"] == 3
    jumps = [np.abs(one - other)[:800].mean() for one, other in zip(seen[1:], seen, strict=False)]
    assert jumps[-1] < 3.0 * jumps[0]
    assert all(picture.shape == (72, 96, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert (pictures[0] != pictures[2]).any()
    with pytest.raises(ValueError, match=f"reset option 'frame': expected 0 to {clip.num_frames - 2}"):
        single.reset(options={"frame": clip.num_frames - 1})
    with pytest.raises(ValueError, match=r"reset options \['frames'\]: expected some of \['clip', 'frame'\]"):
        single.reset(options={"frames": 3})
    single.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions: expected shape \(156,\), got \(157,\)"):
        single.step(np.zeros(157))


def test_the_vector_environment_is_the_jax_environment(vector: SkillVectorEnv) -> None:
    seed = 6
    env = vector.worlds.env
    # Gymnasium's generator is NumPy's PCG64 of the seed.
    key = jax.random.key(int(np.random.Generator(np.random.PCG64(seed)).integers(2**32)))
    state = jax.jit(env.reset)(jax.random.split(key, WORLDS))
    step = jax.jit(env.step)
    obs, info = vector.reset(seed=seed)
    np.testing.assert_array_equal(obs, state.obs)
    ended = np.zeros(WORLDS, bool)
    # The first two worlds thrash about until they lose the ball, the others do not.
    noise = np.random.default_rng(1).normal(0.0, 1.0, (STEPS, WORLDS, 156)) * np.array([[0.8], [0.8], [0.05], [0.05]])
    for change in noise:
        action = np.clip(env.initial_action + change, -1.0, 1.0).astype(np.float32)
        progress = np.asarray(state.info["progress"]) + 1
        state = step(state, action)
        obs, gained, terminated, truncated, info = vector.step(action)
        np.testing.assert_array_equal(obs, state.obs)
        np.testing.assert_array_equal(gained, state.reward)
        np.testing.assert_array_equal(terminated, np.asarray(state.info["terminated"]) > 0)
        np.testing.assert_array_equal(truncated, np.asarray(state.info["truncation"]) > 0)
        for name, value in state.metrics.items():
            np.testing.assert_array_equal(info[name], value)
        for name in ("skill", "clip", "frame", "progress"):
            np.testing.assert_array_equal(info[name], state.info[name])
        for world in np.flatnonzero(terminated | truncated):
            np.testing.assert_array_equal(info["final_obs"][world], state.info["final_obs"][world])
            assert info["final_info"]["progress"][world] == progress[world]
            assert info["progress"][world] == 0
        ended |= terminated | truncated
    assert ended.any()
    assert not ended.all()


def test_many_worlds_begin_where_they_are_told(vector: SkillVectorEnv) -> None:
    labels = [int(clip.skill) for clip in vector.worlds.env.clips]
    _, info = vector.reset(options={"clip": np.array([0, 1, 0, 1]), "frame": 5})
    assert info["frame"].tolist() == [5] * WORLDS
    assert info["skill"].tolist() == [labels[0], labels[1]] * 2
    with pytest.raises(ValueError, match=r"reset option 'clip': expected 0 to 1, got \[0, 0, 0, 2\]"):
        vector.reset(options={"clip": [0, 0, 0, 2]})
    with pytest.raises(ValueError, match="reset option 'clip': expected a whole number or 4, got float64"):
        vector.reset(options={"clip": 0.5})
