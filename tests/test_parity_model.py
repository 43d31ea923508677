"""The compiled models side by side: equal ones, one with PhysX's conventions, one with a mistake."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from mjx_skillmimic.evaluation.parity import model, model_text
from mjx_skillmimic.evaluation.parity.facts import Facts, facts_of
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics.registry import make_physics

DT = 1.0 / 120.0


@functools.cache
def facts(engine: str) -> Facts:
    return facts_of(make_physics(engine, build_scene(feet="corners")))


def by_name(table: list[dict]) -> dict[str, dict]:
    return {row["quantity"]: row for row in table}


def test_mujoco_says_what_was_published():
    found = facts("mujoco")
    kp, kd, armature = found.unfolded(DT)
    assert found.mass[:53].sum() == pytest.approx(66.590, abs=5e-4)
    assert found.mass[53] == pytest.approx(7.238, abs=5e-4)
    assert found.inertia[53] == pytest.approx(np.eye(3) * 0.4 * found.mass[53] * 0.12**2, rel=1e-6)
    torso = 3 * (BODIES.index("Torso") - 1)
    assert (kp[torso], kd[torso]) == pytest.approx((1000.0, 100.0))
    np.testing.assert_allclose(armature, 0.02, atol=1e-9)
    # every pair but parents with their children and the two excluded ones of the thumbs, floor and ball included
    assert len(found.pairs) == 53 * 52 // 2 - 52 - 2 + 53 + 53 + 1


@pytest.mark.parametrize("engine", ["mjx-jax", "mjx-warp"])
def test_the_mjx_engines_have_the_same_model(engine):
    if engine == "mjx-warp":
        pytest.importorskip("warp")
    table = model.rows([facts("mujoco"), facts(engine)], DT)
    assert [row["quantity"] for row in table if row["difference"][engine]] == []


def test_physx_has_the_same_model_but_for_what_is_known():
    pytest.importorskip("ovphysx")
    with_boxes = build_scene()
    physics = make_physics("physx", with_boxes)
    pair = [facts_of(make_physics("mujoco", with_boxes)), facts_of(physics)]
    physics.close()
    table = model.rows(pair, DT)
    assert model.unexplained(table) == []
    same = ("mass", "centre of mass", "inertia", "joint place in parent", "kp meant", "kd meant", "armature meant",
            "shapes", "pairs that may touch", "friction, ball on body", "gravity m/s²", "physics step s")  # fmt: skip
    assert [by_name(table)[name]["difference"]["physx"] for name in same] == [None] * len(same)
    assert by_name(table)["restitution, ball on floor"]["values"]["physx"] == "0.805"


def with_physx_conventions() -> Facts:
    kp, kd, armature = facts("mujoco").unfolded(DT)
    return dataclasses.replace(
        facts("mujoco"),
        engine="physx",
        folded=False,
        stiffness=kp,
        damping=kd,
        armature=armature,
        settings=facts("mujoco").settings | {"solver": "TGS", "bounce threshold m/s": 0.2},
    )


def test_known_differences_have_their_reason():
    table = model.rows([facts("mujoco"), with_physx_conventions()], DT)
    rows = by_name(table)
    assert model.unexplained(table) == []
    assert "dt·kp" in rows["damping"]["reason"]["physx"]
    assert rows["kd meant"]["difference"] == {"physx": None}
    assert rows["bounce threshold m/s"]["reason"]["physx"]
    shown = model_text.tables({"engines": ["mujoco", "physx"], "rows": table})
    assert [t.title for t in shown] == ["The model as the engines compiled it", "Differences"]


def test_a_mistake_is_named_and_unexplained():
    other = with_physx_conventions()
    mass, kp = other.mass.copy(), other.stiffness.copy()
    mass[BODIES.index("Head")] *= 1.05
    kp[3 * (BODIES.index("L_Knee") - 1) + 1] = 400.0
    pairs = other.pairs - {frozenset(("L_Toe", "floor"))}
    table = model.rows([facts("mujoco"), dataclasses.replace(other, mass=mass, stiffness=kp, pairs=pairs)], DT)
    rows = by_name(table)
    assert model.unexplained(table) == ["mass", "kp meant", "pairs that may touch"]
    assert "(5 %) at Head; 1 of 54 differ" in rows["mass"]["difference"]["physx"]
    assert "100 N·m/rad (20 %) at L_Knee y; 1 of 156 differ" in rows["kp meant"]["difference"]["physx"]
    assert "L_Toe–floor" in rows["pairs that may touch"]["difference"]["physx"]
    differences = model_text.tables({"engines": ["mujoco", "physx"], "rows": table})[1]
    assert [row[0] for row in differences.rows if row[3] == "UNEXPLAINED"] == model.unexplained(table)
