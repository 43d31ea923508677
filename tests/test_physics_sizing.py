"""Room for contacts: counted as Warp counts, sized by a law that holds, reported when it runs out."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjx_skillmimic.evaluation import contact_needs
from mjx_skillmimic.model.scene import Scene, build_scene
from mjx_skillmimic.physics import contract, needs, sizing, variants
from mjx_skillmimic.physics.advice import advice
from mjx_skillmimic.physics.needs import QUANTITIES, Need
from mjx_skillmimic.physics.registry import make_physics
from mjx_skillmimic.physics.sizing import Capacity, capacity, shared

WARP = pytest.mark.skipif(importlib.util.find_spec("warp") is None, reason="Warp is not installed")
WORLDS = 24


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene()


@pytest.fixture(scope="module")
def states(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contacts of every kind; in the first two worlds feet lie in each other, in the third deep in the floor."""
    qpos, qvel, target = contract.synthetic_states(scene, WORLDS, seed=3)
    side = int(scene.model.joint("L_Hip").qposadr[0])
    mujoco.mju_axisAngle2Quat(qpos[0, side : side + 4], [0.0, 0.0, 1.0], -0.2)
    mujoco.mju_axisAngle2Quat(qpos[1, side : side + 4], [0.0, 0.0, 1.0], 0.2)
    qpos[2, 2] -= 0.12
    return qpos, qvel, target


def need(**values: float) -> Need:
    return Need(**dict.fromkeys((field.name for field in dataclasses.fields(Need)), 0.0) | values)


def test_candidate_pairs_lie_between_touching_pairs_and_overlapping_spheres(scene, states):
    """Bounds by a loop over all pairs of geoms that asks MuJoCo for distances."""
    model, data = scene.model, mujoco.MjData(scene.model)
    counts = needs.count(scene, states[0][:6])
    allowed = {tuple(pair) for pair in needs.possible_pairs(model)}
    for world in range(6):
        data.qpos[:] = states[0][world]
        mujoco.mj_forward(model, data)
        touching = {tuple(sorted(pair)) for pair in data.contact.geom}
        assert touching <= allowed
        assert len(touching) <= counts.pairs[world]
        near = 0
        for a, b in itertools.combinations(range(model.ngeom), 2):
            apart = np.linalg.norm(data.geom_xpos[a] - data.geom_xpos[b])
            flat = 0.0 in (model.geom_rbound[a], model.geom_rbound[b])
            near += (a, b) in allowed and (flat or apart <= model.geom_rbound[a] + model.geom_rbound[b])
        assert counts.pairs[world] <= near
        assert counts.rows[world] == 4 * counts.contacts[world] >= 4 * data.ncon


def test_states_that_are_not_finite_need_nothing(scene, states):
    broken = states[0][:3].copy()
    broken[1, 4] = np.nan
    counts = needs.count(scene, broken)
    assert [getattr(counts, name)[1] for name in QUANTITIES] == [0] * len(QUANTITIES)
    whole = needs.count(scene, states[0][:3])
    assert counts.pairs[2] == whole.pairs[2] > 0


def warp_counts(scene: Scene, qpos: np.ndarray) -> dict[str, Any]:
    """What MuJoCo Warp itself counts."""
    from mujoco.mjx.third_party import mujoco_warp

    model, worlds = variants.without_actuators(scene), len(qpos)
    # As the engine: box against box by the primitive test.
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_NATIVECCD)
    put = mujoco_warp.put_model(model)
    data = mujoco_warp.make_data(model, nworld=worlds, naconmax=256 * worlds, naccdmax=8 * worlds, njmax=600)
    data.qpos.assign(qpos.astype(np.float32))
    for stage in (mujoco_warp.kinematics, mujoco_warp.com_pos, mujoco_warp.collision, mujoco_warp.make_constraint):
        stage(put, data)
    world = data.contact.worldid.numpy()[: int(data.nacon.numpy()[0])]
    return {
        "contacts": np.bincount(world, minlength=worlds),
        "pairs": int(data.ncollision.numpy()[0]),
        "rows": data.nefc.numpy(),
    }


@WARP
def test_counts_are_those_of_warp(scene, states):
    """World by world, feet in the floor and in each other included."""
    counts, theirs = needs.count(scene, states[0]), warp_counts(scene, states[0])
    assert theirs["pairs"] == counts.pairs.sum()
    assert (counts.boxes > 0).any()
    np.testing.assert_array_equal(counts.contacts, theirs["contacts"])
    np.testing.assert_array_equal(counts.rows, theirs["rows"])


def test_what_worlds_share_is_enough_and_far_less_than_the_worst_world_each():
    """Sums of independent draws never exceed it; one draw is the worst world at most."""
    rng = np.random.default_rng(0)
    values, odds = np.array([5.0, 20.0, 60.0]), np.array([0.8, 0.18, 0.02])
    mean = float(values @ odds)
    drawn = need(max=60.0, peak=mean, spread=float(np.sqrt((values - mean) ** 2 @ odds)))
    for worlds in (1, 3, 16, 256, 4096):
        sums = rng.choice(values, (1000, worlds), p=odds).sum(axis=1)
        assert sums.max() <= shared(drawn, worlds) <= 60.0 * worlds
    assert shared(drawn, 1) == 60.0
    assert shared(drawn, 4096) < 1.15 * mean * 4096
    for a, b in ((1, 1), (3, 40), (256, 4096)):
        assert shared(drawn, a + b) <= shared(drawn, a) + shared(drawn, b) + 1e-9


def test_summary_of_samples_that_are_alike_at_each_moment():
    samples = np.array([[1, 3], [10, 10], [0, 6]])
    found = needs.summarise(samples)
    assert (found.mean, found.max, found.peak, found.spread) == (5.0, 10.0, 10.0, 3.0)


@pytest.mark.parametrize("options", [{}, {"self_collision": False}, {"feet": "corners"}, {"exclude_thumbs": False}])
def test_room_holds_what_was_measured_and_grows(options):
    model = build_scene(**options)
    measured = sizing.measured_needs(model)
    before: Capacity | None = None
    for worlds in (1, 2, 7, 64, 1024, 4096, 16384):
        exact, room = capacity(model, worlds, margin=1.0), capacity(model, worlds)
        assert sizing.shortfalls(exact, measured, worlds) == []
        assert all(small <= large for small, large in zip(*map(dataclasses.astuple, (exact, room)), strict=True))
        assert room.naccdmax <= room.naconmax
        assert room.contacts_per_world % 8 == 0
        if before is not None:
            assert before.naconmax <= room.naconmax
            assert (before.njmax, before.contacts_per_world) == (room.njmax, room.contacts_per_world)
        before = room
    few, many = capacity(model, 4).naconmax / 4, capacity(model, 4096).naconmax / 4096
    assert many < few


def test_less_room_is_found_lacking_by_name(scene):
    measured, room = sizing.measured_needs(scene), capacity(scene, 256, margin=1.0)
    for name in ("naconmax", "njmax", "contacts_per_world"):
        half = dataclasses.replace(room, **{name: getattr(room, name) // 2})
        (lack,) = sizing.shortfalls(half, measured, 256)
        assert lack.startswith(f"{name} is {getattr(half, name)}, needed are ")


def test_without_self_collision_less_is_needed(scene):
    alone = build_scene(self_collision=False)
    one, other = (dataclasses.astuple(capacity(model, 1024)) for model in (alone, scene))
    assert all(less < more for less, more in zip(one, other, strict=True))


def test_a_model_takes_the_row_with_as_many_pairs_or_the_largest_scaled_up(scene, tmp_path: Path):
    table, pairs = tmp_path / "needs.json", len(needs.possible_pairs(scene.model))
    for size, peak in ((pairs - 10, 1.0), (pairs + 1, 2.0), (pairs + 50, 3.0)):
        row = sizing.table_row(scene, dict.fromkeys(QUANTITIES, need(peak=peak)), {"command": "test"})
        sizing.write_row(row | {"possible_pairs": size, "scene": row["scene"] | {"hands": str(size)}}, table)
    assert sizing.measured_needs(scene, table)["pairs"].peak == 2.0
    rows = json.loads(table.read_text())
    table.write_text(json.dumps([row for row in rows if row["possible_pairs"] < pairs]))
    sizing._rows.cache_clear()
    assert sizing.measured_needs(scene, table)["pairs"].peak == pytest.approx(pairs / (pairs - 10))


@pytest.mark.parametrize(("worlds", "margin", "told"), [(0, 1.0, "worlds=0"), (8, 0.5, "margin=0.5")])
def test_room_that_cannot_be_is_refused(scene, worlds, margin, told):
    with pytest.raises(ValueError, match=told):
        capacity(scene, worlds, margin)


@WARP
def test_warp_reports_what_did_not_fit(scene, states):
    """Worlds of tiny buffers lose contacts and say so; those of `capacity` do not. A reset forgets."""
    qpos, qvel, target = (x[:8] for x in states)
    room = capacity(scene, 8)
    shared_by_all = dataclasses.replace(room, naconmax=8, naccdmax=8)
    of_each = dataclasses.replace(room, njmax=8, contacts_per_world=8)
    worst = needs.count(scene, qpos).rows > 8
    for buffers, expected in ((room, np.zeros(8)), (shared_by_all, np.ones(8)), (of_each, worst)):
        physics = make_physics("mjx-warp", scene, buffers=buffers)
        state = jax.jit(physics.step)(physics.init(qpos, qvel), jnp.asarray(target, jnp.float32))
        assert (np.asarray(state.overflow) >= expected).all()
        assert int(state.overflow.max()) == expected.max()
    assert f"and {of_each.njmax} constraint rows" in advice(physics, qpos, worlds=8)
    fresh = physics.reset(state, jnp.ones(8, bool), jnp.asarray(qpos), jnp.asarray(qvel))
    assert int(fresh.overflow.max()) == 0


def test_noise_moves_poses_and_keeps_quaternions(scene, states):
    noise = contact_needs.Noise()
    qpos, qvel = np.repeat(states[0][:1], 4000, axis=0), np.zeros((4000, scene.model.nv))
    moved = scene.unpack(*contact_needs.perturb(scene, qpos, qvel, noise, np.random.default_rng(0)))
    before = scene.unpack(qpos, qvel)
    np.testing.assert_allclose(np.linalg.norm(moved.joint_quat, axis=-1), 1.0, atol=1e-6)
    np.testing.assert_allclose((moved.object_pos - before.object_pos).std(axis=0), noise.ball, rtol=0.1)
    np.testing.assert_allclose(moved.joint_vel.std(axis=0), noise.speed, rtol=0.1)
    # the angle between two poses, of three independent components
    turn = 2 * np.arccos(np.clip(np.abs((moved.joint_quat * before.joint_quat).sum(axis=-1)), 0, 1))
    np.testing.assert_allclose(np.sqrt((turn**2).mean(axis=0)), noise.joints * np.sqrt(3), rtol=0.1)
    still = contact_needs.perturb(scene, qpos[:2], qvel[:2], noise.scaled(0.0), np.random.default_rng(0))
    np.testing.assert_allclose(still[0], qpos[:2], atol=1e-12)
