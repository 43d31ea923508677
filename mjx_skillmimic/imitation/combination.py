"""How the factors of a reward become one number: the published product, and two sums to compare it with.

SkillMimic §3.3 multiplies; Table 1 of the paper adds instead ("w/o multiplication"), Table 2 compares with DeepMimic*.
Each combination of factors in [0, 1] lies in [0, 1], and is 1 where every factor is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from mjx_skillmimic.rotations import Array

Combination = Literal["product", "sum", "deepmimic"]

# The paper's groups of factors: what of them there is depends on the options.
GROUPS: dict[str, tuple[str, ...]] = {
    "body": ("p", "r", "pv", "rv", "smooth"),
    "object": ("op", "or", "opv", "orv"),
    "relative": ("ig",),
    "contact": ("cg1", "cg2", "cg_hands_object", "cg_body_object", "cg_hands_body"),
}

# DeepMimic (Peng et al. 2018, §5) imitates with 0.65 pose, 0.1 velocity, 0.15 end effectors, 0.1 root, and gives a task
# 0.3 of the reward beside it; here the task is the ball's position.
IMITATION_SHARE = 0.7
SHARES = {
    "r": IMITATION_SHARE * 0.65,
    "rv": IMITATION_SHARE * 0.1,
    "ee": IMITATION_SHARE * 0.15,
    "root": IMITATION_SHARE * 0.1,
    "op": 1.0 - IMITATION_SHARE,
}


def combined(factors: Mapping[str, Array], kind: Combination) -> Array:
    """The reward (...) of factors by name, each (...).

    "product": of all. "sum": mean of the four GROUPS, each the product of its factors. "deepmimic": sum weighted by
    SHARES. Raises ValueError for another kind, or for factors that the kind does not know or misses.
    """
    if kind == "product":
        return _product(factors.values())
    if kind == "deepmimic":
        _require(kind, factors.keys() == SHARES.keys(), factors)
        return functools.reduce(operator.add, (SHARES[name] * factor for name, factor in factors.items()))
    if kind != "sum":
        raise ValueError(f"combination: expected one of {', '.join(get_args(Combination))}, got {kind!r}")
    groups = [[factors[name] for name in names if name in factors] for names in GROUPS.values()]
    _require(kind, all(groups) and sum(map(len, groups)) == len(factors), factors)
    return functools.reduce(operator.add, map(_product, groups)) / len(groups)


def _product(factors: Iterable[Array]) -> Array:
    return functools.reduce(operator.mul, factors)


def _require(kind: str, known: bool, factors: Mapping[str, Array]) -> None:
    if not known:
        expected = ", ".join(SHARES) if kind == "deepmimic" else f"factors of each of the groups {', '.join(GROUPS)}"
        raise ValueError(f"combination {kind!r}: expected {expected}, got {', '.join(factors)}")
