"""The Markdown of a reproduction, from its JSON document alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mjx_skillmimic.evaluation.held_out import summary

TITLES = {
    "table1": "Table 1: accuracy and errors on clips",
    "table2": "Table 2: success of each skill",
    "fig8": "Fig. 8: picking up balls that lie or roll anywhere",
    "switching": "Switching between skills",
}
_METRICS = (
    ("acc", "Acc %", 100.0, 1),
    ("e_b_mpjpe_mm", "E_b mm", 1.0, 1),
    ("e_o_mpjpe_mm", "E_o mm", 1.0, 1),
    ("e_cg", "E_cg", 1.0, 3),
    ("acc_edges", "Acc % with the graph's edges", 100.0, 1),
    ("e_cg_edges", "E_cg of the edges", 1.0, 3),
    ("survived", "survived %", 100.0, 1),
)
DATA_DIFFER = (
    "The paper's clips are others: BallPlay-V comes from videos and GRAB has other objects, while the rows of ours are "
    "on the clips named below. The paper's numbers are for orientation, not a comparison."
)


def markdown(document: Mapping[str, Any], name: str) -> str:
    """The page of a document. name: of its files without suffix, for the picture and the JSON."""
    lines = [f"# {TITLES[document['what']]}", ""]
    lines += {"table1": _table1, "table2": _table2, "fig8": _fig8, "switching": _switching}[document["what"]](
        document, name
    )
    settings = document["settings"]
    lines += ["", "## How it was measured", ""]
    lines += ["```bash", document["command"], "```", ""] if document["command"] else []
    lines.append(
        f"Evaluation seeds {', '.join(map(str, settings['seeds']))}, {settings['count_a_seed']} worlds a seed, "
        f"engine {', '.join(settings['engines'])}, {settings['actions']} actions, {settings['intervals']} intervals in "
        'brackets. Definitions: docs/evaluation.md, "The paper\'s results, measured again"; thresholds and all '
        f"numbers: `{name}.json`."
    )
    lines.append("")
    for policy, entry in document["policies"].items():
        samples = f", {entry['env_steps'] / 1e6:.0f} M samples" if entry["env_steps"] else ""
        lines.append(f"* {policy}: `{entry['policy']}`{samples}; {summary(entry['clips'])}")
    names = list(document["clips"])
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    lines.append(f"* clips: {shown}; hash {document['motion_hash'][:12]}")
    versions = document["run"]["versions"]
    kept = ", ".join(f"{key} {versions[key]}" for key in ("jax", "mujoco", "warp-lang") if key in versions)
    lines.append(f"* made on {', '.join(sorted(set(document['run']['devices'])))}; {kept}")
    return "\n".join(lines) + "\n"


def cell(entry: Mapping[str, Any] | None, factor: float = 100.0, digits: int = 1) -> str:
    """ "value [low, high]" in `factor`; "–" without a value, and no brackets without an interval."""
    if entry is None or entry["value"] is None:
        return "–"
    value = f"{factor * entry['value']:.{digits}f}"
    if entry["low"] is None:
        return value
    return f"{value} [{factor * entry['low']:.{digits}f}, {factor * entry['high']:.{digits}f}]"


def rows(header: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A Markdown table whose first `left` columns are aligned to the left."""
    marks = ["---" if i < left else "---:" for i in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in ([str(h) for h in header], marks, *body)]


def _table1(document: Mapping[str, Any], name: str) -> list[str]:
    policies, results, lines = list(document["policies"]), document["results"], []
    for engine, start in dict.fromkeys((r["engine"], r["start"]) for r in results):
        chosen = {r["policy"]: r for r in results if (r["engine"], r["start"]) == (engine, start)}
        some = next(iter(chosen.values()))
        lines += [f"## From {start}, engine {engine}", ""]
        body = _errors("all clips" if len(some["clips"]) > 1 else next(iter(some["clips"])), policies, chosen, "total")
        if 1 < len(some["clips"]) <= 12:
            for clip in some["clips"]:
                body += _errors(clip, policies, chosen, clip)
        lines += [*rows(["clips", "episodes", "metric", *policies], body, 3), ""]
    lines += ["## The paper's rows", "", DATA_DIFFER, ""]
    body = [
        [data, row, f"{100 * n['acc']:.1f}", f"{n['e_b_mpjpe_mm']:.1f}", f"{n['e_o_mpjpe_mm']:.1f}", f"{n['e_cg']:.3f}"]
        for data, found in document["paper"].items()
        for row, n in found.items()
    ]
    return lines + rows(["data", "method", *(title for _, title, _, _ in _METRICS[:4])], body, 2)


def _errors(title: str, policies: list[str], chosen: Mapping[str, Any], clip: str) -> list[list[str]]:
    found = {p: chosen[p]["total"] if clip == "total" else chosen[p]["clips"][clip] for p in policies}
    count = str(next(iter(found.values()))["episodes"])
    return [
        [title if i == 0 else "", count if i == 0 else "", label, *(cell(found[p][key], k, digits) for p in policies)]
        for i, (key, label, k, digits) in enumerate(_METRICS)
    ]


def _table2(document: Mapping[str, Any], name: str) -> list[str]:
    body = []
    for r in document["results"]:
        paper = r["paper"]["SkillMimic"]
        beside = r["beside_paper"]
        free, clip = r.get("free"), r["clip"]
        body.append(
            [
                f"{r['skill']} ({r['label']:03d})",
                r["policy"],
                r["engine"],
                f"{100 * paper:.1f}" if paper is not None else "–",
                cell(r[beside]),
                "free" if beside == "free" else "clip",
                f"{cell(clip)}, n {clip['n']}",
                f"{cell(free)}, n {free['n']}" if free else "–",
                cell(clip["standing"]),
                cell(free["standing"]) if free else "–",
            ]
        )
    header = ["skill", "policy", "engine", "paper %", "ours %", "protocol", "clip protocol", "free protocol"]
    lines = rows([*header, "not fallen, clip", "not fallen, free"], body, 3)
    methods = [m for m in document["results"][0]["paper"] if m != "SkillMimic"]
    shown = {r["skill"]: r["paper"] for r in document["results"] if r["paper"]["SkillMimic"] is not None}
    if shown:
        lines += ["", "The paper's other methods, %:", ""]
        body = [[skill, *(f"{100 * paper[m]:.1f}" for m in methods)] for skill, paper in shown.items()]
        lines += rows(["skill", *methods], body)
    note = (
        "Clip: from random start frames to the clip's end. Free: dribbles with the label held for 10 s from random "
        'start frames, pick up of balls lying still at 1–5 m. "ours" is the protocol that stands beside the paper.'
    )
    return [*lines, "", note]


def _fig8(document: Mapping[str, Any], name: str) -> list[str]:
    lines = [f"![Where balls are picked up]({name}.png)", ""]
    body = [
        [
            r["policy"],
            r["engine"],
            r["motion"],
            cell(r["success"]),
            cell(r["held"]),
            cell(r["standing"]),
            str(r["success"]["n"]),
        ]
        for r in document["results"]
    ]
    paper = f"{100 * document['paper']['SkillMimic']:.1f}"
    body.append(["paper, SkillMimic", "Isaac Gym", "not stated", paper, "–", "–", "–"])
    lines += rows(["policy", "engine", "balls", "picked up %", "held %", "not fallen %", "n"], body, 3)
    groups = [(g["from_m"], g["to_m"]) for g in document["results"][0]["by_distance"]]
    lines += ["", "By distance, %:", ""]
    body = [[r["policy"], r["engine"], r["motion"], *(cell(g) for g in r["by_distance"])] for r in document["results"]]
    lines += rows(["policy", "engine", "balls", *(f"{low:g}–{high:g} m" for low, high in groups)], body, 3)
    lines += ["", "By direction, degrees to the left of where the person faces, %:", ""]
    sectors = [g["centre_degrees_left"] for g in document["results"][0]["by_direction"]]
    body = [[r["policy"], r["engine"], r["motion"], *(cell(g) for g in r["by_direction"])] for r in document["results"]]
    return lines + rows(["policy", "engine", "balls", *(f"{s}°" for s in sectors)], body, 3)


def _switching(document: Mapping[str, Any], name: str) -> list[str]:
    lines = [f"![Switching matrices]({name}.png)", ""]
    for r in document["results"]:
        skills = r["skills"]
        lines += [
            f"## {r['policy']}, {r['engine']}",
            "",
            "Standing 3 s after the switch, %; rows: from, columns: to:",
            "",
        ]
        lines += _matrix(skills, r["standing"], r["ready"])
        lines += ["", "Success of the new skill within 3 s, %:", ""]
        lines += [*_matrix(skills, r["success"], r["ready"]), ""]
    lines += ["Rules of success without a reference:", ""]
    for label, rule in document["results"][0]["rules"].items():
        lines.append(f"* {label}: {rule['name']}: {rule['text']}" if rule else f"* {label}: none, not judged")
    lines += ["", "The paper shows switching in its video and reports no numbers."]
    return lines


def _matrix(skills: list[str], matrix: list[list[Any]], ready: list[Any]) -> list[str]:
    body = [[a, cell(r), *(cell(c) for c in row)] for a, r, row in zip(skills, ready, matrix, strict=True)]
    return rows(["from", "standing at the switch", *skills], body)
