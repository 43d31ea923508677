"""Which state, which reference row and which contacts a reward is made of (skillmimic.md §6.4)."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import BodyState
from tests import ballplay
from tests.ballplay import WORLDS, Compiled

STEPS = 10
KEYS = list(humanoid.indices(humanoid.KEY_BODIES))
FLAGGED = list(humanoid.indices(humanoid.BODY_CONTACT))
# throw_catch, of which worlds start on many phases: holding, throwing, catching
CLIP = {"default": 5, "reference": 0}


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Worlds that never end, over STEPS steps: bodies before the first step and after each, rewards and factors."""

    compiled: Compiled
    frame: np.ndarray
    bodies: list[BodyState]
    rewards: list[np.ndarray]
    metrics: list[dict[str, np.ndarray]]
    features: list[Features]


def record(preset: str) -> Recorded:
    compiled = getattr(ballplay, preset)()
    state = compiled.start(CLIP[preset], 30 + np.arange(WORLDS))
    to_bodies = jax.jit(compiled.env.body_state)
    host = lambda tree: jax.tree.map(lambda x: np.asarray(x, np.float64), tree)  # noqa: E731
    found = Recorded(compiled, np.asarray(state.info["frame"]), [host(to_bodies(state.data))], [], [], [])
    for step in range(STEPS):
        state = compiled.step(state, ballplay.actions(compiled.env, step))
        # Worlds that ended are left out below; none may be, or the record would not be of one episode.
        assert not np.asarray(state.done).any()
        found.bodies.append(host(to_bodies(state.data)))
        found.rewards.append(np.asarray(state.reward))
        found.metrics.append(host(state.metrics))
        found.features.append(host(state.info["features"]))
    return found


@pytest.fixture(scope="module")
def published() -> Recorded:
    return record("reference")


@pytest.fixture(scope="module")
def ours() -> Recorded:
    return record("default")


def row(recorded: Recorded, world: int, step: int) -> Features:
    """The clip's own row for a step, derived in float64 without the table."""
    env = recorded.compiled.env
    clip = env.clips[CLIP[env.config.preset]]
    track = derive(clip, env.scene.skeleton, env.options.motion.key_bodies, dtype=np.float64)
    return jax.tree.map(lambda x: x[recorded.frame[world] + step], track.features())


def points(root: np.ndarray, keys: np.ndarray) -> np.ndarray:
    return np.concatenate([root[None], keys])


def mean_square(x: np.ndarray) -> float:
    return float(np.mean(np.square(x)))


def turns(root: np.ndarray, dof: np.ndarray) -> np.ndarray:
    return np.concatenate([root, dof])


def published_reward(kinematic: BodyState, forces: BodyState, velocities: tuple, ref: Features) -> float:
    """The formula of §6.2 for one world, in the order of its table.

    kinematic: the bodies that are compared. forces: those whose contacts are judged. velocities: joint velocities that
    are compared and those of one step before.
    """
    here = points(kinematic.body_pos[0], kinematic.body_pos[KEYS])
    there = points(ref.root_pos, ref.key_body_pos)
    rotvec = rotations.log(kinematic.body_quat[0])
    now, before = velocities
    calm = (ref.dof_vel**2 + 1e-12) * 1e12
    touched = (np.abs(forces.object_force[:2]) > 0.1).any()
    flagged = (np.abs(forces.body_force[FLAGGED]) >= 0.1).any()
    return float(
        np.exp(-20 * mean_square(there - here))
        * np.exp(-20 * mean_square(turns(ref.root_rotvec, ref.dof_pos) - turns(rotvec, kinematic.dof_pos)))
        * np.exp(-0.1 * np.mean((now - before) ** 2 / calm))
        * np.exp(-mean_square(ref.object_pos - kinematic.object_pos))
        * np.exp(-20 * mean_square(there - ref.object_pos - (here - kinematic.object_pos)))
        * np.exp(-5.0 * flagged)
        * np.exp(-5.0 * abs(float(touched) - ref.contact))
    )


def our_reward(body: BodyState, ref: Features) -> float:
    """The same with geodesic rotations, pairwise edges and no smoothness term."""
    here = points(body.body_pos[0], body.body_pos[KEYS])
    there = points(ref.root_pos, ref.key_body_pos)
    mine = np.concatenate([body.body_quat[:1], rotations.exp(body.dof_pos.reshape(52, 3))])
    theirs = rotations.exp(turns(ref.root_rotvec, ref.dof_pos).reshape(53, 3))
    # the angle between two unit quaternions, twice the arccos of their scalar product
    angle = 2 * np.arccos(np.clip(np.abs(np.sum(mine * theirs, axis=-1)), 0, 1))
    hands, rest, crossed = body.edges
    return float(
        np.exp(-20 * mean_square(there - here))
        * np.exp(-20 * np.sum(angle**2) / 159)
        * np.exp(-mean_square(ref.object_pos - body.object_pos))
        * np.exp(-20 * mean_square(there - ref.object_pos - (here - body.object_pos)))
        * np.exp(-5 * (abs(hands - ref.contact) + rest + crossed))
    )


def of_world(tree: BodyState, world: int) -> BodyState:
    return jax.tree.map(lambda x: x[world], tree)


def masked(recorded: Recorded, world: int, step: int) -> np.ndarray:
    """Joint velocities of the feature of the state after `step` steps: after the first they read zero (§12.15)."""
    velocity = recorded.bodies[max(step, 0)].dof_vel[world]
    return np.zeros_like(velocity) if step == 1 else velocity


def test_published_rewards_are_of_the_state_before_with_the_contacts_of_now(published: Recorded):
    wrong = 0
    for step in range(1, STEPS + 1):
        for world in range(0, WORLDS, 5):
            before, now = (of_world(published.bodies[i], world) for i in (step - 1, step))
            velocities = masked(published, world, step - 1), masked(published, world, step - 2)
            expected = published_reward(before, now, velocities, row(published, world, step))
            assert published.rewards[step - 1][world] == pytest.approx(expected, rel=2e-3, abs=1e-7), (step, world)
            aligned = published_reward(now, now, velocities, row(published, world, step))
            wrong += abs(aligned - expected) > 0.02 * expected
    assert wrong > STEPS


def test_our_rewards_are_of_the_state_after_the_step(ours: Recorded):
    wrong = 0
    for step in range(1, STEPS + 1):
        for world in range(0, WORLDS, 5):
            ref = row(ours, world, step)
            expected = our_reward(of_world(ours.bodies[step], world), ref)
            assert ours.rewards[step - 1][world] == pytest.approx(expected, rel=2e-3, abs=1e-7), (step, world)
            late = our_reward(of_world(ours.bodies[step - 1], world), ref)
            wrong += abs(late - expected) > 0.02 * expected
    assert wrong > STEPS


def test_contacts_change_during_the_record(ours: Recorded, published: Recorded):
    """Otherwise the two tests above would not see whose contacts were judged."""
    edges = np.stack([body.edges[:, 0] for body in ours.bodies[1:]])
    assert 0 < edges.mean() < 1
    forces = np.stack([body.object_force for body in published.bodies[1:]])
    flags = contact_graph.object_contact(forces)
    assert (flags[1:] != flags[:-1]).any()


def test_joint_velocities_read_zero_after_the_first_step_as_published(ours: Recorded, published: Recorded):
    for step in range(1, STEPS + 1):
        velocity = published.bodies[step].dof_vel
        assert np.abs(velocity).max() > 0.1
        expected = np.zeros_like(velocity) if step == 1 else velocity
        np.testing.assert_allclose(published.features[step - 1].dof_vel, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ours.features[step - 1].dof_vel, ours.bodies[step].dof_vel, rtol=1e-6, atol=1e-6)


def test_the_zero_shows_in_the_smoothness_of_the_second_and_third_step(published: Recorded):
    assert min(metrics["reward/smooth"].min() for metrics in published.metrics[1:3]) < 0.9
    for step in (2, 3, 4):
        got = published.metrics[step - 1]["reward/smooth"]
        for world in range(0, WORLDS, 5):
            ref = row(published, world, step).dof_vel
            change = masked(published, world, step - 1) - masked(published, world, step - 2)
            expected = np.exp(-0.1 * np.mean(change**2 / ((ref**2 + 1e-12) * 1e12)))
            assert got[world] == pytest.approx(expected, rel=1e-3, abs=1e-7), (step, world)


def test_metrics_are_of_the_state_after_the_step_in_both_presets(ours: Recorded, published: Recorded):
    for recorded in (ours, published):
        for step in (1, STEPS):
            body, metrics = recorded.bodies[step], recorded.metrics[step - 1]
            product = np.prod([metrics[n] for n in metrics if n.startswith("reward/") and n != "reward/total"], axis=0)
            np.testing.assert_allclose(metrics["reward/total"], product, rtol=1e-5, atol=1e-7)
            np.testing.assert_array_equal(metrics["reward/total"].astype(np.float32), recorded.rewards[step - 1])
            for world in range(0, WORLDS, 5):
                ref = row(recorded, world, step)
                ball = np.linalg.norm(body.object_pos[world] - ref.object_pos)
                assert metrics["error/object_m"][world] == pytest.approx(ball, abs=1e-5)
                gap = points(body.body_pos[world, 0], body.body_pos[world, KEYS])
                gap = gap - points(ref.root_pos, ref.key_body_pos)
                assert metrics["error/body_m"][world] == pytest.approx(np.linalg.norm(gap, axis=-1).mean(), abs=1e-5)
                agrees = float(body.edges[world, 0] == (ref.contact > 0.5))
                assert metrics["contact/label_agrees"][world] == agrees
