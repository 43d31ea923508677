"""What a high-level environment is made of: policy, start states, configuration; and a task of one's own."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs, pretrained
from mjx_skillmimic.config import ConfigError
from mjx_skillmimic.config.validation import validate
from mjx_skillmimic.envs.high_level import TASKS, HighLevel
from mjx_skillmimic.envs.high_level.low_level import LowLevel, load_low_level, numbers_sha256
from mjx_skillmimic.envs.high_level.options import MotionOptions, StartOptions
from mjx_skillmimic.envs.high_level.scoring import Scoring
from mjx_skillmimic.envs.high_level.starts import find_starts, from_clips
from mjx_skillmimic.learning import policy
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.motion.library import load_clips

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "high_level.md"


@pytest.fixture(scope="module")
def low() -> LowLevel:
    return load_low_level("ballplay-seven")


@pytest.fixture(scope="module")
def scene(low: LowLevel) -> Scene:
    return build_scene(low.options.scene)


def config(name: str, preset: str = "default", **changes: Any) -> Any:
    chosen = envs.default_config(name, preset)
    chosen.physics.engine = "mujoco"
    for key, value in changes.items():
        section, option = key.split("__")
        chosen[section][option] = value
    return chosen


def test_the_tasks_are_found_by_name():
    assert {kind.name for kind in TASKS} == {"Heading", "Circling", "Throwing", "Scoring"}
    assert {kind.name for kind in TASKS} < set(envs.names())
    with pytest.raises(KeyError, match="no preset 'published'; there are default, reference"):
        envs.default_config("Scoring", "published")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task__bearing": "north"}, "task: HeadingOptions.bearing: expected one of heading, world, got 'north'"),
        ({"episode__steps": 0}, "episode: EpisodeOptions.steps: expected a positive number"),
        ({"motion__path": "no/such/folder"}, "motion.path = 'no/such/folder' does not exist"),
    ],
)
def test_a_configuration_is_checked_before_anything_is_built(changes: dict[str, Any], message: str):
    validate(config("Heading"))
    with pytest.raises(ConfigError, match=re.escape(message)):
        validate(config("Heading", **changes))


def test_a_policy_is_known_by_its_numbers(low: LowLevel, tmp_path: Path):
    assert (low.name, low.labels) == ("ballplay-seven", (1, 5, 11, 12, 13, 31, 34))
    again = policy.load_policy(policy.save_policy(tmp_path / "copy.npz", low.bundle))
    assert numbers_sha256(again) == low.sha256
    changed = jax.tree.map(lambda x: x, again.actor)
    changed["params"]["mean"]["bias"] = changed["params"]["mean"]["bias"].at[3].add(1e-6)
    other = policy.PolicyBundle(changed, again.moments, again.hidden, again.action_size)
    assert numbers_sha256(other) != low.sha256


def test_a_policy_that_does_not_say_how_it_was_trained_is_refused(low: LowLevel, tmp_path: Path):
    bare = policy.PolicyBundle(low.bundle.actor, low.bundle.moments, low.bundle.hidden, low.bundle.action_size)
    file = policy.save_policy(tmp_path / "bare.npz", bare)
    with pytest.raises(ValueError, match=r"bare.npz does not say with what it was trained: expected config.json"):
        load_low_level(file)
    with pytest.raises(FileNotFoundError, match=r"shipped policy: .*ballplay-seven"):
        load_low_level("ballplay-eight")


def test_labels_that_the_policy_has_not_learned_are_refused_unless_allowed():
    with pytest.raises(ValueError, match=r"ballplay-seven has not learned 2, but 1, 5, 11, 12, 13, 31, 34"):
        HighLevel(Scoring, config("Scoring", task__labels=(31, 2)))
    with pytest.raises(ValueError, match=r"task.labels = \(64,\): expected at least one, each 0 to 63"):
        HighLevel(Scoring, config("Scoring", task__labels=(64,)))
    assert HighLevel(Scoring, config("Scoring", "reference")).action_size == 7


def test_own_start_states_in_which_one_of_the_skills_goes_on(low: LowLevel, scene: Scene):
    own = pretrained.starts.load_starts(pretrained.starts.starts_file(low.file))
    found = find_starts(low, scene, MotionOptions(), StartOptions(states=0), (12, 13, 11))
    row = np.asarray(found.draw(jax.random.split(jax.random.key(0), 3000)))
    drawn = np.asarray(found.qpos)[row]
    fits = np.isin(own.skill, (11, 12, 13))
    share = np.array([(drawn == qpos).all(axis=1).mean() for qpos in own.qpos])
    np.testing.assert_allclose(share, fits / fits.sum(), atol=0.04)
    everything = find_starts(low, scene, MotionOptions(), StartOptions(states=0), (63,))
    assert len(everything.qpos) == len(own)


def test_few_start_states_are_repeated_with_disturbed_velocities(low: LowLevel, scene: Scene):
    few = find_starts(low, scene, MotionOptions(), StartOptions(states=0), (12, 13, 11))
    many = find_starts(low, scene, MotionOptions(), StartOptions(states=32, noise=0.5), (12, 13, 11))
    qpos, qvel = np.asarray(many.qpos), np.asarray(many.qvel)
    share = np.diff(np.asarray(few.cumulative), prepend=0.0)
    first = np.flatnonzero(share)
    assert len(qpos) == -(-32 // len(first)) * len(first) >= 32
    np.testing.assert_array_equal(qvel[: len(first)], np.asarray(few.qvel)[first])
    copies = np.tile(first, len(qpos) // len(first))
    np.testing.assert_array_equal(qpos, np.asarray(few.qpos)[copies])
    change = (qvel - np.asarray(few.qvel)[copies])[len(first) :]
    joints = change[:, 6:-6]
    assert not change[:, :6].any()
    assert not change[:, -6:].any()
    assert joints.std() == pytest.approx(0.5, rel=0.05)
    assert len(np.unique(qvel[:, 6])) == len(qvel)
    again = np.diff(np.asarray(many.cumulative), prepend=0.0)
    np.testing.assert_allclose(again.reshape(-1, len(first)).sum(axis=0), share[first], atol=1e-6)


def test_a_policy_without_start_states_says_what_is_missing(low: LowLevel, scene: Scene, tmp_path: Path):
    for suffix in (".npz", ".json"):
        shutil.copy(low.file.with_suffix(suffix), tmp_path / f"ballplay-seven{suffix}")
    alone = load_low_level(tmp_path / "ballplay-seven.npz")
    assert alone.sha256 == low.sha256
    with pytest.raises(FileNotFoundError, match=r"no start states of its own .* give clips with motion.path"):
        find_starts(alone, scene, MotionOptions(), StartOptions(), (13,))


def test_clips_give_their_frames_and_labels_their_share(low: LowLevel, scene: Scene):
    """Of two labels picking up is drawn twice as often; of one clip every frame of [2, T − 2] as often as any other."""
    pick, other = (
        dataclasses.replace(clip, **{name: array[:30] for name, array in clip.arrays().items()})
        for clip in load_clips(["pick_up", "throw_catch"])
    )
    assert (pick.skill, other.skill) == (1, 50)
    at = {}
    for frame in (2, None):
        found = from_clips([pick, other], scene, low, StartOptions(frame), pick_weight=2.0)
        weight = np.diff(np.asarray(found.cumulative), prepend=0.0)
        assert weight.sum() == pytest.approx(1.0, abs=1e-5)
        at[frame] = (np.asarray(found.qpos), weight)
        body = found.body_state(jnp.arange(1))
        np.testing.assert_allclose(body.root_pos[0], found.qpos[0, :3], atol=1e-6)
    qpos, weight = at[2]
    assert len(qpos) == 2
    np.testing.assert_allclose(weight, [2 / 3, 1 / 3], atol=1e-5)
    np.testing.assert_allclose(qpos[:, :2], [clip.root_pos[2, :2] for clip in (pick, other)], atol=1e-5)
    qpos, weight = at[None]
    frames = [clip.num_frames - 3 for clip in (pick, other)]
    assert len(qpos) <= sum(frames)
    # a start that kicks the ball gives way to its neighbour, which then counts twice
    np.testing.assert_allclose(weight.min(), 1 / 3 / frames[1], rtol=0.5)
    with pytest.raises(ValueError, match=r"start.frame = 9999, expected 2 to \d+"):
        from_clips([pick], scene, low, StartOptions(9999), 2.0)


def test_the_task_of_the_document_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(envs.registry, "_ENVIRONMENTS", dict(envs.registry._ENVIRONMENTS))
    (code,) = re.findall(r"```python\n(import dataclasses.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(code.splitlines()) <= 150
    file = tmp_path / "stopping.py"
    file.write_text(code)
    envs.import_tasks([str(file)])
    chosen = config("Stopping", task__nearest=1.0)
    validate(chosen)
    env = envs.load("Stopping", chosen)
    assert env.observation_size == 838 + 4
    before = jax.eval_shape(env.begin, env.tables, jax.random.split(jax.random.key(0), 3))
    after = jax.eval_shape(env.step, before, jnp.zeros(3, jnp.int32))
    assert after.obs.shape == (3, 842)
    state = jax.jit(env.begin)(env.tables, jax.random.split(jax.random.key(0), 3))
    outcome = env.task.outcome(env.body_state(state.data), state.info["goal"])
    distance = np.linalg.norm(np.asarray(state.info["goal"].position) - np.asarray(state.data.qpos)[:, :2], axis=1)
    np.testing.assert_allclose(outcome.reward, np.exp(-distance), rtol=1e-5)
    with pytest.raises(ConfigError, match=r"task: StoppingOptions.nearest: expected a positive number"):
        validate(config("Stopping", task__nearest=-1.0))
