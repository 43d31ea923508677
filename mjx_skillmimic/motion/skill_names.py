"""What the skill labels of the published clips (skillmimic.md §3.2) and of our own are called."""

from __future__ import annotations

# Labels whose clips show no ball: it lies somewhere and nobody touches it (skillmimic_v2.md §1.4).
WITHOUT_OBJECT = (0, 10)

SKILL_NAMES: dict[int, str] = {
    0: "get up",
    1: "pick up",
    2: "rebound",
    3: "catch",
    4: "pass",
    5: "shot, style 1",
    6: "shot, style 2",
    7: "shot, style 3",
    9: "shot",
    10: "run without ball",
    11: "dribble left",
    12: "dribble right",
    13: "dribble forward",
    16: "chest pass",
    22: "jump shot",
    23: "turnaround lay-up, style 2",
    31: "lay-up",
    34: "turnaround lay-up",
    40: "turn to the left hand",
    41: "dribble backward",
    42: "turn",
    43: "turn, ball between the legs",
    44: "dribble between the legs, style 1",
    45: "dribble between the legs, style 2",
    50: "throw and catch",
    51: "dribble in place",
}


def skill_name(label: int) -> str:
    """The name of a label; "skill 063" for one that has none."""
    return SKILL_NAMES.get(int(label), f"skill {int(label):03d}")
