"""The thrown box: its law and its body."""

import mujoco
import numpy as np
import pytest

from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.viewing import projectile
from mjx_skillmimic.viewing.stage import Stage

ROOT, HIP = np.array([1.0, 2.0, 0.9]), np.array([1.1, 2.0, 0.85])


def test_the_automatic_law_has_the_published_ranges():
    rng = np.random.default_rng(0)
    throws = [projectile.automatic_throw(rng, ROOT, HIP, np.zeros(3)) for _ in range(400)]
    pos, vel = (np.array(x) for x in zip(*throws, strict=True))
    flat = (pos - ROOT)[:, :2]
    distance, speed = np.linalg.norm(flat, axis=1), np.linalg.norm(vel, axis=1)
    for values, (low, high) in ((distance, (4, 5)), (pos[:, 2], (0.25, 2.0)), (speed, (30, 40))):
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    assert np.histogram(np.arctan2(flat[:, 1], flat[:, 0]), 8, (-np.pi, np.pi))[0].min() > 25
    miss = np.linalg.norm(np.cross(HIP - pos, vel / speed[:, None]), axis=1)
    assert np.mean(miss**2) == pytest.approx(2 * 0.1**2, rel=0.25)  # two directions across the flight


def test_the_target_s_horizontal_velocity_is_added():
    moved, still = (
        projectile.automatic_throw(np.random.default_rng(1), ROOT, HIP, np.array(v))
        for v in ([2.0, -1.0, 5.0], [0.0, 0.0, 0.0])
    )
    np.testing.assert_allclose(moved.lin_vel - still.lin_vel, [2.0, -1.0, 0.0], atol=1e-9)
    np.testing.assert_array_equal(moved.pos, still.pos)


def test_an_aimed_throw_has_25_metres_a_second():
    throw = projectile.aimed_throw([1.0, 2.0, 3.0], [0.0, 3.0, -4.0])
    np.testing.assert_allclose(throw.pos, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(throw.lin_vel, [0.0, 15.0, -20.0])
    for origin, direction in (([0.0, 0.0], [0.0, 0.0, 1.0]), ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0])):
        with pytest.raises(ValueError, match=r"an origin \(3,\) and a direction \(3,\)"):
            projectile.aimed_throw(origin, direction)


@pytest.mark.parametrize("self_collision", [True, False])
def test_the_box_is_the_published_one_and_touches_everything(self_collision):
    scene = build_scene(self_collision=self_collision)
    model = Stage(scene).model
    box = model.body(projectile.PROJECTILE)
    assert box.id == model.nbody - 1
    assert box.mass[0] == pytest.approx(200.0 * 0.3**3)
    np.testing.assert_allclose(model.body_inertia[box.id], box.mass[0] * 0.3**2 / 6.0)
    assert (model.nq, model.nv) == (scene.model.nq + 7, scene.model.nv + 6)
    data, half = mujoco.MjData(model), 0.15
    geom = int(model.body_geomadr[box.id])
    mujoco.mj_forward(model, data)
    # parked, it touches nothing; put upon ball, head and floor it touches these
    assert not any(geom in pair for pair in data.contact.geom)
    for other in ("object", "Head", "floor"):
        target = model.geom(other).id
        centre = data.geom_xpos[target] + [0.0, 0.0, 0.0 if other != "floor" else half - 0.01]
        data.qpos[-7:-4] = centre + ([5.0, 5.0, 0.0] if other == "floor" else [0.0, 0.0, 0.1])
        mujoco.mj_forward(model, data)
        assert any({geom, target} == set(pair) for pair in data.contact.geom.tolist()), other
