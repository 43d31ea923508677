"""Traces of Isaac Gym: start states and targets of another trace replayed, or a policy acting from its start states.

Runs in Python 3.8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mjx_skillmimic.imitation.observation import observe, skill_one_hot
from mjx_skillmimic.interop.isaacgym.adapter import BodyState, IsaacGymPhysics
from mjx_skillmimic.interop.isaacgym.policy import NumPyPolicy, Settings
from mjx_skillmimic.interop.trace import STATES, STEPS, Trace

if TYPE_CHECKING:  # the alias cannot be evaluated by Python 3.8
    # (control step, state before it, which courses) -> PD targets
    _Act = Callable[[int, BodyState, np.ndarray], np.ndarray]


def open_loop(physics: IsaacGymPhysics, source: Trace, meta: dict[str, Any] | None = None) -> Trace:
    """The courses of `source` again: its start states and its targets, in Isaac Gym.

    Raises ValueError for a control period other than the simulation's, or for targets that are not finite.
    """
    for course, length in enumerate(source.lengths):
        if not np.isfinite(source.target[course, :length]).all():
            raise ValueError(f"{source.names[course]}: found targets that are not finite")

    def act(step: int, state: BodyState, courses: np.ndarray) -> np.ndarray:
        # a course that is over holds its last target until the others are
        return source.target[courses, np.minimum(step, source.lengths[courses] - 1)]

    return _record(physics, source, np.array(source.lengths), act, {"mode": "open loop", **(meta or {})})


def closed_loop(
    physics: IsaacGymPhysics,
    source: Trace,
    policy: NumPyPolicy,
    settings: Settings,
    skills: Sequence[int],
    steps: int | None = None,
    meta: dict[str, Any] | None = None,
) -> Trace:
    """What a policy does from the start states of `source`, each course under its skill label, without noise.

    skills: (C,) labels. steps: control steps of every course; absent: as many as the course of `source` has.

    Raises ValueError for labels that do not fit, or a control period other than the simulation's.
    """
    labels = np.asarray(skills, int)
    width = settings.observation.num_skills
    if labels.shape != (len(source.names),) or not ((labels >= 0) & (labels < width)).all():
        raise ValueError(f"found skill labels {labels.tolist()}, expected {len(source.names)} from 0 to {width - 1}")
    one_hot = skill_one_hot(labels, width)

    def act(step: int, state: BodyState, courses: np.ndarray) -> np.ndarray:
        # the settings have the fields of ObservationOptions that `observe` reads
        obs = observe(state, one_hot[courses], settings.observation)  # type: ignore[arg-type]
        return settings.targets(policy(obs.astype(np.float32)))

    lengths = np.array(source.lengths) if steps is None else np.full(len(source.names), steps)
    meta = {"mode": "closed loop", "skills": labels.tolist(), **(meta or {})}
    return _record(physics, source, lengths, act, meta)


def _record(physics: IsaacGymPhysics, source: Trace, lengths: np.ndarray, act: _Act, meta: dict[str, Any]) -> Trace:
    """Runs all courses, as many at a time as there are worlds."""
    if abs(source.control_dt - physics.control_dt) > 1e-6:
        raise ValueError(f"found a control period of {source.control_dt} s, expected {physics.control_dt} s")
    count, steps = len(source.names), int(lengths.max())
    arrays = {name: np.full((count, steps + 1, *shape), np.nan, np.float32) for name, shape in STATES.items()}
    arrays.update({name: np.full((count, steps, *shape), np.nan, np.float32) for name, shape in STEPS.items()})
    for first in range(0, count, physics.worlds):
        # worlds left over repeat the last course, and their results are dropped
        courses = np.minimum(np.arange(first, first + physics.worlds), count - 1)
        kept = slice(0, min(physics.worlds, count - first))
        rows = courses[kept]
        state = physics.reset({name: np.asarray(getattr(source, name))[courses, 0] for name in STATES})
        _keep(arrays, rows, 0, state, kept)
        for step in range(int(lengths[rows].max())):
            target = act(step, state, courses)
            state = physics.step(target)
            arrays["target"][rows, step] = target[kept]
            arrays["body_force"][rows, step] = state.body_force[kept]
            arrays["object_force"][rows, step] = state.object_force[kept]
            _keep(arrays, rows, step + 1, state, kept)
    for course, length in enumerate(lengths):
        for name in STATES:
            arrays[name][course, length + 1 :] = np.nan
        for name in STEPS:
            arrays[name][course, length:] = np.nan
    lost = [source.names[c] for c, n in enumerate(lengths) if not np.isfinite(arrays["root_pos"][c, : n + 1]).all()]
    return Trace(
        engine=physics.name,
        control_dt=physics.control_dt,
        names=source.names,
        lengths=lengths,
        meta={"source_engine": source.engine, "device": physics.device, "not_finite": lost, **meta},
        **arrays,
    )


def _keep(arrays: dict[str, np.ndarray], rows: np.ndarray, time: int, state: BodyState, kept: slice) -> None:
    for name, values in state.arrays().items():
        arrays[name][rows, time] = values[kept]
