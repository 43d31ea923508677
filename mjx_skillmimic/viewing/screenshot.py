"""A screenshot of the web viewer, taken in a headless Chromium that Playwright drives."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mjx_skillmimic.viewing.session import Session

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# WebGL in software: a machine without a screen has no other.
_ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
_WAIT = 120_000  # ms, for the first picture on a busy machine


class NoBrowserError(RuntimeError):
    """Playwright or Chromium is missing; the message says how to install it."""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium of Playwright's, the one on the PATH.

    Raises NoBrowserError where either is missing, RuntimeError for what Playwright complains of within.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NoBrowserError("a browser is driven with playwright: pip install 'mjx_skillmimic[browser]'") from error
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise NoBrowserError(f"no {', '.join(CHROMIUM)} on the PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        except Error as error:
            raise RuntimeError(f"the browser: {str(error).splitlines()[0]}") from error
        finally:
            browser.close()


def take_screenshot(
    session: Session, path: str | Path, steps: int = 0, width: int = 1280, height: int = 720, settle: float = 6.0
) -> Path:
    """Steps a session `steps` times, pauses it and writes a PNG of its page of `width` × `height` pixels.

    settle: s that the browser gets to draw all of it. Raises NoBrowserError, ImportError where viser is missing, and
    RuntimeError for a page that complains.
    """
    try:
        from mjx_skillmimic.viewing.web.page import Page
    except ImportError as error:
        raise ImportError("the web viewer needs viser: pip install 'mjx_skillmimic[viewer]'") from error
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    page = Page(session, port=0)
    try:
        for _ in range(steps):
            session.step()
            page.draw()
        session.paused = True
        with chromium() as browser:
            window = browser.new_page(viewport={"width": width, "height": height})
            errors: list[str] = []
            window.on("pageerror", lambda error: errors.append(str(error)))
            window.goto(page.url)
            window.wait_for_selector("canvas", timeout=_WAIT)
            window.get_by_role("button", name="pause").or_(window.get_by_role("button", name="go on")).first.wait_for(
                timeout=_WAIT
            )
            # panel and plots are sent less often than poses, the view follows in steps
            for _ in range(max(round(settle / 0.25), 1)):
                page.draw()
                window.wait_for_timeout(250)
            # viser's word on slow drawing
            window.add_style_tag(content=".mantine-Notification-root { display: none }")
            window.wait_for_timeout(1000)
            if errors:
                raise RuntimeError(f"the page complains: {errors[0]}")
            window.screenshot(path=str(path))
    finally:
        page.close()
    return path
