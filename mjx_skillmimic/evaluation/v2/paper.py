"""The numbers that the paper of SkillMimic-V2 reports, for the columns beside ours (skillmimic_v2.md §10.3).

Shares and rewards in [0, 1]. Its figures 6 and 7 (curves, the 5 × 5 matrix) are pictures without numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BALL_SKILLS = ("DF", "DL", "DR", "Layup", "Shot")
BALL_PAIRS = ("DL-DR", "DF-DR", "DF-Shot", "Layup-DF")
LOCOMOTION_SKILLS = ("Getup", "Run")
LOCOMOTION_PAIRS = ("Getup-Run", "Run-Getup")

Triple = tuple[float, float, float]


def _row(
    skills: Sequence[str], triples: Sequence[Triple], pairs: Sequence[str], tsr: Sequence[float], average: Any = None
) -> dict[str, Any]:
    """SR %, εNSR % and NR of each skill, TSR % of each pair, and their averages as printed where they are."""
    row: dict[str, Any] = {
        "skills": {name: _triple(*triple) for name, triple in zip(skills, triples, strict=True)},
        "tsr": {pair: value / 100 for pair, value in zip(pairs, tsr, strict=True)},
    }
    if average is not None:
        row["average"] = _triple(*average[:3]) | {"tsr": average[3] / 100}
    return row


def _triple(sr: float, nsr: float, nr: float) -> dict[str, float]:
    return {"sr": sr / 100, "nsr": nsr / 100, "nr": nr}


def _ball(triples: Sequence[Triple], tsr: Sequence[float], average: Sequence[float]) -> dict[str, Any]:
    return _row(BALL_SKILLS, triples, BALL_PAIRS, tsr, average)


def _locomotion(getup: Triple, run: Triple, tsr: Sequence[float]) -> dict[str, Any]:
    return _row(LOCOMOTION_SKILLS, (getup, run), LOCOMOTION_PAIRS, tsr)


TABLE1: dict[str, dict[str, Any]] = {
    "DM": _ball(
        [(89.2, 38.5, 0.09), (70.4, 24.5, 0.10), (87.5, 26.8, 0.06), (0, 0, 0.18), (0, 0, 0.12)],
        [1.6, 17.1, 0, 50.2],
        [49.4, 18.0, 0.11, 17.2],
    ),
    "DM+ε-NSI": _ball(
        [(96.2, 56.3, 0.10), (76.5, 38.7, 0.11), (81.8, 29.5, 0.06), (1.0, 0.5, 0.20), (0, 0, 0.11)],
        [2.9, 14.0, 0, 46.1],
        [51.1, 25.0, 0.12, 15.8],
    ),
    "DM+Ours": _ball(
        [(83.2, 53.2, 0.08), (88.3, 55.5, 0.09), (92.4, 53.4, 0.10), (78.7, 43.7, 0.12), (0.6, 0.3, 0.06)],
        [93.4, 87.2, 0, 71.2],
        [68.6, 41.2, 0.09, 63.0],
    ),
    "SM": _ball(
        [(96.5, 40.3, 0.40), (73.0, 27.7, 0.49), (96.0, 22.7, 0.37), (0, 0, 0.64), (1.0, 0.6, 0.42)],
        [2.1, 26.4, 0.8, 31.1],
        [53.3, 18.3, 0.46, 15.1],
    ),
    "SM+ε-NSI": _ball(
        [(98.1, 61.2, 0.38), (98.7, 59.8, 0.51), (97.1, 44.9, 0.36), (23.1, 12.1, 0.62), (0, 0, 0.39)],
        [37.2, 77.3, 0, 49.3],
        [63.4, 35.6, 0.45, 41.0],
    ),
    "SM+Ours": _ball(
        [(97.7, 60.8, 0.37), (98.5, 59.3, 0.42), (99.1, 47.5, 0.34), (91.5, 44.1, 0.57), (97.9, 34.6, 0.46)],
        [94.9, 95.7, 97.2, 87.4],
        [96.9, 49.3, 0.43, 93.8],
    ),
}

# SR, TSR, εNSR, NR: averages over the skills and pairs of Table 1. The last two rows are of the paper's Table 7.
TABLE3: dict[str, dict[str, float]] = {
    name: {"sr": sr / 100, "tsr": tsr / 100, "nsr": nsr / 100, "nr": nr}
    for name, (sr, tsr, nsr, nr) in {
        "SM": (53.30, 15.11, 18.26, 0.47),
        "SM+ATS": (56.39, 22.43, 19.74, 0.42),
        "SM+HE": (54.06, 20.54, 4.33, 0.48),
        "SM+STF": (68.67, 35.07, 36.96, 0.43),
        "SM+STG": (74.74, 71.67, 28.91, 0.44),
        "SM+STG+STF": (77.12, 73.18, 45.08, 0.40),
        "SM+STG+STF+ATS": (76.44, 70.23, 45.67, 0.39),
        "SM+STG+STF+ATS+HE": (96.94, 93.80, 49.26, 0.43),
        "SM+HS": (0.0, 0.0, 0.0, 0.21),
        "SM+IAE": (53.31, 17.18, 17.09, 0.45),
    }.items()
}

# By the spread of the noise on the ball's positions, mm: averages over the skills.
TABLE4: dict[str, dict[str, float]] = {
    "SM, 10 mm": _triple(55.8, 21.9, 0.45),
    "SM, 20 mm": _triple(56.1, 24.3, 0.35),
    "SM, 30 mm": _triple(56.2, 24.5, 0.29),
    "SM+Ours, 10 mm": _triple(84.9, 42.5, 0.38),
    "SM+Ours, 20 mm": _triple(90.6, 44.9, 0.28),
    "SM+Ours, 30 mm": _triple(90.1, 53.9, 0.27),
}

# SR of picking up, by the number of clips; ours there without the stitched graph.
TABLE5: dict[str, dict[str, float]] = {
    "SM": {"1": 0.0010, "4": 0.1626, "10": 0.3226, "40": 0.8284},
    "SM+STF+ATS+HE": {"1": 0.0054, "4": 0.4664, "10": 0.8568, "40": 0.9632},
}

TABLE6: dict[str, dict[str, Any]] = {
    "AMP+RSI": _locomotion((99.3, 98.6, 0.01), (93.3, 80.5, 0.66), [37.9, 99.7]),
    "DM": _locomotion((24.4, 24.9, 0.64), (46.5, 22.2, 0.73), [0.2, 22.4]),
    "DM+ε-NSI": _locomotion((96.9, 97.9, 0.47), (93.2, 84.9, 0.65), [62.6, 5.7]),
    "DM+Ours": _locomotion((98.5, 98.2, 0.54), (97.1, 81.5, 0.64), [67.2, 96.2]),
    "SM": _locomotion((69.2, 66.0, 0.80), (74.0, 36.4, 0.78), [10.5, 44.9]),
    "SM+ε-NSI": _locomotion((97.8, 97.3, 0.66), (99.4, 91.8, 0.77), [93.4, 12.7]),
    "SM+Ours": _locomotion((99.1, 98.0, 0.64), (99.9, 91.0, 0.71), [97.9, 100.0]),
}
