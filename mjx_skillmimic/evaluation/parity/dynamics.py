"""Engines against the courses of one trace: everything that is measured, as one JSON-able document."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.evaluation.parity import measures, responses
from mjx_skillmimic.evaluation.parity.drive_law import drive_laws
from mjx_skillmimic.evaluation.parity.machines import machine
from mjx_skillmimic.evaluation.parity.reference_courses import REFERENCE
from mjx_skillmimic.evaluation.parity.replay import Replay, scene_for
from mjx_skillmimic.evaluation.parity.scenarios import Courses
from mjx_skillmimic.interop.recorder import record
from mjx_skillmimic.interop.trace import STATES, STEPS, Trace
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import Scene

FORMAT = "mjx_skillmimic parity dynamics"
AFTER = (1, 10, 60)  # control steps of open loop
# %: what the engines should reach; flags at least, the others at most.
AIMS = {"pd": 2.0, "bounce": 3.0, "flags": 97.0}
_BOUNCES = 3  # that the summary looks at
_PD, _DROP = "PD step", "ball drop"
_LARGE, _LAW = f"large {_PD}", "wrist"
_DIGITS = 5


def base_trace(engine: Engine, courses: Courses, options: SceneOptions | None = None, worlds: int = 64) -> Trace:
    """The courses as this engine runs them; the base that others are compared with."""
    replay = Replay(engine.name, options, worlds, **dict(engine.options))
    meta = {"machine": machine(), "feet": replay.scene.options.feet}
    return record(
        replay.physics,
        replay.scene,
        courses.qpos,
        courses.qvel,
        courses.targets,
        courses.names,
        meta,
        courses.lengths,
    )


def compare(
    base: Trace,
    engines: Sequence[Engine],
    options: SceneOptions | None = None,
    worlds: int = 64,
    stride: int = 1,
    settings: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """The document of `engines` against a base.

    stride: teacher-forced from every so many states. settings: kept in the document. The base's own engine among
    `engines` shows what restarting from the trace's float32 states alone does.
    """
    scene = scene_for("mujoco", options)
    document: dict[str, Any] = {
        "format": FORMAT,
        "aims": AIMS,
        "base": {
            "engine": base.engine,
            "hash": trace_hash(base),
            "courses": {group: int(np.sum(_groups(base) == group)) for group in dict.fromkeys(_groups(base))},
            "meta": base.meta,
            "curves": _curves(scene, base),
            "laws": _laws(scene, base),
        },
        "settings": dict(settings or {}) | {"stride": stride},
        "engines": {},
    }
    for engine in engines:
        began = time.perf_counter()
        replay = Replay(engine.name, options, worlds, **dict(engine.options))
        open_loop = replay.open_loop(base)
        forced, made = replay.forced(base, stride)
        found = measure(replay.scene, base, open_loop, forced, made)
        seconds = time.perf_counter() - began
        found |= {"machine": machine(), "feet": replay.scene.options.feet, "seconds": round(seconds, 1)}
        document["engines"][str(engine)] = found
        replay.close()
        say(f"{engine}: {int(base.lengths.sum() + made.sum())} control steps in {seconds:.0f} s")
    return document


def measure(scene: Scene, base: Trace, open_loop: Trace, forced: Trace, made: np.ndarray) -> dict[str, Any]:
    """What an engine's two traces say beside the base's: by group, the summary measures, and curves for pictures."""
    groups = _groups(base)
    skeleton = scene.skeleton
    steps = np.arange(base.target.shape[1]) < base.lengths[:, None]
    found: dict[str, Any] = {}
    for group in dict.fromkeys(groups):
        rows = np.flatnonzero(groups == group)
        found[group] = {
            "one_step": measures.one_step(skeleton, base, forced, rows, made),
            "open_loop": {str(n): measures.divergence(skeleton, base, open_loop, rows, n) for n in AFTER},
            "forces": measures.forces(base, forced, rows, made),
            "flags": measures.flags(base, forced, rows, made),
            "flags_open_loop": measures.flags(base, open_loop, rows, steps),
        }
    rows_of = lambda name: np.flatnonzero(groups == name).tolist()  # noqa: E731
    pd = {base.names[i].partition("/")[2]: responses.step_response(base, open_loop, i) for i in rows_of(_PD)}
    large = {base.names[i].partition("/")[2]: responses.step_response(base, open_loop, i) for i in rows_of(_LARGE)}
    drops = responses.bounces(scene, base, open_loop, rows_of(_DROP))
    lost = {"open_loop": open_loop.meta["lost_contacts"], "one_step": forced.meta["lost_contacts"]}
    result = {"groups": found, "pd": pd, "large_pd": large, "bounces": drops, "lost_contacts": lost}
    result["laws"] = _laws(scene, open_loop)
    return result | {"summary": _summary(result), "curves": _curves(scene, base, open_loop)}


def _summary(found: Mapping[str, Any]) -> dict[str, float | None]:
    """In %: "pd" the greatest difference of a step response and "pd_settled", "bounce" the greatest mean difference of
    the first three heights, "flags" the share of teacher-forced steps from reference states in which both published
    flags agree, and "flags_edges" in which each edge does, at least."""
    pd, drops = found["pd"].values(), found["bounces"][:_BOUNCES]
    flags = found["groups"].get(REFERENCE, {}).get("flags", {})
    edges = [flags[name] for name in measures.EDGES if flags.get(name) is not None]
    percent = lambda x: None if x is None else 100.0 * x  # noqa: E731
    return {
        "pd": max((x["most"] for x in pd), default=None),
        "pd_settled": max((x["settled"] for x in pd), default=None),
        "bounce": max((abs(x["difference"]) for x in drops), default=None),
        "flags": percent(flags.get("both")),
        "edges": percent(min(edges)) if edges else None,
    }


def _laws(scene: Scene, trace: Trace) -> dict[str, float]:
    """The laws of the servos' errors, where the course that tells them apart is there."""
    name = f"{_LARGE}/{_LAW}"
    return drive_laws(scene, trace, trace.names.index(name)) if name in trace.names else {}


def _curves(scene: Scene, base: Trace, other: Trace | None = None) -> dict[str, Any]:
    """Rounded curves for pictures: step responses in %, three drops in m, and the median distance of bodies from the
    base's in m, by control step; of the base itself without `other`."""
    groups, shown = _groups(base), other or base
    curves: dict[str, Any] = {"pd": {}, "drop": {}, "divergence": {}}
    for row in np.flatnonzero(groups == _PD).tolist():
        curves["pd"][base.names[row].partition("/")[2]] = _short(responses.response_curve(shown, row))
    drops = np.flatnonzero(groups == _DROP).tolist()
    for row in (drops[len(drops) // 4], drops[-1]) if drops else ():
        height = np.asarray(shown.object_pos[row, : base.lengths[row] + 1, 2], np.float64) - scene.object_radius
        curves["drop"][base.names[row].partition("/")[2]] = _short(height)
    if other is not None:
        one, two = (measures.states(scene.skeleton, trace, slice(None)) for trace in (base, other))
        apart = measures.distances(one, two)
        for group in dict.fromkeys(groups):
            name = "ball_place" if group.startswith("ball ") or group == "hand–ball" else "body_place"
            rows = groups == group
            values = apart[name][rows][:, : base.lengths[rows].min() + 1]
            curves["divergence"][group] = _short(np.median(values, axis=0))
    return curves


def _short(values: np.ndarray) -> list[float | None]:
    return [float(f"{x:.{_DIGITS}g}") if np.isfinite(x) else None for x in values]


def _groups(trace: Trace) -> np.ndarray:
    return np.array([name.partition("/")[0] for name in trace.names])


def trace_hash(trace: Trace) -> str:
    """A hash of names, start states, targets and results: equal where rows may be compared."""
    digest = hashlib.sha256("\n".join(trace.names).encode())
    for name in (*STATES, *STEPS):
        digest.update(np.ascontiguousarray(getattr(trace, name), np.float32).tobytes())
    return digest.hexdigest()[:12]
