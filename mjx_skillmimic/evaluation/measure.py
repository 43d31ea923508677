"""One evaluation of a policy: of either kind of task, as numbers and as the text that says them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mjx_skillmimic.evaluation import held_out, high_level, high_level_courses, report, rollouts
from mjx_skillmimic.evaluation.policies import Agent


@dataclasses.dataclass(frozen=True)
class Measured:
    """results: JSON-able. text: the same to be read. about: what else belongs into the JSON. frames: control steps."""

    results: dict[str, Any]
    text: str
    about: dict[str, Any]
    frames: int


def measure(env: Any, agent: Agent, episodes: int, start: str = "first", seed: int = 0, batch: int = 1024) -> Measured:
    """Evaluates an agent in an environment of `setup.make_env`.

    start: on which frame of the clips, see `rollouts.draw_starts`. Raises ValueError for a start that is none, and for
    any but "first" in a high-level task, whose configuration says where episodes begin.
    """
    if not hasattr(env, "task"):
        return _clips(env, agent, episodes, start, seed, batch)
    if start != "first":
        raise ValueError(f"start {start!r}: episodes of a high-level task begin where its configuration says")
    return _courses(env, agent, episodes, seed, batch)


def _clips(env: Any, agent: Agent, episodes: int, start: str, seed: int, batch: int) -> Measured:
    found = rollouts.run_episodes(env, agent, episodes, int(start) if start.isdigit() else start, seed, batch)
    results = report.report(found, env.tables.motions.names, seed)
    trained_on = held_out.membership(agent.metadata, env.clips)
    lines = [f"{agent.name}: {len(found)} episodes, start {start}, seed {seed}, engine {env.physics.name}"]
    lines += [held_out.summary(trained_on)] if agent.metadata else []
    text = "\n".join([*lines, report.text_table(results)])
    return Measured(results, text, {"clips": trained_on}, results["total"]["frames"])


def _courses(env: Any, agent: Agent, episodes: int, seed: int, batch: int) -> Measured:
    courses = high_level_courses.run_courses(env, agent, episodes, seed, batch)
    results = high_level.report(env.task.name, courses, seed, env.episode.steps)
    independent = len(high_level.distinct(courses))
    results["distinct"] = independent
    below = env.low_level
    who = "scene and starts of" if env.moves_joints else "low-level policy"
    lines = [
        f"{env.task.name}, {agent.name}: {len(courses)} episodes, seed {seed}, engine {env.physics.name}, "
        f"{who} {below.name} ({below.sha256[:12]})",
        course_table(results),
    ]
    if independent < len(courses):
        lines.append(f"only {independent} of the episodes differ: intervals are narrower than the evidence")
    frames = int(courses.valid.sum())
    return Measured(results, "\n".join(lines), {"task": env.task.name, **env.policy_metadata}, frames)


_ROWS = (
    ("success", "success %", 100.0, 1),
    ("fell", "fell %", 100.0, 1),
    ("return", "return of an episode", 1.0, 2),
    ("reached_per_minute", "reached a minute", 1.0, 2),
    ("catches", "catches an episode", 1.0, 2),
    ("reward", "reward of a control step", 1.0, 3),
    ("seconds", "seconds an episode", 1.0, 1),
)
_REACHED = {"Heading": "goals a minute", "Scoring": "baskets a minute"}


def course_table(results: Mapping[str, Any]) -> str:
    """`high_level.report` as lines of plain text, values with [low, high]."""
    lines = []
    for key, title, factor, digits in _ROWS:
        title = _REACHED.get(results["task"], title) if key == "reached_per_minute" else title
        if key == "success" and key not in results:
            lines.append(f"{title:<25}-  no rule for {results['task']}")
            continue
        value, low, high = (f"{factor * results[key][name]:.{digits}f}" for name in ("value", "low", "high"))
        lines.append(f"{title:<25}{value} [{low}, {high}]")
    played = ", ".join(f"{name} {100 * share:.0f} %" for name, share in results["labels"].items())
    return "\n".join([*lines, *([f"{'skills':<25}{played}"] if played else [])])
