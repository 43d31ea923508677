"""The pure parts of SkillMimicV2: sampling by reward, disturbed and foreign starts, re-timing, buffers."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2 import ats, buffering, compact, noise, retime, switch
from mjx_skillmimic.envs.v2.options import AtsOptions, NoiseOptions, RetimeOptions, SwitchOptions
from mjx_skillmimic.kinematics import Coordinates, forward_kinematics
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion import library, table

KEYS = functools.partial(jax.random.split, jax.random.key(0))


@functools.cache
def motions() -> table.MotionTable:
    """Three clips of two labels, one of them with missing frames."""
    throw, pick = library.load_clips(["throw_catch", "pick_up"])
    holes = np.zeros(throw.num_frames, bool)
    holes[30:40] = True
    masked = {name: np.where(holes.reshape(-1, *(1,) * (x.ndim - 1)), 0.0, x) for name, x in throw.arrays().items()}
    masked = {name: x.astype(np.float32) for name, x in masked.items()}
    clips = [throw, dataclasses.replace(throw, name="holes", **masked), pick]
    return table.build_table(clips, humanoid_skeleton(), key_bodies="fk")


def states(row: np.ndarray) -> Coordinates:
    return jax.tree.map(lambda x: x[jnp.asarray(row)], motions().state)


def test_frames_are_drawn_by_their_reward_and_never_where_one_is_missing() -> None:
    options = AtsOptions(alpha=0.5)
    cells = ats.build_cells(motions(), options)
    score = jnp.asarray(np.random.default_rng(0).uniform(0, 0.5, cells.may_start.shape), jnp.float32)
    seen = dataclasses.replace(ats.nothing_seen(4), steps=jnp.full(4, int(cells.steps), jnp.int32))
    law = dataclasses.replace(ats.new_law(motions(), cells), score=score, clip_score=jnp.array([0.2, 0.6, 0.1]))
    law = ats.adapt(motions(), cells, law, seen, options)
    clip, frame = (np.asarray(x) for x in jax.vmap(functools.partial(ats.draw, law))(KEYS(20_000)))
    # α = 0.5: half uniform over clips, half by label and within it.
    low = np.exp(-5 * np.array([0.2, 0.6]))
    label = np.exp(-5 * np.array([0.4, 0.1]))
    expected = np.append(label[0] * low / low.sum(), label[1]) / label.sum()
    np.testing.assert_allclose(np.bincount(clip) / len(clip), 0.5 / 3 + 0.5 * expected, atol=0.01)
    lengths, valid = np.asarray(motions().lengths), np.asarray(motions().valid)
    assert frame.min() == 2
    assert np.all(frame <= lengths[clip] - 2)
    assert valid[np.asarray(motions().starts)[clip] + frame].all()
    for number in range(3):
        hard = np.exp(-10 * np.asarray(score[number], np.float64))
        weight = 0.5 / len(hard) + 0.5 * hard / hard.sum()
        weight = np.where(np.asarray(cells.may_start[number]), weight, 0)
        of_frames = np.bincount(frame[clip == number] - 2, minlength=len(weight))
        first_half = len(weight) // 3
        share = weight[:first_half].sum() / weight.sum()
        np.testing.assert_allclose(of_frames[:first_half].sum() / of_frames.sum(), share, atol=0.02)


def test_the_law_waits_for_its_interval_and_scores_do_not() -> None:
    options = AtsOptions(alpha=1.0, interval=0.01)
    cells = ats.build_cells(motions(), options)
    law, due = ats.new_law(motions(), cells), int(cells.steps)
    attempt = ats.begin(cells, jnp.array([0, 0, 2]), jnp.array([5, 5, 9]))
    seen = ats.nothing_seen(3)
    for step in range(due):
        reward = jnp.array([0.2, 0.6, 0.0]) if step % 2 else jnp.array([0.4, 0.8, 0.0])
        attempt, seen = ats.record_step(
            attempt, seen, jnp.array([0, 0, 2]), reward, jnp.full(3, step == due - 2), options
        )
        if step == due - 2:
            early = ats.adapt(motions(), cells, law, seen, options)
    assert due > 4
    np.testing.assert_array_equal(early.frame, law.frame)
    rewards = np.array([[0.2, 0.6], [0.4, 0.8]])[(np.arange(due - 1) + 1) % 2].mean(axis=0)
    np.testing.assert_allclose(early.score[0, 3], rewards.mean() / 2, atol=1e-3)
    np.testing.assert_allclose(early.clip_score, [rewards.mean() / 2, 0, 0], atol=1e-3)
    # a mean of no reward at all is a reward of zero
    assert early.score[2, 7] == 0.0
    late = ats.adapt(motions(), cells, early, dataclasses.replace(seen, cell=jnp.full(3, -1)), options)
    np.testing.assert_array_equal(late.score, early.score)
    width = np.diff(np.asarray(late.frame[0]), prepend=0.0)
    np.testing.assert_allclose(width[3] / width[4], np.exp(-10 * early.score[0, 3]), rtol=1e-2)
    assert int(late.passed) == 1


def test_of_several_episodes_in_a_cell_the_mean_counts_or_the_last() -> None:
    cells = ats.build_cells(motions(), AtsOptions())
    law = ats.new_law(motions(), cells)
    seen = dataclasses.replace(
        ats.nothing_seen(4), cell=jnp.array([7, -1, 7, 8]), score=jnp.array([0.5, 0.9, 0.25, 1.0], jnp.float32)
    )
    for duplicates, expected in (("mean", 0.1875), ("last", 0.125)):
        found = ats.adapt(motions(), cells, law, seen, AtsOptions(alpha=1.0, duplicates=duplicates))  # type: ignore[arg-type]
        np.testing.assert_allclose(np.ravel(found.score)[6:10], [0, expected, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("law", ["gaussian", "uniform"])
def test_noise_is_as_large_as_asked_and_never_lowers_anyone(law: str) -> None:
    options = NoiseOptions(law=law)  # type: ignore[arg-type]
    count = 400
    start = states(np.full(count, 20))
    label = jnp.where(jnp.arange(count) % 2 == 0, 0, 3)
    found = noise.disturbed(start, KEYS(count), label, options)
    deviation = 0.1 if law == "gaussian" else 0.1 / np.sqrt(3)
    getup, other = np.arange(count) % 2 == 0, np.arange(count) % 2 == 1
    turned = rotations.log(rotations.multiply(rotations.conjugate(start.joint_quat), found.joint_quat))
    speed = np.asarray(found.joint_vel - start.joint_vel)
    for name, value in {"joints": turned, "speed": speed, "ball": found.object_lin_vel - start.object_lin_vel}.items():
        np.testing.assert_allclose(np.std(np.asarray(value)), deviation, rtol=0.05, err_msg=name)
    raised = np.asarray(found.root_pos - start.root_pos)
    assert np.all(raised[:, :2] == 0.0)
    assert raised[:, 2].min() >= 0.0
    assert 0.09 < raised[other, 2].max() <= 0.1001
    assert 0.9 < raised[getup, 2].max() <= 1.0001
    assert 0.09 < np.asarray(found.object_pos - start.object_pos)[:, 2].max() <= 0.1001
    angle = np.asarray(rotations.geodesic(start.root_quat, found.root_quat))
    assert angle[getup].mean() > 4 * angle[other].mean()
    np.testing.assert_allclose(np.linalg.norm(found.root_quat, axis=-1), 1.0, atol=1e-5)
    raw = noise.disturbed(start, KEYS(count), label, dataclasses.replace(options, normalize=False))
    assert np.std(np.linalg.norm(raw.root_quat, axis=-1)[other]) > 0.03


def seen_of(state: Coordinates) -> retime.Seen:
    bodies = forward_kinematics(
        humanoid_skeleton(), state.root_pos, state.root_quat, state.joint_quat, state.root_lin_vel,
        state.root_ang_vel, state.joint_vel,
    )  # fmt: skip
    keys = list(humanoid.indices(humanoid.KEY_BODIES))
    return retime.Seen(state, bodies.pos[:, keys], bodies.lin_vel[:, keys])


def test_retiming_finds_the_frame_that_a_state_is_of() -> None:
    options = RetimeOptions(search="intended")
    frames = retime.build_frames(motions())
    clip, frame = np.array([0, 0, 1, 1, 2]), np.array([0, 60, 35, 90, 50])
    row = np.asarray(motions().starts)[clip] + frame
    found, similarity = retime.search(motions(), frames, jnp.asarray(clip), seen_of(states(row)), options)
    found = np.asarray(found)
    np.testing.assert_array_equal(found[[1, 3, 4]], frame[[1, 3, 4]])
    assert np.all(np.asarray(similarity)[[1, 3, 4]] > 0.9)
    # neither the first frames nor missing ones
    assert found[0] >= 2
    assert np.asarray(motions().valid)[np.asarray(motions().starts)[1] + found[2]]
    every, inside = retime.similarities(motions(), frames, jnp.asarray(clip), seen_of(states(row)), options)
    np.testing.assert_array_equal(np.asarray(inside).sum(axis=1), np.asarray(motions().lengths)[clip])
    highest = dataclasses.replace(options, similarity="highest")
    _, best = retime.search(motions(), frames, jnp.asarray(clip), seen_of(states(row)), highest)
    np.testing.assert_array_equal(best, np.max(every, axis=1))


def test_a_donor_stands_where_the_drawn_frame_stands_and_is_otherwise_itself() -> None:
    source, donor = states(np.array([10, 200])), states(np.array([150, 30]))
    found = switch.placed(source, donor, SwitchOptions())
    np.testing.assert_allclose(found.root_pos[:, :2], source.root_pos[:, :2], atol=1e-6)
    np.testing.assert_allclose(found.root_pos[:, 2], donor.root_pos[:, 2], atol=1e-6)
    apart = rotations.heading(found.root_quat) - rotations.heading(source.root_quat)
    np.testing.assert_allclose(np.sin(apart), 0.0, atol=1e-5)

    def seen(state: Coordinates) -> list[np.ndarray]:
        """What does not depend on where somebody stands and faces."""
        turn = rotations.heading_inverse(state.root_quat)
        vectors = (state.root_lin_vel, state.object_lin_vel, state.object_ang_vel, state.object_pos - state.root_pos)
        return [
            *(np.asarray(rotations.rotate(turn, vector)) for vector in vectors),
            np.asarray(rotations.tan_norm(rotations.multiply(turn, state.object_quat))),
            *(np.asarray(x) for x in (state.root_ang_vel, state.joint_quat, state.joint_vel)),
        ]

    for ours, expected in zip(seen(found), seen(donor), strict=True):
        np.testing.assert_allclose(ours, expected, atol=2e-5)
    copied = switch.placed(source, donor, SwitchOptions.reference())
    np.testing.assert_array_equal(copied.object_lin_vel, donor.object_lin_vel)
    np.testing.assert_array_equal(copied.object_quat, source.object_quat)


def test_any_donor_is_of_another_clip() -> None:
    clip = jnp.arange(600) % 3
    donor, frame = (np.asarray(x) for x in switch.draw_any(motions(), KEYS(600), clip))
    assert np.all(donor != np.asarray(clip))
    assert set(donor) == {0, 1, 2}
    assert frame.min() >= 2
    alone = table.build_table(library.load_clips("throw_catch"))
    assert switch.draw_any(alone, KEYS(2), jnp.zeros(2, jnp.int32))[0].tolist() == [-1, -1]


def test_rewards_are_lent_by_worlds_of_the_same_clip() -> None:
    rng = np.random.default_rng(1)
    reward, clip, valid = rng.uniform(size=30).astype(np.float32), rng.integers(0, 4, 30), rng.random(30) < 0.5
    valid[clip == 3] = False
    expected = reward.copy()
    for i in np.flatnonzero(~valid):
        same = valid & (clip == clip[i])
        expected[i] = reward[same if same.any() else valid].mean()
    np.testing.assert_allclose(buffering.substitute(reward, clip, valid, 4), expected, rtol=1e-6)
    assert not np.any(buffering.substitute(reward, clip, np.zeros(30, bool), 4))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_work_is_done_for_those_that_need_it(share: float) -> None:
    needed = np.random.default_rng(2).random(21) < share
    into = {"a": jnp.arange(21.0), "b": jnp.zeros((21, 2), jnp.int32)}

    def work(worlds: jax.Array) -> dict[str, jax.Array]:
        return {"a": -worlds.astype(jnp.float32) - 1.0, "b": jnp.stack([worlds, worlds], axis=1)}

    found = jax.jit(lambda n: compact.for_worlds(n, work, into, size=4))(jnp.asarray(needed))
    np.testing.assert_array_equal(found["a"], np.where(needed, -np.arange(21.0) - 1, np.arange(21.0)))
    np.testing.assert_array_equal(found["b"][:, 1], np.where(needed, np.arange(21), 0))


def test_devices_that_share_the_worlds_come_to_the_same() -> None:
    """Two members of a mapped axis against one that sees all worlds."""
    rng = np.random.default_rng(3)
    reward, clip = jnp.asarray(rng.uniform(size=12), jnp.float32), jnp.asarray(rng.integers(0, 3, 12))
    valid = jnp.asarray(rng.random(12) < 0.5)
    split = lambda tree: jax.tree.map(lambda x: x.reshape(2, 6), tree)  # noqa: E731
    lent = jax.vmap(lambda r, c, v: buffering.substitute(r, c, v, 3, "devices"), axis_name="devices")
    found = lent(*split((reward, clip, valid)))
    np.testing.assert_allclose(found.ravel(), buffering.substitute(reward, clip, valid, 3), rtol=1e-6)
    for duplicates in ("mean", "last"):
        options = AtsOptions(alpha=1.0, interval=0.01, duplicates=duplicates)  # type: ignore[arg-type]
        cells = ats.build_cells(motions(), options)
        law = ats.new_law(motions(), cells)
        cell = jnp.asarray(rng.integers(-1, 4, 12), jnp.int32)
        seen = ats.Seen(cell, reward, clip, reward, jnp.full(12, 1000, jnp.int32))
        alone = ats.adapt(motions(), cells, law, seen, options)
        adapt = functools.partial(ats.adapt, motions(), cells, law, options=options, axis_name="devices")
        both = jax.vmap(lambda part, adapt=adapt: adapt(part), axis_name="devices")(split(seen))
        for ours, expected in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
            np.testing.assert_array_equal(ours[0], ours[1])
            np.testing.assert_array_equal(ours[0], expected)
