"""MuJoCo's own window on a session, with the same keys as in the browser (skillmimic.md §9.1)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing import pacing
from mjx_skillmimic.viewing.keys import DEFAULT_KEYS, press
from mjx_skillmimic.viewing.marks import Marks, camera_eye
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.status import TaskStatus

# GLFW's key codes by the names of a browser. Printable keys have the code of their capital letter or sign.
_GLFW_NAMED = {
    "Escape": 256, "Enter": 257, "Tab": 258, "Backspace": 259, "Insert": 260, "Delete": 261,
    "ArrowRight": 262, "ArrowLeft": 263, "ArrowDown": 264, "ArrowUp": 265,
    "PageUp": 266, "PageDown": 267, "Home": 268, "End": 269,
    **{f"F{i}": 289 + i for i in range(1, 13)},
}  # fmt: skip
# Without its modifiers, the key of "+" on a US keyboard is "="; and both signs are on the number pad.
_GLFW_ALIASES = {ord("="): "+", 333: "-", 334: "+", 330: ".", 335: "Enter"}
_CODES = {code: name for name, code in _GLFW_NAMED.items()} | _GLFW_ALIASES

# Pictures for which flags are held after a key: what MuJoCo switched arrives with the first, and goes with the second.
_UNDO = 3
_CLOSING = 3.0  # s that the window's threads get to end

NO_DISPLAY = (
    "the native viewer needs a display, and DISPLAY and WAYLAND_DISPLAY are empty: "
    "take --viewer web, which any browser can show, or log in with ssh -X"
)


class NoWindowError(RuntimeError):
    """No window could be opened; the message says why and what to do instead."""


def key_name(code: int) -> str | None:
    """The name that `keys` has for a GLFW key code; None for one without a name there."""
    if code in _CODES:
        return _CODES[code]
    return chr(code).lower() if 32 <= code < 127 else None


def view(
    session: Session,
    keys: Mapping[str, str] = DEFAULT_KEYS,
    *,
    rate: float = 60.0,
    stop: threading.Event | None = None,
) -> None:
    """Opens the window and runs the session in real time until it is closed or `stop` is set.

    Raises NoWindowError where there is no display or no OpenGL.
    """
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise NoWindowError(NO_DISPLAY)
    import mujoco.viewer

    pressed: list[int] = []
    before = set(threading.enumerate())
    # Nothing but the list is touched in the window's own thread.
    try:
        window = mujoco.viewer.launch_passive(
            session.model, session.data, key_callback=pressed.append, show_left_ui=False, show_right_ui=False
        )
    except Exception as error:
        raise NoWindowError(f"MuJoCo's viewer did not open ({error}); take --viewer web instead") from error
    stop = stop or threading.Event()
    with window:
        picture = Picture(session, window, keys, pressed, stop)
        pacing.run(session, picture.draw, rate, stop)
    # A process that ends while the window's thread still draws is told off by the display.
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=_CLOSING)


class Picture:
    """The window's contents, brought up to date by `draw`."""

    def __init__(
        self, session: Session, window: Any, keys: Mapping[str, str], pressed: list[int], stop: threading.Event
    ) -> None:
        """window: MuJoCo's handle. pressed: key codes yet to be handled. stop: set when the window was closed."""
        self._session, self._window, self._keys, self._pressed, self._stop = session, window, keys, pressed, stop
        self._marks, self._message = Marks(session.scene), ""
        self._ball = session.scene.object_body_id
        with window.lock():
            window.cam.type = mujoco.mjtCamera.mjCAMERA_TRACKING
            window.cam.trackbodyid = session.model.body(BODIES[0]).id
            window.cam.distance, window.cam.azimuth, window.cam.elevation = 4.0, 135.0, -14.0
            window.user_scn.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._flags, self._undo = self._read_flags(), 0

    def draw(self) -> None:
        """Handles keys, then draws the session's present state."""
        window, session = self._window, self._session
        if not window.is_running():
            self._stop.set()
            return
        while self._pressed:
            name = key_name(self._pressed.pop(0))
            answer = press(session, name, self._keys) if name else None
            if answer is not None:
                self._message, self._undo = answer, _UNDO
        with session.lock:
            with window.lock():
                if self._undo:
                    self._write_flags()
                    self._undo -= 1
                else:
                    self._flags = self._read_flags()
                status, ball = session.status, session.data.xpos[self._ball].copy()
                self._marks.draw(window.user_scn, status, ball, camera_eye(window.cam), session.ghost)
            window.set_texts((None, mujoco.mjtGridPos.mjGRID_TOPLEFT, *self._text()))
            # outside its lock: the window's thread has to come round once before this returns
            window.sync()

    def _text(self) -> tuple[str, str]:
        """Names and values in the corner, a line each."""
        session, status = self._session, self._session.status
        total = status.rewards.get("total")
        rows = {
            "policy": status.policy,
            "clip": f"{session.clips[status.clip]}  {status.frame}/{session.lengths[status.clip] - 1}",
            "skill": f"{status.skill} {session.skills.get(status.skill, '')}",
            "reward": "-" if total is None else f"{total:.2f}",
            **({} if status.task is None else _task_rows(status.task)),
            "speed": f"{'paused' if session.paused else f'{session.speed:g}'}  (real {session.real_time_factor:.2f})",
            "": "fallen" if status.fallen else self._message,
        }
        return "\n".join(rows), "\n".join(rows.values())

    def _read_flags(self) -> tuple[np.ndarray, np.ndarray]:
        return self._window.opt.flags.copy(), self._window.user_scn.flags.copy()

    def _write_flags(self) -> None:
        """Undoes what MuJoCo's own shortcuts of our keys (wireframe, shadows …) have switched."""
        self._window.opt.flags[:], self._window.user_scn.flags[:] = self._flags


def _task_rows(task: TaskStatus) -> dict[str, str]:
    chances = ", ".join(f"{skill_name(label)} {100 * chance:.0f} %" for label, chance in task.chances.items())
    return {task.name: f"{'policy' if task.auto else 'you'}, reached {task.reached}", "chances": chances}
