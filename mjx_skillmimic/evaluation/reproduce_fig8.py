"""The paper's Fig. 8: picking up balls that lie or roll anywhere around the person."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np

from mjx_skillmimic.evaluation.free_play import FreePlay, run_free_play
from mjx_skillmimic.evaluation.free_rules import HELD_STEPS, held
from mjx_skillmimic.evaluation.paper import TABLE2
from mjx_skillmimic.evaluation.placed_balls import FARTHEST, MAX_SPEED, MOTIONS, NEAREST, Placement, place_balls
from mjx_skillmimic.evaluation.reproduce import Contender, Request, by_seed, contenders, document, proportion
from mjx_skillmimic.evaluation.rollouts import FALL_HEIGHT
from mjx_skillmimic.evaluation.success import PICK_UP, PICK_UP_HEIGHT
from mjx_skillmimic.motion import table

STEPS = 600  # 10 s
DISTANCES = (1.0, 2.0, 3.0, 4.0, 5.0)  # m, limits of the groups
SECTORS = 8
THRESHOLDS = {
    "pick_up_height_m": PICK_UP_HEIGHT,
    "held_steps": HELD_STEPS,
    "fall_root_height_m": FALL_HEIGHT,
    "nearest_m": NEAREST,
    "farthest_m": FARTHEST,
    "max_speed_m_s": MAX_SPEED,
    "steps": STEPS,
}


def play_balls(who: Contender, motion: str, request: Request, steps: int = STEPS) -> tuple[Placement, FreePlay]:
    """`request.count` balls a seed with the label of pick up held; the seeds one after the other.

    Raises ValueError if the clips have no pick up to stand in.
    """
    clips = np.flatnonzero(who.skills == table.PICK_UP)
    if not len(clips):
        labels = ", ".join(f"{label:03d}" for label in np.unique(who.skills))
        raise ValueError(f"balls to pick up need clips of skill 001 to stand in; the clips have skill {labels}")
    drawn = [place_balls(who.env, clips, request.count, motion, seed) for seed in request.seeds]
    placed = jax.tree.map(lambda *parts: np.concatenate(parts), *drawn)
    told = np.full((steps, len(placed.clip)), table.PICK_UP)
    env, agent = who.env, who.agent
    return placed, run_free_play(env, agent, placed.clip, placed.frame, told, placed.ball, batch=request.batch)


def judge(placed: Placement, play: FreePlay, seeds: int) -> dict[str, Any]:
    """`success` (published rule) and `held`, with groups by distance and direction, and every ball's place and outcome.

    balls: lists of [m to the right, m ahead, 1 if picked up, 1 if held].
    """
    hit, kept = PICK_UP.values(play) > 0.5, held(play)
    turn = 2.0 * np.pi / SECTORS
    sector = np.floor((placed.direction + 0.5 * turn) / turn).astype(int) % SECTORS
    place = np.clip(np.digitize(placed.distance, DISTANCES) - 1, 0, len(DISTANCES) - 2)
    seed = np.repeat(np.arange(seeds), len(hit) // seeds)
    return {
        "success": proportion(hit) | {"seeds": by_seed(hit, seed)},
        "held": proportion(kept) | {"seeds": by_seed(kept, seed)},
        "standing": proportion(~play.fell),
        "lost_contacts": int(play.lost.sum()),
        "by_distance": [
            {"from_m": low, "to_m": high, **proportion(hit[place == i])}
            for i, (low, high) in enumerate(itertools.pairwise(DISTANCES))
        ],
        "by_direction": [
            {
                "centre_degrees_left": round(360 / SECTORS * (s if s <= SECTORS // 2 else s - SECTORS)),
                **proportion(hit[sector == s]),
            }
            for s in range(SECTORS)
        ],
        "balls": [
            [round(float(right), 2), round(float(ahead), 2), int(h), int(k)]
            for (right, ahead), h, k in zip(placed.seen_from_above, hit, kept, strict=True)
        ],
    }


def fig8(request: Request, command: str = "", motions: tuple[str, ...] = MOTIONS) -> dict[str, Any]:
    """Every policy on balls that lie still and that roll; the `document`. `request.count` balls a seed and kind."""
    results = []
    for who in contenders(request):
        for motion in motions:
            request.say(f"{who.name}: {len(request.seeds) * request.count} balls, {motion}")
            found = judge(*play_balls(who, motion, request), len(request.seeds))
            results.append({"policy": who.name, "engine": who.engine, "motion": motion, **found})
    paper = {"SkillMimic": TABLE2["SkillMimic"][table.PICK_UP]}
    return document("fig8", request, command, results, thresholds=THRESHOLDS, paper=paper)
