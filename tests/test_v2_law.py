"""Which frame an episode of SkillMimicV2 is judged for, whose state it starts in, and what the next one repeats."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import config as configs
from mjx_skillmimic import envs
from mjx_skillmimic.envs.v2 import switch
from mjx_skillmimic.envs.v2.env import SkillMimicV2
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip

WORLDS, GOOD = 8, 10


@functools.cache
def clips() -> tuple[MotionClip, ...]:
    """Two short clips of two labels."""
    return tuple(
        dataclasses.replace(clip, **{name: x[:40] for name, x in clip.arrays().items()})
        for clip in library.load_clips(["throw_catch", "pick_up"])
    )


def env(of: tuple[MotionClip, ...] | None = None, **changes: Any) -> SkillMimicV2:
    """No start but frame GOOD of each clip is good."""
    chosen = envs.default_config("SkillMimicV2")
    chosen.physics.engine = "mujoco"
    chosen.start.max_kick = None
    for name, value in changes.items():
        section, option = name.split("__")
        chosen[section][option] = value
    made = SkillMimicV2(chosen, of or clips())
    starts = dataclasses.replace(made.tables.starts, frame=jnp.full_like(made.tables.starts.frame, GOOD))
    made.tables = dataclasses.replace(made.tables, starts=starts)
    return made


KEYS = jax.random.split(jax.random.key(7), WORLDS)
ALL = jnp.ones(WORLDS, bool)


def test_a_frame_that_is_no_good_to_start_on_is_judged_all_the_same() -> None:
    """Else its score would stay zero, and the law would draw it ever more often."""
    made = env(ats__alpha=1.0)
    law = made.episodes
    _, info, _ = law.new_episodes(made.tables, law.new_curriculum(made.tables), KEYS, ALL)
    columns = made.tables.own.cells.may_start.shape[1]
    judged = np.asarray(info["attempt"].cell) % columns + table.FIRST_START
    assert np.all(np.asarray(info["frame"]) == GOOD)
    assert len(set(judged)) > 3
    np.testing.assert_array_equal(np.asarray(info["attempt"].cell) // columns, info["clip"])


def test_a_retimed_episode_is_judged_for_the_frame_that_it_imitates() -> None:
    made = env(ats__alpha=1.0, noise__probability=1.0, retime__search="released")
    law = made.episodes
    clip, frame = jnp.zeros(WORLDS, jnp.int32), jnp.arange(WORLDS) * 4 + 4
    info, _ = law.chosen_episodes(made.tables, KEYS, clip, frame)
    assert np.any(np.asarray(info["frame"]) != np.asarray(frame))
    np.testing.assert_array_equal(info["attempt"].cell + table.FIRST_START, info["frame"])


def test_donors_start_on_good_frames_too() -> None:
    made = env(switch__probability=1.0)
    law = made.episodes
    clip, frame = jnp.zeros(WORLDS, jnp.int32), jnp.arange(WORLDS) + 5
    info, (qpos, _, _) = law.chosen_episodes(made.tables, KEYS, clip, frame)
    foreign = np.asarray(info["similarity"]) < 1.0
    assert foreign.any()
    motions, starts = made.tables.motions, made.tables.starts
    own = made.scene.unpack(
        starts.qpos[table.rows(motions, clip, frame)], starts.qvel[table.rows(motions, clip, frame)]
    )
    donor_row = table.rows(motions, jnp.ones(WORLDS, jnp.int32), jnp.full(WORLDS, GOOD))
    donor = made.scene.unpack(starts.qpos[donor_row], starts.qvel[donor_row])
    expected = made.scene.pack(*switch.placed(own, donor, made.own.switch))[0]
    np.testing.assert_allclose(qpos[foreign], np.asarray(expected)[foreign], atol=1e-5)


def test_the_episode_after_a_chosen_one_is_disturbed_otherwise() -> None:
    made = env(noise__probability=1.0)
    law = made.episodes
    chosen = law.chosen_episodes(made.tables, KEYS, jnp.zeros(WORLDS, jnp.int32), jnp.full(WORLDS, GOOD))[1]
    _, info, following = law.new_episodes(made.tables, None, KEYS, ALL, None)
    motions, starts = made.tables.motions, made.tables.starts
    row = table.rows(motions, jnp.stack([jnp.zeros_like(info["clip"]), info["clip"]]), jnp.int32(GOOD))
    noise = np.asarray(jnp.stack([chosen[1], following[1]]) - starts.qvel[row])[:, :, :3]
    assert np.abs(noise).max(axis=-1).min() > 0.0
    assert np.all(np.abs(noise[0] - noise[1]).max(axis=-1) > 1e-3)


def test_the_ball_lies_elsewhere_where_the_label_has_none() -> None:
    throw, pick = clips()
    made = env((dataclasses.replace(throw, skill=10), pick))
    clip = jnp.arange(WORLDS) % 2
    _, (_, _, body) = made.episodes.chosen_episodes(made.tables, KEYS, clip, jnp.full(WORLDS, GOOD))
    row = table.rows(made.tables.motions, clip, jnp.int32(GOOD))
    apart = np.linalg.norm(np.asarray(body.object_pos - made.tables.starts.body.object_pos[row]), axis=-1)
    assert np.all((apart > 0.2) == (np.asarray(clip) == 0))


def test_adaptive_sampling_and_a_fixed_start_frame_exclude_each_other() -> None:
    chosen = envs.default_config("SkillMimicV2")
    chosen.ats.alpha, chosen.start.frame = 1.0, 5
    with pytest.raises(configs.ConfigError, match=r"start\.frame fixes them at 5"):
        configs.validate(chosen)
