"""Thresholds and members of the contact flags and edges (skillmimic.md §6.3, SkillMimic §3.3)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.model import humanoid

WATCHED = {0, 1, 2, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 34, 35, 36}


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_body_flag_includes_its_threshold_on_exactly_the_17_bodies(axis, sign):
    force = np.zeros((53, 53, 3))
    force[range(53), range(53), axis] = sign * 0.1
    assert set(np.flatnonzero(contact_graph.body_contact(force))) == WATCHED
    assert not contact_graph.body_contact(0.999 * force).any()
    assert contact_graph.body_contact(0.999 * force, threshold=0.09).sum() == 17


def test_ball_flag_excludes_its_threshold_and_ignores_the_vertical():
    force = np.array([[0.1, 0, 0], [0.1001, 0, 0], [0, -0.1001, 0], [0, 0, 1e4], [-0.05, 0.05, 0]])
    assert contact_graph.object_contact(force).tolist() == [False, True, True, False, False]
    assert contact_graph.object_contact(force, threshold=0.04).tolist() == [True, True, True, False, True]


def test_flags_work_on_jax_arrays_and_any_leading_axes():
    force = np.random.default_rng(0).normal(size=(2, 3, 53, 3)) * 0.05
    found = contact_graph.body_contact(jnp.asarray(force))
    np.testing.assert_array_equal(found, contact_graph.body_contact(force))
    assert found.shape == (2, 3)


def test_edges_are_named_as_the_physics_orders_them():
    from mjx_skillmimic.physics import base

    assert contact_graph.EDGES == base.EDGES
    label = np.array([0.0, 1.0])
    edges = np.array([[True, False, True], [True, True, False]])
    errors = contact_graph.edge_errors(edges, label)
    assert {name: e.tolist() for name, e in errors.items()} == {
        "hands_object": [1.0, 0.0],
        "body_object": [0.0, 1.0],
        "hands_body": [1.0, 0.0],
    }
    np.testing.assert_array_equal(contact_graph.reference_edges(label), [[0, 0, 0], [1, 0, 0]])


def test_nodes_of_the_paper_cover_every_body_once():
    rest = [name for name in humanoid.BODIES if name not in humanoid.HANDS]
    assert len(humanoid.HANDS) == 32
    assert len(rest) == 21
    assert set(humanoid.BODY_CONTACT) | set(humanoid.FEET) == set(rest)
