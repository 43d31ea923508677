"""A session in which a high-level policy chooses the skills, until a person tells one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation.setup import LABEL, chooses, from_scratch, run_config
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.physics.base import EDGES
from mjx_skillmimic.viewing import stage
from mjx_skillmimic.viewing.clip_frames import ClipFrames
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.status import Status
from mjx_skillmimic.viewing.task_driver import TaskDriver

_HANDS_OBJECT = EDGES.index("hands_object")


class TaskSession(Session):
    """A `Session` in the environment of a high-level task; its clips are the task's start states.

    Every third control step the policy chooses, and `Status.task` says among what. `set_skill` takes over until the
    command "auto", a reset or `set_policy`. Nothing ends an episode; after a fall it begins anew as in any session.
    """

    task: TaskDriver

    def __init__(
        self,
        policy: str,
        motion: str | Sequence[str] | None = None,
        *,
        start: int = 0,
        seed: int = 0,
        preset: str = "default",
        task: str | None = None,
    ) -> None:
        """Builds the world and compiles both policies, about 20 s.

        policy: of a high-level task, or with `task`, the name of one, a baseline: zero, random or "label:13". motion:
        start clips instead of the configuration's. start: of no meaning, a start state has one frame. preset: of a
        baseline. Raises what `setup.run_config` and the environment raise, ValueError for a policy of clips.
        """
        policy = str(policy)
        self._config, self._seed = run_config(policy, preset, task), seed
        if not chooses(self._config):
            raise ValueError(f"{policy} moves the joints itself, expected a policy of a high-level task")
        if from_scratch(self._config):
            raise ValueError(f"{policy} moves the joints itself, expected a policy that chooses among skills")
        self.task = TaskDriver(policy, self._config, motion, seed)
        env, rows = self.task.env, self.task.rows
        self.motions, self.starts = [], None
        labels = (f"{LABEL}{label}" for label in dict.fromkeys(env.labels))
        self.policies = list(dict.fromkeys([policy, "random", *labels]))
        learned = sorted({*env.low_level.labels, *env.labels})
        self.skills = {label: skill_name(label) for label in learned}
        frames = ClipFrames(
            qpos=np.asarray(env.tables.starts.qpos, np.float64)[rows],
            contact=np.zeros(len(rows), bool),
            joint_error=np.zeros(len(rows)),
            first=np.arange(len(rows)),
            lengths=np.ones(len(rows), int),
            skills=self.task.skills,
            names=self.task.names,
        )
        self._open(self.task.stage, frames, len(rows), 0, seed)
        self._driver, self._kinematic = self.task, False
        self.reset(0)

    def set_policy(self, name: str) -> None:
        """Another one chooses from the next decision on. Raises what `setup.agent_for` raises."""
        # compiled before it interrupts anything
        who = self.task.chooser(name)
        with self.lock:
            self.task.who, self.task.auto = who, True

    def set_skill(self, label: int) -> None:
        """The skill that is played from the next step on, whatever the policy would choose; see `Session.set_skill`."""
        with self.lock:
            super().set_skill(label)
            self.task.auto = False
            self._tell()

    def set_target(self, point: Sequence[float]) -> None:
        """Moves the task's goal to a point (2,) m of the floor. Raises ValueError for a task that has no such goal."""
        with self.lock:
            self._state = self.task.with_target(self._state, point)
            self._tell()

    def reset(self, clip: int | None = None, frame: int | None = None) -> None:
        """Begins in a start state with a goal that was drawn, the policy choosing; see `Session.reset`."""
        with self.lock:
            self.task.auto = True
            super().reset(clip, frame)

    def step(self) -> None:
        """One control step, the first of a decision with a choice before it."""
        with self.lock:
            if self.task.auto and self._count % self.task.env.episode.steps == 0:
                self._skill = self.task.choose(self._state, self._count)
            super().step()

    def _tell(self) -> None:
        self.status = dataclasses.replace(self.status, task=self.task.told(self._state))

    def _look(self, seen: dict[str, Any]) -> Status:
        return self._status(
            rewards={"total": float(seen["reward/total"][0])} if seen else {},
            contacts=stage.contact_points(self.model, self.data),
            hands_touch_ball=bool(self._state.data.edges[0, _HANDS_OBJECT]),
            reference_contact=None,
            reference_qpos=None,
            joint_error_m=None,
            task=self.task.told(self._state),
        )


def open_session(
    policy: str,
    motion: str | Sequence[str] | None = None,
    *,
    start: int = 2,
    seed: int = 0,
    task: str | None = None,
) -> Session:
    """A `Session` or a `TaskSession`, whichever the policy's configuration asks for."""
    if policy != "playback" and chooses(run_config(policy, task=task)):
        return TaskSession(policy, motion, start=start, seed=seed, task=task)
    return Session(policy, motion, start=start, seed=seed)
