"""Episodes that go on behind the end of a clip: which frames are joined, and what is imitated there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import envs, rotations
from mjx_skillmimic.envs import seams, transitions
from mjx_skillmimic.motion import library, table

CLIPS = ["dribble_in_place", "throw_catch", "dribble_forward"]
LIMIT = 0.35
STEPS = 300


@pytest.fixture(scope="module")
def motions():
    return table.build_table(library.load_clips(CLIPS), key_bodies="stored")


@pytest.fixture(scope="module")
def joined(motions):
    return seams.build_seams(motions, LIMIT, STEPS)


def _first(joined, clip):
    """Clip and frame that the clip's own seam leads to."""
    return int(joined.clip[clip, 0]), int(joined.frame[clip, 0]) - 1


def _heading(rotvec):
    return np.asarray(rotations.heading(rotations.exp(np.asarray(rotvec))))


def test_the_nearest_frame_of_the_label_is_entered(motions, joined):
    rows = transitions.resemblance(motions)
    starts, lengths, skills = (np.asarray(x) for x in (motions.starts, motions.lengths, motions.skills))
    found = 0
    for clip in range(motions.num_clips):
        best = (np.inf, -1, -1, -1)
        for left in range(int(seams.LEAVE_AFTER * lengths[clip]), lengths[clip] - 1):
            for other in np.flatnonzero(skills == skills[clip]):
                for entered in range(table.FIRST_START, lengths[other] - seams.RUN_ON):
                    if other == clip and left - entered < seams.SHORTEST_LOOP:
                        continue
                    distance = np.linalg.norm(rows[starts[clip] + left] - rows[starts[other] + entered])
                    best = min(best, (distance, left, other, entered))
        cut = int(joined.cut[clip])
        assert (cut >= 0) == (best[0] < LIMIT)
        if cut >= 0:
            assert (cut, *_first(joined, clip)) == best[1:]
            found += 1
    assert found >= 1


def test_the_reference_goes_on_where_it_is(motions, joined):
    clip = int(np.flatnonzero(np.asarray(joined.cut) >= 0)[0])
    cut, (other, entered) = int(joined.cut[clip]), _first(joined, clip)
    start = cut - 5
    info = {"clip": jnp.array([clip, clip]), "frame": jnp.array([start, start]), "crosses": jnp.array([True, False])}
    features = []
    for progress in range(12):
        at, frame, move = seams.imitated(joined, info, jnp.full(2, progress))
        assert (int(at[1]), int(frame[1])) == (clip, start + progress)
        expected = (clip, start + progress) if progress <= 5 else (other, entered + progress - 5)
        assert (int(at[0]), int(frame[0])) == expected
        features.append(jax.tree.map(np.asarray, table.features(motions, at, frame, pad="hold", move=move)))
    before, after = features[5], features[6]
    # One step apart, as seen from above: no farther than two steps of one clip and the gap that the seam may have.
    assert np.linalg.norm((after.root_pos - before.root_pos)[0, :2]) < 0.1
    assert abs(np.sin(_heading(after.root_rotvec)[0] - _heading(before.root_rotvec)[0])) < 0.2
    # Behind the seam it is the other clip, moved rigidly.
    own = jax.tree.map(lambda x: np.asarray(x)[int(motions.starts[other]) + entered + 1], motions.reference)
    lengths = lambda f: np.linalg.norm(f.key_body_pos - f.object_pos[..., None, :], axis=-1)  # noqa: E731
    np.testing.assert_allclose(lengths(after)[0], lengths(own), atol=1e-5)
    np.testing.assert_allclose(after.dof_pos[0], own.dof_pos, atol=1e-6)
    np.testing.assert_allclose(after.root_pos[0, 2], own.root_pos[2], atol=1e-6)
    # At the seam itself the entered frame would stand where the left one stands.
    at_seam = table.features(
        motions,
        jnp.array([other]),
        jnp.array([entered]),
        move=jax.tree.map(lambda x: x[jnp.array([clip]), 0], joined.move),
    )
    np.testing.assert_allclose(at_seam.root_pos[0, :2], before.root_pos[0, :2], atol=1e-5)
    np.testing.assert_allclose(_heading(at_seam.root_rotvec), _heading(before.root_rotvec)[:1], atol=1e-5)


def test_labels_ahead_are_those_of_the_rows_that_come(motions, joined):
    clip = int(np.flatnonzero(np.asarray(joined.cut) >= 0)[0])
    info = {"clip": jnp.array([clip]), "frame": joined.cut[clip][None] - 3, "crosses": jnp.array([True])}
    ahead = jnp.arange(20)
    at, frame, _ = seams.imitated(joined, info, ahead[None])
    assert at.shape == frame.shape == (1, 20)
    for k in range(20):
        one = seams.imitated(joined, info, ahead[k][None])
        assert (int(at[0, k]), int(frame[0, k])) == (int(one[0][0]), int(one[1][0]))


def test_a_chain_of_seams_goes_on_where_it_is(motions, joined):
    """At every further seam too the reference is continuous, and each clip comes after its predecessor's cut."""
    clip = int(np.flatnonzero(np.asarray(joined.cut) >= 0)[0])
    cut, count = np.asarray(joined.cut), int(joined.count[clip])
    assert count == STEPS  # longer than any of the clips: this one goes round
    ahead = jnp.arange(int(cut[clip]) + count - 1)
    info = {"clip": jnp.array([clip]), "frame": jnp.array([2]), "crosses": jnp.array([True])}
    at, frame, move = (
        np.asarray(x)[0] if not hasattr(x, "turn") else x for x in seams.imitated(joined, info, ahead[None])
    )
    features = jax.tree.map(
        np.asarray, table.features(motions, at, frame, pad="hold", move=jax.tree.map(lambda x: x[0], move))
    )
    jumps = np.flatnonzero((np.diff(frame) != 1) | (np.diff(at) != 0))
    assert len(jumps) >= 3
    np.testing.assert_array_equal(frame[jumps], cut[at[jumps]])
    assert (frame < np.asarray(motions.lengths)[at]).all()
    assert np.linalg.norm(np.diff(features.root_pos[:, :2], axis=0), axis=-1).max() < 0.1
    assert np.abs(np.sin(np.diff(_heading(features.root_rotvec)))).max() < 0.2
    assert np.linalg.norm(np.diff(features.object_pos, axis=0), axis=-1).max() < LIMIT + 0.15


def test_only_chosen_labels_go_on(motions, joined):
    labels, cut = np.asarray(motions.skills), np.asarray(joined.cut)
    label = int(labels[np.flatnonzero(cut >= 0)[0]])
    some = seams.build_seams(motions, LIMIT, STEPS, (label,))
    np.testing.assert_array_equal(np.asarray(some.cut), np.where(labels == label, cut, -1))
    assert not np.asarray(some.count)[labels != label].any()
    with pytest.raises(ValueError, match=r"seam_skills = \(63,\): the clips have the labels \["):
        seams.build_seams(motions, LIMIT, STEPS, (63,))


def test_no_seam_is_an_error_that_names_the_nearest():
    single = table.build_table(library.load_clips("throw_catch"), key_bodies="stored")
    with pytest.raises(ValueError, match=r"seam_distance = 0.001 m leaves no seam: the nearest is 0\.\d+ m apart"):
        seams.build_seams(single, 0.001, STEPS)


def test_episodes_run_on_and_the_critic_sees_it():
    config = envs.default_config("BallPlay")
    config.physics.engine = "mujoco"
    config.start.seam_probability = 1.0
    config.start.seam_distance = LIMIT
    config.start.seam_steps = 90
    env = envs.load("BallPlay", config, clips=library.load_clips(CLIPS))
    state = jax.jit(env.reset)(jax.random.split(jax.random.key(1), 64))
    info = {name: np.asarray(state.info[name]) for name in ("clip", "frame", "crosses", "episode_length")}
    tables = env.tables
    cut, lengths = np.asarray(tables.seams.cut), np.asarray(tables.motions.lengths)
    np.testing.assert_array_equal(info["crosses"], info["frame"] <= cut[info["clip"]])
    assert 5 < info["crosses"].sum() < 64
    count = np.asarray(tables.seams.count)[info["clip"]]
    on = np.minimum(cut[info["clip"]] - info["frame"] + 1 + count, 90)
    short = np.minimum(lengths[info["clip"]] - info["frame"], config.termination.episode_length)
    np.testing.assert_array_equal(info["episode_length"], np.where(info["crosses"], on, short))
    assert info["episode_length"].max() == 90
    # The last row of every window exists, and the next one that the critic sees is a row of the same clip.
    last = state.info | {"progress": state.info["episode_length"] - 1}
    clip, frame, _ = seams.imitated(tables.seams, last, last["progress"])
    assert (np.asarray(frame) < lengths[np.asarray(clip)]).all()
    state = jax.jit(env.step)(state, jnp.tile(env.initial_action, (64, 1)))
    assert np.isfinite(np.asarray(state.reward)).all()
    assert np.isfinite(np.asarray(state.info["privileged"])).all()
