"""The one exception of configurations, and the hint that it usually carries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A configuration that does not exist, does not parse or cannot work; the message says what would."""


def nearest(name: str, existing: Iterable[str]) -> str:
    """'; the nearest is X' for the most similar of the existing names, or their list when none is similar.

    Dotted names are compared by their last part as well, so that `ppo.seed` finds `run.seed`.
    """
    names = sorted(set(existing))
    lowered = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.75)
    if not close:
        last = {n.rsplit(".", 1)[-1].lower(): n for n in reversed(names)}
        close = difflib.get_close_matches(name.lower().rsplit(".", 1)[-1], last, n=1, cutoff=0.6)
        lowered = last
    if not close:
        close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if close:
        return f"; the nearest is {lowered[close[0]]!r}"
    return f"; there is {', '.join(names)}" if names else ""
