"""The viewer in the browser: `serve(session)`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.session import Session


def serve(
    session: Session,
    host: str = "127.0.0.1",
    port: int = 8080,
    keys: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Runs a session in real time and shows it in browsers until `stop` is set or Ctrl-C: see `web.page.serve`.

    Raises ImportError, naming the extra to install, where viser is not there.
    """
    try:
        import viser  # noqa: F401
    except ImportError as error:
        raise ImportError("the web viewer needs viser: pip install 'mjx_skillmimic[viewer]'") from error
    from mjx_skillmimic.viewing.web import page

    page.serve(session, host, port, keys, stop)
