"""The panel: buttons, menus and sliders that show what the session does and change it."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.commands import SKILL
from mjx_skillmimic.viewing.keys import commands_of
from mjx_skillmimic.viewing.web import keyboard

if TYPE_CHECKING:
    import viser

    from mjx_skillmimic.viewing.session import Session, Status
    from mjx_skillmimic.viewing.status import TaskStatus
    from mjx_skillmimic.viewing.web.scene import Scene

AUTOMATIC_BOX = "automatic box"  # thrown by the published law, wherever the cameras are
SPEEDS = (0.05, 4.0)  # of the slider; keys go farther (`commands.SPEEDS`)
_AWAY = 1.5  # m from the person to a ball that has gone
_HOLD = 1.0  # s that a slider is left alone after somebody moved it
_CHOSEN, _OTHER = (63, 118, 178), (226, 231, 238)
RESTART = 1.5  # s on the floor after which the clip may begin again
_RUN = ("pause", "step", "reset", "box")


class Panel:
    """Controls of one session for all browsers at once. `sync` shows the session's state, whoever changed it."""

    def __init__(
        self, server: viser.ViserServer, session: Session, scene: Scene, keys: Mapping[str, str], act: Callable
    ) -> None:
        """act(command, client) does a command; keys: key → command, shown beside what they do."""
        self._gui: Any = server.gui
        self._session, self._scene, self._act = session, scene, act
        self._keys = commands_of(keys)
        self._moved = 0.0
        self._said = ""
        self._shown_skills: tuple[tuple[int, str], ...] = ()
        self._skill_buttons: dict[int, Any] = {}
        self._status = self._gui.add_html("")
        self._gui.add_html(keyboard.script(keys, "mjx_skillmimic"))
        self._skills = self._gui.add_folder("Skills")
        if session.task is not None:
            with self._skills:
                self._add_auto()
        with self._gui.add_folder("Simulation"):
            self._add_run()
        with self._gui.add_folder("Show"):
            self._add_show()
        with self._gui.add_folder("Keys", expand_by_default=False):
            self._gui.add_markdown(keyboard.help_text(keys))

    def say(self, text: str) -> None:
        """Shows a line below the status: what was done last, or why not."""
        self._said = text

    def sync(self, status: Status) -> None:
        """Brings everything in line with the session."""
        session = self._session
        self._show_skills(status.skill)
        self._run.options = ("go on" if session.paused else "pause", *_RUN[1:])
        if not self._policy.disabled:
            self._policy.value = session.policy
        self._ghost.value = session.ghost
        self._restart.value = session.restart_seconds is not None
        if time.monotonic() - self._moved > _HOLD:
            self._speed.value = min(max(session.speed, SPEEDS[0]), SPEEDS[1])
            self._clip.value = self._clip_names[status.clip]
            self._number.value = status.clip + 1
            last = session.lengths[status.clip] - 1
            self._frame.disabled = last == 0
            self._frame.max = max(last, 1)
            self._frame.value = min(status.frame, last)
        self._status.content = self._status_html(status)

    def _add_run(self) -> None:
        session = self._session
        self._run = self._gui.add_button_group("run", _RUN)
        self._speed = self._gui.add_slider("speed", *SPEEDS, step=0.05, initial_value=1.0, marks=(1.0, 2.0, 3.0))
        self._policy = self._gui.add_dropdown("policy", tuple(session.policies), initial_value=session.policy)
        self._clip_names = tuple(f"{i + 1} {name}" for i, name in enumerate(session.clips))
        self._clip = self._gui.add_dropdown("clip", self._clip_names, hint="type to search")
        count = len(session.clips)
        self._number = self._gui.add_slider("number", 1, max(count, 2), step=1, initial_value=1, disabled=count == 1)
        self._frame = self._gui.add_slider("frame", min=0, max=max(session.lengths[0] - 1, 1), step=1, initial_value=0)
        commands = {"box": AUTOMATIC_BOX, "go on": "pause"}

        self._run.on_click(lambda event: self._act(commands.get(event.target.value, event.target.value), event.client))
        self._on_update(self._speed, lambda value: setattr(session, "speed", float(value)))
        self._on_update(self._clip, lambda value: session.reset(self._clip_names.index(value)))
        self._on_update(self._number, lambda value: session.reset(int(value) - 1))
        self._on_update(self._frame, lambda value: session.seek(int(value)))
        self._on_update(self._policy, self._set_policy)

        self._restart = self._gui.add_checkbox("restart after a fall", session.restart_seconds is not None)
        self._on_update(self._restart, lambda value: setattr(session, "restart_seconds", RESTART if value else None))

    def _add_show(self) -> None:
        self._ghost = self._gui.add_checkbox("reference", self._session.ghost)
        follow = self._gui.add_checkbox("follow the person", self._scene.follow)
        contacts = self._gui.add_checkbox("contact forces", self._scene.show_contacts)
        self._on_update(self._ghost, lambda value: setattr(self._session, "ghost", bool(value)))
        self._on_update(follow, lambda value: setattr(self._scene, "follow", bool(value)))
        self._on_update(contacts, lambda value: setattr(self._scene, "show_contacts", bool(value)))

    def _on_update(self, handle: Any, change: Callable[[Any], None]) -> None:
        """Calls `change(value)` when a person changes the handle, not when `sync` does."""

        @handle.on_update
        def _(event: Any) -> None:
            if event.client is None:
                return
            self._moved = time.monotonic()
            try:
                change(handle.value)
            except (ValueError, OSError) as error:
                self.say(str(error))

    def _set_policy(self, name: str) -> None:
        self._policy.disabled = True
        self.say(f"loading {name} …")
        try:
            self._session.set_policy(name)
            self.say(f"policy {name}")
        finally:
            self._policy.disabled = False

    def _show_skills(self, skill: int) -> None:
        """One button a skill that the policy has learned; the present one in colour."""
        skills = tuple(self._session.skills.items())
        if skills != self._shown_skills:
            for button in self._skill_buttons.values():
                button.remove()
            with self._skills:
                self._skill_buttons = {label: self._add_skill(label, name) for label, name in skills}
            self._shown_skills = skills
        for label, button in self._skill_buttons.items():
            button.color = _CHOSEN if label == skill else _OTHER

    def _add_skill(self, label: int, name: str) -> Any:
        command = f"{SKILL}{label}"
        names = " ".join(keyboard.symbol(key) for key in self._keys.get(command, ()))
        button = self._gui.add_button(f"{name}  ({names})" if names else name)
        button.on_click(lambda event: self._act(command, event.client))
        return button

    def _add_auto(self) -> None:
        names = " ".join(keyboard.symbol(key) for key in self._keys.get("auto", ()))
        button = self._gui.add_button(f"the policy chooses  ({names})" if names else "the policy chooses")
        button.on_click(lambda event: self._act("auto", event.client))

    def _status_html(self, status: Status) -> str:
        session = self._session
        asked = f" of {session.speed:g}" if session.speed != 1.0 else ""
        pace = "paused" if session.paused else f"{session.real_time_factor:.2f}{asked} × real time"
        state = "played back" if session.kinematic else "fallen" if status.fallen else "standing"
        reward = f" &middot; reward {status.rewards['total']:.2f}" if "total" in status.rewards else ""
        error = "" if status.joint_error_m is None else f" &middot; error {1000 * status.joint_error_m:.0f} mm"
        frame = f", frame {status.frame} of {session.lengths[status.clip]}" if session.lengths[status.clip] > 1 else ""
        away = f" &middot; ball {status.ball_distance:.1f} m away" if status.ball_distance > _AWAY else ""
        lines = [
            f"<b>{html.escape(skill_name(status.skill))}</b> &middot; {html.escape(status.policy)}",
            f"{html.escape(session.clips[status.clip])}{frame}",
            f"{state}{reward}{error}{away}",
            *([] if status.task is None else _task_lines(status.task)),
            pace,
            f"<i>{html.escape(self._said) or '&nbsp;'}</i>",
        ]
        return f'<div style="padding: 0 1em 0.4em; font-size: 0.85em; line-height: 1.5">{"<br>".join(lines)}</div>'


def _task_lines(task: TaskStatus) -> list[str]:
    """The task, who chooses, and how likely each skill was in the last choice."""
    who = "the policy chooses" if task.auto else "you choose"
    chances = (f"{html.escape(skill_name(label))} {100 * chance:.0f} %" for label, chance in task.chances.items())
    return [f"{html.escape(task.name)}: {who} &middot; reached {task.reached}", " &middot; ".join(chances)]
