"""The page: one session in as many browsers as look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import viser
import viser.transforms

from mjx_skillmimic.viewing import pacing
from mjx_skillmimic.viewing.keys import DEFAULT_KEYS
from mjx_skillmimic.viewing.web import keyboard
from mjx_skillmimic.viewing.web.panel import AUTOMATIC_BOX, Panel
from mjx_skillmimic.viewing.web.plots import Plots
from mjx_skillmimic.viewing.web.scene import Scene

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.session import Session

PICTURES = 30.0  # a second
_PANEL_EVERY, _PLOTS_EVERY = 0.2, 0.3  # s


class Page:
    """A running web server with the scene, panel and plots of a session.

    url: where it is. The session's clock is somebody else's business (`pacing.run`); `draw` shows its present state.
    """

    def __init__(
        self, session: Session, host: str = "127.0.0.1", port: int = 8080, keys: Mapping[str, str] | None = None
    ) -> None:
        """Starts the server; where the port is taken, on the next free one. port 0: any free one."""
        keys = DEFAULT_KEYS if keys is None else keys
        self._session = session
        self._server = viser.ViserServer(host=host, port=port, label="mjx_skillmimic", verbose=False)
        self.url = f"http://{host}:{self._server.get_port()}"
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=(63, 118, 178))
        self.scene = Scene(self._server, session.model)
        self.panel = Panel(self._server, session, self.scene, keys, self.act)
        charts = self._server.gui.add_panel()
        with charts.add_tab("Reward and heights"):
            self.plots = Plots(self._server)
        charts.dock_left()
        charts.set_width(330)
        self._server.gui.main_panel.dock_right()
        self._panel_due = self._plots_due = 0.0
        keyboard.bind(self._server, keys, self.act)
        if hasattr(session, "set_target"):
            self._server.scene.on_click()(self._set_target)
        self.draw()

    def act(self, command: str, client: Any = None) -> None:
        """Does a command (`viewing.commands`) for a browser and shows the answer. A box is thrown from its camera."""
        session = self._session
        try:
            if command == "box" and client is not None:
                session.throw_box(*self._sight(client))
                self.panel.say("box thrown")
            else:
                self.panel.say(session.do("box" if command == AUTOMATIC_BOX else command))
        except ValueError as error:
            self.panel.say(str(error))

    def draw(self) -> None:
        """Sends the present state to all browsers; panel and plots less often than poses."""
        session, now = self._session, time.monotonic()
        with session.lock:
            qpos, status = session.data.qpos.copy(), session.status
        self.plots.history.add(status)
        if not self._server.get_clients() and self._panel_due:
            return
        self.scene.draw(qpos, status, session.ghost)
        if now >= self._panel_due:
            self._panel_due = now + _PANEL_EVERY
            self.panel.sync(status)
        if now >= self._plots_due:
            self._plots_due = now + _PLOTS_EVERY
            self.plots.show()

    def close(self) -> None:
        """Ends the server."""
        self._server.stop()

    def _sight(self, client: Any) -> tuple[list[float], list[float]]:
        """Position (3,) m and viewing direction (3,) of a browser's camera in the world."""
        forward = viser.transforms.SO3(np.asarray(client.camera.wxyz)).apply(np.array([0.0, 0.0, 1.0]))
        return (np.asarray(client.camera.position) - self.scene.offset).tolist(), forward.tolist()

    def _set_target(self, event: Any) -> None:
        """A click on the floor: the session's target, (2,) m."""
        point = floor_point(np.asarray(event.ray_origin) - self.scene.offset, np.asarray(event.ray_direction))
        if point is None:
            return
        try:
            self._session.set_target(point)  # type: ignore[attr-defined]
        except ValueError as error:
            self.panel.say(str(error))


def floor_point(origin: np.ndarray, direction: np.ndarray) -> np.ndarray | None:
    """Where a ray from `origin` (3,) m along `direction` (3,) meets the floor, (2,) m; None for one that goes up."""
    if direction[2] >= -1e-6:
        return None
    return (origin - direction * (origin[2] / direction[2]))[:2]


def serve(
    session: Session,
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Runs a session in real time and shows it in browsers until `stop` is set or Ctrl-C.

    host: who may look; the default is this machine only. port: see `Page`. keys: key → command (`viewing.keys`).
    """
    page = Page(session, host, port, keys)
    try:
        pacing.run(session, page.draw, rate=PICTURES, stop=stop)
    finally:
        page.close()
