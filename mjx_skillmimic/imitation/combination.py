"""How the factors of a reward become one number: the published product, and sums to compare it with.

SkillMimic §3.3 multiplies; Table 1 of the paper adds instead ("w/o multiplication"), Table 2 compares with DeepMimic*.
Each of these combinations of factors in [0, 1] lies in [0, 1], and is 1 where every factor is. "terms", the DeepMimic
baseline of SkillMimic-V2, is a plain sum of four and lies in [0, 4].
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from mjx_skillmimic import rotations
from mjx_skillmimic.rotations import Array

Combination = Literal["product", "sum", "deepmimic", "terms"]

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

# The terms that SkillMimic-V2 adds up, with their published weights λ (skillmimic_v2.md §1.8).
TERMS = {"p": 40.0, "r": 2.0, "rv": 0.1, "op": 40.0}


def combined(factors: Mapping[str, Array], kind: Combination, alone: Array | None = None) -> Array:
    """The reward (...) of factors by name, each (...).

    "product": of all. "sum": mean of the four GROUPS, each the product of its factors. "deepmimic": sum weighted by
    SHARES. "terms": sum of TERMS. alone: (...) bool, where only the body's factors count (`of_body`).

    Raises ValueError for another kind, or for factors that the kind does not know or misses.
    """
    if alone is not None:
        whole = combined(factors, kind)
        return rotations.namespace(whole, alone).where(alone, of_body(factors, kind), whole)
    if kind == "product":
        return _product(factors.values())
    if kind == "deepmimic":
        _require(kind, factors.keys() == SHARES.keys(), factors)
        return functools.reduce(operator.add, (SHARES[name] * factor for name, factor in factors.items()))
    if kind == "terms":
        _require(kind, factors.keys() == TERMS.keys(), factors)
        return functools.reduce(operator.add, factors.values())
    if kind != "sum":
        raise ValueError(f"combination: expected one of {', '.join(get_args(Combination))}, got {kind!r}")
    groups = [[factors[name] for name in names if name in factors] for names in GROUPS.values()]
    _require(kind, all(groups) and sum(map(len, groups)) == len(factors), factors)
    return functools.reduce(operator.add, map(_product, groups)) / len(groups)


def of_body(factors: Mapping[str, Array], kind: Combination) -> Array:
    """The reward (...) of the body's factors alone, for labels whose clips show no ball (skillmimic_v2.md §1.4).

    "product", "sum": the product of the group "body". "deepmimic": the imitation's shares, made to add up to 1.
    "terms": the sum without op, as published, so at most 3.
    """
    if kind == "deepmimic":
        shares = (SHARES[name] / IMITATION_SHARE * factors[name] for name in SHARES if name != "op")
        return functools.reduce(operator.add, shares)
    body = [factors[name] for name in GROUPS["body"] if name in factors]
    return functools.reduce(operator.add, body) if kind == "terms" else _product(body)


def _product(factors: Iterable[Array]) -> Array:
    return functools.reduce(operator.mul, factors)


def _require(kind: str, known: bool, factors: Mapping[str, Array]) -> None:
    if not known:
        names = {"deepmimic": SHARES, "terms": TERMS}.get(kind)
        expected = ", ".join(names) if names else f"factors of each of the groups {', '.join(GROUPS)}"
        raise ValueError(f"combination {kind!r}: expected {expected}, got {', '.join(factors)}")
