"""The Markdown page of published runs, made of nothing but their JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

METRICS = (
    ("acc", "Acc %", 100.0, 1),
    ("acc_edges", "Acc edges %", 100.0, 1),
    ("e_b_mpjpe_mm", "E_b mm", 1.0, 0),
    ("e_o_mpjpe_mm", "E_o mm", 1.0, 0),
    ("e_cg", "E_cg", 1.0, 3),
    ("survived", "survived %", 100.0, 1),
    ("success", "success %", 100.0, 1),
)
_READING = """\
**Reward** is the mean a step while training, with sampled actions; final is the mean of the last 10 iterations.
**Env steps/s** is rollout and update together: the median over iterations after the first 5. **Minutes** are those of
all iterations; compiling and evaluations are not in them. **Early ends** is the share of training episodes that a fall
or a limit on errors ended. **Greatest KL** is that of
any one iteration's update. **Lost contacts, broken worlds, skipped updates** count the engine's dropped contacts (mean
of its counter), states that became non-finite and gradient steps that were refused.

Evaluations use the mean action and run to the end of the clip. *Frame 2* is the published start, each clip once: one
deterministic episode a clip, so without an interval. *Random*: start frames drawn from [2, T − 2], 95 % intervals over
episodes in brackets; a success whose moment comes before the start (a catch that is already over) cannot be had there.
Metrics are defined in docs/evaluation.md; "edges" judges contacts by pairs instead of net forces.
"""


def markdown(document: Mapping[str, Any], name: str, notes: str = "") -> str:
    """The page of a `publish.publish` document whose files begin with `name`."""
    runs = document["runs"]
    lines = [f"# Results: {name}", ""]
    lines += [notes.strip(), ""] if notes.strip() else []
    lines += [f"![Learning curves]({name}.png)", "", "## Training", "", *_training(runs), ""]
    if document["baseline"]:
        provenance = document["baseline"]["provenance"]
        lines.append(f"Earlier experiment: {provenance}. Its reward is compared with this run's at as many env steps.")
        lines.append("")
    lines += ["## Evaluation", "", *_evaluation(runs), "", "## Reward factors at the end of training", ""]
    lines += [*_factors(runs), "", "## How to read the tables", "", _READING]
    for run in runs:
        lines += _section(run)
    if document["command"]:
        lines += ["## This page", "", "```sh", document["command"], "```", ""]
    return "\n".join(lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _training(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    header = [
        "run",
        "clips",
        "env steps",
        "minutes",
        "env steps/s",
        "reward",
        "earlier experiment",
        "ours at its steps",
    ]
    header += ["early ends %", "lost contacts", "broken worlds", "skipped updates", "greatest KL"]
    rows = []
    for run in runs:
        t, before = run["training"], run["baseline"]
        old = f"{before['training_reward']:.2f} @ {_millions(before['env_steps'])}" if before else "–"
        same = _number(before["reward_at_its_samples"] if before else None, 1.0, 3)
        rows.append(
            [
                run["name"],
                str(len(run["clips"])),
                _millions(t["env_steps"]),
                f"{t['seconds'] / 60:.1f}",
                f"{t['env_steps_per_second']:,}",
                f"**{t['reward']:.3f}**",
                old,
                same,
                f"{100 * t['terminated_per_episode']:.1f}",
                f"{t['overflow']:g}",
                str(t["nonfinite_worlds"]),
                str(t["skipped_updates"]),
                f"{t['greatest_kl']:.2f}",
            ]
        )
    return table(header, rows)


def _evaluation(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for run in runs:
        for engine, result in run["evaluations"].items():
            for start, title in (("first", "frame 2"), ("random", "random")):
                total = result[start]["total"]
                rows.append([run["name"], f"{engine}, final", title, str(total["episodes"]), *_metric_cells(total)])
        if run["own_evaluations"]:
            own = run["own_evaluations"][-1]
            cells = [_number(own.get(key), factor, digits) for key, _, factor, digits in METRICS]
            when = f"{run['engine']}, at {_millions(own['env_steps'])}"
            rows.append([run["name"], when, "frame 2", "", *cells])
    return table(["run", "engine, policy", "start", "episodes", *(title for _, title, _, _ in METRICS)], rows)


def _factors(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {name for run in runs for name, value in run["training"]["factors"].items() if value not in (None, 1.0)}
    ordered = sorted(names)
    rows = [
        [
            run["name"],
            *(_number(run["training"]["factors"].get(name), 1.0, 3) for name in ordered),
            _number(run["training"]["label_agrees"], 100.0, 1),
        ]
        for run in runs
    ]
    return table(["run", *ordered, "contact as labelled %"], rows)


def _section(run: Mapping[str, Any]) -> Iterator[str]:
    """What is particular to one run: clips, pictures, command, versions, and metrics a clip if there are several."""
    shown = run["shown"]
    yield from (f"## {run['name']}", "")
    yield f"`{shown['clip']}` from frame {shown['start']} ({shown['engine']}), the reference translucent green:"
    yield from (f"[video]({shown['video']}).", "", f"![Key frames of {run['name']}]({shown['sheet']})", "")
    yield from ("```sh", run["command"].replace(" --", " \\\n    --"), "```", "")
    yield from _provenance(run)
    yield ""
    if len(run["clips"]) > 1:
        for engine, result in run["evaluations"].items():
            rows = [
                [clip, title, str(entry["episodes"]), *_metric_cells(entry)]
                for start, title in (("first", "frame 2"), ("random", "random"))
                for clip, entry in result[start]["clips"].items()
            ]
            yield from (f"Per clip, {engine}:", "")
            yield from table(["clip", "start", "episodes", *(title for _, title, _, _ in METRICS)], rows)
            yield ""


def _provenance(run: Mapping[str, Any]) -> Iterator[str]:
    versions = run["versions"]
    devices = [device.split(": ", 1)[-1] for device in run["hardware"]]
    names = ", ".join(f"{devices.count(name)} × {name}" for name in dict.fromkeys(devices))
    made_with = [f"{key} {versions[key]}" for key in ("jax", "mujoco-mjx", "warp-lang") if key in versions]
    clips = [f"{name} ({frames} frames)" for name, frames in zip(run["clips"], run["clip_frames"], strict=True)]
    yield f"* Seed {run['seed']}; {names}; engine {run['engine']}; {', '.join(made_with)}."
    yield f"* Clips: {', '.join(clips)}; motion hash `{run['motion_hash'][:12]}`."
    if run["unshared_keys"]:
        yield f"* Keys that only one of its configuration and today's defaults has: {', '.join(run['unshared_keys'])}."
    skills = [skill for result in run["evaluations"].values() for skill in result["first"]["skills"].values()]
    for rule, text in {skill["rule"]: skill["rule_text"] for skill in skills}.items():
        yield f"* Success, “{rule}”: {text}."


def _metric_cells(entry: Mapping[str, Any]) -> list[str]:
    cells = []
    for key, _, factor, digits in METRICS:
        value = _number(entry[key]["value"], factor, digits)
        low, high = (entry[key].get(side) for side in ("low", "high"))
        interval = "" if low is None else f" [{_number(low, factor, digits)}, {_number(high, factor, digits)}]"
        cells.append(value + interval)
    return cells


def _number(value: float | None, factor: float, digits: int) -> str:
    return "–" if value is None else f"{factor * value:.{digits}f}"


def _millions(steps: float) -> str:
    return f"{steps / 1e6:.1f} M"
