"""A finished run as a shipped policy: NAME.npz in half precision, its card NAME.json, and NAME.md, the card to read."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mjx_skillmimic.evaluation.publish import compact_json, find_motion
from mjx_skillmimic.evaluation.run_record import LAST, RunRecord, command_line, read_run, training_summary
from mjx_skillmimic.evaluation.setup import chooses
from mjx_skillmimic.motion.library import load_clips, motion_hash, recording_hash
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.pretrained import cards, evaluations, task_cards, text
from mjx_skillmimic.pretrained.shelf import policy_files

DTYPE = "float16"
MAX_BYTES = 4_000_000
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclasses.dataclass(frozen=True)
class Publication:
    """name: lower case with hyphens. motion: where the run's clips are now; None: where its configuration says.
    documents: evaluations that exist, as JSON objects; of a high-level policy those of `reproduce.py table3`.
    episodes, seeds: of the evaluation that is run, unless episodes is 0. limits: what the policy cannot do, in words.
    command: the training command; None: reconstructed. steps_before: env steps of the runs that it continues by
    `run.init_from`; None: where run.json says so.
    """

    name: str
    motion: str | None = None
    documents: Sequence[Mapping[str, Any]] = ()
    episodes: int = 0
    seeds: Sequence[int] = (0, 1, 2)
    limits: str = ""
    command: str | None = None
    steps_before: int | None = None


def publish(run: str | Path, folder: str | Path, wanted: Publication) -> list[Path]:
    """Writes NAME.npz, NAME.json and NAME.md into a folder, all or none; answers their paths.

    The critic is not in the file. What is evaluated is the file in half precision. A policy that chooses among skills
    must have been trained on a shipped one. Raises FileNotFoundError or ValueError for a run that is not complete,
    clips other than those of the training, a bad name, a file above `MAX_BYTES`, or no evaluation at all.
    """
    from mjx_skillmimic.learning.policy import load_policy, save_policy

    if not _NAME.fullmatch(wanted.name):
        raise ValueError(f"the name is {wanted.name!r}, expected lower-case words and numbers joined by hyphens")
    if not wanted.documents and not wanted.episodes:
        raise ValueError("a card needs an evaluation: give its JSON, or let one be run")
    record = read_run(run)
    policy = load_policy(record.folder / "policy.npz")
    read: Callable[[Mapping[str, Any]], list[dict[str, Any]]] = evaluations.from_document
    motion = wanted.motion or ""
    if chooses(record.config):
        record, policy = task_cards.with_shipped_low_level(record, policy)
        clips = task_cards.start_clips(record, wanted.motion)
        read = functools.partial(task_cards.from_table3, record=record, policy=policy, name=wanted.name)
    else:
        motion, clips = _clips(record, wanted.motion)
    tables = [table for document in wanted.documents for table in read(document)]
    with tempfile.TemporaryDirectory() as scratch:
        weights = save_policy(Path(scratch) / f"{wanted.name}.npz", policy, DTYPE)
        if weights.stat().st_size > MAX_BYTES:
            raise ValueError(f"{wanted.name}.npz would have {weights.stat().st_size} bytes, allowed are {MAX_BYTES}")
        if wanted.episodes and chooses(record.config):
            document = task_cards.measure(weights, wanted.name, wanted.motion, wanted.episodes, wanted.seeds)
            tables = read(document) + tables
        elif wanted.episodes:
            tables = evaluations.measure(weights, record.folder, motion, wanted.episodes, wanted.seeds) + tables
        card = make_card(record, clips, weights, tables, wanted)
        weights.with_suffix(".json").write_text(compact_json(card), encoding="utf-8")
        weights.with_suffix(".md").write_text(text.markdown(card), encoding="utf-8")
        cards.read_card(weights.with_suffix(".json"))
        Path(folder).mkdir(parents=True, exist_ok=True)
        made = [weights.with_suffix(suffix) for suffix in (".npz", ".json", ".md")]
        return [Path(shutil.copyfile(path, Path(folder) / path.name)) for path in made]


def refresh(folder: str | Path, document: str | Path) -> list[Path]:
    """Writes every NAME.md of a folder anew from its card, and the table of them all in a document; answers the paths.

    Raises FileNotFoundError, CardError, or ValueError for a document without the table's marks.
    """
    document = Path(document)
    shelf = [cards.read_card(path.with_suffix(".json")) for path in policy_files(Path(folder))]
    renewed = text.refresh(document.read_text(encoding="utf-8"), shelf)
    pages = [Path(folder) / f"{card['name']}.md" for card in shelf]
    for page, card in zip(pages, shelf, strict=True):
        page.write_text(text.markdown(card), encoding="utf-8")
    document.write_text(renewed, encoding="utf-8")
    return [*pages, document]


def make_card(
    record: RunRecord,
    clips: Sequence[Any],
    weights: Path,
    tables: Sequence[Mapping[str, Any]],
    wanted: Publication,
) -> dict[str, Any]:
    """The card of a run's weights with evaluation tables; fields: docs/pretrained.md."""
    from mjx_skillmimic.learning.policy import load_policy

    policy, described = load_policy(weights), record.description
    command, unshared = command_line(record.config, wanted.name)
    chosen = task_cards.fields(record, policy) if chooses(record.config) else {}
    labels = sorted(set(chosen.get("labels", ())) or {int(clip.skill) for clip in clips})
    return {
        "format": cards.FORMAT,
        "version": cards.VERSION,
        "name": wanted.name,
        "task": str(record.config.get("env", "BallPlay")),
        "file": {
            "name": weights.name,
            "sha256": cards.sha256(weights),
            "bytes": weights.stat().st_size,
            "dtype": DTYPE,
        },
        "sizes": {
            "obs_size": policy.obs_size,
            "action_size": policy.action_size,
            "hidden": list(policy.hidden),
            "action_limit": policy.action_limit,
            "head": policy.head,
        },
        "skills": [{"label": label, "name": skill_name(label)} for label in labels],
        **chosen,
        "clips": [
            {
                "name": clip.name,
                "skill": int(clip.skill),
                "frames": clip.num_frames,
                "sha256": motion_hash([clip]),
                "recording": recording_hash(clip),
            }
            for clip in clips
        ],
        "motion_hash": described["motion_hash"],
        "recipe": {
            "preset": str(record.config.get("preset", "default")),
            "command": wanted.command or command,
            "changes": _changes(record),
            "unshared_keys": unshared,
        },
        "training": _training(record, wanted.steps_before),
        "evaluations": [dict(table) for table in tables],
        "limits": wanted.limits,
        "config": json.loads(json.dumps(record.config.to_dict())),
    }


def _training(record: RunRecord, steps_before: int | None) -> dict[str, Any]:
    """Numbers of the run; what it continues by `run.init_from` is in `total_env_steps` and `continues`.

    Raises ValueError if it continues something and nobody says how many env steps that took.
    """
    summary, described = training_summary(record), record.description
    source = str(record.config.run.get("init_from", ""))
    total = described.get("total_env_steps", None if source else summary["env_steps"])
    if steps_before is not None:
        total = summary["env_steps"] + steps_before
    if total is None:
        raise ValueError(
            f"{record.name} continues {source} (run.init_from) and its run.json has no total_env_steps: "
            "give --steps-before"
        )
    chosen = int(record.config.run.get("devices", 0))
    each = {"control_steps": int(total) * int(record.config.episode.steps)} if chooses(record.config) else {}
    return {
        "env_steps": summary["env_steps"],
        "total_env_steps": int(total),
        **each,
        "continues": Path(source).name or None,
        "iterations": summary["iterations"],
        "seconds": summary["seconds"],
        "env_steps_per_second": summary["env_steps_per_second"],
        "reward": summary["reward"],
        "reward_iterations": LAST,
        "hardware": described["devices"],
        "devices": chosen or len(described["devices"]),
        "engine": described["engine"],
        "seed": record.seed,
        "versions": described["versions"],
    }


def _changes(record: RunRecord) -> dict[str, Any]:
    """Keys of the run's configuration that differ from its preset, with the run's value."""
    from mjx_skillmimic.config import differences
    from mjx_skillmimic.config.compare import ABSENT
    from mjx_skillmimic.evaluation.run_record import preset_config

    changed = differences(preset_config(record.config), record.config)
    return {key: new for key, old, new in changed if ABSENT not in (old, new)}


def _clips(record: RunRecord, motion: str | None) -> tuple[str, list[Any]]:
    """Where the run's clips are, and the clips. Raises FileNotFoundError or ValueError if they are not there."""
    if motion is None:
        return find_motion(record, None)
    clips = load_clips(motion)
    if motion_hash(clips) != record.description["motion_hash"]:
        raise ValueError(
            f"{motion} holds {', '.join(clip.name for clip in clips[:5])} with hash {motion_hash(clips)[:12]}, "
            f"{record.name} was trained on clips with hash {record.description['motion_hash'][:12]}"
        )
    return motion, clips
