"""The numbers that the paper reports, for the column beside ours (skillmimic.md §9.6)."""

from __future__ import annotations

from typing import NamedTuple


class Errors(NamedTuple):
    """A row of the paper's Table 1: Acc in [0, 1], E_b and E_o in mm, E_cg."""

    acc: float
    e_b_mpjpe_mm: float
    e_o_mpjpe_mm: float
    e_cg: float


TABLE1: dict[str, dict[str, Errors]] = {
    "BallPlay-V": {
        "full": Errors(0.824, 56.8, 82.9, 0.087),
        "without contact-graph reward": Errors(0.136, 88.5, 155.3, 0.412),
        "without multiplication": Errors(0.075, 40.1, 1662.5, 0.306),
    },
    "GRAB": {
        "full": Errors(0.954, 71.1, 78.0, 0.026),
        "without contact-graph reward": Errors(0.386, 91.0, 180.1, 0.337),
        "without multiplication": Errors(0.270, 44.7, 180.2, 0.724),
    },
}

# Table 2, success in [0, 1] by skill label: pick up, dribble forward, lay-up, shot.
TABLE2: dict[str, dict[int, float]] = {
    "SkillMimic": {1: 0.867, 13: 0.796, 31: 0.991, 5: 0.979},
    "DeepMimic*": {1: 0.196, 13: 0.685, 31: 0.989, 5: 0.978},
    "AMP*": {1: 0.0, 13: 0.136, 31: 0.0, 5: 0.016},
}

# Table 3, success in [0, 1] of the high-level tasks; what counted as success stands in an appendix that is not at hand.
TABLE3: dict[str, dict[str, float]] = {
    "SkillMimic": {"Heading": 0.9304, "Circling": 0.7992, "Throwing": 0.9340, "Scoring": 0.8025},
    "ASE*": {"Heading": 0.0031, "Circling": 0.0721, "Throwing": 0.0, "Scoring": 0.0},
    "ASE": {"Heading": 0.0019, "Circling": 0.0437, "Throwing": 0.0, "Scoring": 0.0},
    "PPO": {"Heading": 0.0070, "Circling": 0.1114, "Throwing": 0.0, "Scoring": 0.0},
}
