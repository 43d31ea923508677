"""Episodes of a high-level task as trajectories: with the goal, and the skill that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mjx_skillmimic.viewing import takes as one_take
from mjx_skillmimic.viewing.steering import steer
from mjx_skillmimic.viewing.trajectory import Trajectory, cut

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.task_session import TaskSession

AFTER_FALL = 1.0  # s that are still shown


def record_episodes(
    session: TaskSession,
    episodes: int = 1,
    seconds: float | None = None,
    begin: str | None = None,
    takes: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Trajectory, ...]:
    """Episodes of a session, each from the next of its start states or all from `begin`, each with a new goal, until
    their time is over or a second after a fall.

    seconds: at most so long; None: a whole episode of the environment. takes: tries for each episode until a goal was
    reached, else the one that was paid most; say: told what came of each. Raises ValueError for fewer than one episode
    or take, no time, or a start state that is not there.
    """
    env = session.task.env
    steps = env.episode.length if seconds is None else round(seconds / session.control_dt)
    if min(episodes, takes, steps) < 1:
        raise ValueError(f"expected at least one episode, take and control step, got {episodes}, {takes} and {steps}")
    first, found = one_take.find_clip(session, begin), []
    for episode in range(episodes):
        start = first if begin is not None else episode % len(session.clips)
        tries: list[Trajectory] = []
        for number in range(takes):
            session.reset(start)
            tries.append(_until_fall(steer(session, steps, title=_title(session, start)), env.episode.fall_height))
            reached, paid = _worth(tries[-1])
            say(f"episode {episode + 1}, take {number + 1}: reached {reached:.0f}, reward {paid:.3f} a control step")
            if reached > 0:
                break
        found.append(max(tries, key=_worth))
    return tuple(found)


def _title(session: TaskSession, start: int) -> str:
    beginning = session.clips[start].removeprefix("start: ")
    return f"{session.task.env.task.name}: {Path(session.policy).stem}, from {beginning}"


def _until_fall(t: Trajectory, height: float | None) -> Trajectory:
    low = np.flatnonzero(t.body_pos[:, 0, 2] < (height or 0.0))
    return cut(t, min(t.num_frames, int(low[0]) + round(AFTER_FALL * t.fps))) if len(low) else t


def _worth(t: Trajectory) -> tuple[float, float]:
    """How often a goal was reached, and the mean reward."""
    return float(t.labels["reached"].max()), float(t.labels["reward"].mean())
