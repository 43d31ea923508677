"""Differences between two traces: state by state, forces as distributions, contact flags as agreement rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation import contact_graph
from mjx_skillmimic.interop.trace import Trace
from mjx_skillmimic.kinematics import Skeleton, forward_kinematics
from mjx_skillmimic.model.humanoid import FEET, HANDS, NUM_BODIES, NUM_JOINTS, indices
from mjx_skillmimic.physics.base import EDGES

# What is compared of two states, with its unit.
MEASURES = {
    "body_place": "m",
    "joint_turn": "rad",
    "joint_speed": "rad/s",
    "root_speed": "m/s",
    "ball_place": "m",
    "ball_speed": "m/s",
    "ball_spin": "rad/s",
}
FLAG_FORCE = 0.1  # N, the published threshold (skillmimic.md §6.3)
PERCENTILES = (50, 90, 99)
# Where forces are looked at: columns of body_force.
_PLACES = {"feet": indices(FEET), "hands": indices(HANDS)}
_PLACES["rest"] = tuple(i for i in range(NUM_BODIES) if i not in (*_PLACES["feet"], *_PLACES["hands"]))


class States(dict[str, np.ndarray]):
    """The arrays of `MEASURES` that two states are compared by, (..., ·): body_place (..., 53, 3), joint_turn as
    quaternions (..., 52, 4), joint_speed (..., 52, 3), the others (..., 3)."""


def states(skeleton: Skeleton, trace: Trace, which: slice) -> States:
    """The states of a trace at some of its T + 1 instants, (C, t, ·), float64."""
    x = {name: np.asarray(getattr(trace, name)[:, which], np.float64) for name in ("root_pos", "root_quat", "dof_pos")}
    lead = x["root_pos"].shape[:-1]
    joints = rotations.exp(x["dof_pos"].reshape(*lead, NUM_JOINTS, 3))
    read = lambda name: np.asarray(getattr(trace, name)[:, which], np.float64)  # noqa: E731
    return States(
        body_place=forward_kinematics(skeleton, x["root_pos"], x["root_quat"], joints).pos,
        joint_turn=joints,
        joint_speed=read("dof_vel").reshape(*lead, NUM_JOINTS, 3),
        root_speed=read("root_lin_vel"),
        ball_place=read("object_pos"),
        ball_speed=read("object_lin_vel"),
        ball_spin=read("object_ang_vel"),
    )


def distances(one: States, other: States) -> dict[str, np.ndarray]:
    """Each of `MEASURES` (...): of bodies and joints the mean over all of them, of the rest the length."""
    found = {}
    for name in MEASURES:
        a, b = one[name], other[name]
        if name == "joint_turn":
            between = rotations.log(rotations.multiply(rotations.conjugate(a), b))
            found[name] = np.linalg.norm(between, axis=-1).mean(axis=-1)
        else:
            length = np.linalg.norm(a - b, axis=-1)
            found[name] = length.mean(axis=-1) if length.ndim == one["root_speed"].ndim else length
    return found


def quantiles(values: np.ndarray) -> list[float | None]:
    """`PERCENTILES` of the finite values, None without any."""
    finite = values[np.isfinite(values)]
    return [float(x) for x in np.percentile(finite, PERCENTILES)] if len(finite) else [None] * len(PERCENTILES)


def divergence(skeleton: Skeleton, base: Trace, other: Trace, rows: np.ndarray, after: int) -> dict[str, Any]:
    """How far two open-loop runs of the courses `rows` are apart after that many control steps.

    By measure: percentiles of the distance, "moved": the median distance that the base itself has come since its start.
    "courses": how many are that long, "broken": how many of these the other engine made non-finite. Courses that are
    shorter are left out.
    """
    rows = rows[base.lengths[rows] >= after]
    if not len(rows):
        return {"courses": 0, "broken": 0}
    a, b = (_at(states(skeleton, trace, slice(after, after + 1)), rows) for trace in (base, other))
    apart, moved = distances(a, b), distances(a, _at(states(skeleton, base, slice(0, 1)), rows))
    return _summary(apart, moved) | {"courses": len(rows)}


def one_step(skeleton: Skeleton, base: Trace, forced: Trace, rows: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Teacher-forced: `forced` holds at t + 1 what an engine made of the base's state t.

    mask (C, T) bool: steps that were made. As `divergence`, over all these steps; "moved" is the base's own step.
    """
    chosen = np.zeros_like(mask)
    chosen[rows] = mask[rows]
    now, after = states(skeleton, base, slice(0, -1)), states(skeleton, base, slice(1, None))
    made = states(skeleton, forced, slice(1, None))
    apart, moved = distances(_at(after, chosen), _at(made, chosen)), distances(_at(after, chosen), _at(now, chosen))
    return _summary(apart, moved) | {"steps": int(chosen.sum())}


def forces(base: Trace, other: Trace, rows: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Contact forces of the same steps as two distributions, by place: feet, hands, rest (bodies one by one), ball.

    "touching": share of bodies and steps with a component of at least 0.1 N; "newton": percentiles of the length of
    those; "mean": mean length over all, in N. Each as [base, other].
    """
    chosen = _chosen(rows, mask)
    found: dict[str, Any] = {}
    for place in (*_PLACES, "ball"):
        pair = [_force(trace, place)[chosen] for trace in (base, other)]
        touching = [np.abs(f).max(axis=-1) >= FLAG_FORCE for f in pair]
        length = [np.linalg.norm(f, axis=-1) for f in pair]
        found[place] = {
            "touching": [float(t.mean()) if t.size else None for t in touching],
            "newton": [quantiles(x[t]) for x, t in zip(length, touching, strict=True)],
            "mean": [float(x.mean()) if x.size else None for x in length],
        }
    return found


def flags(base: Trace, other: Trace, rows: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Agreement of contact flags over the same steps, as shares.

    "body", "ball": the two published flags (§6.3); "both": steps in which both agree; "bodies": flags of the 53 bodies
    and the ball one by one; the edges by name where both traces have them. "raised": each flag's share [base, other].
    """
    chosen = _chosen(rows, mask)
    pair = [_flags(trace, chosen) for trace in (base, other)]
    names = [name for name in pair[0] if name in pair[1]]
    equal = {name: pair[0][name] == pair[1][name] for name in names}
    agreement: dict[str, Any] = {name: _share(same) for name, same in equal.items()}
    agreement["both"] = _share(equal["body"] & equal["ball"])
    agreement["raised"] = {name: [_share(p[name]) for p in pair] for name in names}
    return agreement


def _flags(trace: Trace, chosen: np.ndarray) -> dict[str, np.ndarray]:
    body, ball = (np.asarray(f, np.float64)[chosen] for f in (trace.body_force, trace.object_force))
    found = {"body": contact_graph.body_contact(body), "ball": contact_graph.object_contact(ball)}
    every = np.concatenate([body, ball[:, None]], axis=1)
    found["bodies"] = np.abs(every).max(axis=-1) >= FLAG_FORCE
    if trace.edges is not None:
        found |= {name: np.asarray(trace.edges)[chosen][:, i] for i, name in enumerate(EDGES)}
    return found


def _force(trace: Trace, place: str) -> np.ndarray:
    if place == "ball":
        return np.asarray(trace.object_force, np.float64)
    return np.asarray(trace.body_force[:, :, list(_PLACES[place])], np.float64)


def _share(x: np.ndarray) -> float | None:
    return float(x.mean()) if x.size else None


def _chosen(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    chosen = np.zeros_like(mask)
    chosen[rows] = mask[rows]
    return chosen


def _at(found: States, which: np.ndarray) -> States:
    return States({name: array[which] for name, array in found.items()})


def _summary(apart: dict[str, np.ndarray], moved: dict[str, np.ndarray]) -> dict[str, Any]:
    broken = ~np.isfinite(np.stack(list(apart.values()))).all(axis=0)
    result: dict[str, Any] = {
        name: {"error": quantiles(apart[name]), "moved": quantiles(moved[name])[0]} for name in MEASURES
    }
    return result | {"broken": int(broken.sum())}
