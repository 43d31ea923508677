"""The paper's Table 1 (accuracy and errors) and Table 2 (success of each skill)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import report, rollouts
from mjx_skillmimic.evaluation.free_play import run_free_play
from mjx_skillmimic.evaluation.free_rules import held
from mjx_skillmimic.evaluation.metrics import BODY_THRESHOLD, OBJECT_THRESHOLD
from mjx_skillmimic.evaluation.paper import TABLE1, TABLE2
from mjx_skillmimic.evaluation.reproduce import (
    Contender,
    Request,
    average,
    by_seed,
    contenders,
    distinct,
    document,
    proportion,
)
from mjx_skillmimic.evaluation.reproduce_fig8 import play_balls
from mjx_skillmimic.evaluation.success import (
    DRIBBLE,
    DRIBBLE_REACH,
    DRIBBLE_RIGHT,
    DRIBBLE_SPEED,
    PICK_UP,
    PICK_UP_HEIGHT,
    SHOT,
    TARGET_RADIUS,
    UPRIGHT,
    rule_for,
)
from mjx_skillmimic.motion import table
from mjx_skillmimic.motion.skill_names import skill_name

FREE_STEPS = 600  # 10 s
BEFORE_RELEASE = 10  # frames
THRESHOLDS = {
    "accurate_body_m": BODY_THRESHOLD,
    "accurate_object_m": OBJECT_THRESHOLD,
    "fall_root_height_m": rollouts.FALL_HEIGHT,
    "upright_root_height_m": UPRIGHT,
    "pick_up_height_m": PICK_UP_HEIGHT,
    "target_radius_m": TARGET_RADIUS,
    "dribble_reach_m": DRIBBLE_REACH,
    "dribble_speed_m_s": DRIBBLE_SPEED,
    "free_steps": FREE_STEPS,
    "frames_before_release": BEFORE_RELEASE,
}


def table1(request: Request, command: str = "") -> dict[str, Any]:
    """Acc, E_b, E_o, E_cg of each policy on each clip from frame 2 and from random frames; the `document` of it.

    `request.count` random starts a seed are dealt to the clips; each distinct start is run once.
    """
    results = []
    for who in contenders(request):
        names, count = who.env.tables.motions.names, len(who.lengths)
        first = rollouts.run_episodes(who.env, who.agent, count, "first", batch=request.batch)
        results.append(_errors(who, "frame 2", first, names))
        starts = [rollouts.draw_starts(who.lengths, request.count, "random", seed) for seed in request.seeds]
        clip, frame = (np.concatenate(x) for x in zip(*starts, strict=True))
        index, inverse = distinct(clip, frame)
        drawn = rollouts.run_from(who.env, who.agent, clip[index], frame[index], batch=request.batch)
        seed = np.repeat(np.arange(len(request.seeds)), request.count)
        seeds = [report.numbers(drawn.select(inverse[seed == s])) for s in range(len(request.seeds))]
        results.append(_errors(who, "random frames", drawn, names) | {"seeds": seeds})
    paper = {data: {row: numbers._asdict() for row, numbers in rows.items()} for data, rows in TABLE1.items()}
    return document("table1", request, command, results, thresholds=THRESHOLDS, paper=paper)


def _errors(who: Contender, start: str, episodes: Any, names: tuple[str, ...]) -> dict[str, Any]:
    found = report.report(episodes, names)
    for entry in (found["total"], *found["skills"].values(), *found["clips"].values()):
        if entry["episodes"] == 1:  # a single deterministic episode has no interval
            for value in entry.values():
                if isinstance(value, dict):
                    value |= {"low": None, "high": None}
    return {"policy": who.name, "engine": who.engine, "start": start, **found}


def table2(request: Request, command: str = "") -> dict[str, Any]:
    """Success of each policy in every skill of the clips, by both protocols (docs/evaluation.md); the `document`.

    `request.count` worlds a seed and skill.
    """
    results: list[dict[str, Any]] = []
    for who in contenders(request):
        for label in np.unique(who.skills):
            rule = rule_for(int(label))
            entry: dict[str, Any] = {
                "policy": who.name,
                "engine": who.engine,
                "label": int(label),
                "skill": skill_name(int(label)),
                "rule": rule.name,
                "rule_text": rule.text,
                "paper": {method: row.get(int(label)) for method, row in TABLE2.items()},
                "clip": clip_protocol(who, int(label), request),
            }
            if rule in (DRIBBLE, DRIBBLE_RIGHT):
                entry["free"] = free_dribble(who, int(label), request)
            elif rule is PICK_UP:
                entry["free"] = free_pick_up(who, request)
            entry["beside_paper"] = "free" if "free" in entry else "clip"
            results.append(entry)
    return document("table2", request, command, results, thresholds=THRESHOLDS)


def last_start(who: Contender, label: int) -> np.ndarray:
    """(C,) last frame of each clip that an episode may start on.

    T − 2; for what the rule of the shot judges, `BEFORE_RELEASE` frames before the ball leaves the hands for its
    highest point: the last frame labelled as contact that is not after that point. Later starts would test the ball.
    """
    last = who.lengths - 2
    if rule_for(label) is not SHOT:
        return last
    motions = who.env.tables.motions
    ball, contact = np.asarray(motions.reference.object_pos), np.asarray(motions.reference.contact)
    for clip, (begin, length) in enumerate(zip(np.asarray(motions.starts), who.lengths, strict=True)):
        peak = int(ball[begin : begin + length, 2].argmax())
        touched = np.flatnonzero(contact[begin : begin + peak + 1] > 0.5)
        release = int(touched[-1]) if len(touched) else peak
        last[clip] = max(table.FIRST_START, min(release, last[clip]) - BEFORE_RELEASE)
    return last


def skill_starts(who: Contender, label: int, request: Request) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip, frame and index of the seed (N,) of `request.count` starts a seed, clips of the label in turn, frames
    uniform on [2, `last_start`]."""
    clips, last = np.flatnonzero(who.skills == label), last_start(who, label)
    parts = [rollouts.draw_starts(last[clips] + 2, request.count, "random", seed) for seed in request.seeds]
    clip, frame = (np.concatenate(x) for x in zip(*parts, strict=True))
    return clips[clip].astype(np.int32), frame, np.repeat(np.arange(len(request.seeds)), request.count)


def clip_protocol(who: Contender, label: int, request: Request) -> dict[str, Any]:
    """Success by the skill's rule from random start frames to the clip's end; every distinct start once."""
    clip, frame, seed = skill_starts(who, label, request)
    index, inverse = distinct(clip, frame)
    episodes = rollouts.run_from(who.env, who.agent, clip[index], frame[index], batch=request.batch)
    values, binary = report.success_values(episodes)
    success = proportion(values > 0.5) if binary else average(values)
    return success | {
        "seeds": by_seed(values[inverse], seed),
        "standing": proportion(~episodes.fell),
        "last_start": {who.env.tables.motions.names[c]: int(last_start(who, label)[c]) for c in np.unique(clip)},
    }


def free_dribble(who: Contender, label: int, request: Request) -> dict[str, Any]:
    """Share of 600 steps with the label held that satisfy the published rule; `standing`: worlds without a fall."""
    clip, frame, seed = skill_starts(who, label, request)
    index, inverse = distinct(clip, frame)
    labels = np.full((FREE_STEPS, len(index)), label)
    play = run_free_play(who.env, who.agent, clip[index], frame[index], labels, batch=request.batch)
    values = rule_for(label).values(play)
    return average(values) | {
        "seeds": by_seed(values[inverse], seed),
        "standing": proportion(~play.fell),
        "lost_contacts": int(play.lost.sum()),
    }


def free_pick_up(who: Contender, request: Request) -> dict[str, Any]:
    """Share of balls lying still at 1–5 m that are lifted above 1.0 m within 600 steps, as in Fig. 8."""
    _, play = play_balls(who, "still", request, FREE_STEPS)
    hits, seed = PICK_UP.values(play) > 0.5, np.repeat(np.arange(len(request.seeds)), request.count)
    return proportion(hits) | {
        "seeds": by_seed(hits, seed),
        "held": proportion(held(play)),
        "standing": proportion(~play.fell),
        "lost_contacts": int(play.lost.sum()),
    }
