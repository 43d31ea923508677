"""What SkillMimic-V2 asks of each skill: its metrics by folder name and by label (skillmimic_v2.md §10.2)."""

from __future__ import annotations

import dataclasses

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.v2.folds import Counted, OnceThenKept, Share
from mjx_skillmimic.evaluation.v2.metrics import Condition, Seen, SkillMetric
from mjx_skillmimic.rotations import Array

UPRIGHT, TALL = 0.5, 0.7  # m, height of the root of somebody who has not fallen, and of one who stands
REST = 1e-5  # m/s, vertical: slower, the ball lies
WARM_UP, ONCE_BEFORE = 100, 300  # steps in which a dribble must begin; in which a throw must have succeeded
GRASP, GRASP_PAN = 0.2, 0.35  # m, wrist to object


def _norm(x: Array) -> Array:
    xp = rotations.namespace(x)
    return xp.sqrt(xp.sum(x * x, axis=-1))


def _higher(seen: Seen, height: float) -> Array:
    return seen.root_pos[..., 2] > height


def _in_motion(seen: Seen) -> Array:
    return abs(seen.object_lin_vel[..., 2]) > REST


def _from_wrist(seen: Seen, pos: Array) -> Array:
    """(...) m from the nearer wrist."""
    return _norm(seen.wrist_pos - pos[..., None, :]).min(axis=-1)


def _dribbles(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & (_norm(seen.object_pos - seen.root_pos) < 1.5) & _in_motion(seen)


def _thrown_high(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & (seen.object_pos[..., 2] > 1.8)


def _plays_on(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & _in_motion(seen)


def _at_peak_height(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & (abs(seen.object_pos[..., 2] - target[..., 2]) < 0.2)


def _at_target(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & (_norm(seen.object_pos - target) < 0.2)


def _upright(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT)


def _has_ball(seen: Seen, target: Array) -> Array:
    return _higher(seen, UPRIGHT) & (_norm(seen.object_pos - seen.root_pos) < 0.5)


def _runs(seen: Seen, target: Array) -> Array:
    return _higher(seen, TALL) & (_norm(seen.root_lin_vel) > 1.0)


def _stands(seen: Seen, target: Array) -> Array:
    return _higher(seen, TALL) & (_norm(seen.root_lin_vel) < 1.0)


def _lifted(reach: float, height: float) -> Condition:
    def lifted(seen: Seen, target: Array) -> Array:
        near = _from_wrist(seen, seen.object_pos) < reach
        return _higher(seen, UPRIGHT) & near & (seen.object_pos[..., 2] > height)

    return lifted


def _both_lifted(seen: Seen, target: Array) -> Array:
    second = (_from_wrist(seen, seen.second_pos) < GRASP) & (seen.second_pos[..., 2] > 0.9)
    return _lifted(GRASP, 0.9)(seen, target) & second


RUN = SkillMetric(
    "dribble",
    "root > 0.5 m, ball within 1.5 m of it and vertically not at rest: once in the first 100 steps, and at every later",
    _dribbles,
    OnceThenKept(WARM_UP),
)
LAYUP = SkillMetric(
    "lay-up",
    "in the first 300 steps once root > 0.5 m and ball > 1.8 m; at every later step root > 0.5 m and ball vertically "
    "not at rest",
    _thrown_high,
    OnceThenKept(ONCE_BEFORE),
    _plays_on,
)
SHOT = SkillMetric(
    "shot",
    "in the first 300 steps once root > 0.5 m and ball within 0.2 m of the height of the reference's highest point; at "
    "every later step root > 0.5 m",
    _at_peak_height,
    OnceThenKept(ONCE_BEFORE),
    _upright,
)
# Later steps ask for nothing but an upright root, once: whoever is up at step 300 has succeeded. Kept as published.
JUMP_SHOT = SkillMetric(
    "jump or set shot",
    "in the first 300 steps once root > 0.5 m and ball within 0.2 m of the reference's highest point, or at any later "
    "step root > 0.5 m",
    _at_target,
    OnceThenKept(ONCE_BEFORE, "any"),
    _upright,
)
PICK_UP = SkillMetric(
    "pick up", "root > 0.5 m and ball within 0.5 m of it, in more than 60 steps", _has_ball, Counted(60)
)
GET_UP = SkillMetric("get up", "root > 0.7 m and slower than 1 m/s, in more than 60 steps", _stands, Counted(60))
RUN_NO_OBJECT = SkillMetric(
    "run without ball", "root > 0.7 m and faster than 1 m/s, in more than 80 % of the steps", _runs, Share(0.8)
)
PLACE = SkillMetric(
    "place",
    "root > 0.5 m, object within 0.2 m of a wrist and above 0.9 m, in more than 60 steps",
    _lifted(GRASP, 0.9),
    Counted(60),
)
PLACE_PAN = dataclasses.replace(
    PLACE, text=PLACE.text.replace("within 0.2 m", "within 0.35 m"), hit=_lifted(GRASP_PAN, 0.9)
)
DRINK = SkillMetric(
    "drink",
    "root > 0.5 m, cup within 0.2 m of a wrist and above 1.2 m, in more than 30 steps",
    _lifted(GRASP, 1.2),
    Counted(30),
)
POUR = SkillMetric(
    "pour",
    "root > 0.5 m, kettle within 0.2 m of a wrist and above 1.0 m, in more than 30 and fewer than 100 steps",
    _lifted(GRASP, 1.0),
    Counted(30, 100),
)
CHAIR = SkillMetric("stand up from a chair", GET_UP.text, _stands, Counted(60))
MULTI_POUR = SkillMetric(
    "pour from kettle to cup",
    "root > 0.5 m, both objects within 0.2 m of a wrist and above 0.9 m, in more than 30 and fewer than 100 steps",
    _both_lifted,
    Counted(30, 100),
)

# By the name of the folder that a skill's clips lie in.
BY_NAME: dict[str, SkillMetric] = {
    **dict.fromkeys(("run", "rrun", "lrun"), RUN),
    **dict.fromkeys(("layup", "turnlayup", "Chestpass"), LAYUP),
    "shot": SHOT,
    **dict.fromkeys(("Jumpshot", "Setshot"), JUMP_SHOT),
    "pickup": PICK_UP,
    "run_no_object": RUN_NO_OBJECT,
    "getup": GET_UP,
    "place_pan": PLACE_PAN,
    **dict.fromkeys(("place_kettle", "place_book"), PLACE),
    "drink_cup": DRINK,
    "pour_kettle": POUR,
    "getup_chair": CHAIR,
    "pour_kettlecup": MULTI_POUR,
}
# By skill label: those of V2's clips, and those of BallPlay-M and of ours for the same skills (5 to 7 shots, 23 a
# lay-up, 51 dribbling in place).
BY_LABEL: dict[int, SkillMetric] = {
    **dict.fromkeys((11, 12, 13, 51), RUN),
    **dict.fromkeys((16, 23, 31, 34), LAYUP),
    **dict.fromkeys((5, 6, 7, 9), SHOT),
    22: JUMP_SHOT,
    1: PICK_UP,
    10: RUN_NO_OBJECT,
    0: GET_UP,
}


def metric_for(label: int) -> SkillMetric:
    """The metric of a skill label. Raises ValueError that lists the labels that have one."""
    if (metric := BY_LABEL.get(int(label))) is None:
        known = ", ".join(map(str, sorted(BY_LABEL)))
        raise ValueError(f"label {label}: SkillMimic-V2 has no metric for it; there is one for {known}")
    return metric
