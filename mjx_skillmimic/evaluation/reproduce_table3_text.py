"""The Markdown of Table 3, from its JSON document alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mjx_skillmimic.evaluation.reproduce_text import cell, rows

TITLE = "Table 3: success in high-level tasks"
# The rows of the paper that ours stand beside: of policies that choose, and of those from scratch.
OURS, SCRATCH = "SkillMimic", "PPO"


def page(document: Mapping[str, Any], name: str) -> str:
    """The page of a document of `reproduce_table3.table3`. name: of its files without suffix."""
    paper, body = document["paper"], []
    for r in document["results"]:
        who = f"{r['policy']} ({r['skill']})" if "skill" in r else r["policy"]
        known = paper[SCRATCH if r.get("from_scratch") else OURS].get(r["task"])
        body.append(
            [
                r["environment"],
                who,
                r["engine"],
                "–" if known is None else f"{100 * known:.1f}",
                cell(r.get("success")),
                cell(r["fell"]),
                cell(r["reached_per_minute"], 1.0, 2),
                cell(r["return"], 1.0, 1),
                str(r["episodes"]),
            ]
        )
    header = ["task", "policy", "engine", "paper %", "ours %", "fell %", "reached a minute", "return", "n"]
    lines = [f"# {TITLE}", "", *rows(header, body, 3), ""]
    repeated = [r for r in document["results"] if r["episodes"] < r["played"]]
    lines += [
        "Reached: goals of Heading, for Circling whether the ball ever comes to the circle, baskets of Scoring. "
        "Return: the sum over an episode of what decisions of three control steps are paid, or would be. n: episodes; "
        "of those that repeat each other exactly, as they do without chance from one start to one goal, only one "
        f"counts{'' if repeated else ' (here none did)'}.",
        "",
        "Success by our definitions; the paper's stand in an appendix that is not at hand, so its figures are for "
        "orientation, not a comparison:",
        "",
        *(f"* {task}: {text}" for task, text in document["definitions"].items()),
        "",
        "The paper's rows, %:",
        "",
    ]
    tasks = list(paper[OURS])
    lines += rows(["method", *tasks], [[m, *(f"{100 * row[t]:.2f}" for t in tasks)] for m, row in paper.items()])
    return "\n".join([*lines, "", *_how(document, name)]) + "\n"


def _how(document: Mapping[str, Any], name: str) -> list[str]:
    settings, run = document["settings"], document["run"]
    lines = ["## How it was measured", ""]
    lines += ["```bash", document["command"], "```", ""] if document["command"] else []
    played = sum(r["control_steps"] for r in document["results"])
    lines += [
        f"Evaluation seeds {', '.join(map(str, settings['seeds']))}, {settings['count_a_seed']} episodes a seed, "
        f"engine {', '.join(settings['engines'])}, {settings['intervals']} intervals in brackets (shares: Wilson's). "
        f"The best single skill is the best in {settings['tried_a_skill']} other episodes each. {played:,} control "
        f"steps in "
        f"{run['wall_s']:.0f} s, compiling included, on {run['devices']} × {run['device']}; jax "
        f"{run['versions']['jax']}, mujoco {run['versions']['mujoco']}. All numbers: `{name}.json`.",
        "",
    ]
    for policy, entry in document["policies"].items():
        parts = [f"* {policy}: `{entry['policy']}`"]
        if entry["decisions"]:
            steps = "one control step each, from scratch: it moves the joints itself, without skills"
            steps = steps if entry.get("from_scratch") else "three control steps each"
            parts.append(f"{entry['decisions'] / 1e6:.1f} M decisions ({steps})")
        if "train_wall_s" in entry:
            parts.append(f"trained in {entry['train_wall_s'] / 3600:.2f} h on {', '.join(entry['train_devices'])}")
        lines.append(", ".join(parts))
    for place in document["environments"]:
        below, starts = place["low_level"], place["starts"]
        lines.append(
            f"* {place['title']}, {place['engine']}: skills of {below['policy']} ({below['sha256'][:12]}), labels "
            f"{', '.join(map(str, place['labels']))}, {starts['states']} start states ({starts['sha256'][:12]})"
        )
    return lines
