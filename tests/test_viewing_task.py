"""A session of a high-level task against the task's environment, and who chooses in it."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs
from mjx_skillmimic.config import to_json
from mjx_skillmimic.learning import heads, normalizer, policy
from mjx_skillmimic.learning.task_videos import TaskVideos
from mjx_skillmimic.viewing import overlay, task_recording
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.task_recording import record_episodes
from mjx_skillmimic.viewing.task_session import TaskSession, open_session
from tests.scripts_of import script

DECISIONS = 4


@pytest.fixture(scope="module")
def env() -> Any:
    config = envs.default_config("Heading")
    config.physics.engine = "mujoco"
    return envs.load("Heading", config)


@pytest.fixture(scope="module")
def run(env: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with an untrained policy that chooses."""
    folder = tmp_path_factory.mktemp("heading")
    actor = heads.ChoiceActor((8,), env.action_size)
    parameters = actor.init(jax.random.key(0), jnp.zeros(env.observation_size))
    made = policy.PolicyBundle(
        parameters, normalizer.init(env.observation_size), (8,), env.action_size,
        metadata=env.policy_metadata, head="categorical",
    )  # fmt: skip
    policy.save_policy(folder / "policy.npz", made)
    (folder / "config.json").write_text(to_json(env.config))
    return folder


@pytest.fixture(scope="module")
def made(run: Path) -> TaskSession:
    session = open_session(str(run))
    assert isinstance(session, TaskSession)
    return session


@pytest.fixture
def session(made: TaskSession) -> TaskSession:
    made.reset(0)
    assert made.status.task.auto
    return made


def test_a_session_plays_what_the_environment_plays(session: TaskSession, env: Any):
    state = session._state
    goal, rng = state.info["goal"], state.info["rng"]
    begun = env.begin(env.tables, jax.random.split(jax.random.key(0), 1))
    physics = env.physics.init(state.data.qpos, state.data.qvel)
    begun = begun.replace(data=physics, obs=state.obs, info=begun.info | {"goal": goal, "rng": rng})
    qpos, rewards, labels, chances = [], [], [], []
    for _ in range(3 * DECISIONS):
        session.step()
        qpos.append(session.data.qpos[: session.scene.model.nq].copy())
        rewards.append(session.status.rewards["total"])
        labels.append(session.status.skill)
        chances.append(session.status.task.chances)
    play = jax.jit(env.play)
    for number in range(DECISIONS):
        steps = slice(3 * number, 3 * number + 3)
        assert len(set(labels[steps])) == 1
        assert max(chances[3 * number], key=chances[3 * number].get) == labels[3 * number]
        assert sum(chances[3 * number].values()) == pytest.approx(1.0, abs=1e-5)
        begun, trail = play(begun, jnp.array([env.labels.index(labels[3 * number])]))
        # the thrown box's body changes the order of sums in the solver
        np.testing.assert_allclose(qpos[steps], trail.qpos[:, 0], atol=1e-4)
        np.testing.assert_allclose(rewards[steps], trail.reward[:, 0], atol=1e-4)


def test_a_person_takes_over_until_control_is_given_back(session: TaskSession):
    session.step()
    assert session.do("skill:1") == "skill 1: pick up"  # none of the task's choices
    for _ in range(4):
        session.step()
        assert (session.status.skill, session.status.task.auto) == (1, False)
    assert session.do("auto").endswith("chooses")
    for _ in range(3):
        session.step()
    assert session.status.task.auto
    assert session.status.skill in session.task.env.labels
    session.set_policy("label:11")
    for _ in range(3):
        session.step()
    assert session.status.task.chances == {12: 0.0, 13: 0.0, 11: 1.0}
    assert (session.status.skill, session.policy) == (11, "label:11")


def test_a_click_moves_the_goal_and_the_policy_sees_it(session: TaskSession):
    before = np.asarray(session._state.obs)
    ball = session.data.xpos[session.scene.object_body_id]
    session.set_target([float(ball[0]), float(ball[1]) + 3.0])
    np.testing.assert_allclose(session.status.task.goal, [ball[0], ball[1] + 3.0, 1.0], atol=1e-6)
    after = np.asarray(session._state.obs)
    np.testing.assert_array_equal(after[:, :-4], before[:, :-4])
    assert (after[:, -4:-2] != before[:, -4:-2]).all()
    session.step()
    distance = np.linalg.norm(session.data.xpos[session.scene.object_body_id] - session.status.task.goal)
    assert session.status.rewards["total"] == pytest.approx(np.exp(-distance), abs=1e-4)


def test_a_goal_that_is_reached_counts_and_gives_way_to_another(session: TaskSession):
    session.do("skill:13")
    while abs(session.status.ball_height - 1.0) > 0.3:
        session.step()
        assert session.status.step < 120
    ball = session.data.xpos[session.scene.object_body_id].copy()
    session.set_target(ball[:2])
    session.step()
    assert session.status.task.reached == 1
    assert session.status.rewards["total"] > 60.0
    assert np.linalg.norm(session.status.task.goal[:2] - ball[:2]) > 1.0
    session.reset()
    assert session.status.task.reached == 0


def test_only_a_policy_that_chooses_has_a_task(run: Path):
    with pytest.raises(ValueError, match=r"is for the high-level task Heading: task_session\.TaskSession plays it"):
        Session(str(run))
    with pytest.raises(ValueError, match="expected a policy of a high-level task"):
        TaskSession("zero")
    with pytest.raises(ValueError, match="nobody but you chooses skills here"):
        Session("playback", "pick_up").do("auto")


def test_play_sums_a_task_up(made: TaskSession, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr("mjx_skillmimic.viewing.task_session.open_session", lambda *_, **__: made)
    made.set_policy("random")
    assert script("play").main(["--policy", "random", "--task", "Heading", "--viewer", "none", "--seconds", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "policy random, Heading, reached " in out
    assert "reward " in out


def test_an_episode_is_recorded_with_its_goal_and_its_skills(session: TaskSession):
    seen: list[str] = []
    (episode,) = record_episodes(session, seconds=0.5, begin="dribble left", takes=2, say=seen.append)
    assert episode.num_frames == 30
    assert len(seen) == 2  # nothing is reached in half a second
    assert episode.goal is not None
    np.testing.assert_array_equal(episode.goal.pos[-1], np.float32(session.status.task.goal))
    np.testing.assert_array_equal(episode.goal.reach, np.float32(0.5))
    assert set(episode.labels["skill"]) <= set(session.task.env.labels)
    np.testing.assert_array_equal(episode.labels["skill"].reshape(10, 3).std(axis=1), 0.0)  # one choice, three steps
    assert "dribble" in overlay.caption(episode, 0)
    assert episode.title.endswith("from dribble left")
    with pytest.raises(ValueError, match="no clip or start state 'nowhere'"):
        record_episodes(session, begin="nowhere")
    with pytest.raises(ValueError, match="got 0, 1 and"):
        record_episodes(session, episodes=0)


def test_a_video_of_a_training_state_shows_its_policy(
    made: TaskSession, run: Path, env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shown: list[Any] = []

    def opened(file: str) -> TaskSession:
        made.set_policy(file)
        return made

    def export(state: Any, path: Path, metadata: Any) -> None:
        kept = policy.load_policy(run / "policy.npz")
        policy.save_policy(path, dataclasses.replace(kept, metadata=metadata))

    monkeypatch.setattr("mjx_skillmimic.viewing.task_session.TaskSession", opened)
    monkeypatch.setattr("mjx_skillmimic.viewing.video.write_video", lambda t, path: shown.append((t, path)))
    videos = TaskVideos(env.config, env, export)
    real = task_recording.record_episodes
    monkeypatch.setattr(task_recording, "record_episodes", lambda s, begin: real(s, seconds=0.1, begin=begin))
    for iteration in (10, 20):
        videos.video(None, iteration, tmp_path / f"{iteration}.mp4")
    made.set_policy(str(run))
    assert [path.name for _, path in shown] == ["10.mp4", "20.mp4"]
    starts = [name.removeprefix("start: ") for name in made.clips[:2]]
    assert [t.title for t, _ in shown] == [
        f"Heading: iteration {n}, from {s}" for n, s in zip((10, 20), starts, strict=True)
    ]


def test_the_page_shows_the_task(session: TaskSession):
    pytest.importorskip("viser")
    from mjx_skillmimic.viewing.web.page import Page

    page = Page(session, port=0)
    try:
        session.step()
        page.panel.sync(session.status)
        page.scene.draw(session.data.qpos, session.status, True)
        said = page.panel._status.content
        assert "Heading" in said
        assert f"{100 * max(session.status.task.chances.values()):.0f} %" in said
        np.testing.assert_allclose(page.scene.goal.point.position, session.status.task.goal)
        page._set_target(types.SimpleNamespace(ray_origin=(0.0, 0.0, 2.0), ray_direction=(0.0, 1.0, -1.0)))
        assert session.status.task.goal[2] == 1.0
        assert np.linalg.norm(session.status.task.goal[:2] + page.scene.offset[:2] - [0.0, 2.0]) < 1e-4
    finally:
        page.close()
