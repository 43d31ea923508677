"""The basket in the scene: what touches it, how it bounces, and what falls through."""

from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco import mjx

from mjx_skillmimic.interop.isaacgym.export import export_mjcf
from mjx_skillmimic.model import basket, build
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.physics import needs, sizing
from mjx_skillmimic.physics.contract import Stepper
from mjx_skillmimic.physics.physx.settings import PhysxSettings
from mjx_skillmimic.physics.physx.usd import write_usd
from mjx_skillmimic.physics.registry import make_physics
from tests.engines import WARP

HEIGHT = 2.0
FACE = basket.face()
# Where a ball is and how it moves: on the rim, on rim and board, into the board, through, under the ring, on the
# bracket.
PLACES = np.array(
    [
        (0.2375, 0.0, 2.125, 0.0, 0.0, -2.0),
        (-0.15, 0.05, 2.3, 0.0, 0.0, -1.0),
        (FACE + 0.125, 0.3, 2.4, -3.0, 0.0, 0.0),
        (0.0, 0.05, 2.05, 0.5, 0.0, -3.0),
        (0.0, -0.28, 1.93, 0.0, 1.5, 1.0),
        (FACE + 0.11, 0.0, 2.13, 0.0, 0.0, -0.2),
    ]
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene(basket=True, feet="corners")


@pytest.fixture(scope="module")
def ball_alone() -> mujoco.MjModel:
    """Floor, ball and basket without a person."""
    spec, options = mujoco.MjSpec(), SceneOptions(basket=True)
    for add in (build.set_physics, build.add_floor, build.add_ball, build.add_basket):
        add(spec, options)
    return spec.compile()


def fly(model: mujoco.MjModel, position: np.ndarray, velocity: np.ndarray, steps: int = 240) -> np.ndarray:
    """Positions (steps + 1, 3) of the ball at the end of control steps."""
    data = mujoco.MjData(model)
    data.qpos[:3], data.qvel[:3] = position, velocity
    path = [data.qpos[:3].copy()]
    for _ in range(steps):
        mujoco.mj_step(model, data, 2)
        path.append(data.qpos[:3].copy())
    return np.array(path)


def scores(path: np.ndarray) -> int:
    return int(basket.falls_through(path[:-1], path[1:], HEIGHT).sum())


def binary(model: mujoco.MjModel) -> bytes:
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def test_scenes_without_it_are_what_they_were():
    """The model is made of the same steps without the basket's, and says nothing of its options."""
    options = SceneOptions()
    spec = build.load_humanoid()
    build.set_physics(spec, options)
    build.set_humanoid_geoms(spec, options)
    build.add_floor(spec, options)
    build.add_ball(spec, options)
    build.fold_pd(spec, options)
    plain = binary(spec.compile())
    assert binary(build_scene().model) == plain
    assert binary(build_scene(basket_height=3.05).model) == plain
    assert binary(build_scene(basket=True).model) != plain


def test_only_the_ball_touches_it(scene: Scene):
    ours = basket.geoms(scene.model)
    assert len(ours) == 18
    pairs = needs.possible_pairs(scene.model)
    of_basket = pairs[np.isin(pairs, ours).any(axis=1)]
    ball = scene.model.geom(build.OBJECT).id
    assert sorted(set(of_basket.reshape(-1))) == sorted([*ours, ball])
    assert len(of_basket) == len(ours)
    np.testing.assert_array_equal(np.setdiff1d(of_basket, [ball]), ours)
    without = len(needs.possible_pairs(build_scene(feet="corners").model))
    assert len(pairs) == without + len(ours)


def test_it_has_the_size_of_a_real_one(ball_alone: mujoco.MjModel):
    """The ring's inner diameter is 0.457 m to 3 mm all around; the board ends 0.15 m below the rim's plane."""
    data = mujoco.MjData(ball_alone)
    data.qpos[2] = 9.0
    mujoco.mj_forward(ball_alone, data)
    for angle in np.linspace(0, 2 * np.pi, 50):
        way = np.array([np.cos(angle), np.sin(angle), 0.0])
        geom = np.zeros(1, np.int32)
        middle = np.array([0.0, 0.0, HEIGHT])
        found = mujoco.mj_ray(ball_alone, data, middle, way, None, 1, -1, geom)
        assert found == pytest.approx(0.457 / 2, abs=0.003)
        assert "rim" in ball_alone.geom(int(geom[0])).name
    board = ball_alone.geom("basket_board")
    assert board.pos[2] - board.size[2] == pytest.approx(HEIGHT - 0.15)
    assert (board.size[1:] * 2).tolist() == pytest.approx([1.80, 1.05])
    assert board.pos[0] + board.size[0] == pytest.approx(-(0.2285 + 0.151))


def test_a_ball_dropped_through_the_ring_scores_once(ball_alone: mujoco.MjModel):
    path = fly(ball_alone, (0.03, -0.04, 3.2), (0.0, 0.0, 0.0))
    assert scores(path) == 1
    np.testing.assert_allclose(path[-1, :2], (0.03, -0.04), atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 0.7, -1.2])
def test_a_ball_on_the_outside_of_the_rim_does_not(ball_alone: mujoco.MjModel, angle: float):
    """Laid on the rim's outer half, it rolls off outwards."""
    way = np.array([np.cos(angle), np.sin(angle)])
    path = fly(ball_alone, (*(0.30 * way), 2.13), (*(0.2 * way), 0.0))
    assert scores(path) == 0
    assert path[:, 2].min() < 0.2
    assert np.linalg.norm(path[-1, :2]) > 0.4


def test_a_shot_against_the_board_bounces_back(ball_alone: mujoco.MjModel):
    """e = 0.8, as on the floor; and off the board's middle it may go in."""
    path = fly(ball_alone, (1.0, 0.7, 2.5), (-4.0, 0.0, 1.5), 60)
    speed = np.diff(path[:, 0]) * 60
    assert speed.max() == pytest.approx(0.805 * 4.0, rel=0.05)
    assert path[:, 0].min() > FACE
    assert scores(path) == 0
    banked = fly(ball_alone, (0.8, 0.0, 2.3), (-2.0, 0.0, 3.0), 90)
    assert banked[:, 0].min() < FACE + 0.12
    assert scores(banked) == 1


def test_scoring_is_passing_the_ring_by_what_the_ball_does(ball_alone: mujoco.MjModel):
    """Balls from all sides at all speeds: whoever scores is under the ring then, whoever does not has gone around."""
    rng, told, most = np.random.default_rng(1), [], 0
    pairs, reached = needs.possible_pairs(ball_alone), 0
    data = mujoco.MjData(ball_alone)
    for _ in range(60):
        mujoco.mj_resetData(ball_alone, data)
        velocity = np.array([*rng.uniform(-2, 2, 2), -rng.uniform(1, 5)])
        angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45)
        data.qpos[:3] = np.array([off * np.cos(angle), off * np.sin(angle), HEIGHT]) - 0.1 * velocity
        if data.qpos[0] < FACE + 0.12:
            continue
        data.qvel[:3] = velocity
        path, pos, mat = [data.qpos[:3].copy()], [], []
        while path[-1][2] > HEIGHT - 0.06 and len(path) < 400:
            mujoco.mj_step(ball_alone, data, 2)
            path.append(data.qpos[:3].copy())
            pos.append(data.geom_xpos.copy())
            mat.append(data.geom_xmat.reshape(-1, 3, 3).copy())
            most = max(most, data.ncon)
        reached = max(reached, int(needs._near(ball_alone, pairs, np.array(pos), np.array(mat)).sum(axis=1).max()))
        # 6 cm under its plane the ball is still as wide as the ring's hole leaves it, or beside the ring
        distance = np.linalg.norm(path[-1][:2])
        assert not 0.18 < distance < 0.26
        told.append((scores(np.array(path)) == 1, distance < 0.2))
    np.testing.assert_array_equal(*np.array(told).T)
    assert 10 < np.sum(told) / 2 < len(told) - 10
    # what contact buffers are sized for
    assert 2 <= most <= basket.MOST_CONTACTS
    assert 2 <= reached <= basket.MOST_PAIRS


def test_buffers_have_room_for_it(scene: Scene):
    plain, ours = (sizing.capacity(s, 64) for s in (build_scene(feet="corners"), scene))
    assert ours.naconmax >= plain.naconmax + 64 * basket.MOST_PAIRS
    assert ours.contacts_per_world >= plain.contacts_per_world + basket.MOST_CONTACTS
    assert ours.njmax >= plain.njmax + 4 * basket.MOST_CONTACTS


def test_engines_that_have_no_basket_say_so(scene: Scene, tmp_path: Path):
    with pytest.raises(ValueError, match="the engine physx builds no basket"):
        write_usd(scene, PhysxSettings())
    with pytest.raises(ValueError, match="basket=True has no counterpart in Isaac Gym"):
        export_mjcf(build_scene(basket=True), tmp_path)


def states(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The person in the air 4 m away, the ball in `PLACES`."""
    qpos, qvel = np.tile(scene.model.qpos0, (len(PLACES), 1)), np.zeros((len(PLACES), scene.model.nv))
    qpos[:, :3] = 4.0, 0.0, 2.0
    qpos[:, -7:-4], qvel[:, -6:-3] = PLACES[:, :3], PLACES[:, 3:]
    return qpos, qvel


def played(scene: Scene, engine: str, **options: str) -> list[tuple[np.ndarray, ...]]:
    """Four control steps in an engine: the ball's position and velocity, the force on it, edges, overflow."""
    qpos, qvel = states(scene)
    stepper = Stepper(make_physics(engine, scene, **options), len(PLACES))
    state, seen = stepper.physics.init(jnp.asarray(qpos, jnp.float32), jnp.asarray(qvel, jnp.float32)), []
    step = jax.jit(stepper.physics.step)
    for _ in range(4):
        state = step(state, jnp.zeros((len(PLACES), 156)))
        ball = state.qpos[:, -7:-4], state.qvel[:, -6:], state.object_force
        seen.append(tuple(np.asarray(x) for x in (*ball, state.edges, state.overflow)))
    return seen


def test_the_rims_force_is_the_balls_and_no_touch_of_hands(scene: Scene):
    force = np.stack([step[2] for step in played(scene, "mujoco")])
    edges = np.stack([step[3] for step in played(scene, "mujoco")])
    assert (np.linalg.norm(force, axis=-1).max(axis=0)[[0, 2, 4, 5]] > 50.0).all()
    assert not edges.any()
    assert np.abs(force[:, 3]).max() < 0.1


@pytest.mark.skipif(not WARP, reason="Warp is not installed")
def test_the_fused_kernels_agree_with_mujoco(scene: Scene):
    for ours, other in zip(played(scene, "mujoco"), played(scene, "mjx-warp"), strict=True):
        np.testing.assert_allclose(other[0], ours[0], atol=1e-4)
        np.testing.assert_allclose(other[1], ours[1], atol=5e-3)
        np.testing.assert_allclose(other[2], ours[2], atol=0.5)
        np.testing.assert_array_equal(other[3], ours[3])
        assert not other[4].any()


def test_mjx_agrees_with_mujoco(ball_alone: mujoco.MjModel):
    """The ball alone: compiling MJX-JAX with a person takes minutes."""
    model = mjx.put_model(ball_alone, impl="jax")
    blank = mjx.make_data(ball_alone, impl="jax")
    qpos, qvel = np.zeros((len(PLACES), 7)), np.zeros((len(PLACES), 6))
    qpos[:, :3], qpos[:, 3], qvel[:, :3] = PLACES[:, :3], 1.0, PLACES[:, 3:]
    data = jax.vmap(lambda q, v: blank.replace(qpos=q, qvel=v))(jnp.asarray(qpos), jnp.asarray(qvel))
    step = jax.jit(jax.vmap(mjx.step, (None, 0)))
    for _ in range(8):
        data = step(model, data)
    for i, (q, v) in enumerate(zip(qpos, qvel, strict=True)):
        ours = mujoco.MjData(ball_alone)
        ours.qpos[:], ours.qvel[:] = q, v
        mujoco.mj_step(ball_alone, ours, 8)
        np.testing.assert_allclose(data.qpos[i], ours.qpos, atol=2e-4)
        np.testing.assert_allclose(data.qvel[i], ours.qvel, atol=1e-2)
