"""The Gymnasium environments on a toy whose arithmetic is known: courses, ends, infos, seeds, refusals."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest
from toy import LENGTH
from toy_choices import CELLS, RIGHT, Corridor
from toy_worlds import PointTask, reward

pytest.importorskip("gymnasium", reason="the extra gym is not installed")

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from mjx_skillmimic.interop.gymnasium_env import SkillEnv, SkillVectorEnv

WORLDS = 4


def vector(worlds: int = WORLDS, fails_at: int | None = None) -> SkillVectorEnv:
    return SkillVectorEnv(worlds, env=PointTask(fails_at))


def pushes(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (steps, WORLDS, 2)).astype(np.float32)


def test_the_course_is_that_of_the_arithmetic() -> None:
    env = vector()
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.observation_space.shape == (WORLDS, 2)
    assert env.single_action_space == gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    position, info = env.reset(seed=5)
    assert position in env.observation_space
    np.testing.assert_array_equal(info["reward/near"], 0.0)
    for number, push in enumerate(pushes(2 * LENGTH + 3), start=1):
        expected = position + np.float32(0.1) * push
        position, gained, terminated, truncated, info = env.step(push)
        ends = number % LENGTH == 0
        assert position.dtype == gained.dtype == np.float32
        assert terminated.dtype == truncated.dtype == bool
        assert not terminated.any()
        np.testing.assert_array_equal(truncated, ends)
        np.testing.assert_allclose(gained, reward(expected), rtol=1e-5)
        np.testing.assert_allclose(info["reward/near"], gained)
        if ends:
            np.testing.assert_allclose(np.stack(info["final_obs"]), expected, atol=1e-6)
            assert (np.abs(position - expected).max(axis=1) > 1e-3).all()
            np.testing.assert_array_equal(info["final_info"]["reward/near"], gained)
        else:
            np.testing.assert_allclose(position, expected, atol=1e-6)
            assert "final_obs" not in info
            assert "final_info" not in info


def test_a_fall_terminates_its_world_alone() -> None:
    env = vector(fails_at=3)
    env.reset(seed=0)
    for number, push in enumerate(pushes(4), start=1):
        obs, gained, terminated, truncated, info = env.step(push)
        assert terminated.tolist() == [False, number == 3, False, False]
        assert not truncated.any()
        assert np.isfinite(obs).all()
        if number == 3:
            assert gained[1] == 0.0
            assert info["_final_obs"].tolist() == terminated.tolist()
            assert [final is None for final in info["final_obs"]] == [True, False, True, True]


def test_ends_look_as_in_gymnasiums_own_vector_environment() -> None:
    ours = vector(1)
    theirs = SyncVectorEnv([lambda: SkillEnv(env=PointTask())], autoreset_mode=AutoresetMode.SAME_STEP)
    seed = 11
    obs, info = ours.reset(seed=seed)
    expected, expected_info = theirs.reset(seed=seed)
    np.testing.assert_array_equal(obs, expected)
    assert set(info) == set(expected_info)
    for push in pushes(LENGTH):
        mine, other = ours.step(push[:1]), theirs.step(push[:1])
        for one, two in zip(mine[1:4], other[1:4], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)
    assert mine[3].all()
    info, expected_info = mine[4], other[4]
    assert set(info) == set(expected_info)
    for name in ("final_obs", "_final_obs", "_final_info"):
        assert info[name].dtype == expected_info[name].dtype, name
        np.testing.assert_array_equal(np.stack(info[name]), np.stack(expected_info[name]))
    assert set(info["final_info"]) == set(expected_info["final_info"])
    for name, value in expected_info["final_info"].items():
        np.testing.assert_allclose(info["final_info"][name], value, rtol=1e-6)


def test_gymnasiums_wrappers_work() -> None:
    env = DictInfoToList(RecordEpisodeStatistics(vector()))
    env.reset(seed=1)
    returns = np.zeros(WORLDS)
    for push in pushes(LENGTH):
        _, gained, _, _, infos = env.step(push)
        returns += gained
    assert [info["episode"]["l"] for info in infos] == [LENGTH] * WORLDS
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], returns, rtol=1e-5)
    assert all(info["final_obs"].shape == (2,) for info in infos)


def test_a_seed_fixes_everything_that_follows() -> None:
    def course(env: SkillVectorEnv, seed: int | None) -> np.ndarray:
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(push)[0] for push in pushes(LENGTH + 2)]
        seen.append(env.reset()[0])
        return np.stack(seen)

    first, again = vector(), vector()
    one = course(first, 3)
    np.testing.assert_array_equal(one, course(again, 3))
    np.testing.assert_array_equal(one, course(first, 3))
    assert not np.array_equal(one[0], one[-1])
    assert not np.array_equal(one[0], course(first, 4)[0])


def test_results_belong_to_the_caller() -> None:
    env, other = vector(), vector()
    kept, _ = env.reset(seed=0)
    other.reset(seed=0)
    for push in pushes(3):
        kept[:] = 7.0
        kept, _, _, _, info = env.step(push)
        np.testing.assert_array_equal(kept, other.step(push)[0])
        info["reward/near"][:] = 7.0


@pytest.mark.parametrize(
    ("actions", "kind", "message"),
    [
        (np.zeros((WORLDS, 3)), ValueError, r"actions: expected shape \(4, 2\), got \(4, 3\)"),
        (np.zeros(2), ValueError, r"actions: expected shape \(4, 2\), got \(2,\)"),
        (np.array([["left"] * 2] * WORLDS), TypeError, r"actions: expected real numbers .* got dtype <U4"),
        (np.zeros((WORLDS, 2), complex), TypeError, "got dtype complex128"),
        (np.full((WORLDS, 2), [[0.0, np.nan]]), ValueError, r"got 4 that are not, the first at \(0, 1\)"),
    ],
)
def test_what_is_no_action_is_refused(actions: np.ndarray, kind: type[Exception], message: str) -> None:
    env = vector()
    before, _ = env.reset(seed=0)
    with pytest.raises(kind, match=message):
        env.step(actions)
    np.testing.assert_allclose(env.step(np.zeros((WORLDS, 2)))[0], before, atol=1e-7)


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="num_envs=0"):
        vector(0)
    with pytest.raises(ValueError, match="render_mode='human'"):
        SkillVectorEnv(1, env=PointTask(), render_mode="human")
    with pytest.raises(ValueError, match=r"either an environment or \['motion'\]"):
        SkillEnv(env=PointTask(), motion="throw_catch")
    env, single = vector(), SkillEnv(env=PointTask())
    for unready in (env.render, single.render, lambda: env.step(pushes(1)[0]), lambda: single.step(np.zeros(2))):
        with pytest.raises(gymnasium.error.ResetNeeded):
            unready()
    with pytest.raises(ValueError, match=r"reset options \['frame'\]: expected some of \[\]"):
        env.reset(options={"frame": 1})
    single.reset(seed=0)
    for _ in range(LENGTH):
        ended = single.step(np.zeros(2))
    assert ended[2:4] == (False, True)
    with pytest.raises(gymnasium.error.ResetNeeded):
        single.step(np.zeros(2))
    for closing in (env, single):
        closing.close()
        closing.close()
        with pytest.raises(gymnasium.error.ClosedEnvironmentError):
            closing.reset()


class Corridors(Corridor):
    """Choices whose decisions last three control steps."""

    scene = types.SimpleNamespace(control_dt=1.0 / 60.0)
    physics, steps = types.SimpleNamespace(name="cells"), 3


def test_choices_are_whole_numbers_and_a_step_is_a_decision() -> None:
    env = SkillVectorEnv(WORLDS, env=Corridors())
    assert env.single_action_space == gymnasium.spaces.Discrete(3)
    assert env.action_space.shape == (WORLDS,)
    assert env.metadata["render_fps"] == 20
    obs, _ = env.reset(seed=2)
    cell = obs[:, :CELLS].argmax(axis=1)
    following, *_ = env.step(np.full(WORLDS, RIGHT))
    np.testing.assert_array_equal(following[:, :CELLS].argmax(axis=1), np.minimum(cell + 1, CELLS - 1))
    for actions, kind, message in (
        (np.zeros(WORLDS, np.float32), TypeError, "expected whole numbers"),
        (np.zeros((WORLDS, 3), int), ValueError, r"expected shape \(4,\)"),
        (np.array([0, 1, 2, 3]), ValueError, "choices from 0 to 2"),
        (np.array([0, 1, 2, -1]), ValueError, "choices from 0 to 2"),
    ):
        with pytest.raises(kind, match=message):
            env.step(actions)
    with pytest.raises(ValueError, match=r"reset options \['clip'\]"):
        env.reset(options={"clip": 0})
    one = SkillEnv(env=Corridors())
    obs, _ = one.reset(seed=2)
    following, *_ = one.step(one.action_space.sample() * 0 + RIGHT)
    assert following[:CELLS].argmax() == min(obs[:CELLS].argmax() + 1, CELLS - 1)


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "mjx_skillmimic.interop.gymnasium_env")
    with pytest.raises(ImportError, match=r"pip install 'mjx_skillmimic\[gym\]'"):
        importlib.import_module("mjx_skillmimic.interop.gymnasium_env")
