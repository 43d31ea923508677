"""Which of the clips of an evaluation a policy was trained on, as far as its metadata tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.library import load_clips, motion_hash, recording_hash

TRAINED, HELD_OUT, UNKNOWN = "trained on", "held out", "unknown"


def membership(metadata: Mapping[str, Any], clips: Sequence[MotionClip]) -> dict[str, str]:
    """`TRAINED`, `HELD_OUT` or `UNKNOWN` for each clip's name.

    metadata: of a policy. Read are "clips", names or {"name": …, "hash": …} or {name: hash}, if there are; else
    "motion_hash", the hash of the training set: it decides if that set is all of `clips`, or a single one of them, or
    still lies where "config" says. A hash decides before a name, and "recording" (`recording_hash`), where clips have
    it, before both: published folders hold the same recording under several names. Nothing of it known, for a baseline,
    is `UNKNOWN`.
    """
    recordings = _recordings(metadata)
    hashes = {clip.name: motion_hash([clip]) for clip in clips}
    known = _training_clips(metadata, clips)
    if known is None:
        return dict.fromkeys(hashes, UNKNOWN)
    contents = {content for content in known.values() if content}

    def judge(name: str) -> str:
        content = known.get(name)
        if content and content != hashes[name]:
            return HELD_OUT
        return TRAINED if name in known or hashes[name] in contents else HELD_OUT

    same = {clip.name for clip in clips if recording_hash(clip) in recordings}
    return {name: TRAINED if name in same else judge(name) for name in hashes}


def _recordings(metadata: Mapping[str, Any]) -> set[str]:
    """The fingerprints of the training's recordings, as far as "clips" has them."""
    listed = metadata.get("clips")
    entries = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    return {str(c["recording"]) for c in entries if isinstance(c, Mapping) and c.get("recording")}


def summary(found: Mapping[str, str]) -> str:
    """One line: how many clips were trained on, held out, unknown; the held-out ones by name if they are few."""
    counts = [f"{sum(v == kind for v in found.values())} {kind}" for kind in (TRAINED, HELD_OUT, UNKNOWN)]
    shown = ", ".join(part for part in counts if not part.startswith("0 "))
    names = [name for name, kind in found.items() if kind == HELD_OUT]
    return f"clips: {shown}" + (f" ({', '.join(names)})" if 0 < len(names) <= 8 else "")


def _training_clips(metadata: Mapping[str, Any], clips: Sequence[MotionClip]) -> dict[str, str | None] | None:
    """Name → hash (None: not known) of the clips of the training; None if nothing says which they were."""
    listed = metadata.get("clips")
    if isinstance(listed, Mapping):
        return {str(name): _text(content) for name, content in listed.items()}
    if isinstance(listed, Sequence) and not isinstance(listed, str) and listed:
        pairs = [
            (c.get("name"), c.get("hash") or c.get("sha256")) if isinstance(c, Mapping) else (c, None) for c in listed
        ]
        return {str(name): _text(content) for name, content in pairs}
    wanted = metadata.get("motion_hash")
    if not wanted:
        return None
    path = metadata.get("config", {}).get("motion", {}).get("path")
    for candidate in (list(clips), *([clip] for clip in clips), _found(path)):
        if candidate and motion_hash(candidate) == wanted:
            return {clip.name: motion_hash([clip]) for clip in candidate}
    return None


def _found(path: Any) -> list[MotionClip]:
    """The clips at a path that may no longer be there."""
    try:
        return load_clips(path) if path else []
    except (FileNotFoundError, ValueError):
        return []


def _text(content: Any) -> str | None:
    return content if isinstance(content, str) and content else None
