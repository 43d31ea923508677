"""The parts of a high-level policy's card that read otherwise than those of a policy that moves joints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mjx_skillmimic.evaluation.publish_text import table

RANDOM, ONE_SKILL = "random", "best single skill"  # rows of the table, as `evaluation.reproduce_table3` calls them
# Key of a row, title, factor, digits.
COLUMNS = (
    ("success", "success %", 100.0, 1),
    ("fell", "fell %", 100.0, 1),
    ("reached_per_minute", "reached a minute", 1.0, 2),
    ("return", "return", 1.0, 1),
    ("seconds", "seconds", 1.0, 1),
)
HEADER = ["name", "task", "chooses among", "of", "decisions", "minutes", "trained on"]
HEADER += ["success %", "random %", "best single skill %", "n", "MB"]


def introduction(card: Mapping[str, Any]) -> Iterator[str]:
    """What it is, and how it is called."""
    name, sizes = card["name"], card["sizes"]
    yield f"A high-level policy for the task {card['task']}: it chooses among the skills {skills(card)} of"
    yield f"`{card['low_level']['policy']}`, which plays them. Its numbers belong to that one, and another is refused."
    yield ""
    yield from ("```python", "import mjx_skillmimic", "", f'policy = mjx_skillmimic.load_policy("{name}")')
    yield f"choice = policy(obs)  # obs (…, {sizes['obs_size']}) -> the likeliest of {sizes['action_size']} choices (…)"
    yield f"policy.probabilities(obs)  # (…, {sizes['action_size']}), in the order of the labels above"
    yield "```"
    yield ""
    yield from ("```sh", f"python scripts/play.py --policy {name}", "```")


def evaluation(found: Mapping[str, Any]) -> Iterator[str]:
    """A table of `task_cards.from_table3`."""
    settings, rows = found["settings"], found["rows"]
    columns = [column for column in COLUMNS if any(column[0] in row for row in rows)]
    cells = [[r["name"], str(r["episodes"]), *(_entry(r.get(key), f, d) for key, _, f, d in columns)] for r in rows]
    yield f"{settings['environment']}, {settings['engine']}, {settings['count_a_seed']} episodes for each of the seeds"
    yield f"{', '.join(map(str, settings['seeds']))}, {settings['starts']} start states; n counts those that differ:"
    yield ""
    yield from table(["", "n", *(title for _, title, _, _ in columns)], cells)
    yield ""
    if "definition" in settings:
        yield f"* Success: {settings['definition']}."
    for row in rows[:1]:
        if played := row.get("skills"):
            yield f"* Played: {', '.join(f'{name} {100 * share:.0f} %' for name, share in played.items())} of the time."


def rules() -> Iterator[str]:
    """How the tables are to be read."""
    yield "* Reached: goals or baskets; return: the sum over an episode of what its decisions were paid. Intervals are"
    yield "  95 %, in brackets (shares: Wilson's). The best single skill is the best of all when played all the time."


def starts(card: Mapping[str, Any]) -> Iterator[str]:
    """Where its episodes began."""
    found = card["starts"]
    if not card["clips"]:
        yield f"Episodes begin in {found['of']}, which ship with it, and repetitions of them with disturbed joint"
        yield f"velocities (docs/high_level.md); SHA-256 of all states `{found['sha256']}`."
        return
    yield "Episodes began in frames of the clips below, which are not part of this package; where they are not at hand,"
    yield f"they begin in the own start states of `{card['low_level']['policy']}` instead. SHA-256 of all states"
    yield f"`{found['sha256']}`."
    yield ""
    rows = [[f"`{c['name']}`", f"{c['skill']:03d}", str(c["frames"]), f"`{c['sha256'][:16]}`"] for c in card["clips"]]
    yield from table(["clip", "label", "frames", "hash begins"], rows)


def samples(training: Mapping[str, Any]) -> str:
    """How much it was trained on."""
    total, own = training["total_env_steps"], training["env_steps"]
    more = f", {total / 1e6:.1f} M with what it continues" if total != own else ""
    return (
        f"* {own / 1e6:.1f} M decisions{more}, which are {training['control_steps'] / 1e6:.1f} M control steps, in "
        f"{training['seconds'] / 60:.1f} minutes of iterations."
    )


def overview(cards: Sequence[Mapping[str, Any]], hardware: Any) -> list[str]:
    """The rows of the table of all that are shipped; hardware: of a card's `training`, in words."""
    rows = []
    for card in cards:
        training, measured = card["training"], card["evaluations"][0]["rows"]
        others: list[dict[str, Any]] = [
            next((r for r in measured if r["name"].startswith(who)), {}) for who in (RANDOM, ONE_SKILL)
        ]
        rows.append(
            [
                f"[`{card['name']}`](../mjx_skillmimic/pretrained/{card['name']}.md)",
                card["task"],
                skills(card),
                f"`{card['low_level']['policy']}`",
                f"{training['total_env_steps'] / 1e6:.1f} M",
                f"{training['seconds'] / 60:.1f}",
                hardware(training),
                *(_entry(row.get("success"), 100.0, 1) for row in (measured[0], *others)),
                str(measured[0]["episodes"]),
                f"{card['file']['bytes'] / 1e6:.1f}",
            ]
        )
    return list(table(HEADER, rows))


def skills(card: Mapping[str, Any]) -> str:
    """The choices in the policy's order."""
    names = {skill["label"]: skill["name"] for skill in card["skills"]}
    return ", ".join(f"{names[label]} ({label:03d})" for label in card["labels"])


def _entry(value: Any, factor: float, digits: int) -> str:
    if not isinstance(value, Mapping) or value.get("value") is None:
        return "–"
    low, high = value.get("low"), value.get("high")
    interval = "" if low is None or high is None else f" [{factor * low:.{digits}f}, {factor * high:.{digits}f}]"
    return f"{factor * value['value']:.{digits}f}{interval}"
