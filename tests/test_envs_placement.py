"""Balls placed elsewhere: what moves, how fast, and that the reference meets the ball where it lies."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjx_skillmimic import envs, rotations
from mjx_skillmimic.envs import placement
from mjx_skillmimic.envs.starts import StartOptions
from mjx_skillmimic.model.options import PRESETS as SCENES
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import ARRAYS
from mjx_skillmimic.motion.moved import Move
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.state import body_state
from tests.walks import pick_up_after_a_walk

OPTIONS = StartOptions(placement_probability=1.0)


@pytest.fixture(scope="module")
def motions():
    return table.build_table([pick_up_after_a_walk(), *library.load_clips("throw_catch")], key_bodies="stored")


@pytest.fixture(scope="module")
def approach(motions):
    return placement.build_approach(motions)


def _drawn(motions, approach, options=OPTIONS, count=1000, seed=0):
    rng = np.random.default_rng(seed)
    row = jnp.asarray(rng.integers(0, motions.num_frames, count))
    keys = jax.random.split(jax.random.key(seed), count)
    return row, placement.draw(motions, approach, options, keys, row, jnp.ones(count, bool))


def _rows(motions, row):
    return jax.tree.map(lambda x: x[row], motions.reference)


def _turned(xy, angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * xy[0] - s * xy[1], s * xy[0] + c * xy[1]])


def test_frames_before_touch_are_those_of_a_slow_search(motions, approach):
    before_touch = np.asarray(approach.left)
    contact = np.asarray(motions.reference.contact) > 0.5
    height = np.asarray(motions.reference.object_pos)[:, 2]
    for first, length in zip(np.asarray(motions.starts), np.asarray(motions.lengths), strict=True):
        for row in range(first, first + length):
            ahead = np.flatnonzero(contact[row : first + length])
            expected = int(ahead[0]) if len(ahead) and (height[row : row + ahead[0]] < placement.ON_FLOOR).all() else 0
            assert before_touch[row] == expected
    of_pick_up = before_touch[: int(motions.lengths[0])]
    assert (of_pick_up > 0).sum() > 20
    assert (before_touch[int(motions.lengths[0]) :] == 0).all()  # a ball in the hands or in the air is never moved


def test_the_way_to_the_ball_is_that_of_a_slow_walk(motions, approach):
    """Step by step: the clip's own steps, each in the direction faced by then, and the shift as far as it walked."""
    row, drawn = _drawn(motions, approach, dataclasses.replace(OPTIONS, placement_turn=3.0, placement_turn_rate=2.0))
    used = np.flatnonzero(np.asarray(drawn.turn) != 0)
    assert len(used) > 40
    roots = np.asarray(motions.reference.root_pos, np.float64)
    for i in used[:12]:
        turn, shift = np.asarray(drawn.turn[i], np.float64), np.asarray(drawn.shift[i], np.float64)
        first, frames, way = int(row[i]), int(drawn.frames[i]), np.zeros(2)
        walked = [0.0]
        for k in range(frames):
            walked.append(walked[-1] + np.linalg.norm(roots[first + k + 1, :2] - roots[first + k, :2]))
        one = jax.tree.map(lambda x, i=i: x[i : i + 1], drawn)
        steps = frames + 3
        now_rows = first + jnp.minimum(jnp.arange(steps), frames)
        repeated = jax.tree.map(lambda x, count=steps: jnp.repeat(x, count, axis=0), one)
        shown = jax.device_get(placement.placed(_rows(motions, now_rows), approach, repeated, jnp.arange(steps)))
        for step in range(steps):
            now = min(step, frames)
            features = jax.tree.map(lambda x, at=first + now: np.asarray(x)[at : at + 1], motions.reference)
            found = jax.tree.map(lambda x, at=step: x[at : at + 1], shown)
            angle = turn * walked[now] / walked[-1]
            expected = roots[first, :2] + way + walked[now] / walked[-1] * shift
            np.testing.assert_allclose(found.root_pos[0, :2], expected, atol=2e-5)
            assert float(found.root_pos[0, 2]) == pytest.approx(roots[first + now, 2], abs=1e-6)
            for k, point in enumerate(np.asarray(features.key_body_pos[0], np.float64)[::6]):
                there = expected + _turned(point[:2] - roots[first + now, :2], angle)
                np.testing.assert_allclose(found.key_body_pos[0, 6 * k, :2], there, atol=2e-5)
            heading = rotations.heading(rotations.exp(np.asarray(found.root_rotvec)))
            of_clip = rotations.heading(rotations.exp(np.asarray(features.root_rotvec)))
            assert abs(np.angle(np.exp(1j * (heading[0] - of_clip[0] - angle)))) < 1e-4
            if now < frames:
                half = turn * 0.5 * (walked[now] + walked[now + 1]) / walked[-1]
                way = way + _turned(roots[first + now + 1, :2] - roots[first + now, :2], half)


def test_the_body_starts_as_in_the_clip_and_arrives_at_the_ball(motions, approach):
    row, drawn = _drawn(motions, approach)
    used = np.flatnonzero((np.asarray(drawn.turn) != 0) | (np.asarray(drawn.shift) != 0).any(axis=1))
    assert len(used) > 40
    start, end = _rows(motions, row), _rows(motions, row + drawn.frames)
    at_start = placement.placed(start, approach, drawn, jnp.zeros(len(row), int))
    at_touch = placement.placed(end, approach, drawn, drawn.frames)
    np.testing.assert_allclose(at_start.root_pos, start.root_pos, atol=2e-6)
    np.testing.assert_allclose(at_start.key_body_pos, start.key_body_pos, atol=2e-6)
    # Arrived, body and ball stand to each other as in the clip; at the start they do not.
    grip = lambda f: np.linalg.norm(np.asarray(f.key_body_pos - f.object_pos[:, None]), axis=-1)  # noqa: E731
    np.testing.assert_allclose(grip(at_touch), grip(end), atol=1e-5)
    assert np.abs(grip(at_start) - grip(start))[used].max() > 0.05
    still = np.setdiff1d(np.arange(len(row)), used)
    for one, other in ((at_start, start), (at_touch, end)):
        for name in ("root_pos", "root_rotvec", "object_pos", "key_body_pos"):
            np.testing.assert_array_equal(
                np.asarray(getattr(one, name))[still], np.asarray(getattr(other, name))[still]
            )


def test_limits_of_the_placement(motions, approach):
    options = dataclasses.replace(OPTIONS, placement_turn=0.5, placement_radius=0.3, placement_stretch=0.5)
    row, drawn = _drawn(motions, approach, options, count=2000)
    turn, reach = np.abs(np.asarray(drawn.turn)), np.linalg.norm(np.asarray(drawn.shift), axis=1)
    seconds = np.maximum(np.asarray(approach.left)[np.asarray(row)] - placement.SETTLED, 0) / motions.fps
    assert (turn <= np.minimum(0.5, options.placement_turn_rate * seconds) + 1e-6).all()
    assert (reach <= np.minimum(0.3, options.placement_speed * seconds) + 1e-6).all()
    assert turn.max() > 0.4
    frames = np.asarray(drawn.frames)
    steps = np.linalg.norm(np.diff(np.asarray(motions.reference.root_pos)[:, :2], axis=0), axis=-1)
    way = np.array([steps[r : r + k].sum() for r, k in zip(np.asarray(row), frames, strict=True)])
    assert (way[(turn > 0) | (reach > 0)] > placement.SHORTEST_WAY - 1e-4).all()
    assert (reach <= options.placement_stretch * way + 1e-4).all()
    assert reach.max() > 0.25
    ball = placement.placed(_rows(motions, row), approach, drawn, jnp.zeros(len(row), int)).object_pos
    start = jax.tree.map(lambda x: np.asarray(x)[np.asarray(row)], motions.reference)
    points = np.concatenate([start.root_pos[:, None], start.key_body_pos], axis=1)
    clear = np.linalg.norm((points - np.asarray(ball)[:, None])[..., :2], axis=-1).min(axis=1)
    used = (turn > 0) | (reach > 0)
    assert (clear[used] > placement.CLEAR - 1e-5).all()


def test_padding_stays_zero(motions, approach):
    row, drawn = _drawn(motions, approach)
    assert np.asarray(drawn.turn).any()
    padding = jax.tree.map(lambda x: jnp.zeros_like(x[row]), motions.reference)
    found = placement.placed(padding, approach, drawn, jnp.full(len(row), 30))
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(found))


def test_clips_without_a_ball_to_place_are_refused():
    with pytest.raises(ValueError, match=r"walks at least 0\.2 m to it; in these 1 clips nobody does"):
        placement.build_approach(table.build_table(library.load_clips("pick_up"), key_bodies="stored"))
    never = dataclasses.replace(pick_up_after_a_walk(), contact=np.zeros_like(pick_up_after_a_walk().contact))
    motions = table.build_table([never], key_bodies="stored")
    assert not placement.frames_before_touch(motions).any()
    with pytest.raises(ValueError, match=r"on the floor .* in these 1 clips it is for at most 0"):
        placement.build_approach(motions)
    with pytest.raises(ValueError, match="placement_radius: expected zero or a positive number, got -1"):
        StartOptions(placement_radius=-1)


@pytest.mark.parametrize("preset", ["default", "light"])
def test_only_the_ball_of_a_start_state_is_moved(preset):
    """By rotation matrices on what the scene unpacks, world frame, whatever joints stand before the ball."""
    scene = build_scene(SCENES[preset])
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.normal(size=(6, *shape)).astype(np.float32)  # noqa: E731
    quats = lambda *shape: np.asarray(rotations.exp(normal(*shape, 3)))  # noqa: E731
    packed = scene.pack(
        normal(3), quats(), quats(52), normal(3), normal(3), normal(52, 3), normal(3), quats(), normal(3), normal(3)
    )
    qpos, qvel = (jnp.asarray(x, jnp.float32) for x in packed)
    body = body_state(scene, batch.new_state(qpos, qvel, engine=None))
    whole = Move(jnp.linspace(-2, 2, 6), jnp.asarray(normal(2)))
    drawn = placement.Placement(whole.turn, whole.shift, jnp.ones(6, int), jnp.zeros(6, int), whole)
    qpos2, qvel2, moved = placement.move_ball(drawn, qpos, qvel, body)
    old, new = (jax.tree.map(np.asarray, scene.unpack(*x)) for x in ((qpos, qvel), (qpos2, qvel2)))
    for name in old._fields:
        if not name.startswith("object"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
    for i, angle in enumerate(np.linspace(-2, 2, 6)):
        turn = Rotation.from_euler("z", angle)
        expected = turn.apply(old.object_pos[i]) + np.append(np.asarray(whole.shift[i]), 0.0)
        np.testing.assert_allclose(new.object_pos[i], expected, atol=1e-5)
        for name in ("object_lin_vel", "object_ang_vel"):
            np.testing.assert_allclose(getattr(new, name)[i], turn.apply(getattr(old, name)[i]), atol=1e-5)
        before, after = (Rotation.from_quat(c.object_quat[i], scalar_first=True) for c in (old, new))
        assert (after * (turn * before).inv()).magnitude() < 1e-5
    # The body state that is handed on is that of the new coordinates.
    again = body_state(scene, batch.new_state(qpos2, qvel2, engine=None))
    for one, other in zip(jax.tree.leaves(moved), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_none_where_the_probability_is_zero(motions, approach):
    _, drawn = _drawn(motions, approach, dataclasses.replace(OPTIONS, placement_probability=0.0))
    assert not np.asarray(drawn.turn).any()
    assert not np.asarray(drawn.shift).any()


def test_worlds_start_with_the_ball_of_their_reference():
    config = envs.default_config("BallPlay")
    config.physics.engine = "mujoco"
    config.start.placement_probability = 1.0
    clip = pick_up_after_a_walk()
    touch = int(np.flatnonzero(clip.contact)[0])
    # Every start is simulated when the environment is built, so the clip is kept short.
    short = {name: getattr(clip, name)[touch - 60 : touch + 10] for name in ARRAYS}
    env = envs.load("BallPlay", config, clips=[dataclasses.replace(clip, **short)])
    state = jax.jit(env.reset)(jax.random.split(jax.random.key(3), 160))
    placed = np.asarray(state.info["placement"].turn) != 0
    assert placed.sum() > 5
    bodies = jax.jit(env.body_state)
    body = bodies(state.data)
    reference = jax.jit(env.reference)(state.shared, state.info)
    off = np.asarray(body.object_pos - reference.object_pos)
    assert np.abs(off[placed, :2]).max() < 0.02  # start states free the ball from overlap, heights included
    np.testing.assert_allclose(body.root_pos[placed, :2], reference.root_pos[placed, :2], atol=1e-4)
    np.testing.assert_allclose(body.object_pos[placed], state.info["features"].object_pos[placed], atol=1e-6)
    state = jax.jit(env.step)(state, jnp.tile(env.initial_action, (160, 1)))
    ball = np.asarray(bodies(state.data).object_lin_vel)
    alive = placed & (np.asarray(state.done) == 0)
    assert np.linalg.norm(ball[alive], axis=1).max() < 0.5  # nothing kicks it
