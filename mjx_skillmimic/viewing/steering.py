"""A session steered by a list of commands instead of by a person, kept as a trajectory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.shapes import shapes_from_model
from mjx_skillmimic.viewing.trajectory import Trajectory


def steer(session: Session, steps: int, commands: Mapping[int, str] | None = None, title: str = "") -> Trajectory:
    """Steps a session `steps` times and records the state after each, beginning where it is.

    commands: step (0-based) → what `Session.do` is told before it, such as {90: "skill:13"}. The labels are the skill
    told, the ball's height in m, and whether a hand touches the ball; no reference is kept. Raises ValueError for no
    steps, for a step that is not among them, and for a command that does not exist or is not possible.
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
    labels: dict[str, list[float]] = {name: [] for name in ("skill", "ball m", "contact")}
    for step in range(steps):
        with session.lock:
            if step in commands:
                session.do(commands[step])
            session.step()
            now = data.xpos[bodies], data.xquat[bodies], data.xpos[ball.id], data.xquat[ball.id]
            poses.append(tuple(x.copy() for x in now))
            status = session.status
        for name, value in zip(labels, (status.skill, status.ball_height, status.hands_touch_ball), strict=True):
            labels[name].append(float(value))
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
    )
