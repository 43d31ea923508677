"""The Markdown of SkillMimic-V2's tables, from their JSON documents alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mjx_skillmimic.evaluation.held_out import summary
from mjx_skillmimic.evaluation.reproduce_text import cell, rows

TITLES = {
    "v2-table1": "SkillMimic-V2, Table 1: ball skills and transitions",
    "v2-table3": "SkillMimic-V2, Table 3: what each part adds",
    "v2-table4": "SkillMimic-V2, Table 4: clips with a noisy ball",
    "v2-table5": "SkillMimic-V2, Table 5: picking up, by the number of clips",
    "v2-table6": "SkillMimic-V2, Table 6: getting up and running",
    "v2-matrix": "SkillMimic-V2: transitions between all skills",
}
_RATES = ("sr", "nsr", "nr")
_HEAD = {"sr": "SR %", "nsr": "εNSR %", "nr": "NR", "tsr": "TSR %"}
NOTE = (
    "SR: share of worlds that perform the skill for the whole time, from random frames of its clips; εNSR: the same "
    "with the noise of training on every start; NR: reward of a step over the reference; TSR: from random frames of "
    'another skill\'s clips. Definitions: docs/evaluation.md, "SkillMimic-V2".'
)


def page(document: Mapping[str, Any], name: str) -> str:
    """The page of a document of `tables.v2_table`. name: of its files without suffix."""
    what = document["what"]
    write = {"v2-table3": _averages, "v2-table4": _averages, "v2-table5": _pick_up, "v2-matrix": _matrix}
    lines = [f"# {TITLES[what]}", "", *write.get(what, _columns)(document, name), ""]
    lines += [] if what == "v2-table5" else [NOTE, ""]
    return "\n".join([*lines, *_how(document, name)]) + "\n"


def _columns(document: Mapping[str, Any], name: str) -> list[str]:
    """A table of SR, εNSR and NR of each skill, and one of the pairs; the paper's rows below ours."""
    results, known = document["results"], document["paper"]
    skills = list(next(iter(known.values()))["skills"])
    pairs = list(next(iter(known.values()))["tsr"])
    averaged = "average" in next(iter(known.values()))
    lines: list[str] = []
    for key in _RATES:
        body = [
            [*_who(r), *(_rate(r["skills"].get(s, {}).get(key), key) for s in skills), _rate(r["average"][key], key)]
            for r in results
        ]
        for method, row in known.items():
            mean = _plain(row["average"][key], key) if averaged else "–"
            body.append([f"paper: {method}", "", *(_plain(row["skills"][s][key], key) for s in skills), mean])
        lines += [f"## {_HEAD[key]}", "", *rows(["policy", "engine", *skills, "mean"], body, 2), ""]
    body = [[*_who(r), *(cell(r["tsr"].get(p)) for p in pairs), cell(r["average"]["tsr"])] for r in results]
    for method, row in known.items():
        mean = _plain(row["average"]["tsr"], "tsr") if averaged else "–"
        body.append([f"paper: {method}", "", *(_plain(row["tsr"][p], "tsr") for p in pairs), mean])
    lines += [f"## {_HEAD['tsr']}", "", *rows(["policy", "engine", *pairs, "mean"], body, 2), ""]
    return [*lines, *_what_was_judged(results)]


def _what_was_judged(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """n, and the labels of the clips and those told."""
    some = results[0]
    skills = [
        f"{s} clips {e['label']:03d}, told {e['told']:03d}, n {e['sr']['n']} and {e['nsr']['n']} with noise"
        for s, e in some["skills"].items()
    ]
    pairs = [f"{p} n {e['n']}" for p, e in some["tsr"].items()]
    return [f"Worlds: {'; '.join(skills)}{'; ' if pairs else ''}{', '.join(pairs)}."]


def _averages(document: Mapping[str, Any], name: str) -> list[str]:
    """One row for each policy: means over the skills and pairs."""
    keys = [key for key in ("sr", "tsr", "nsr", "nr") if any(key in row for row in document["paper"].values())]
    body = [[*_who(r), *(_rate(r["average"][key], key) for key in keys)] for r in document["results"]]
    body += [[f"paper: {m}", "", *(_plain(row[k], k) for k in keys)] for m, row in document["paper"].items()]
    lines = rows(["policy", "engine", *(_HEAD[key] for key in keys)], body, 2)
    return [*lines, "", *_what_was_judged(document["results"])]


def _pick_up(document: Mapping[str, Any], name: str) -> list[str]:
    counts = list(next(iter(document["paper"].values())))
    body = []
    for r in document["results"]:
        clips = r["training_clips"]
        body.append([*_who(r), "–" if clips is None else str(clips), cell(r["sr"]), str(r["sr"]["n"])])
    lines = rows(["policy", "engine", "clips of the skill", "SR %", "n"], body, 2)
    lines += ["", "The paper's rows, by the number of clips, %:", ""]
    body = [[m, *(_plain(row[c], "sr") for c in counts)] for m, row in document["paper"].items()]
    lines += rows(["method", *counts], body)
    law = {
        "paper": "Balls lie on the floor, 1 to 5 m from the person, in every direction.",
        "released": "Balls as the released test draws them: 0.5 to 3 m from the person, 0.1 to 1.1 m high, in motion.",
    }
    told = "SR: share of worlds that hold the ball for a second in all within the time."
    return [*lines, "", f"{law[document['results'][0]['balls']]} {told}"]


def _matrix(document: Mapping[str, Any], name: str) -> list[str]:
    lines = [f"![success of every pair of skills]({name}.png)", ""]
    for r in document["results"]:
        lines += [f"## {r['policy']}, {r['engine']}", ""]
        body = [[a, *(cell(c) for c in row)] for a, row in zip(r["skills"], r["success"], strict=True)]
        lines += [*rows(["from", *r["skills"]], body), ""]
        worlds = [c["n"] for row in r["success"] for c in row]
        lines += [f"n from {min(worlds)} to {max(worlds)} worlds a cell; on the diagonal the skill's own SR.", ""]
    return lines[:-1]


def _how(document: Mapping[str, Any], name: str) -> list[str]:
    settings, rules, run = document["settings"], document["thresholds"], document["run"]
    lines = ["## How it was measured", ""]
    lines += ["```bash", document["command"], "```", ""] if document["command"] else []
    kind = {
        "frozen": "after a fall nothing counts any more",
        "published": "worlds go on after a fall, as in the released code",
    }[rules["accounting"]]
    played = sum(r["control_steps"] for r in document["results"])
    told = "".join(f", told {b} for {a}" for a, b in document["told"].items())
    lines += [
        f"Evaluation seeds {', '.join(map(str, settings['seeds']))}, {settings['count_a_seed']} worlds a seed and "
        f"cell, each distinct start once, {rules['steps']} control steps; {kind}{told}. Engine "
        f"{', '.join(settings['engines'])}, {settings['actions']} actions, {settings['intervals']} intervals in "
        f"brackets. {played:,} control steps in {run['wall_s']:.0f} s, compiling included. Metrics and all numbers: "
        f"`{name}.json`.",
        "",
    ]
    for policy, entry in document["policies"].items():
        samples = f", {entry['env_steps'] / 1e6:.0f} M samples" if entry["env_steps"] else ""
        lines.append(f"* {policy}: `{entry['policy']}`{samples}; {summary(entry['clips'])}")
    lines.append(f"* clips: {', '.join(document['clips'])}; hash {document['motion_hash'][:12]}")
    versions = run["versions"]
    kept = ", ".join(f"{key} {versions[key]}" for key in ("jax", "mujoco", "warp-lang") if key in versions)
    return [*lines, f"* made on {', '.join(sorted(set(run['devices'])))}; {kept}"]


def _who(result: Mapping[str, Any]) -> list[str]:
    return [result["policy"], result["engine"]]


def _rate(entry: Mapping[str, Any] | None, key: str) -> str:
    return cell(entry, 1.0, 3) if key == "nr" else cell(entry)


def _plain(value: float, key: str) -> str:
    return f"{value:.2f}" if key == "nr" else f"{100 * value:.1f}"
