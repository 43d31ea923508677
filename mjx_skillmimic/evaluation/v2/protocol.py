"""SR, εNSR, NR and TSR of one policy on one engine (skillmimic_v2.md §10.2): which worlds, and what became of them."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import rollouts
from mjx_skillmimic.evaluation.intervals import bootstrap_ratio
from mjx_skillmimic.evaluation.reproduce import Contender, Request, by_seed, distinct, proportion
from mjx_skillmimic.evaluation.v2.courses import Accounting, Courses, play_batches
from mjx_skillmimic.evaluation.v2.metrics import adapted
from mjx_skillmimic.evaluation.v2.skills import metric_for
from mjx_skillmimic.evaluation.v2.starts import Disturbed
from mjx_skillmimic.motion.start_frames import nearest_start

STEPS = 600  # 10 s for which a skill is told and must be kept up


@dataclasses.dataclass(frozen=True)
class V2Request(Request):
    """As `Request`; `count`: worlds a seed and skill, and a seed and pair of skills. accounting: of what follows a
    fall. told: label → the one that the policies are told for it, for policies of other clips. steps: of each world."""

    accounting: Accounting = "frozen"
    told: Mapping[int, int] = dataclasses.field(default_factory=dict)
    steps: int = STEPS


@dataclasses.dataclass(frozen=True)
class Job:
    """Worlds that begin in frames of the clips of label `start` and are told `label`; noisy: with the noise of
    training."""

    start: int
    label: int
    noisy: bool = False


@dataclasses.dataclass(frozen=True)
class Worlds:
    """Where the worlds of a job begin: clip, frame (N,), each once unless there is noise; which (M,): the one of them
    that each of the M draws of all seeds is; seed (M,)."""

    clip: np.ndarray
    frame: np.ndarray
    which: np.ndarray
    seed: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """What became of N worlds: success, fell (N,) bool; earned (N,), steps (N,): the sum of the rewards over the
    reference and its steps; lost (N,): steps in which the engine dropped contacts."""

    success: np.ndarray
    fell: np.ndarray
    earned: np.ndarray
    steps: np.ndarray
    lost: np.ndarray


def draw(who: Contender, job: Job, request: Request) -> Worlds:
    """Clips of the label in turn, frames uniform on [2, T − 2], `request.count` a seed; the nearest where one is
    missing. Raises ValueError if there is no clip of the label."""
    clips = np.flatnonzero(who.skills == job.start)
    if not len(clips):
        raise ValueError(f"no clip of skill {job.start:03d}; there are {sorted(set(who.skills.tolist()))}")
    parts = [rollouts.draw_starts(who.lengths[clips], request.count, "random", seed) for seed in request.seeds]
    clip, frame = (np.concatenate(x) for x in zip(*parts, strict=True))
    clip = clips[clip].astype(np.int32)
    frame, seed = (
        nearest_start(who.env.tables.motions, clip, frame),
        np.repeat(np.arange(len(request.seeds)), request.count),
    )
    if job.noisy:
        return Worlds(clip, frame, np.arange(len(clip)), seed)
    index, inverse = distinct(clip, frame)
    return Worlds(clip[index], frame[index], inverse, seed)


def peak(who: Contender, label: int) -> np.ndarray:
    """(3,) m, place of the ball's highest point in the first clip of the label."""
    motions = who.env.tables.motions
    clip = int(np.flatnonzero(who.skills == label)[0])
    begin = int(motions.starts[clip])
    ball = np.asarray(motions.reference.object_pos)[begin : begin + int(who.lengths[clip])]
    return ball[ball[:, 2].argmax()]


def judge(courses: Courses, job: Job, target: np.ndarray, accounting: Accounting) -> Outcomes:
    """The worlds of one job. target: (3,) m, `peak` of its label."""
    metric = adapted(metric_for(job.label), job.start != job.label, accounting == "published")
    counts = courses.counts("frozen")
    fell = ~counts[-1] | courses.fallen()[-1]
    earned, steps = courses.rewards(accounting)
    return Outcomes(courses.success(metric, target, accounting), fell, earned, steps, courses.lost)


def play_jobs(who: Contender, jobs: Sequence[Job], request: V2Request) -> dict[Job, tuple[Worlds, Outcomes]]:
    """Plays the worlds of all jobs in one go."""
    jobs = list(dict.fromkeys(jobs))
    worlds = [draw(who, job, request) for job in jobs]
    clip, frame = (np.concatenate([getattr(w, f) for w in worlds]) for f in ("clip", "frame"))
    number = np.repeat(np.arange(len(jobs)), [len(w.clip) for w in worlds])
    told = np.array([request.told.get(job.label, job.label) for job in jobs])[number]
    noisy = np.array([job.noisy for job in jobs])[number]
    noise = Disturbed(np.where(noisy, np.cumsum(noisy) - 1, -1).astype(np.int32), int(request.seeds[0]))
    targets = [peak(who, job.label) for job in jobs]
    parts: list[list[Outcomes]] = [[] for _ in jobs]
    done = 0
    for courses in play_batches(
        who.env, who.agent, clip, frame, told, request.steps, noise if noisy.any() else None, batch=request.batch
    ):
        these = number[done : done + len(courses.clip)]
        done += len(these)
        for i in np.unique(these):
            parts[i].append(judge(courses.select(these == i), jobs[i], targets[i], request.accounting))
    return {job: (w, join(p)) for job, w, p in zip(jobs, worlds, parts, strict=True)}


def join(parts: Sequence[Outcomes]) -> Outcomes:
    """One set of worlds of several."""
    return Outcomes(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(Outcomes)}
    )


def share(worlds: Worlds, outcomes: Outcomes) -> dict[str, Any]:
    """SR, εNSR or TSR: share of the worlds that succeeded with interval and n, each seed's, and the share that fell."""
    return proportion(outcomes.success) | {
        "seeds": by_seed(outcomes.success[worlds.which], worlds.seed),
        "fell": proportion(outcomes.fell)["value"],
        "lost_contacts": int(outcomes.lost.sum()),
    }


def reward_rate(worlds: Worlds, outcomes: Outcomes, accounting: Accounting) -> dict[str, Any]:
    """NR: reward a step over the reference, with a bootstrap interval over worlds.

    "published" has the mean of the seeds' ratios without the first one's, as the released code has of its rounds.
    """
    earned, steps = outcomes.earned, outcomes.steps
    of_seed = [
        float(earned[worlds.which[worlds.seed == s]].sum() / steps[worlds.which[worlds.seed == s]].sum())
        for s in np.unique(worlds.seed)
    ]
    value = float(earned.sum() / steps.sum())
    if accounting == "published" and len(of_seed) > 1:
        value = float(np.mean(of_seed[1:]))
        worlds_kept = np.unique(worlds.which[worlds.seed > 0])
        earned, steps = earned[worlds_kept], steps[worlds_kept]
    low, high = bootstrap_ratio(earned, steps) if len(earned) > 1 else (None, None)
    return {
        "value": round(value, 4),
        "low": None if low is None else round(low, 4),
        "high": None if high is None else round(high, 4),
        "n": len(earned),
        "seeds": [round(x, 4) for x in of_seed],
    }


def mean_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Mean of independent values, each with an interval, as the tables' averages have it; None for none.

    The distances to the limits are added in quadrature (square-and-add), so that shares of 0 or 1 keep a width.
    """
    entries = [e for e in entries if e is not None and e["value"] is not None]
    if not entries:
        return None
    k, value = len(entries), sum(e["value"] for e in entries) / len(entries)
    found: dict[str, Any] = {"value": round(value, 4), "low": None, "high": None, "of": k}
    if all(e["low"] is not None for e in entries):
        found["low"] = round(value - math.sqrt(sum((e["value"] - e["low"]) ** 2 for e in entries)) / k, 4)
        found["high"] = round(value + math.sqrt(sum((e["high"] - e["value"]) ** 2 for e in entries)) / k, 4)
    return found


def measure(
    who: Contender, skills: Mapping[str, int], pairs: Mapping[str, tuple[int, int]], request: V2Request
) -> dict[str, Any]:
    """SR, εNSR and NR of each skill (name → label), TSR of each pair (name → labels from, to), and their averages.

    Raises ValueError for a label without clip or metric.
    """
    began = time.perf_counter()
    for label in {*skills.values(), *(b for _, b in pairs.values())}:
        metric_for(label)
    clean = {name: Job(label, label) for name, label in skills.items()}
    noisy = {name: Job(label, label, True) for name, label in skills.items()}
    switch = {name: Job(a, b) for name, (a, b) in pairs.items()}
    found = play_jobs(who, [*clean.values(), *noisy.values(), *switch.values()], request)
    result: dict[str, Any] = {"skills": {}, "tsr": {}}
    for name, label in skills.items():
        result["skills"][name] = {
            "label": label,
            "told": request.told.get(label, label),
            "metric": metric_for(label).name,
            "sr": share(*found[clean[name]]),
            "nsr": share(*found[noisy[name]]),
            "nr": reward_rate(*found[clean[name]], request.accounting),
        }
    for name, (a, b) in pairs.items():
        result["tsr"][name] = share(*found[switch[name]]) | {"from": a, "to": b, "told": request.told.get(b, b)}
    result["average"] = {
        key: mean_of([entry[key] for entry in result["skills"].values()]) for key in ("sr", "nsr", "nr")
    } | {"tsr": mean_of(list(result["tsr"].values()))}
    played = sum(len(outcomes.success) for _, outcomes in found.values())
    return result | {"control_steps": played * request.steps, "wall_s": round(time.perf_counter() - began, 1)}
