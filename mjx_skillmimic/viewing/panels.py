"""What the plots of runs say, as numbers and words: sections of panels, the same for the PNG and for the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mjx_skillmimic.viewing.curves import Group
from mjx_skillmimic.viewing.series import Line, lines, skill, value

SECTIONS = ("learning", "factors", "skills", "comparison")
_FACTOR = "env/reward/"
_TOTAL = "total"

# Key, title, label of the axis, factor to its unit, whether it is a share from 0 to 1 of that factor, evaluation.
_CURVES = (
    ("reward", "Training reward", "a control step", 1.0, True, False),
    ("episode/length", "Episode length", "control steps (1/60 s)", 1.0, False, False),
    ("env/contact/label_agrees", "Contact as labelled", "% of frames", 100.0, True, False),
    ("env/error/body_m", "Body error", "mm", 1000.0, False, False),
    ("env/error/object_m", "Ball error", "mm", 1000.0, False, False),
    ("success", "Success, evaluated", "%", 100.0, True, True),
    ("acc", "Accuracy (Acc), evaluated", "% of frames", 100.0, True, True),
    ("survived", "Survived, evaluated", "% of the clip", 100.0, True, True),
)
_FACTORS = {
    "p": "body positions",
    "r": "body rotations",
    "pv": "body velocities",
    "rv": "body spin",
    "op": "ball position",
    "or": "ball rotation",
    "opv": "ball velocity",
    "orv": "ball spin",
    "ig": "hands to ball",
    "cg1": "contact, body",
    "cg2": "contact, ball",
    "cg_hands_object": "hands touch ball",
    "cg_body_object": "body off ball",
    "cg_hands_body": "hands off body",
    "ee": "end effectors",
    "root": "root",
    "smooth": "smoothness",
}


@dataclasses.dataclass(frozen=True)
class Panel:
    """Lines over samples; or, with `categories`, one value of each group at each of them (x counts categories)."""

    title: str
    y_label: str
    lines: tuple[Line, ...]
    x_label: str = ""
    y_range: tuple[float, float] | None = None
    categories: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """kind: of SECTIONS. note: how to read it."""

    kind: str
    title: str
    note: str
    panels: tuple[Panel, ...]

    @property
    def columns(self) -> int:
        """Of the grid: of 3 to 5, what leaves the fewest holes."""
        if self.kind == "skills":
            return 1
        return min((5, 4, 3), key=lambda columns: -len(self.panels) % columns)


def sections(groups: Sequence[Group], which: Sequence[str] = SECTIONS, at: float | None = None) -> list[Section]:
    """The sections that there is something to show for, in the order of SECTIONS.

    at: samples at which runs are compared; None is the most that all reached. Raises ValueError for an unknown section,
    or a comparison beyond what a run reached.
    """
    if unknown := [name for name in which if name not in SECTIONS]:
        raise ValueError(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    least = min(run.end for group in groups for run in group.runs)
    if at is not None and not 0 < at <= least:
        raise ValueError(f"expected samples to compare at between 0 and {least:g}, which all runs reached, got {at:g}")
    made = {
        "learning": lambda: _learning(groups),
        "factors": lambda: _factors(groups),
        "skills": lambda: _skills(groups),
        "comparison": lambda: _comparison(groups, least if at is None else at),
    }
    return [section for name in SECTIONS if name in which and (section := made[name]()).panels]


def million(samples: float) -> str:
    """A number of samples in words: "2.62 M", "5.12 k"."""
    return f"{samples / 1e6:.3g} M" if samples >= 1e6 else f"{samples / 1e3:.3g} k"


def _scale(groups: Sequence[Group]) -> tuple[float, str]:
    end = max(run.end for group in groups for run in group.runs)
    return (1e6, "samples (million env steps)") if end >= 1e6 else (1e3, "samples (thousand env steps)")


def _learning(groups: Sequence[Group]) -> Section:
    panels = []
    scale, label = _scale(groups)
    for key, title, unit, factor, share, evaluated in _CURVES:
        limits = (0.0, 1.02 * factor) if share else None
        if found := lines(groups, key, scale, factor, evaluated):
            panels.append(Panel(title, unit, found, label, limits))
    return Section("learning", "Learning", _band_note(groups), tuple(panels))


def _factors(groups: Sequence[Group]) -> Section:
    runs = [run for group in groups for run in group.runs]
    names = sorted({key.removeprefix(_FACTOR) for run in runs for key in run.training if key.startswith(_FACTOR)})
    order = [*_FACTORS, *(name for name in names if name not in _FACTORS)]
    names = sorted((name for name in names if name != _TOTAL), key=order.index)
    moving = [n for n in names if any(np.nanmin(run.training.get(_FACTOR + n, 1.0)) < 1.0 - 1e-6 for run in runs)]
    still = [name for name in names if name not in moving]
    scale, label = _scale(groups)
    panels = []
    for name in moving:
        title = f"{name}: {_FACTORS[name]}" if _FACTORS.get(name, name) != name else name
        panels.append(Panel(title, "mean factor", lines(groups, _FACTOR + name, scale), label, (0.0, 1.02)))
    note = "Each lies in (0, 1]; 1 is perfect imitation." + (f" Always 1: {', '.join(still)}." if still else "")
    return Section("factors", "Factors of the reward", note, tuple(panels))


def _skills(groups: Sequence[Group]) -> Section:
    from mjx_skillmimic.motion.skill_names import skill_name

    labels = sorted({label for group in groups for run in group.runs for label in run.skills})
    bars = []
    for g, group in enumerate(groups):
        found = [(i, success) for i, label in enumerate(labels) if (success := skill(group, label)) is not None]
        if found:
            mean, low, high = 100.0 * np.array([success for _, success in found]).T
            x = np.array([i for i, _ in found], float)
            bars.append(Line(group.name, g, x, mean, low, high, len(group.runs), points=True))
    names = tuple(f"{skill_name(label)} ({label:03d})" for label in labels)
    panels = (Panel("", "success, %", tuple(bars), "", (0.0, 105.0), names),) if bars else ()
    note = "The last policy, from evaluation.json. Bar: 95 % interval of one run, lowest to highest of several."
    return Section("skills", "Success by skill", note, panels)


def _comparison(groups: Sequence[Group], at: float) -> Section:
    """One panel a metric: each group's value at equal samples; none for a single group."""
    panels = []
    for key, title, unit, factor, share, evaluated in _CURVES if len(groups) > 1 else ():
        dots = []
        for g, group in enumerate(groups):
            values = [factor * v for run in group.runs if np.isfinite(v := value(run, key, at, evaluated))]
            if values:
                x, mean, low, high = np.array([[g], [np.mean(values)], [min(values)], [max(values)]], float)
                dots.append(Line(group.name, g, x, mean, low, high, len(values), points=True))
        limits = (0.0, 1.02 * factor) if share else None
        if dots:
            panels.append(Panel(title, unit, tuple(dots), "", limits, tuple(group.name for group in groups)))
    note = f"Training: mean over the 2 % before; evaluated: the last one up to there. {_range_note(groups)}"
    return Section("comparison", f"At equal samples: {million(at)} env steps", note.strip(), tuple(panels))


def _band_note(groups: Sequence[Group]) -> str:
    note = "Training curves are means over the 2 % of the run before each point."
    several = any(len(group.runs) > 1 for group in groups)
    return note + (" Line: mean over seeds; band: lowest to highest." if several else "")


def _range_note(groups: Sequence[Group]) -> str:
    return "Bar: lowest to highest seed." if any(len(group.runs) > 1 for group in groups) else ""
