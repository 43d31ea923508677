"""One world that somebody watches and steers: a policy in its environment, or a clip played back (skillmimic.md §9)."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from mjx_skillmimic.evaluation.policies import BASELINES
from mjx_skillmimic.evaluation.rollouts import FALL_HEIGHT
from mjx_skillmimic.evaluation.setup import run_config
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.physics.base import EDGES
from mjx_skillmimic.viewing import commands, projectile, stage
from mjx_skillmimic.viewing.clip_frames import ClipFrames, clip_frames, with_starts
from mjx_skillmimic.viewing.driver import PLAYBACK, Driver, Program, fitting_policies, learned_skills, openings_for
from mjx_skillmimic.viewing.status import Status, heights

_HANDS_OBJECT = EDGES.index("hands_object")
_TARGET = "L_Hip"  # what boxes are thrown at


class Session:
    """One world in MuJoCo C at the environment's control rate, driven by a policy or by a clip.

    Without a box in play a policy's trajectory is that of the environment's own `mujoco` engine. Methods may be called
    from any thread; hold `lock` while reading `data`.

    scene: the environment's; model: that with the projectile as last body; data: the world. clips, lengths, skills,
    policies: names of the clips, their frames, the skills that may be told (label → name), what `set_policy` takes. The
    first `num_starts` of clips are `starts`, states of the policy's own making of one frame each and without a
    reference; `motions` are the others. task: the `task_driver.TaskDriver` of a `task_session.TaskSession`, else None.
    paused, speed, ghost: wishes of the viewer, which `pacing.run` and the drawing obey. falls: since the beginning.
    restart_seconds: a clip begins again so long after a fall; None: never. real_time_factor: kept by `pacing.run`.
    """

    task: Any = None

    def __init__(
        self,
        policy: str,
        motion: str | Sequence[str] | None = None,
        *,
        start: int = 2,
        seed: int = 0,
        preset: str = "default",
    ) -> None:
        """Builds the world and compiles the policy, some seconds; "playback" needs neither.

        policy: a run's folder, a policy file, a shipped policy's name, or a baseline. motion: clip name, file, folder
        or several; without: see `driver.openings_for`. start: frame on which clips begin.

        Raises FileNotFoundError, MotionFormatError, PolicyFormatError, CardError, StartsError for what cannot be read,
        KeyError for an unknown preset or task, ValueError for what does not fit together.
        """
        policy = str(policy)
        self._config, self._seed = run_config(policy, preset), seed
        self.motions, self.starts = openings_for(policy, self._config, motion)
        scene = build_scene(SceneOptions(**self._config.scene))
        frames = with_starts(clip_frames(self.motions, scene), self.starts)
        self.policies = fitting_policies(policy, self._config)
        self.skills = {label: skill_name(label) for label in sorted(set(frames.skills.tolist()))}
        self._open(stage.Stage(scene), frames, 0 if self.starts is None else len(self.starts), start, seed)
        self.set_policy(policy)

    def _open(self, where: stage.Stage, frames: ClipFrames, num_starts: int, start: int, seed: int) -> None:
        """Everything that does not depend on who acts."""
        self.scene, self._stage, self._frames, self.num_starts = where.scene, where, frames, num_starts
        self.model, self.data, self.control_dt = where.model, where.data, where.scene.control_dt
        self.lock = threading.RLock()
        self.clips, self.lengths = list(frames.names), [int(n) for n in frames.lengths]
        self.paused, self.speed, self.ghost, self.real_time_factor, self.falls = False, 1.0, True, 0.0, 0
        self.restart_seconds: float | None = None
        self._start, self._rng = start, np.random.default_rng(seed)
        self.status: Status
        self._driver: Any = None
        self._state: Any = None
        self._clip, self._first, self._count, self._kinematic = 0, start, 0, True

    @property
    def kinematic(self) -> bool:
        """Whether the clip itself is shown, without physics. Setting it goes on from the present frame."""
        return self._kinematic

    @kinematic.setter
    def kinematic(self, wanted: bool) -> None:
        with self.lock:
            if not wanted and self._driver is None:
                raise ValueError("there is no policy to act: set_policy gives one")
            self._kinematic = wanted
            self.reset(self._clip, self._frame())

    @property
    def policy(self) -> str:
        """Who acts; "playback": the clip."""
        return PLAYBACK if self._kinematic or self._driver is None else self._driver.agent.name

    def set_policy(self, name: str) -> None:
        """Another policy acts from the next step on, in the world as it is; "playback" shows the clip itself.

        Compiles before it interrupts anything. A policy that was trained with other options of the environment begins
        the clip's present frame again. Raises ValueError for a policy of another scene, and what reading it raises.
        """
        if name == PLAYBACK:
            self.kinematic = True
            return
        config = self._config if name in BASELINES else run_config(name)
        if config.get("scene") != self._config.scene:
            raise ValueError(f"{name} was trained in another scene; here there is {', '.join(self.policies)}")
        before = self._driver
        same = before is not None and (name in BASELINES or before.program.serves(config))
        program = before.program if before and same else Program(config, self.motions, self._stage, self.starts)
        driver, labels = Driver(name, program, self._seed), learned_skills(name, self.motions)
        with self.lock:
            goes_on = same and not self._kinematic
            self._driver, self._kinematic = driver, False
            self.skills = {label: skill_name(label) for label in labels}
            if not goes_on:
                self.reset(self._clip, self._frame())

    def set_skill(self, label: int) -> None:
        """The skill that the policy is told from the next step on; another one than the clip's ends the reference.

        Raises ValueError for a label that the policy has not learned, or in playback.
        """
        if self._kinematic:
            raise ValueError("a clip that is played back cannot be told a skill")
        if label not in self.skills:
            known = ", ".join(f"{number} {name}" for number, name in self.skills.items())
            raise ValueError(f"{self.policy} has not learned skill {label}; it has learned {known}")
        with self.lock:
            self._skill = int(label)
            self._steered |= self._skill != int(self._frames.skills[self._clip])
            self.status = dataclasses.replace(self.status, skill=self._skill)

    def reset(self, clip: int | None = None, frame: int | None = None) -> None:
        """Begins a clip, its own skill told and the box away; absent: the present clip, the session's start frame.

        A policy begins on the last frame but one at the latest. Raises ValueError for no such clip or frame.
        """
        with self.lock:
            clip = self._clip if clip is None else clip
            frame = self._frames.checked(clip, frame, self._start)
            self._clip, self._first, self._count, self._fallen, self._lying = clip, frame, 0, False, 0
            self._skill, self._steered = int(self._frames.skills[clip]), False
            if self._kinematic:
                self._show_frame()
                return
            assert self._driver is not None
            self._first = max(min(frame, self.lengths[clip] - 2), 0)
            self._state = self._driver.begin(clip, self._first)
            self._stage.show(self._state.data)
            self.status = self._look({})

    def seek(self, frame: int) -> None:
        """Goes to a frame of the present clip. Raises ValueError for one that is not there."""
        self.reset(self._clip, frame)

    def step(self) -> None:
        """One control step, paused or not. A clip that is played back begins again after its end."""
        with self.lock:
            self._count += 1
            if self._kinematic:
                if self._first + self._count >= self.lengths[self._clip]:
                    self._first, self._count = 0, 0
                self._show_frame()
                return
            assert self._driver is not None
            self._state = self._driver.step(self._state, self._skill, self._count - 1)
            seen = jax.device_get(self._state.metrics)
            broken = bool(seen["nonfinite"][0] > 0)
            self.data.time = self._count * self.control_dt
            fell = broken or bool(self.data.qpos[2] < FALL_HEIGHT and self._count > 1)
            self.falls, self._fallen = self.falls + int(fell and not self._fallen), self._fallen or fell
            self._lying += int(self._fallen)
            if broken or self._lying * self.control_dt > (self.restart_seconds or np.inf):
                self.reset(self._clip)
            else:
                self.status = self._look(seen)

    def throw_box(self, origin: Sequence[float] | None = None, direction: Sequence[float] | None = None) -> None:
        """Throws the box, wherever it was: from `origin` (3,) m along `direction` (3,) with 25 m/s (a click), or by the
        published law `Auto` (skillmimic.md §2.4). Raises ValueError for only one of the two, or in playback."""
        if self._kinematic:
            raise ValueError("nothing can be thrown at a clip that is played back")
        with self.lock:
            target = self._stage.motion_of(_TARGET)
            throw = projectile.throw(self._rng, self.data.qpos[:3], target, origin, direction)
            self._state = self._state.replace(data=stage.with_throw(self._state.data, throw))

    def do(self, command: str) -> str:
        """Does one of `commands.COMMANDS`, or "skill:LABEL"; answers in words what was done.

        Raises ValueError, naming the commands that exist, for another one, and for one that is not possible now.
        """
        with self.lock:
            return commands.do(self, command)

    def _frame(self) -> int:
        """The clip's frame that belongs to the present step, held at the last one."""
        return min(self._first + self._count, self.lengths[self._clip] - 1)

    def _show_frame(self) -> None:
        """Playback: the frame's pose and label, nothing else."""
        row = self._frames.row(self._clip, self._frame())
        self._stage.show_pose(self._frames.qpos[row])
        self.data.time = self._count * self.control_dt
        held = bool(self._frames.contact[row])
        self.status = self._status(
            hands_touch_ball=held,
            reference_contact=held,
            reference_qpos=None,
            joint_error_m=float(self._frames.joint_error[row]),
        )

    def _look(self, seen: dict[str, Any]) -> Status:
        """The status after a step that left the metrics `seen`, none right after a reset."""
        row = self._frames.row(self._clip, self._frame())
        referred = not self._steered and self._first + self._count < self.lengths[self._clip]
        referred &= self._clip >= self.num_starts
        told = {name.removeprefix("reward/"): float(x[0]) for name, x in seen.items() if name.startswith("reward/")}
        return self._status(
            rewards=told if referred else {},
            contacts=stage.contact_points(self.model, self.data),
            hands_touch_ball=bool(self._state.data.edges[0, _HANDS_OBJECT]),
            reference_contact=bool(self._frames.contact[row]) if referred else None,
            reference_qpos=self._frames.qpos[row] if referred else None,
            joint_error_m=float(seen["error/body_m"][0]) if seen and referred else None,
        )

    def _status(self, **rest: Any) -> Status:
        where = heights(self.data.qpos, self.data.xpos[self.scene.object_body_id])
        common: dict[str, Any] = {"rewards": {}, "contacts": [], **where} | rest
        return Status(
            step=self._count,
            time=self._count * self.control_dt,
            clip=self._clip,
            frame=self._frame(),
            skill=self._skill,
            policy=self.policy,
            fallen=self._fallen,
            **common,
        )
