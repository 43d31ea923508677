"""No start of our preset kicks the ball: every frame of a clip is begun on and simulated for one control step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.envs.tables import Tables
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.table import FIRST_START
from tests import ballplay
from tests.ballplay import WORLDS, Compiled

KICK = 0.5  # m/s, `start.max_kick` of the preset
BALLPLAY = ("catch/*catch_013.pt", "layup/*", "shot_style1/*", "run/*", "pick_40/*pick_000.pt", "pick_40/*pick_015.pt")


@pytest.fixture(scope="module")
def shipped() -> Compiled:
    return ballplay.default()


@pytest.fixture(scope="module")
def published(ballplay_dir: Path) -> Compiled:
    files = [sorted(ballplay_dir.glob(pattern))[0] for pattern in BALLPLAY]
    return ballplay.compiled(ballplay.config(), library.load_clips(files))


def drawable(compiled: Compiled) -> tuple[np.ndarray, np.ndarray]:
    """Clip and frame of every start that may be drawn, [2, T − 2], after the table's remap."""
    frames = [np.arange(FIRST_START, length - 1) for length in compiled.lengths]
    clip = np.repeat(np.arange(len(frames)), [len(f) for f in frames])
    row = np.asarray(compiled.env.tables.motions.starts)[clip] + np.concatenate(frames)
    return clip, np.asarray(compiled.env.tables.starts.frame)[row]


def clip_speed(compiled: Compiled, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The ball's speed m/s in the clip, by the difference with the frame before, from the file's own positions."""
    clips = compiled.env.clips
    pairs = [clips[c].object_pos[f - 1 : f + 1] for c, f in zip(clip, frame, strict=True)]
    return np.linalg.norm(np.diff(np.asarray(pairs, np.float64), axis=1)[:, 0], axis=-1) * clips[0].fps


def kicks(
    compiled: Compiled, clip: np.ndarray, frame: np.ndarray, action: np.ndarray, tables: Tables | None = None
) -> np.ndarray:
    """By how many m/s one step with the action (156,) takes the ball's speed away from the clip's.

    From the nearer of the clip's speeds before and after the step, for the clip may bounce within it.
    """
    env, found = compiled.env, []
    action = np.tile(action, (WORLDS, 1))
    columns = env.layout.slice("object_lin_vel")
    for first in range(0, len(clip), WORLDS):
        batch = np.arange(first, first + WORLDS) % len(clip)
        state = compiled.step(compiled.start(clip[batch], frame[batch], tables), action)
        # Of the observation before any reset: turning it into the heading's frame keeps the speed.
        found.append(np.linalg.norm(np.asarray(state.info["final_obs"])[:, columns], axis=-1))
        assert not np.asarray(state.info["terminated"]).any()
    after = np.concatenate(found)[: len(clip)]
    return np.min([np.abs(after - clip_speed(compiled, clip, frame + i)) for i in (0, 1)], axis=0)


def check(compiled: Compiled) -> None:
    clip, frame = drawable(compiled)
    assert len(clip) == (compiled.lengths - 3).sum()
    # A reset is as calm under the zero action, a T-pose, as under that of an untrained actor.
    initial = compiled.env.initial_action
    kick = np.maximum(*(kicks(compiled, clip, frame, action) for action in (initial, np.zeros_like(initial))))
    worst = int(kick.argmax())
    assert kick[worst] <= KICK + 1e-3, f"{compiled.env.clips[clip[worst]].name}, frame {frame[worst]}"
    scene = compiled.env.scene
    row = np.asarray(compiled.env.tables.motions.starts)[clip] + frame
    qpos, qvel = (np.asarray(x)[row] for x in (compiled.env.tables.starts.qpos, compiled.env.tables.starts.qvel))
    lowest = scene.unpack(qpos, qvel).object_pos[:, 2] - scene.object_radius
    assert lowest.min() > -0.01


def test_shipped_clips_never_begin_with_a_kick(shipped: Compiled):
    check(shipped)


def test_published_clips_never_begin_with_a_kick(published: Compiled):
    check(published)


def test_uncorrected_starts_do_kick(shipped: Compiled):
    """The published start states of the same clips, else the corrections would be for nothing."""
    config = ballplay.config("default", start__max_kick=None, start__push_object=False, start__lift_object=False)
    uncorrected = BallPlay(config, shipped.env.clips).tables
    kick = kicks(shipped, *drawable(shipped), shipped.env.initial_action, tables=uncorrected)
    assert (kick > KICK).mean() > 0.01
    assert kick.max() > 2 * KICK
