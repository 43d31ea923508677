"""The tables of a document of dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mjx_skillmimic.evaluation.parity.measures import EDGES
from mjx_skillmimic.evaluation.parity.scenarios import JOINT_GROUPS
from mjx_skillmimic.evaluation.parity.tables import Table, number, percent

_ONE_STEP = (
    ("body_place", "bodies, mm", 1e3),
    ("joint_turn", "joints, mrad", 1e3),
    ("joint_speed", "joints, rad/s", 1.0),
    ("root_speed", "root, m/s", 1.0),
    ("ball_place", "ball, mm", 1e3),
    ("ball_speed", "ball, m/s", 1.0),
    ("ball_spin", "ball, rad/s", 1.0),
)
_NOTHING = number(None)
_FLAGS = ("both", "body", "ball", "bodies", *EDGES)


def tables(document: Mapping[str, Any]) -> list[Table]:
    """All of them, the summary first; an engine that has no group's figures has no row there."""
    engines = document["engines"]
    makers = (_summary, _steps, _laws, _bounces, _one_step, _open_loop, _flags, _forces)
    made = [maker(document, engines) for maker in makers]
    return [table for table in made if table.rows]


def _summary(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    aims, base = document["aims"], document["base"]["engine"]
    heads = ("engine", f"PD step, % (≤ {aims['pd']:g})", "PD settled, %", f"bounces, % (≤ {aims['bounce']:g})",
             f"flags, % (≥ {aims['flags']:g})", "worst edge, %", "lost contacts")  # fmt: skip
    keys = ("pd", "pd_settled", "bounce", "flags", "edges")
    rows = []
    for name, found in engines.items():
        lost = sum(found["lost_contacts"].values())
        rows.append((name, *(number(found["summary"][key]) for key in keys), str(lost)))
    note = (
        f"Against {base}. PD step: greatest difference of a joint's response to a step of 0.2 rad, in % of the step; "
        "settled: mean of its last 10 control steps. Bounces: greatest mean difference of the first three heights. "
        "Flags: share of single control steps along the courses from reference states in which both published contact "
        "flags agree; worst edge: of the three edges of the contact graph the one that agrees least."
    )
    return Table("Summary", heads, tuple(rows), note)


def _steps(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows = []
    for group in JOINT_GROUPS:
        cells = []
        for found in engines.values():
            three = [found["pd"][name] for axis in "xyz" if (name := f"{group} {axis}") in found["pd"]]
            cells.append(_worst(three))
        if any(cell != _NOTHING for cell in cells):
            rows.append((group, *cells))
    for name in dict.fromkeys(name for found in engines.values() for name in found["large_pd"]):
        there = [found["large_pd"].get(name) for found in engines.values()]
        rows.append((f"{name}, 1 rad aslant", *(_worst([x] if x else []) for x in there)))
    note = "Greatest difference / settled, mean of the last 10 of 60 control steps; the worst of the three axes."
    return Table("PD step responses, % of the step", ("joints", *engines), tuple(rows), note)


def _worst(responses: list[dict[str, float]]) -> str:
    if not responses:
        return _NOTHING
    return " / ".join(number(max(x[key] for x in responses)) for key in ("most", "settled"))


def _laws(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    base = document["base"]
    found = {f"{base['engine']} (base)": base["laws"]} | {name: e["laws"] for name, e in engines.items()}
    names = list(base["laws"])
    rows = tuple((name, *(number(1e3 * laws[law], 2) for law in names)) for name, laws in found.items() if laws)
    note = (
        "A wrist steps by 1 rad about an axis other than the one it is bent about: how far it is at most from a single "
        "joint whose servo's error is that. The small figure is the engine's law."
    )
    return Table("What a ball joint's servo takes for its error, mrad", ("engine", *names), rows, note)


def _bounces(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows = []
    for name, found in engines.items():
        for b in found["bounces"]:
            figures = [*map(number, b["height"]), number(b["difference"], 2), number(b["scatter"], 2)]
            rows.append((name, str(b["bounce"]), str(b["drops"]), *figures))
    heads = ("engine", "bounce", "drops", "base: height ÷ drop", "height ÷ drop", "difference, %", "scatter, %")
    return Table("Bounces on the floor", heads, tuple(rows), "Drops of 0.5 to 2.5 m. Scatter: over the drops.")


def _one_step(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows = []
    for group in document["base"]["courses"]:
        for name, found in engines.items():
            there = found["groups"].get(group, {}).get("one_step", {})
            if not there.get("steps"):
                continue
            cells = []
            for key, _, factor in _ONE_STEP:
                median, ninety = (None if x is None else factor * x for x in there[key]["error"][:2])
                moved = there[key]["moved"]
                cells.append(f"{number(median, 2)} / {number(ninety, 2)} ({number(moved and factor * moved, 2)})")
            rows.append((group, name, str(there["steps"]), *cells))
    heads = ("group", "engine", "steps", *(title for _, title, _ in _ONE_STEP))
    note = (
        "Each control step begins in the base's own state. Median / 90 % of the difference after it, in brackets how "
        "much the base itself moved. Bodies and joints: mean over all of them."
    )
    return Table("One control step, teacher-forced", heads, tuple(rows), note, words=2)


def _open_loop(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows, after = [], ("1", "10", "60")
    for group in document["base"]["courses"]:
        for name, found in engines.items():
            there = found["groups"].get(group, {}).get("open_loop", {})
            cells = []
            for key in ("body_place", "ball_place"):
                for steps in after:
                    x = there.get(steps, {}).get(key)
                    median, ninety = (
                        None if x is None or e is None else 1e3 * e for e in (x["error"][:2] if x else (None, None))
                    )
                    cells.append(f"{number(median, 2)} / {number(ninety, 2)}")
            broken = max((there[s].get("broken", 0) for s in there), default=0)
            if there:
                rows.append((group, name, *cells, str(broken)))
    heads = ("group", "engine", *(f"{what} after {n}, mm" for what in ("bodies", "ball") for n in after), "broken")
    note = "Open loop from the base's first state with its targets; median / 90 % over the courses of a group."
    return Table("Divergence after 1, 10, 60 control steps", heads, tuple(rows), note, words=2)


def _flags(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows = []
    for group in document["base"]["courses"]:
        for name, found in engines.items():
            there = found["groups"].get(group, {}).get("flags", {})
            if not any(any(x or 0 for x in pair) for pair in there.get("raised", {}).values()):
                continue
            raised = " / ".join(
                f"{percent(there['raised'][k][0], 0)}→{percent(there['raised'][k][1], 0)}" for k in ("body", "ball")
            )
            rows.append((group, name, *(percent(there.get(key)) for key in _FLAGS), raised))
    edges = (edge.replace("_", "–") for edge in EDGES)
    heads = ("group", "engine", "both flags", "body flag", "ball flag", "each body", *edges, "raised body / ball")
    note = "Single control steps from the base's states. Raised: how often base → engine raise the flag, %."
    return Table("Contact flags, % that agree", heads, tuple(rows), note, words=2)


def _forces(document: Mapping[str, Any], engines: Mapping[str, Any]) -> Table:
    rows = []
    for group in document["base"]["courses"]:
        for name, found in engines.items():
            there = found["groups"].get(group, {}).get("forces", {})
            for place, f in there.items():
                if not any(x or 0 for x in f["touching"]):
                    continue
                cells = [f"{number(a, 2)} → {number(b, 2)}" for a, b in zip(*f["newton"], strict=True)]
                share = f"{percent(f['touching'][0])} → {percent(f['touching'][1])}"
                mean = f"{number(f['mean'][0], 3)} → {number(f['mean'][1], 3)}"
                rows.append((group, name, place, share, *cells, mean))
    heads = ("group", "engine", "place", "touching, %", "median, N", "90 %, N", "99 %, N", "mean of all, N")
    note = (
        "Net contact force of single bodies over one control step, base → engine; percentiles of those that touch "
        "(a component of at least 0.1 N)."
    )
    return Table("Contact forces as distributions", heads, tuple(rows), note, words=3)
