"""The model card of a policy: one JSON file beside the weights that says where they come from and what they can do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = "mjx_skillmimic policy card"
VERSION = 1

# Every field of a card, and the fields that its sections have at least; docs/pretrained.md says what they mean.
FIELDS: dict[str, tuple[str, ...]] = {
    "format": (),
    "version": (),
    "name": (),
    "task": (),
    "file": ("name", "sha256", "bytes", "dtype"),
    "sizes": ("obs_size", "action_size", "hidden", "action_limit"),
    "skills": (),
    "clips": (),
    "motion_hash": (),
    "recipe": ("preset", "command", "changes"),
    "training": ("env_steps", "total_env_steps", "seconds", "reward", "hardware", "devices", "seed", "versions"),
    "evaluations": (),
    "limits": (),
    "config": (),
}
# What the card of a policy that chooses among the skills of another has besides.
TASK_FIELDS: dict[str, tuple[str, ...]] = {
    "low_level": ("policy", "sha256"),
    "labels": (),
    "starts": ("of", "sha256"),
}


class CardError(ValueError):
    """A card that is damaged, or that belongs to other weights than those beside it."""

    def __init__(self, path: Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")
        self.path, self.found, self.expected = path, found, expected


def read_card(path: str | Path) -> dict[str, Any]:
    """The card in a JSON file. Raises FileNotFoundError, or CardError naming found and expected."""
    path = Path(path)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CardError(path, f"no readable JSON ({error})", "a policy card") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise CardError(path, "another kind of JSON", f"format {FORMAT!r}")
    if card.get("version") != VERSION:
        raise CardError(path, f"version {card.get('version')!r}", f"version {VERSION}")
    expected = FIELDS | (TASK_FIELDS if is_task(card) else {})
    missing = [name for name in expected if name not in card]
    missing += [
        f"{name}.{part}"
        for name, parts in expected.items()
        for part in parts
        if name in card and (not isinstance(card[name], dict) or part not in card[name])
    ]
    if missing:
        raise CardError(path, f"a card without {', '.join(missing)}", "every field of a card")
    return card


def is_task(card: Mapping[str, Any]) -> bool:
    """Whether it is the card of a policy that chooses among the skills of another, and moves nothing itself."""
    return isinstance(card.get("config"), Mapping) and "low_level" in card["config"]


def card_of(file: str | Path) -> dict[str, Any] | None:
    """The card beside a policy file: X.json beside X.npz; None where there is none, or a JSON of another kind.

    Raises CardError for a damaged card.
    """
    path = Path(file).with_suffix(".json")
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return read_card(path)
    is_card = isinstance(content, dict) and content.get("format") == FORMAT
    return read_card(path) if is_card else None


def check_weights(card: dict[str, Any], file: Path) -> None:
    """Raises CardError unless the file is the one that its card was written for, bit for bit."""
    found = sha256(file)
    if found != card["file"]["sha256"]:
        raise CardError(file, f"a file with SHA-256 {found}", f"{card['file']['sha256']}, as its card says")


def sha256(file: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
