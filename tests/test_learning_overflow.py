"""Lost contacts are a metric of training, and stop a run that does not allow them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.learning import runner
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.hooks import ClipRuns
from mjx_skillmimic.learning.logging import read_json_lines
from mjx_skillmimic.learning.progress import PlainProgress
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.motion import library
from mjx_skillmimic.physics import batch, contract, needs
from mjx_skillmimic.physics.advice import advice
from mjx_skillmimic.physics.sizing import Capacity
from tests import ballplay
from tests.toy import PointEnv, quiet, toy_config


class Losing:
    """Nothing moves; in every second step of an episode worlds 1 and 3 lose contacts. `engine` counts the steps."""

    name = "losing"

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def init(self, qpos: Any, qvel: Any) -> Any:
        return batch.new_state(qpos, qvel, engine=jnp.zeros((jnp.shape(qpos)[0], 1)))

    def reset(self, state: Any, mask: Any, qpos: Any, qvel: Any) -> Any:
        return batch.select(mask, self.init(qpos, qvel), state)

    def step(self, state: Any, target: Any) -> Any:
        worlds = jnp.arange(len(state.engine))
        lost = (state.engine[:, 0] % 2 == 1) & ((worlds == 1) | (worlds == 3))
        return dataclasses.replace(state, engine=state.engine + 1, overflow=state.overflow + lost.astype(jnp.int32))


def test_the_metric_counts_the_steps_that_lost_contacts_not_those_before_them():
    env = BallPlay(ballplay.config(termination__episode_length=4, start__max_kick=None), library.load_clips("pick_up"))
    env.physics = Losing(env.scene)
    step, state = jax.jit(env.step), jax.jit(env.reset)(ballplay.keys(0, 6))
    action = jnp.broadcast_to(jnp.asarray(env.initial_action), (6, env.action_size))
    expected, ended = np.zeros((8, 6)), []
    expected[[1, 4, 7], 1] = expected[[1, 4, 7], 3] = 1.0  # the second of the three steps of each episode
    for now in expected:
        state = step(state, action)
        np.testing.assert_array_equal(state.metrics["overflow"], now)
        ended.append(bool(state.done.all()))
    assert ended == [False, False, True, False, False, True, False, False]


class LossyEnv(PointEnv):
    """Two of the 8 worlds lose contacts in one of the 4 steps of the second iteration."""

    def reset(self, rng: jax.Array) -> State:
        state = super().reset(rng)
        return dataclasses.replace(state, metrics=state.metrics | {"overflow": jnp.zeros(len(rng))})

    def step(self, state: State, action: jax.Array) -> State:
        after = super().step(state, action)
        lost = (jnp.arange(len(action)) < 2) & (after.info["steps"] == 6)
        return dataclasses.replace(after, metrics=after.metrics | {"overflow": lost.astype(jnp.float32)})


def test_lost_contacts_stop_a_run_that_is_saved_and_may_go_on(tmp_path: Path):
    hooks = runner.Hooks(advise=lambda state: "a larger table helps")
    told = (
        r"2 of the 32 env steps of iteration 2 lost contacts .* tolerated are 0.00%; saved in .*run; a larger "
        r"table helps; .*--resume.*--config.run.max_overflow_fraction=1"
    )
    with pytest.raises(runner.ContactOverflowError, match=told):
        runner.run(toy_config(6), tmp_path / "run", env=LossyEnv(), progress=quiet(), hooks=hooks)
    lines = list(read_json_lines(tmp_path / "run" / "metrics.jsonl"))
    # The next iteration may have begun before the metrics of this one were read; what is saved is what is logged.
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest() == len(lines) in (2, 3)
    assert [line["env/overflow"] for line in lines[:2]] == [0.0, 2 / 32]
    resumed = runner.run(toy_config(4), tmp_path / "run", True, env=LossyEnv(), progress=quiet())
    assert (resumed.reason, resumed.iteration) == ("finished", 4)


@pytest.mark.parametrize(("tolerated", "stops"), [(2 / 32, False), (1 / 32, True), (1.0, False)])
def test_lost_contacts_are_allowed_up_to_the_option_and_shown(tmp_path: Path, tolerated: float, stops: bool):
    stream = io.StringIO()
    config = toy_config(3, max_overflow_fraction=tolerated)
    progress = PlainProgress(stream, interval=0.0)
    if stops:
        with pytest.raises(runner.ContactOverflowError, match=r"tolerated are 3.12%"):
            runner.run(config, tmp_path / "run", env=LossyEnv(), progress=progress)
    else:
        assert runner.run(config, tmp_path / "run", env=LossyEnv(), progress=progress).finished
    assert "overflow 0.062" in stream.getvalue()


def test_advice_names_room_need_and_option():
    scene = build_scene()
    qpos = contract.synthetic_states(scene, 24)[0]
    counts = needs.count(scene, qpos)
    room = Capacity(naconmax=1111, naccdmax=2222, njmax=3333, contacts_per_world=4444)
    warp = SimpleNamespace(name="mjx-warp", scene=scene, buffers=room, margin=1.25)
    text = advice(warp, qpos, worlds=24)
    for number in (1111, 2222, 3333, 4444, counts.contacts.max(), counts.rows.max()):
        assert str(number) in text
    assert "{'margin': 2.5}" in text
    text = advice(SimpleNamespace(name="mjx-jax", scene=scene, max_geom_pairs=96, max_contacts=64), qpos, worlds=24)
    assert f"up to {counts.capsules.max()} and {counts.contacts.max()}" in text
    assert "'max_geom_pairs': 192" in text
    # A training state of worlds in two seeds, as the hook of training on clips sees it.
    state = SimpleNamespace(env_state=SimpleNamespace(data=SimpleNamespace(qpos=jnp.asarray(qpos.reshape(2, 12, -1)))))
    told = ClipRuns(toy_config(1), SimpleNamespace(physics=warp)).advise(state)
    assert "1111 candidate pairs and contacts of 24 worlds" in told
    assert "no option" in advice(SimpleNamespace(name="mujoco", scene=scene), qpos, worlds=24)
