"""Tables of an evaluation: per clip, per skill and in total, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.episodes import Episodes
from mjx_skillmimic.evaluation.intervals import bootstrap_ratio, wilson
from mjx_skillmimic.evaluation.success import rule_for

# Reported name → per-step quantity, averaged over all frames of all episodes as the paper does.
FRAME_MEANS = {
    "acc": "accurate",
    "e_b_mpjpe_mm": "body_error",
    "e_b_mpjpe_rooted_mm": "body_error_rooted",
    "e_o_mpjpe_mm": "object_error",
    "e_cg": "contact_error",
    "acc_edges": "edge_accurate",
    "e_cg_edges": "edge_error",
    "reward": "reward",
}


def _entry(value: float, interval: tuple[float, float]) -> dict[str, float | None]:
    low, high = (None if math.isnan(x) else round(x, 6) for x in interval)
    return {"value": None if math.isnan(value) else round(value, 6), "low": low, "high": high}


def summarise(episodes: Episodes, seed: int = 0) -> dict[str, Any]:
    """Numbers of a group of episodes: every name of `FRAME_MEANS`, "survived", "unfallen" and "success", each with
    `value`, `low`, `high`; and the counts "episodes" and "frames".

    survived: mean fraction of the clip; unfallen: share of episodes without a fall (Wilson); success: mean of the
    skills' rules, with a Wilson interval if every episode's is 0 or 1 by definition, else a bootstrap one.
    """
    steps = episodes.steps.astype(np.float64)
    ones = np.ones(len(episodes))
    result: dict[str, Any] = {"episodes": len(episodes), "frames": int(steps.sum())}
    for name, quantity in FRAME_MEANS.items():
        sums = episodes.totals(quantity)
        mean = float(sums.sum() / steps.sum()) if steps.sum() else math.nan
        result[name] = _entry(mean, bootstrap_ratio(sums, steps, seed))
    result["survived"] = _entry(
        float(episodes.survived.mean()), bootstrap_ratio(episodes.survived.astype(np.float64), ones, seed)
    )
    unfallen = int((~episodes.fell).sum())
    result["unfallen"] = _entry(unfallen / len(episodes), wilson(unfallen, len(episodes)))
    values, binary = success_values(episodes)
    interval = wilson(int(values.sum()), len(values)) if binary else bootstrap_ratio(values, ones, seed)
    result["success"] = _entry(float(values.mean()), interval)
    return result


def success_values(episodes: Episodes) -> tuple[np.ndarray, bool]:
    """(N,) each episode's success by its skill's rule, and whether all of those rules say yes or no."""
    values, binary = np.zeros(len(episodes)), True
    for skill in np.unique(episodes.skill):
        which, rule = np.flatnonzero(episodes.skill == skill), rule_for(int(skill))
        values[which] = rule.values(episodes.select(which))
        binary &= rule.reduce == "any"
    return values, binary


def report(episodes: Episodes, clip_names: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """{"total": …, "skills": {label: … + "rule", "rule_text"}, "clips": {name: … + "skill"}} of `summarise` numbers."""
    skills, clips = {}, {}
    for skill in np.unique(episodes.skill):
        rule = rule_for(int(skill))
        skills[f"{int(skill):03d}"] = summarise(episodes.select(episodes.skill == skill), seed) | {
            "rule": rule.name,
            "rule_text": rule.text,
        }
    for clip in np.unique(episodes.clip):
        chosen = episodes.select(episodes.clip == clip)
        clips[clip_names[clip]] = summarise(chosen, seed) | {"skill": int(chosen.skill[0])}
    return {"total": summarise(episodes, seed), "skills": skills, "clips": clips}


def numbers(episodes: Episodes) -> dict[str, float]:
    """Plain means for a training log, without intervals: acc, errors, reward, survived, success."""
    steps = max(float(episodes.steps.sum()), 1.0)
    result = {name: float(episodes.totals(quantity).sum() / steps) for name, quantity in FRAME_MEANS.items()}
    return result | {
        "survived": float(episodes.survived.mean()),
        "success": float(success_values(episodes)[0].mean()),
    }


_COLUMNS = (
    ("acc", "Acc %", 100.0, 1),
    ("e_b_mpjpe_mm", "E_b mm", 1.0, 1),
    ("e_o_mpjpe_mm", "E_o mm", 1.0, 1),
    ("e_cg", "E_cg", 1.0, 3),
    ("success", "success %", 100.0, 1),
    ("survived", "survived %", 100.0, 1),
    ("reward", "reward", 1.0, 3),
)


def text_table(result: dict[str, Any]) -> str:
    """The report as lines of plain text, one a skill, a clip and the total, values with [low, high]."""
    rows = [["", "episodes", *(title for _, title, _, _ in _COLUMNS)]]
    for label, entry in result["skills"].items():
        rows.append(_row(f"skill {label} ({entry['rule']})", entry))
    for name, entry in result["clips"].items():
        rows.append(_row(name, entry))
    rows.append(_row("total", result["total"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)


def _row(name: str, entry: dict[str, Any]) -> list[str]:
    return [name, str(entry["episodes"]), *(_cell(entry[key], k, digits) for key, _, k, digits in _COLUMNS)]


def _cell(entry: dict[str, float | None], factor: float, digits: int) -> str:
    if entry["value"] is None:
        return "-"
    value, low, high = (math.nan if x is None else factor * x for x in (entry["value"], entry["low"], entry["high"]))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
