"""The critic's extra columns: a slow version, zero on the reference, invariance, and the environment's timing."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.evaluation.golden.imitation import body_state
from mjx_skillmimic.imitation import privileged as room
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.features import Features
from tests import ballplay

N = 5
KEYS = humanoid.indices(humanoid.KEY_BODIES)


def rotation(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(q, scalar_first=True)


def quaternions(rng: np.random.Generator, *shape: int) -> np.ndarray:
    q = rng.normal(size=(*shape, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def random_pair(seed: int = 0):
    """A simulated state and an unrelated reference row, and the other arguments."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.normal(size=(N, *shape))  # noqa: E731
    state = body_state(
        N,
        body_pos=normal(53, 3),
        body_quat=quaternions(rng, N, 53),
        dof_pos=rotations.log(quaternions(rng, N, 52)).reshape(N, -1),
        object_pos=normal(3),
        object_lin_vel=normal(3),
        edges=rng.random((N, 3)) < 0.5,
    )
    row = Features(
        root_pos=normal(3),
        root_rotvec=rotations.log(quaternions(rng, N)),
        dof_pos=rotations.log(quaternions(rng, N, 52)).reshape(N, -1),
        dof_vel=normal(156),
        object_pos=normal(3),
        object_quat=quaternions(rng, N),
        object_lin_vel=normal(3),
        key_body_pos=normal(17, 3),
        contact=np.ones(N),
    )
    return state, row, (rng.random((N, 5)) < 0.5).astype(float), np.array([0, 1, 30, 60, 200])


def slow(state, row, contact, left, i: int) -> np.ndarray:
    side = rotation(state.body_quat[i, 0]).apply([1, 0, 0])
    turn = Rotation.from_euler("z", -np.arctan2(side[1], side[0]))
    out = [turn.apply(row.root_pos[i] - state.body_pos[i, 0])]
    out += [turn.apply(row.key_body_pos[i, k] - state.body_pos[i, body]) for k, body in enumerate(KEYS)]
    out += [(rotation(state.body_quat[i, 0]).inv() * Rotation.from_rotvec(row.root_rotvec[i])).as_rotvec()]
    for j in range(52):
        mine, other = (Rotation.from_rotvec(x[i, 3 * j : 3 * j + 3]) for x in (state.dof_pos, row.dof_pos))
        out += [(mine.inv() * other).as_rotvec()]
    out += [turn.apply(row.object_pos[i] - state.object_pos[i])]
    out += [turn.apply(row.object_lin_vel[i] - state.object_lin_vel[i])]
    out += [contact[i], [min(max(left[i], 1), 60) / 60], state.edges[i].astype(float)]
    return np.concatenate(out)


def test_equals_the_slow_version():
    pair = random_pair()
    found = room.privileged(*pair)
    expected = np.stack([slow(*pair, i) for i in range(N)])
    assert found.shape == expected.shape == (N, room.privileged_layout().size) == (N, 228)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    single = jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, pair)
    np.testing.assert_allclose(jax.jit(room.privileged)(*single), expected, atol=2e-4)
    assert room.privileged_layout().split(found)["edges"].tolist() == pair[0].edges.astype(float).tolist()


def test_turning_and_moving_the_world_changes_nothing():
    state, row, contact, left = random_pair(1)
    turn, offset = Rotation.from_euler("z", 2.1), np.array([3.0, -7.0, 0.0])

    def turned(x: np.ndarray, shift: float = 0.0) -> np.ndarray:
        return turn.apply(x.reshape(-1, 3)).reshape(x.shape) + shift * offset

    quats = (turn * rotation(state.body_quat.reshape(-1, 4))).as_quat(scalar_first=True)
    moved = dataclasses.replace(
        state,
        body_pos=turned(state.body_pos, 1),
        body_quat=quats.reshape(N, 53, 4),
        object_pos=turned(state.object_pos, 1),
        object_lin_vel=turned(state.object_lin_vel),
    )
    moved_row = dataclasses.replace(
        row,
        root_pos=turned(row.root_pos, 1),
        root_rotvec=(turn * Rotation.from_rotvec(row.root_rotvec)).as_rotvec(),
        key_body_pos=turned(row.key_body_pos, 1),
        object_pos=turned(row.object_pos, 1),
        object_lin_vel=turned(row.object_lin_vel),
    )
    before, after = (room.privileged(*pair, contact, left) for pair in ((state, row), (moved, moved_row)))
    np.testing.assert_allclose(before, after, atol=1e-9)
    # Were the reference left where it was, it would not be the same.
    assert np.abs(room.privileged(moved, row, contact, left) - before).max() > 1


def test_a_wrong_number_of_labels_is_refused():
    state, row, contact, left = random_pair()
    with pytest.raises(ValueError, match="contact labels: expected 5 columns, got 4"):
        room.privileged(state, row, contact[:, :4], left)


@pytest.fixture(scope="module")
def seeing() -> ballplay.Compiled:
    """Two clips, short episodes, the critic's extra columns on."""
    chosen = ballplay.config(observation__critic="reference", termination__episode_length=12, start__max_kick=None)
    return ballplay.compiled(chosen, library.load_clips(["throw_catch", "dribble_in_place"]))


def columns(env: BallPlay, clip: int, frame: int, progress: int, body, row=None) -> np.ndarray:
    """World `row` by hand from the motion table, in an episode of 12 frames that began on `frame`."""
    motions = env.tables.motions
    first, last = int(motions.starts[clip]), int(motions.lengths[clip]) - 1
    at = lambda k: first + min(frame + progress + k, last)  # noqa: E731
    following = jax.tree.map(lambda x: np.asarray(x)[None, at(1)], motions.reference)
    contact = np.asarray(motions.reference.contact)[[at(k) for k in room.LOOKAHEAD]][None]
    left = min(12, last + 1 - frame) - 1 - progress
    return np.asarray(
        room.privileged(jax.tree.map(lambda x: x[row : row + 1], body), following, contact, left + 0 * contact[:, 0])
    )[0]


def test_the_environment_shows_the_row_that_is_compared_next(seeing: ballplay.Compiled):
    env = seeing.env
    assert env.privileged_size == 228
    # The last frames of the clip for world 0, so that rows run out; the middle for the others.
    last = int(seeing.lengths[1]) - 1
    frame = np.full(ballplay.WORLDS, 20)
    frame[0] = last - 3
    state, body_state = seeing.start(1, frame), jax.jit(env.body_state)
    np.testing.assert_array_equal(state.info["privileged"], state.info["final_privileged"])
    for progress in range(4):
        body = jax.tree.map(np.asarray, body_state(state.data))
        if progress == 3:
            # World 0 has ended by time: what belongs to its last state is kept beside that of the new episode.
            assert np.asarray(state.info["truncation"])[0] == 1
            assert np.abs(state.info["final_privileged"][0] - state.info["privileged"][0]).max() > 1e-3
            clip, begun = int(state.info["clip"][0]), int(state.info["frame"][0])
            expected = columns(env, clip, begun, 0, body, 0)
            np.testing.assert_allclose(state.info["privileged"][0], expected, atol=2e-3)
            shown = room.privileged_layout().split(np.asarray(state.info["final_privileged"]))
            assert shown["frames_left"][0] == pytest.approx(1 / 60)
        else:
            expected = columns(env, 1, last - 3, progress, body, 0)
            np.testing.assert_allclose(state.info["privileged"][0], expected, atol=2e-3)
        np.testing.assert_allclose(state.info["privileged"][5], columns(env, 1, 20, progress, body, 5), atol=2e-3)
        np.testing.assert_array_equal(state.info["privileged"][5], state.info["final_privileged"][5])
        state = seeing.step(state, ballplay.actions(env, progress))


def test_nothing_differs_where_the_state_is_the_next_frame(seeing: ballplay.Compiled):
    """The clip's own pose of frame 31, judged in an episode that stands at frame 30."""
    env = seeing.env
    frames = np.arange(30, 30 + ballplay.WORLDS)
    motions = env.tables.motions
    rows = int(motions.starts[1]) + frames + 1
    pose = jax.tree.map(lambda x: x[rows], motions.state)
    reference = jax.tree.map(lambda x: x[rows], motions.reference)
    state = seeing.start(1, frames)
    start = env.tables.starts.body_state(jnp.asarray(rows))
    body_pos = np.array(start.body_pos)
    body_pos[:, 0] = pose.root_pos
    body_pos[:, list(KEYS)] = reference.key_body_pos
    body_quat = np.array(start.body_quat)
    body_quat[:, 0] = pose.root_quat
    body = dataclasses.replace(
        start,
        body_pos=jnp.asarray(body_pos),
        body_quat=jnp.asarray(body_quat),
        dof_pos=rotations.log(pose.joint_quat).reshape(len(rows), -1),
        object_pos=pose.object_pos,
        object_lin_vel=pose.object_lin_vel,
    )
    see = jax.jit(lambda tables, body, info: env._privileged(tables, body, info, "now")["now"])
    shown = room.privileged_layout().split(see(env.tables, body, state.info))
    for name in ("root_pos", "key_body_pos", "rotation", "object_pos", "object_lin_vel"):
        np.testing.assert_allclose(shown[name], 0.0, atol=3e-3 if name == "rotation" else 1e-4, err_msg=name)
    np.testing.assert_array_equal(shown["contact"][:, 0], reference.contact)
    assert not np.asarray(shown["edges"]).any()


def test_the_policy_and_the_worlds_are_those_of_an_environment_without(seeing: ballplay.Compiled):
    chosen = ballplay.config(observation__critic="policy", termination__episode_length=12, start__max_kick=None)
    plain = BallPlay(chosen, seeing.env.clips, tables=seeing.env.tables)
    assert plain.privileged_size == 0
    one, other, step = seeing.start(1, 20), None, jax.jit(plain.step)
    other = dataclasses.replace(one, info={k: v for k, v in one.info.items() if "privileged" not in k})
    for number in range(12):
        action = ballplay.actions(seeing.env, number)
        one, other = seeing.step(one, action), step(other, action)
    assert one.obs.shape == other.obs.shape == (ballplay.WORLDS, 902)
    assert not {"privileged", "final_privileged"} & other.info.keys()
    rest = {name: value for name, value in one.info.items() if name in other.info}
    ballplay.assert_same(dataclasses.replace(one, info=rest), other)
