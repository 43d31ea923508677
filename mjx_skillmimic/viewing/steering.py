"""A session steered by a list of commands instead of by a person, kept as a trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.shapes import shapes_from_model
from mjx_skillmimic.viewing.status import Status
from mjx_skillmimic.viewing.surroundings import GoalTrack, scenery_from_model
from mjx_skillmimic.viewing.trajectory import Trajectory


def steer(session: Session, steps: int, commands: Mapping[int, str] | None = None, title: str = "") -> Trajectory:
    """Steps a session `steps` times and records the state after each, beginning where it is.

    commands: step (0-based) → what `Session.do` is told before it, such as {90: "skill:13"}. The labels are the skill
    told, the ball's height in m, and whether a hand touches the ball; no reference is kept. In a high-level task there
    are also its goal, the reward of the step, how likely the skill was, and how often the goal has been reached.

    Raises ValueError for no steps, for a step that is not among them, and for a command that does not exist or is not
    possible.
    """
    commands = dict(commands or {})
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    if late := [step for step in commands if not 0 <= step < steps]:
        raise ValueError(f"a command before step {late[0]}: expected a step from 0 to {steps - 1}")
    model, data = session.model, session.data
    bodies = [model.body(name).id for name in BODIES]
    ball = model.body(OBJECT)
    poses: list[tuple[np.ndarray, ...]] = []
    labels: dict[str, list[float]] = {}
    statuses: list[Status] = []
    for step in range(steps):
        with session.lock:
            if step in commands:
                session.do(commands[step])
            session.step()
            now = data.xpos[bodies], data.xquat[bodies], data.xpos[ball.id], data.xquat[ball.id]
            poses.append(tuple(x.copy() for x in now))
            status = session.status
        statuses.append(status)
        for name, value in _labels(status).items():
            labels.setdefault(name, []).append(float(value))
    body_pos, body_quat, object_pos, object_quat = (np.array(x) for x in zip(*poses, strict=True))
    return Trajectory(
        body_pos=body_pos,
        body_quat=body_quat,
        object_pos=object_pos,
        object_quat=object_quat,
        shapes=shapes_from_model(model, BODIES),
        fps=1.0 / session.control_dt,
        labels={name: np.array(values, np.float32) for name, values in labels.items()},
        object_radius=float(model.geom_size[ball.geomadr[0], 0]),
        title=title or f"policy {session.policy}, steered",
        scenery=scenery_from_model(model),
        goal=_goal(statuses),
    )


def _labels(status: Status) -> dict[str, float]:
    task = status.task
    shown: dict[str, float] = {"skill": status.skill}
    if task is not None:
        shown |= {"chance": task.chances.get(status.skill, 0.0), "reached": task.reached}
    shown |= {"ball m": status.ball_height, "contact": status.hands_touch_ball}
    return shown if task is None else shown | {"reward": status.rewards.get("total", 0.0)}


def _goal(statuses: Sequence[Status]) -> GoalTrack | None:
    tasks = [status.task for status in statuses]
    if any(task is None or task.goal is None for task in tasks):
        return None
    columns = [(task.goal, task.reach, task.radius) for task in tasks if task is not None]
    return GoalTrack(*(np.array(column, np.float32) for column in zip(*columns, strict=True)))
