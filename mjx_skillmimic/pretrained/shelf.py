"""Finding policies: by the name of one that ships with the package, by a run's folder, or by a file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mjx_skillmimic.pretrained.cards import CardError, card_of, check_weights

if TYPE_CHECKING:
    from mjx_skillmimic.learning.policy import PolicyBundle

POLICY_FILE = "policy.npz"


def folder() -> Path:
    """Where the shipped policies are."""
    return Path(__file__).resolve().parent


def names() -> list[str]:
    """The shipped policies, sorted."""
    return sorted(path.stem for path in policy_files(folder()))


def policy_files(folder: Path) -> list[Path]:
    """The policies in a folder, sorted: every `.npz` but start states, whose names have a second dot."""
    return sorted(path for path in folder.glob("*.npz") if "." not in path.stem)


def locate(source: str | Path, others: Sequence[str] = ()) -> Path:
    """The policy file that a run's folder, a policy file or the name of a shipped policy stands for.

    A path that exists goes before a name. others: what else the caller takes, for the message. Raises FileNotFoundError
    that says what was looked for, which policies ship with the package, and which of them is nearest.
    """
    path = Path(source)
    if str(source) in names() and not path.exists():
        return folder() / f"{source}.npz"
    file = path / POLICY_FILE if path.is_dir() else path
    if file.is_file():
        return file
    close = difflib.get_close_matches(str(source).lower(), names(), n=1, cutoff=0.4)
    raise FileNotFoundError(
        f"no policy {file}; give a run's folder, a policy file{''.join(f', {name}' for name in others)} "
        f"or a shipped policy: {', '.join(names())}" + (f"; the nearest is {close[0]!r}" if close else "")
    )


def load(source: str | Path) -> PolicyBundle:
    """A policy by name, run folder or file, ready to act: `load("ballplay-layup")(obs) -> action`.

    `metadata` of the result is the policy's card where it has one, else what training wrote into the file. Executes
    nothing from the file. Raises FileNotFoundError (see `locate`), PolicyFormatError for a damaged file, CardError for
    a damaged card or for weights that are not those of their card.
    """
    from mjx_skillmimic.learning.policy import load_policy

    file = locate(source)
    found = card_of(file)
    if found is not None:
        check_weights(found, file)
    policy = load_policy(file)
    return policy if found is None else dataclasses.replace(policy, metadata=found)


def card(source: str | Path) -> dict[str, Any]:
    """The card of a policy. Raises FileNotFoundError (see `locate`), CardError if it has none."""
    file = locate(source)
    found = card_of(file)
    if found is None:
        raise CardError(file.with_suffix(".json"), "no card", "one beside the policy file")
    return found
