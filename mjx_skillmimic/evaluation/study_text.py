"""A study of training runs as Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mjx_skillmimic.evaluation.study import WINDOW, Study

_REWARD_MARK, _FRAMES_MARK = "†", "‡"
_COLUMNS = (
    "run",
    "differs from the baseline",
    "samples (M)",
    "minutes",
    "k samples/s",
    "reward",
    "reward at equal time",
    "contact as labelled",
    "body error (m)",
    "ball error (m)",
    "evaluated at (M)",
    "success",
    "survived",
    "Acc",
    "E_b mm",
    "E_o mm",
)


def to_json(study: Study) -> str:
    """Everything the table shows, unrounded, and what it leaves out."""
    content = {
        "format": "mjx_skillmimic study",
        "env_steps": study.env_steps,
        "minutes": study.minutes,
        "baseline": study.baseline,
        "rows": study.rows,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def to_markdown(study: Study, title: str, picture: str | None = None, note: str = "") -> str:
    """A page with a note, how to read it, the table and the picture's file name."""
    lines = [f"# {title}", ""]
    if note.strip():
        lines += [note.strip(), ""]
    lines += [*_reading(study), "", "| " + " | ".join(_COLUMNS) + " |"]
    lines.append("|" + " --- |" * 2 + " ---: |" * (len(_COLUMNS) - 2))
    lines += ["| " + " | ".join(_cells(row, study.baseline)) + " |" for row in study.rows]
    lines += ["", *_footnotes(study)]
    if picture is not None:
        lines += [f"![Training curves against samples and minutes]({picture})", ""]
    return "\n".join(lines)


def _reading(study: Study) -> list[str]:
    devices = sorted({", ".join(row["devices"]) or "unknown" for row in study.rows})
    text = [
        "Written by `python scripts/compare_runs.py`. "
        f"Training reward, contact and errors are read at {study.env_steps / 1e6:.4g} M samples,",
        f"the reward at equal time after {study.minutes:.3g} minutes of training (compilation, evaluations and "
        f"checkpoints left out), each a mean over the last {WINDOW:.0%} before.",
        "The evaluation is that of the last policy (`evaluation.json` in the run's folder), else the last one while "
        "training, at or before that number of samples. ± is half the range over seeds. "
        f"Devices: {'; '.join(devices)}.",
    ]
    if len(devices) > 1:
        text.append("The runs used different devices: minutes compare machines too.")
    return text


def _footnotes(study: Study) -> list[str]:
    lines = []
    if not all(row["reward_comparable"] for row in study.rows):
        lines += [
            f"{_REWARD_MARK} Not comparable with the baseline's reward: reward, weights, endings, starts or clips "
            "differ. Compare errors and evaluations.",
            "",
        ]
    if not all(row["errors_comparable"] for row in study.rows):
        lines += [
            f"{_FRAMES_MARK} Measured over other frames than the baseline's: endings, starts or clips differ. "
            "Compare evaluations.",
            "",
        ]
    return lines


def _cells(row: dict[str, Any], baseline: str) -> list[str]:
    reward = "" if row["reward_comparable"] else f" {_REWARD_MARK}"
    frames = "" if row["errors_comparable"] else f" {_FRAMES_MARK}"
    name = row["name"] + (f" ({row['runs']} runs)" if row["runs"] > 1 else "")
    at, evaluated = row["at_env_steps"], row["evaluation"]
    number = lambda value, digits, scale=1.0, mark="": _number(value, digits, scale, row["runs"], mark)  # noqa: E731
    return [
        name,
        "baseline" if row["name"] == baseline and not row["differs"] else _differences(row["differs"]),
        number(row["env_steps"], 1, 1e-6),
        number(row["minutes"], 2),
        number(row["env_steps_per_second"], 0, 1e-3),
        number(at["reward"], 3, mark=reward),
        number(row["at_minutes"]["reward"], 3, mark=reward),
        number(at["label_agrees"], 3, mark=frames),
        number(at["body_error_m"], 3, mark=frames),
        number(at["object_error_m"], 3, mark=frames),
        number(evaluated["env_steps"], 1, 1e-6),
        *(number(evaluated[name], 3) for name in ("success", "survived", "acc")),
        *(number(evaluated[name], 0) for name in ("e_b_mpjpe_mm", "e_o_mpjpe_mm")),
    ]


def _number(value: dict[str, Any] | None, digits: int, scale: float, runs: int, mark: str) -> str:
    """ "0.812 ± 0.010", "–" for nothing, and of how many runs if not of all."""
    if value is None:
        return "–"
    text = f"{value['mean'] * scale:.{digits}f}"
    if value["count"] > 1:
        text += f" ± {value['half_range'] * scale:.{digits}f}"
    return text + (f" ({value['count']} of {runs})" if value["count"] < runs else "") + mark


def _differences(differs: dict[str, Any]) -> str:
    """ "ppo.horizon 16, reward.combine sum"; values of each run of a group apart by slashes."""
    return ", ".join(f"`{key}` {_value(key, new)}" for key, (_, new) in differs.items()) or "nothing"


def _value(key: str, value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"one a run"}:
        return " / ".join(_value(key, one) for one in value["one a run"])
    if key == "motion.path":
        return Path(str(value)).name
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "\\|")
