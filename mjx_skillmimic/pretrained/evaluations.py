"""Evaluation tables for a card: measured on the spot, or read from the JSON that an evaluation wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name

Table = dict[str, Any]

# Settings that name places; a card keeps their last part only.
_PLACES = ("policy", "motion")
# Settings of scripts/evaluate.py that change no number of a policy.
_IRRELEVANT = ("batch", "preset")
_REPORT = {"total", "skills", "clips"}
_STARTS = {"frame 2": "first", "random frames": "random"}


def measure(
    policy: Path, config_of: Path, motion: str, episodes: int, seeds: Sequence[int], engine: str = "mujoco"
) -> list[Table]:
    """Two tables: each clip once from frame 2, and from `episodes` random start frames for each seed, pooled.

    policy: the file that is judged. config_of: a run's folder or policy with its configuration. Mean actions; of equal
    random starts one is run, since the others would repeat it and make intervals look narrower than they are. Raises
    what `setup.make_env` and `make_agent` raise.
    """
    from mjx_skillmimic.evaluation import report, rollouts, setup
    from mjx_skillmimic.evaluation.policies import make_agent
    from mjx_skillmimic.evaluation.reproduce import distinct
    from mjx_skillmimic.learning.describe import versions

    env = setup.make_env(config_of, motion, engine)
    agent = make_agent(policy, env)
    clips, lengths = env.tables.motions.names, np.asarray(env.tables.motions.lengths)
    settings = {"engine": env.physics.name, "actions": "mean", "versions": _deciding(versions())}
    first = rollouts.run_episodes(env, agent, len(clips), "first", 0)
    drawn = [rollouts.draw_starts(lengths, episodes, "random", seed) for seed in seeds]
    clip, frame = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    chosen, _ = distinct(clip, frame)
    random = rollouts.run_from(env, agent, clip[chosen], frame[chosen])
    return [
        {"settings": settings | {"start": "first"}, "rows": rows_of(report.report(first, clips))},
        {
            "settings": settings | {"start": "random", "seeds": list(seeds), "drawn": len(clip)},
            "rows": rows_of(report.report(random, clips)),
        },
    ]


def from_document(document: Mapping[str, Any]) -> list[Table]:
    """The tables, {"settings": …, "rows": […]}, of an evaluation's JSON.

    Takes what scripts/evaluate.py and scripts/reproduce.py write, and any document with a list `rows` of objects.
    Raises ValueError naming what it found instead.
    """
    if document.get("what") == "table3":
        raise ValueError("an evaluation of high-level tasks (table3), expected one of a policy that follows clips")
    settings, rows, results = _settings(document), document.get("rows"), document.get("results")
    if _are_objects(rows):
        return [{"settings": settings, "rows": [dict(row) for row in rows]}]
    if isinstance(results, Mapping) and results.keys() >= _REPORT:
        return [{"settings": settings, "rows": rows_of(results)}]
    if _are_objects(results) and all(result.keys() >= _REPORT for result in results):
        return [{"settings": settings | _heading(result), "rows": rows_of(result)} for result in results]
    if _are_objects(results):
        return [{"settings": settings, "rows": [_heading(result) | _measured(result) for result in results]}]
    found = ", ".join(document) or "nothing"
    raise ValueError(f"an evaluation's JSON holds {found}; expected 'rows', or 'results' of an evaluation script")


def rows_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a skill, a clip if there are several, and the total if there are several skills, each with a `name`.

    Rows of a single episode are without intervals.
    """
    skills, clips = results["skills"], results["clips"]
    rows = [{"name": f"{skill_name(int(label))} ({label})"} | dict(entry) for label, entry in skills.items()]
    rows += [{"name": name} | dict(entry) for name, entry in clips.items() if len(clips) > 1]
    if len(skills) > 1:
        rows.append({"name": "total"} | dict(results["total"]))
    return [_without_interval(row) if row["episodes"] == 1 else row for row in rows]


def headline(card: Mapping[str, Any], start: str, metric: str) -> Mapping[str, Any] | None:
    """A metric in the last row of the card's first table with that start; None if there is none."""
    for evaluation in card["evaluations"]:
        if evaluation["settings"].get("start") == start and evaluation["rows"]:
            entry = evaluation["rows"][-1].get(metric)
            if isinstance(entry, Mapping):
                return entry
    return None


def _settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's settings without empty ones and folders, and the engine and versions that it was made with."""
    settings = {
        key: _setting(key, value)
        for key, value in dict(document.get("settings") or {}).items()
        if key not in _IRRELEVANT
    }
    if "stochastic" in settings:
        settings["actions"] = "samples" if settings.pop("stochastic") else "mean"
    described = document.get("run") or {}
    if "engine" in described:
        settings["engine"] = described["engine"]
    if "versions" in described:
        settings["versions"] = _deciding(described["versions"])
    if "what" in document:
        settings = {"table": document["what"]} | settings
    return {key: value for key, value in settings.items() if value is not None}


def _setting(key: str, value: Any) -> Any:
    is_place = isinstance(value, str) and (key in _PLACES or value.startswith(("/", "~", ".")))
    return Path(value).name if is_place else value


def _deciding(versions: Mapping[str, str]) -> dict[str, str]:
    """The versions that decide what a policy scores."""
    return {name: versions[name] for name in ("mjx_skillmimic", "mujoco", "jax", "warp-lang") if name in versions}


def _are_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _heading(result: Mapping[str, Any]) -> dict[str, Any]:
    """What says which result of several it is."""
    heading = {
        key: result[key] for key in ("policy", "engine", "start", "motion", "rule", "rule_text") if key in result
    }
    if "start" in heading:
        heading["start"] = _STARTS.get(heading["start"], heading["start"])
    return {"name": result["skill"]} | heading if "skill" in result else heading


def _measured(result: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Entries with a value, from two levels: {"clip": {"value": …, "standing": {…}}} has "clip", "clip standing"."""
    found: dict[str, Any] = {}
    for key, entry in result.items():
        if isinstance(entry, Mapping):
            if "value" in entry:
                found[f"{before}{key}"] = {part: entry.get(part) for part in ("value", "low", "high")}
            if not before:
                found |= _measured(entry, f"{key} ")
    return found


def _without_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: {"value": value["value"]} if isinstance(value, Mapping) and "value" in value else value
        for key, value in row.items()
    }
