"""Transitions between skills: moved references against moved clips, pairs against loops, episodes that change skill."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic import rotations
from mjx_skillmimic.envs import transitions
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.imitation.reward import RewardWeights, imitation_reward
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion import table as tables
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.moved import Move, no_move
from tests import ballplay

TURN, SHIFT = 2.1, np.array([3.0, -1.5])
CLIP = make_clip(frames=20)
read = jax.jit(tables.features, static_argnames="pad")


def moved_clip(clip: MotionClip, angle: float, shift: np.ndarray) -> MotionClip:
    """The clip in another place, by rotation matrices."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    place = lambda x: np.asarray(x @ turn.T + np.append(shift, 0.0), np.float32)  # noqa: E731
    about = rotations.about_z(np.asarray(angle))
    turned = lambda v: rotations.log(rotations.multiply(about, rotations.exp(v.astype(np.float64))))  # noqa: E731
    return dataclasses.replace(
        clip,
        root_pos=place(clip.root_pos),
        body_pos=place(clip.body_pos),
        object_pos=place(clip.object_pos),
        root_rotvec=turned(clip.root_rotvec).astype(np.float32),
        object_rotvec=-turned(-clip.object_rotvec).astype(np.float32),
    )


@jax.jit
def reward_of(sim, ref) -> jax.Array:
    weights = RewardWeights(or_=1.0, opv=0.5)
    none, some = jnp.zeros(len(ref.contact)), jnp.ones(len(ref.contact))
    edges = jnp.zeros((len(ref.contact), 3))
    return imitation_reward(sim, ref, ref.dof_vel, none, some, weights, RewardOptions(), edges)[0]


def test_a_moved_reference_is_the_moved_clip_and_its_reward_stays():
    here, there = tables.build_table([CLIP]), tables.build_table([moved_clip(CLIP, TURN, SHIFT)])
    frame = jnp.arange(1, 22)
    clip, end = jnp.zeros_like(frame), jnp.full_like(frame, 18)
    move = Move(jnp.full(21, TURN), jnp.tile(jnp.asarray(SHIFT, jnp.float32), (21, 1)))
    for pad in ("hold", "zero"):
        found = read(here, clip, frame, pad=pad, end=end, move=move)
        expected = read(there, clip, frame, pad=pad, end=end)
        for name in (f.name for f in dataclasses.fields(found)):
            one, other = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
            if name == "object_quat":  # signs are free
                one, other = (q * np.where(q[..., :1] < 0, -1, 1) for q in (one, other))
            # Velocities are differences of float32 positions, times 60.
            np.testing.assert_allclose(one, other, atol=1e-4 if name == "object_lin_vel" else 3e-6, err_msg=name)
    # A pose some centimetres off is worth the same against its own reference, wherever both are moved to.
    still = read(here, clip, frame, pad="hold", end=end)
    moved = read(here, clip, frame, pad="hold", end=end, move=move)
    late = read(here, clip, frame + 1, pad="hold", end=end)
    late_moved = read(here, clip, frame + 1, pad="hold", end=end, move=move)
    worth = reward_of(late, still)
    assert worth[:-5].max() < 0.99
    np.testing.assert_allclose(reward_of(late_moved, moved), worth, atol=2e-5)


def test_no_move_leaves_every_bit():
    table, frame = tables.build_table([CLIP]), jnp.arange(20)
    still = read(table, jnp.zeros_like(frame), frame)
    for one, other in zip(
        jax.tree.leaves(read(table, jnp.zeros_like(frame), frame, move=no_move(20))),
        jax.tree.leaves(still),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


LENGTHS, SKILLS = (9, 12, 15, 8), (1, 5, 5, 7)
MOTIONS = tables.build_table(
    [
        dataclasses.replace(make_clip(frames=n, seed=seed), skill=s)
        for seed, (n, s) in enumerate(zip(LENGTHS, SKILLS, strict=True))
    ]
)


def slow_distance(one: int, other: int) -> float:
    """Between two rows of MOTIONS, by the formula, with matrices and loops."""

    def seen(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
        clip = int(np.searchsorted(np.asarray(MOTIONS.starts), row, side="right") - 1)
        first = int(MOTIONS.starts[clip])
        last = first + int(MOTIONS.lengths[clip]) - 1
        reference = jax.tree.map(lambda x: np.asarray(x, np.float64), MOTIONS.reference)
        angle = float(rotations.heading(rotations.exp(reference.root_rotvec[row])))
        c, s = np.cos(angle), np.sin(angle)
        inverse = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        root = reference.root_pos
        before, after = max(row - 1, first), min(row + 1, last)
        places, rates = [np.array([0.0, 0.0, root[row, 2]])], [60 * (root[after] - root[before]) / (after - before)]
        for body in range(17):
            track = reference.key_body_pos[:, body]
            places.append(inverse @ (track[row] - root[row]))
            rates.append(60 * (track[after] - track[before]) / (after - before))
        ball = inverse @ (reference.object_pos[row] - root[row])
        ball_rate = inverse @ reference.object_lin_vel[row]
        return np.array(places), np.array([inverse @ v for v in rates]), ball, ball_rate, reference.contact[row]

    p, v, b, w, contact = seen(one)
    p2, v2, b2, w2, contact2 = seen(other)
    squares = np.mean(np.sum((p - p2) ** 2, axis=1)) + 0.01 * np.mean(np.sum((v - v2) ** 2, axis=1))
    return float(np.sqrt(squares + np.sum((b - b2) ** 2) + 0.01 * np.sum((w - w2) ** 2) + 0.04 * (contact != contact2)))


def test_the_nearest_frames_are_those_of_loops_over_all():
    labels, best, distance = transitions.nearest(MOTIONS)
    np.testing.assert_array_equal(labels, [1, 5, 7])
    starts, lengths = np.asarray(MOTIONS.starts), np.asarray(MOTIONS.lengths)
    allowed = {
        label: [s + f for s, n, k in zip(starts, lengths, SKILLS, strict=True) for f in range(2, n - 1) if k == label]
        for label in labels
    }
    skill = np.repeat(SKILLS, lengths)
    for row in range(0, len(skill), 5):
        for number, label in enumerate(labels):
            if skill[row] == label:
                assert distance[row, number] == np.inf
                continue
            every = {other: slow_distance(row, other) for other in allowed[label]}
            assert distance[row, number] == pytest.approx(min(every.values()), abs=1e-4)
            assert every[best[row, number]] == pytest.approx(min(every.values()), abs=1e-4)


def test_pairs_are_all_that_are_near_enough_and_drawn_alike():
    _, best, distance = transitions.nearest(MOTIONS)
    limit = float(np.median(distance[np.isfinite(distance)]))
    pairs = transitions.build_pairs(MOTIONS, limit)
    np.testing.assert_array_equal(pairs.count, np.sum(distance < limit, axis=1))
    assert set(np.asarray(pairs.count)) >= {0, 1, 2}
    for row, count in enumerate(np.asarray(pairs.count)):
        found = np.asarray(tables.rows(MOTIONS, pairs.clip[row], pairs.frame[row]))[:count]
        assert set(found) == set(best[row, distance[row] < limit])
    options = StartOptions(transition_probability=0.6)
    draw = jax.jit(lambda keys, row: transitions.draw(MOTIONS, pairs, options, keys, row))
    for wanted, share in ((0, 0.0), (2, 0.6)):
        row = int(np.flatnonzero(np.asarray(pairs.count) == wanted)[0])
        keys = jax.random.split(jax.random.key(row), 4000)
        goes, clip, frame, move = draw(keys, jnp.full(4000, row))
        assert np.mean(goes) == pytest.approx(share, abs=0.04)
        assert (np.asarray(move.turn)[~np.asarray(goes)] == 0).all()
        rows, counts = np.unique(tables.rows(MOTIONS, clip, frame)[goes], return_counts=True)
        assert len(rows) == wanted
        np.testing.assert_allclose(counts / 4000, [0.3] * wanted, atol=0.04)


@pytest.fixture(scope="module")
def changing() -> ballplay.Compiled:
    """Every episode that can begins in another skill, and dies young."""
    clips = library.load_clips(["chest_pass", "pick_up", "set_shot", "throw_catch"])
    chosen = ballplay.config(
        start__transition_probability=1.0,
        start__max_kick=None,
        start__sampling="failure",
        termination__episode_length=4,
    )
    return ballplay.compiled(chosen, clips)


def check_starts(compiled: ballplay.Compiled, state) -> int:
    """Roots of worlds at progress 0 stand and look as their references do; how many came from another skill."""
    env, info = compiled.env, state.info
    reference = jax.tree.map(np.asarray, env.reference(state.shared, info))
    body = env.body_state(state.data)
    root_pos, root_quat = np.asarray(body.body_pos)[:, 0], np.asarray(body.body_quat)[:, 0]
    np.testing.assert_allclose(root_pos[:, :2], reference.root_pos[:, :2], atol=1e-5)
    quat = rotations.exp(reference.root_rotvec)
    apart = rotations.heading(root_quat) - rotations.heading(quat)
    np.testing.assert_allclose(np.sin(apart), 0.0, atol=1e-4)
    assert (np.cos(apart) > 0).all()
    np.testing.assert_array_equal(info["skill"], np.asarray(state.shared.motions.skills)[info["clip"]])
    came = np.asarray(info["attempt"].bin) < 0
    # Its own clip's frame is nobody's: it was chosen for its distance, of which the ball's is a part.
    limit = env.options.start.transition_distance
    ball = np.linalg.norm(np.asarray(body.object_pos) - reference.object_pos, axis=-1)
    assert (ball[came] < limit + 0.13).all()  # lifted or pushed by up to 0.12 m where a hand was in it
    qpos, starts = np.asarray(state.data.qpos), np.asarray(state.shared.starts.qpos)
    motions = state.shared.motions
    skills = np.repeat(np.asarray(motions.skills), np.asarray(motions.lengths))
    for world in range(len(qpos)):
        origin = np.flatnonzero((starts == qpos[world]).all(axis=1))
        assert (int(info["skill"][world]) in skills[origin]) != came[world]
    return int(came.sum())


def test_episodes_begin_in_another_skill_and_imitate_where_they_stand(changing: ballplay.Compiled):
    state = changing.reset(ballplay.keys(1))
    first = check_starts(changing, state)
    assert 5 < first < ballplay.WORLDS
    np.testing.assert_array_equal(np.asarray(state.info["move"].turn) != 0, np.asarray(state.info["attempt"].bin) < 0)
    moves, rewards = np.asarray(state.info["move"].turn), []
    for step in range(3):
        state = changing.step(state, ballplay.actions(changing.env, step))
        rewards.append(np.asarray(state.reward))
        np.testing.assert_array_equal(np.asarray(state.done) > 0, np.asarray(state.info["progress"]) == 0)
    assert np.mean(rewards) > 0.01
    # All have begun anew, from other frames, with moves of their own.
    ended = np.asarray(state.info["progress"]) == 0
    assert ended.mean() > 0.8
    assert (np.asarray(state.info["move"].turn)[ended] != moves[ended]).any()
    info = {name: value for name, value in state.info.items() if name not in ("rng", "nonfinite")}
    assert check_starts(changing, at(state, ended, info)) > 5
    # Statistics of the bins are those of a clip's own starts: the first episodes are the ones that ended.
    finished = np.asarray(state.info["finished"].bin)[ended]
    np.testing.assert_array_equal(finished < 0, moves[ended] != 0)


def at(state, which: np.ndarray, info: dict):
    """The worlds `which` of a state, for what looks at qpos and info alone."""
    pick = lambda tree: jax.tree.map(lambda x: x[which] if getattr(x, "ndim", 0) else x, tree)  # noqa: E731
    return dataclasses.replace(state, data=pick(state.data), info=pick(info))


def test_what_cannot_work_is_refused():
    with pytest.raises(
        ValueError, match=r"transition_distance = 1e-06 m leaves no transition.*nearest pair is 0\.\d+ m"
    ):
        transitions.build_pairs(MOTIONS, 1e-6)
    with pytest.raises(ValueError, match="all clips have one label"):
        transitions.build_pairs(tables.build_table([CLIP]), 1.0)
    with pytest.raises(ValueError, match=r"transition_probability: expected a number in \[0, 1\], got 1.5"):
        StartOptions(transition_probability=1.5)
