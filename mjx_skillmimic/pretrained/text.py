"""A card as Markdown, and the table of all that is shipped: made of nothing but the cards' JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mjx_skillmimic.evaluation.publish_text import METRICS, table
from mjx_skillmimic.pretrained import task_text
from mjx_skillmimic.pretrained.cards import is_task
from mjx_skillmimic.pretrained.evaluations import headline

BEGIN, END = "<!-- shipped:begin -->", "<!-- shipped:end -->"
_TITLES = {key: (title, factor, digits) for key, title, factor, digits in METRICS}
_HIDDEN = ("rule", "rule_text", "skill")


def markdown(card: Mapping[str, Any]) -> str:
    """The card for people; the file NAME.md beside NAME.json is this text."""
    name, training, file, sizes, choosing = card["name"], card["training"], card["file"], card["sizes"], is_task(card)
    lines = [f"# {name}", "", *(task_text.introduction(card) if choosing else _introduction(card)), ""]
    lines += ["## What it can do", ""]
    for evaluation in card["evaluations"]:
        lines += [*(task_text.evaluation if choosing else _evaluation)(evaluation), ""]
    lines += [*(task_text.rules() if choosing else _rules(card)), ""]
    lines += ["## Limits", "", card["limits"] or "None were written down.", ""]
    if choosing:
        lines += ["## Where its episodes begin", "", *task_text.starts(card), ""]
    else:
        lines += ["## What it was trained on", "", *_clips(card), ""]
    lines += ["## How it was trained", "", "```sh", card["recipe"]["command"].replace(" --", " \\\n    --"), "```", ""]
    lines += [*_training(card, training), "", "## The file", ""]
    hidden = ", ".join(str(width) for width in sizes["hidden"])
    actions = f"{sizes['action_size']} choices" if choosing else f"actions in ±{sizes['action_limit']:g}"
    lines.append(
        f"`{file['name']}`: {file['bytes']:,} bytes, weights in {file['dtype']}, without the critic; hidden layers of "
        f"{hidden}; {actions}. SHA-256 `{file['sha256']}`. The whole configuration is in `{name}.json`."
    )
    return "\n".join([*lines, ""])


def _introduction(card: Mapping[str, Any]) -> Iterator[str]:
    """What it is, and how it is called."""
    sizes = card["sizes"]
    yield f"A policy for the task {card['task']}: {_skills(card)}."
    yield ""
    yield from ("```python", "import mjx_skillmimic", "", f'policy = mjx_skillmimic.load_policy("{card["name"]}")')
    yield f"action = policy(obs)  # obs (…, {sizes['obs_size']}) -> the mean action (…, {sizes['action_size']})"
    yield "```"


def overview(cards: Sequence[Mapping[str, Any]]) -> str:
    """The table of shipped policies, one row a card, and that of the high-level ones among them, between the marks that
    `refresh` looks for."""
    rows = []
    for card in (card for card in cards if not is_task(card)):
        training = card["training"]
        found = [headline(card, *key) for key in (("first", "success"), ("random", "success"), ("random", "acc"))]
        rows.append(
            [
                f"[`{card['name']}`](../mjx_skillmimic/pretrained/{card['name']}.md)",
                _skills(card),
                str(len(card["clips"])),
                _millions(training["total_env_steps"]),
                f"{training['seconds'] / 60:.1f}",
                _hardware(training),
                *("–" if entry is None else _cell(entry, 100.0, 1) for entry in found),
                f"{card['file']['bytes'] / 1e6:.1f}",
            ]
        )
    header = ["name", "skills", "clips", "env steps", "minutes", "trained on"]
    header += ["success %, frame 2", "success %, random", "Acc %, random", "MB"]
    lines = [*table(header, rows), ""]
    if choosing := [card for card in cards if is_task(card)]:
        lines += ["High-level policies, which choose among the skills of another ([high_level.md](high_level.md)):", ""]
        lines += [*task_text.overview(choosing, _hardware), ""]
    return "\n".join([BEGIN, "", *lines, END])


def refresh(document: str, cards: Sequence[Mapping[str, Any]]) -> str:
    """The document with the table between its marks made anew. Raises ValueError if it has not both marks."""
    if BEGIN not in document or END not in document:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    before, rest = document.split(BEGIN, 1)
    return before + overview(cards) + rest.split(END, 1)[1]


def _evaluation(evaluation: Mapping[str, Any]) -> Iterator[str]:
    settings, rows = evaluation["settings"], evaluation["rows"]
    yield "; ".join(f"{key} {_plain(settings[key])}" for key in settings if key != "versions") + ":"
    yield ""
    present = list(dict.fromkeys(key for row in rows for key in row if key not in (*_HIDDEN, "name")))
    known = [key for key in _TITLES if key in present]
    # entries that no title is known for are shown by their key where nothing better is there
    counts = [key for key in present if key not in _TITLES and (not known or key == "episodes")]
    columns = [*counts, *known]
    titles = [_TITLES[key][0] if key in _TITLES else key for key in columns]
    cells = [[str(row.get("name", "")), *(_entry(row.get(key), key) for key in columns)] for row in rows]
    yield from table(["", *titles], cells)


def _rules(card: Mapping[str, Any]) -> Iterator[str]:
    rows = [row for evaluation in card["evaluations"] for row in evaluation["rows"]]
    for rule, explained in {
        row["rule"]: row["rule_text"] for row in rows if {"rule", "rule_text"} <= row.keys()
    }.items():
        yield f"* Success, “{rule}”: {explained}."
    yield "* Metrics and intervals (95 %, in brackets): docs/evaluation.md. Start first: frame 2 of each clip, once."


def _clips(card: Mapping[str, Any]) -> Iterator[str]:
    yield "The clips are not part of this package. Hashes are SHA-256 of name, label, rate and arrays"
    yield f"(`motion.library.motion_hash`); of all together `{card['motion_hash']}`."
    yield ""
    rows = [[f"`{c['name']}`", f"{c['skill']:03d}", str(c["frames"]), f"`{c['sha256'][:16]}`"] for c in card["clips"]]
    yield from table(["clip", "label", "frames", "hash begins"], rows)


def _training(card: Mapping[str, Any], training: Mapping[str, Any]) -> Iterator[str]:
    versions = training["versions"]
    made_with = [f"{key} {versions[key]}" for key in ("jax", "mujoco", "mujoco-mjx", "warp-lang") if key in versions]
    yield f"* Preset `{card['recipe']['preset']}`; what differs from it is in the command."
    if is_task(card):
        yield task_text.samples(training)
    else:
        steps = (
            f"* {_millions(training['env_steps'])} env steps in {training['seconds'] / 60:.1f} minutes of iterations"
        )
        total = training["total_env_steps"]
        yield steps + (f", {_millions(total)} with what it continues." if total != training["env_steps"] else ".")
    yield f"* {_hardware(training)}; engine {training['engine']}; seed {training['seed']}; {', '.join(made_with)}."
    reward = training["reward"]
    shown = "–" if reward is None else f"{reward:.3f}"
    each = "decision" if is_task(card) else "step"
    yield f"* Reward a {each} at the end, mean of {training['reward_iterations']} iterations, sampled actions: {shown}."
    if unshared := card["recipe"].get("unshared_keys"):
        yield f"* Keys that only one of its configuration and the preset has: {', '.join(unshared)}."


def _skills(card: Mapping[str, Any]) -> str:
    return ", ".join(f"{skill['name']} ({skill['label']:03d})" for skill in card["skills"])


def _hardware(training: Mapping[str, Any]) -> str:
    names = [device.split(": ", 1)[-1] for device in training["hardware"]]
    return f"{training['devices']} × {' / '.join(dict.fromkeys(names))}"


def _entry(value: Any, key: str) -> str:
    _, factor, digits = _TITLES.get(key, (key, 1.0, 3))
    if isinstance(value, Mapping) and "value" in value:
        return _cell(value, factor, digits)
    if isinstance(value, float):
        return f"{factor * value:.{digits}f}"
    return "–" if value is None else _plain(value)


def _cell(entry: Mapping[str, Any], factor: float, digits: int) -> str:
    if entry["value"] is None:
        return "–"
    low, high = entry.get("low"), entry.get("high")
    interval = "" if low is None or high is None else f" [{factor * low:.{digits}f}, {factor * high:.{digits}f}]"
    return f"{factor * entry['value']:.{digits}f}{interval}"


def _plain(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _millions(steps: float) -> str:
    return f"{steps / 1e6:.1f} M"
