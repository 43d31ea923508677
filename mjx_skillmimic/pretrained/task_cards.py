"""What the card of a high-level policy has that no other card has: its low-level policy, its starts, its Table 3."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation.run_record import RunRecord
from mjx_skillmimic.learning import low_level
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.pretrained import cards

if TYPE_CHECKING:
    from mjx_skillmimic.learning.policy import PolicyBundle

MEASURED = ("success", "fell", "reached_per_minute", "return", "seconds")


def with_shipped_low_level(record: RunRecord, policy: PolicyBundle) -> tuple[RunRecord, PolicyBundle]:
    """The run and its policy with the low-level policy under the name that it has wherever the package is installed.

    Raises ValueError for a policy that does not say what it was trained on, or if that is not shipped.
    """
    name = _shipped(record, policy.metadata)
    config = copy.deepcopy(record.config)
    with config.unlocked():
        config.low_level.policy = name
    below = {"policy": name, "sha256": low_level.sha256_of(policy.metadata)}
    metadata = dict(policy.metadata) | {"low_level": below}
    if "config" in metadata:
        metadata["config"] = dict(metadata["config"]) | {"low_level": config.low_level.to_dict()}
    return dataclasses.replace(record, config=config), dataclasses.replace(policy, metadata=metadata)


def _shipped(record: RunRecord, metadata: Mapping[str, Any]) -> str:
    from mjx_skillmimic.envs.high_level.low_level import numbers_sha256

    wanted = low_level.sha256_of(metadata)
    if wanted is None or "labels" not in metadata:
        raise ValueError(f"{record.folder / 'policy.npz'} does not say among which skills of which policy it chooses")
    trained = str(metadata["low_level"].get("policy", "unknown"))
    known = [name for name in pretrained.names() if not cards.is_task(pretrained.card(name))]
    for name in sorted(known, key=lambda name: name != Path(trained).name):
        if numbers_sha256(pretrained.load(name)) == wanted:
            return name
    raise ValueError(
        f"{record.name} chooses among the skills of {trained} ({wanted[:12]}), which is none of the shipped policies "
        f"{', '.join(known)}: publish that one first"
    )


def start_clips(record: RunRecord, motion: str | None) -> list[Any]:
    """The clips that the run's episodes began in, none where they began in the low-level policy's own states.

    Raises what `load_clips` raises.
    """
    path = record.config.motion.path
    if not path:
        return []
    return load_clips(motion or (path if isinstance(path, str) else list(path)))


def fields(record: RunRecord, policy: PolicyBundle) -> dict[str, Any]:
    """The card's fields of `cards.TASK_FIELDS`."""
    below = dict(policy.metadata["low_level"])
    path = record.config.motion.path
    return {
        "low_level": below,
        "labels": [int(label) for label in policy.metadata["labels"]],
        "starts": {
            "of": "clips" if path else f"the own start states of {below['policy']}",
            "sha256": record.description["motion_hash"],
        },
    }


def measure(weights: Path, name: str, motion: str | None, episodes: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Table 3 of a policy file with its baselines, in MuJoCo C: `evaluation.reproduce_table3`'s document."""
    from mjx_skillmimic.evaluation.reproduce_table3 import TaskRequest, table3

    there = (motion,) if motion else ()
    return table3(TaskRequest({name: str(weights)}, motion=there, seeds=tuple(seeds), count=episodes))


def from_table3(document: Mapping[str, Any], record: RunRecord, policy: PolicyBundle, name: str) -> list[dict]:
    """Tables for a card, one an engine, of a `scripts/reproduce.py table3` document: the policy and its baselines.

    The policy is the document's only one of its task, else that of the name `name` or of the run's folder. Raises
    ValueError naming what it found, for another document, or one of another stage of the training or low-level policy.
    """
    if document.get("what") != "table3":
        raise ValueError(
            f"an evaluation of {document.get('what', 'another kind')!r}, expected the JSON of scripts/reproduce.py "
            "table3: a policy that chooses among skills has no other table"
        )
    task = str(record.config.env)
    shown = _named(document, task, name, record.name)
    decisions, trained = document["policies"][shown].get("decisions"), policy.metadata.get("env_steps")
    if None not in (decisions, trained) and decisions != trained:
        raise ValueError(f"the table's {shown} has taken {decisions} decisions, {record.name} has taken {trained}")
    choosing, tables = _choosing(document), []
    for own in (r for r in document["results"] if r["policy"] == shown):
        where = {"environment": own["environment"], "engine": own["engine"]}
        place = next(p for p in document["environments"] if (p["title"], p["engine"]) == tuple(where.values()))
        if trouble := low_level.complaint(policy.metadata, place, record.name):
            raise ValueError(trouble)
        beside = [r for r in document["results"] if r["policy"] not in choosing]
        rows = [own, *(r for r in beside if all(r[key] == value for key, value in where.items()))]
        settings = {"table": "table3"} | where | {"starts": place["starts"]["states"]}
        settings |= {key: value for key, value in document["settings"].items() if key != "engines"}
        settings["versions"] = document["run"]["versions"]
        if task in document["definitions"]:
            settings["definition"] = document["definitions"][task]
        tables.append({"settings": settings, "rows": [_row(r, name if r is own else None) for r in rows]})
    return tables


def _choosing(document: Mapping[str, Any]) -> list[str]:
    """The policies that choose; what else has a row is something to compare them with."""
    return [shown for shown, entry in document["policies"].items() if not entry.get("from_scratch")]


def _named(document: Mapping[str, Any], task: str, name: str, folder: str) -> str:
    """What the document calls the policy."""
    of_task = list(dict.fromkeys(r["policy"] for r in document["results"] if r["task"] == task))
    found = [shown for shown in of_task if shown in _choosing(document)]
    if len(found) == 1:
        return found[0]
    for wanted in (name, folder):
        if wanted in found:
            return wanted
    listed = ", ".join(found) or f"none of {task}"
    raise ValueError(f"the table has the policies {listed}; expected one of {task} called {name} or {folder}")


def _row(result: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """A row with values and intervals only; name: instead of the document's."""
    shown = name or result["policy"]
    row: dict[str, Any] = {"name": f"{shown}: {skill_name(result['label'])}" if "label" in result else shown}
    row["episodes"] = result["episodes"]
    for key in MEASURED:
        if key in result:
            row[key] = {part: result[key].get(part) for part in ("value", "low", "high")}
    if result.get("labels"):
        row["skills"] = dict(result["labels"])
    return row
