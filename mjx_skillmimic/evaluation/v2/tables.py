"""Tables 1, 3, 4, 5 and 6 of SkillMimic-V2 and its matrix of transitions, measured again; one document each."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from mjx_skillmimic.evaluation import rollouts
from mjx_skillmimic.evaluation.reproduce import Contender, contenders, document, proportion
from mjx_skillmimic.evaluation.v2 import paper, skills
from mjx_skillmimic.evaluation.v2.courses import make_play, play_batches
from mjx_skillmimic.evaluation.v2.protocol import Job, Outcomes, V2Request, join, judge, measure, play_jobs, share
from mjx_skillmimic.evaluation.v2.starts import scattered_balls
from mjx_skillmimic.imitation.options import RewardOptions
from mjx_skillmimic.imitation.reward import RewardWeights
from mjx_skillmimic.motion.skill_names import WITHOUT_OBJECT, skill_name

# The labels that a column may have, the paper's own first: clips of the same skill have others in BallPlay-M.
LABELS: dict[str, tuple[int, ...]] = {
    "DF": (13,),
    "DL": (11,),
    "DR": (12,),
    "Layup": (31,),
    "Shot": (9, 5, 6, 7),
    "Getup": (0,),
    "Run": (10,),
}
PAPER: dict[str, Any] = {
    "v2-table1": paper.TABLE1,
    "v2-table3": paper.TABLE3,
    "v2-table4": paper.TABLE4,
    "v2-table5": paper.TABLE5,
    "v2-table6": paper.TABLE6,
    "v2-matrix": {},
}
_LOCOMOTION = "v2-table6"
_WITHOUT_SWITCH = "v2-table4"


def v2_table(what: str, request: V2Request, command: str = "") -> dict[str, Any]:
    """The document of one of PAPER's keys. Raises ValueError if the clips have no skill of that table, KeyError for
    another key."""
    began, known = time.perf_counter(), PAPER[what]
    results = []
    for who in contenders(request, judged_alike):
        result = _MEASURES.get(what, _columns)(what, who, request)
        results.append({"policy": who.name, "engine": who.engine} | result)
    thresholds = {
        "steps": request.steps,
        "upright_root_height_m": skills.UPRIGHT,
        "fall_root_height_m": rollouts.FALL_HEIGHT,
        "accounting": request.accounting,
    }
    rules = {metric.name: metric.text for metric in skills.BY_LABEL.values()}
    found = document(what, request, command, results, thresholds=thresholds, metrics=rules, paper=known)
    found["run"]["wall_s"] = round(time.perf_counter() - began, 1)
    found["told"] = {f"{a:03d}": f"{b:03d}" for a, b in request.told.items()}
    return found


def judged_alike(config: ml_collections.ConfigDict) -> None:
    """Sets the reward that NR is counted in: the published formula on states and frames of the same instant, with the
    body alone for labels 0 and 10 (§1.4), whatever a policy was trained on."""
    reward = dataclasses.replace(
        RewardOptions.reference(), lag=0, zero_velocity_progress=None, without_object=WITHOUT_OBJECT
    )
    config.reward = dataclasses.asdict(reward)
    if "timing" in config:
        config.timing.clock = "after"
    config.weights = {name: getattr(RewardWeights(), name) for name in config.weights}


def labels_of(who: Contender, names: tuple[str, ...]) -> dict[str, int]:
    """Column → label, of the columns whose skill the clips show."""
    there = set(who.skills.tolist())
    found = {name: next((label for label in LABELS[name] if label in there), None) for name in names}
    return {name: label for name, label in found.items() if label is not None}


def _columns(what: str, who: Contender, request: V2Request) -> dict[str, Any]:
    """Skills and pairs of skills of a table, as far as the clips show them."""
    ball = what != _LOCOMOTION
    names = paper.BALL_SKILLS if ball else paper.LOCOMOTION_SKILLS
    columns = labels_of(who, names)
    if not columns:
        wanted = ", ".join(f"{name} ({LABELS[name][0]:03d})" for name in names)
        found = ", ".join(f"{label:03d}" for label in np.unique(who.skills))
        raise ValueError(f"{what}: expected clips of {wanted}, found skills {found}")
    pairs = paper.BALL_PAIRS if ball else paper.LOCOMOTION_PAIRS
    split = {pair: tuple(pair.split("-")) for pair in pairs if what != _WITHOUT_SWITCH}
    there = {pair: (columns[a], columns[b]) for pair, (a, b) in split.items() if a in columns and b in columns}
    return measure(who, columns, there, request)


def _pick_up(what: str, who: Contender, request: V2Request) -> dict[str, Any]:
    """SR of picking up balls that lie anywhere around the person."""
    began, label = time.perf_counter(), 1
    clips = np.flatnonzero(who.skills == label)
    if not len(clips):
        raise ValueError(f"{what}: expected clips of skill 001 to stand in, found {sorted(set(who.skills.tolist()))}")
    released = request.accounting == "published"
    told = request.told.get(label, label)
    play = make_play(who.env, who.agent, request.steps)
    parts: list[Outcomes] = []
    for seed in request.seeds:
        clip, frame, ball = scattered_balls(who.env, clips, request.count, seed, released)
        courses = play_batches(
            who.env, who.agent, clip, frame, np.full(len(clip), told), request.steps, ball, seed, request.batch, play
        )
        parts.append(join([judge(c, Job(label, label), np.zeros(3), request.accounting) for c in courses]))
    every = join(parts)
    return {
        "sr": proportion(every.success) | {"seeds": [round(float(p.success.mean()), 4) for p in parts]},
        "fell": proportion(every.fell)["value"],
        "lost_contacts": int(every.lost.sum()),
        "balls": "released" if released else "paper",
        "training_clips": _training_clips(who, label),
        "control_steps": len(every.success) * request.steps,
        "wall_s": round(time.perf_counter() - began, 1),
    }


def _training_clips(who: Contender, label: int) -> int | None:
    """How many clips of the skill the policy was trained on, as its metadata list them."""
    listed = who.agent.metadata.get("clips") or ()
    return sum(isinstance(clip, Mapping) and clip.get("skill") == label for clip in listed) or None


def _matrix(what: str, who: Contender, request: V2Request) -> dict[str, Any]:
    """SR on the diagonal, TSR elsewhere: rows say where worlds begin, columns what they are told."""
    began = time.perf_counter()
    labels = [int(label) for label in np.unique(who.skills) if int(label) in skills.BY_LABEL]
    if len(labels) < 2:
        raise ValueError(f"{what}: expected clips of at least two skills with a metric, found {labels}")
    jobs = {(a, b): Job(a, b) for a, b in itertools.product(labels, labels)}
    found = play_jobs(who, list(jobs.values()), request)
    played = sum(len(outcomes.success) for _, outcomes in found.values())
    return {
        "labels": labels,
        "skills": [skill_name(label) for label in labels],
        "success": [[share(*found[jobs[a, b]]) for b in labels] for a in labels],
        "control_steps": played * request.steps,
        "wall_s": round(time.perf_counter() - began, 1),
    }


_MEASURES: Mapping[str, Any] = {"v2-table5": _pick_up, "v2-matrix": _matrix}
