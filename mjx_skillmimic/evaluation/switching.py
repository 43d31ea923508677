"""From skill A at a random moment to B: does the person stay on the feet, and does B succeed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import rollouts
from mjx_skillmimic.evaluation.free_play import FreePlay, run_free_play
from mjx_skillmimic.evaluation.free_rules import DRIBBLE_SHARE, DRIBBLE_STEPS, free_rule_for
from mjx_skillmimic.evaluation.reproduce import Contender, Request, contenders, document, proportion
from mjx_skillmimic.evaluation.success import HELD_REACH, PICK_UP_HEIGHT, TARGET_RADIUS, UPRIGHT
from mjx_skillmimic.motion.skill_names import skill_name

EARLIEST, LATEST = 30, 90  # control steps of A before the switch: 0.5 to 1.5 s
AFTER = 180  # 3 s
THRESHOLDS = {
    "switch_after_steps": [EARLIEST, LATEST],
    "judged_steps": AFTER,
    "standing_root_height_m": UPRIGHT,
    "fall_root_height_m": rollouts.FALL_HEIGHT,
    "pick_up_height_m": PICK_UP_HEIGHT,
    "dribble_last_steps": DRIBBLE_STEPS,
    "dribble_share": DRIBBLE_SHARE,
    "released_beyond_m": HELD_REACH,
    "below_apex_m": TARGET_RADIUS,
}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """N worlds. first, second (N,) int: labels of A and B. clip, frame (N,) int: where A begins. switch (N,) int: steps
    with A's label; `labels` (LATEST + AFTER, N) is what the policy is told."""

    first: np.ndarray
    second: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    switch: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        before = np.arange(LATEST + AFTER)[:, None] < self.switch
        return np.where(before, self.first, self.second)


def draw_schedule(skills: np.ndarray, lengths: np.ndarray, count: int, seed: int = 0) -> Schedule:
    """`count` worlds for every ordered pair of the labels in skills (C,), A = B included.

    A's clip is uniform, its frame uniform on [2, T − 2], the switch uniform on 30 to 90 steps. The worlds of one A are
    the same for every B, so that a row of the matrix compares like with like.
    """
    labels, rng = np.unique(skills), np.random.default_rng(seed)
    parts = []
    for first in labels:
        clip = rng.choice(np.flatnonzero(skills == first), count)
        frame = rng.integers(2, np.asarray(lengths)[clip] - 1)
        switch = rng.integers(EARLIEST, LATEST + 1, count)
        parts += [(np.full(count, first), np.full(count, second), clip, frame, switch) for second in labels]
    return Schedule(*(np.concatenate(x).astype(np.int32) for x in zip(*parts, strict=True)))


def join(schedules: list[Schedule]) -> Schedule:
    """One schedule of several."""
    return Schedule(
        **{f.name: np.concatenate([getattr(s, f.name) for s in schedules]) for f in dataclasses.fields(Schedule)}
    )


def judge(schedule: Schedule, play: FreePlay, apex: dict[int, float]) -> dict[str, Any]:
    """The matrices of a played schedule: rows A, columns B, each cell as `proportion` has it.

    apex: m, height of the lowest of the highest points of each label's clips. standing: root above 0.5 m 3 s after the
    switch, without a fall from the very start. success: B's rule in those 3 s, None where a label has no rule without a
    reference. ready: (A,) root above 0.5 m and no fall at the switch; success_of_ready: B's success among those worlds.
    """
    after = play.window(schedule.switch, AFTER)
    rows = np.arange(len(play))
    ready = (play.root_pos[rows, schedule.switch - 1, 2] > UPRIGHT) & after.valid[:, 0]
    standing = (after.root_pos[:, -1, 2] > UPRIGHT) & ~after.fell
    labels = [int(label) for label in np.unique(schedule.first)]
    result: dict[str, Any] = {
        "labels": labels,
        "skills": [skill_name(label) for label in labels],
        "rules": {},
        "ready": [proportion(ready[schedule.first == a]) for a in labels],
        "standing": [],
        "success": [],
        "success_of_ready": [],
    }
    for label in labels:
        rule = free_rule_for(label)
        result["rules"][f"{label:03d}"] = None if rule is None else {"name": rule.name, "text": rule.text}
    for a in labels:
        cells: dict[str, list[Any]] = {"standing": [], "success": [], "success_of_ready": []}
        for b in labels:
            which, rule = (schedule.first == a) & (schedule.second == b), free_rule_for(b)
            cells["standing"].append(proportion(standing[which]))
            hit = None if rule is None else rule.reached(after.select(which), apex[b])
            cells["success"].append(None if hit is None else proportion(hit))
            cells["success_of_ready"].append(None if hit is None else proportion(hit[ready[which]]))
        for name, row in cells.items():
            result[name].append(row)
    return result


def apexes(who: Contender) -> dict[int, float]:
    """The lowest of the highest points of the ball in each label's clips, m."""
    motions = who.env.tables.motions
    height, begins = np.asarray(motions.reference.object_pos)[:, 2], np.asarray(motions.starts)
    peaks = np.array([height[b : b + n].max() for b, n in zip(begins, who.lengths, strict=True)])
    return {int(label): float(peaks[who.skills == label].min()) for label in np.unique(who.skills)}


def switching(request: Request, command: str = "") -> dict[str, Any]:
    """Every policy's switching matrix over the labels of the clips; the `document`. `request.count` worlds a seed and
    pair. Raises ValueError if the clips have a single label."""
    results = []
    for who in contenders(request):
        if len(np.unique(who.skills)) < 2:
            raise ValueError(f"switching needs clips of at least two skills, got only skill {who.skills[0]:03d}")
        schedule = join([draw_schedule(who.skills, who.lengths, request.count, seed) for seed in request.seeds])
        play = run_free_play(who.env, who.agent, schedule.clip, schedule.frame, schedule.labels, batch=request.batch)
        found = judge(schedule, play, apexes(who))
        seeds = np.repeat(np.arange(len(request.seeds)), len(play) // len(request.seeds))
        each = [judge(_part(schedule, seeds == s), play.select(seeds == s), apexes(who)) for s in np.unique(seeds)]
        found["seeds"] = [{name: _mean(one[name]) for name in ("standing", "success")} for one in each]
        found |= {"apex_m": {f"{label:03d}": round(z, 3) for label, z in apexes(who).items()}}
        results.append({"policy": who.name, "engine": who.engine, "lost_contacts": int(play.lost.sum()), **found})
    return document("switching", request, command, results, thresholds=THRESHOLDS)


def _part(schedule: Schedule, which: np.ndarray) -> Schedule:
    return Schedule(**{f.name: getattr(schedule, f.name)[which] for f in dataclasses.fields(Schedule)})


def _mean(matrix: list[list[Any]]) -> float | None:
    """Mean over the cells that have a value."""
    values = [cell["value"] for row in matrix for cell in row if cell is not None and cell["value"] is not None]
    return round(float(np.mean(values)), 4) if values else None
