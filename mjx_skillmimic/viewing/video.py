"""An MP4 of a trajectory, drawn in a process of its own by the best renderer that works, frame by frame."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mjx_skillmimic.viewing import gl, trajectory
from mjx_skillmimic.viewing.trajectory import Trajectory

_LOG = logging.getLogger(__name__)


class VideoError(RuntimeError):
    """No renderer, not even the software one, gave a video; the message holds each one's complaint."""


@dataclasses.dataclass(frozen=True)
class Video:
    """A written video. backend: who drew it; failures: what was tried before, and why it failed."""

    path: Path
    backend: str
    failures: tuple[str, ...] = ()


def write_video(
    t: Trajectory,
    path: str | Path,
    width: int = 640,
    height: int = 480,
    ghost: bool = True,
    backend: str = "auto",
    timeout: float = 900.0,
    quality: int = 8,
) -> Video:
    """Draws `t` into an MP4 of even `width` × `height`, at its own frame rate, with the reference as a ghost.

    OpenGL runs in a child process, since a broken driver may end the process that calls it. Where a back end fails,
    the next of `gl.candidates(backend)` is tried; the last, software, needs nothing. `timeout` (s) is for each.
    `quality`: 1 (small file) to 10 (good picture).
    Raises ValueError for an odd size, `VideoError` if all fail.
    """
    if width % 2 or height % 2 or min(width, height) < 16:
        raise ValueError(f"a video needs an even width and height of at least 16, got {width} x {height}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["--width", str(width), "--height", str(height), "--quality", str(quality)]
    options += [] if ghost else ["--no-ghost"]
    with tempfile.TemporaryDirectory(prefix="video-") as folder:
        partial = Path(folder) / "video.mp4"
        drawn_by, failures = draw_apart(t, partial, backend, timeout, options)
        # written beside the target first, so that a reader never sees half a file
        landing = path.with_name(f".{path.name}.partial")
        landing.write_bytes(partial.read_bytes())
        landing.replace(path)
    return Video(path, drawn_by, failures)


def draw_apart(
    t: Trajectory, out: Path, backend: str, timeout: float, options: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Draws `t` into a new `out` in a process of its own (`viewing.offscreen` with `options`) by the first of
    `gl.candidates(backend)` that works within `timeout` s; answers which it was, and the others' complaints.

    Raises `VideoError` if all fail.
    """
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="trajectory-") as folder:
        source = Path(folder) / "trajectory.npz"
        trajectory.save(t, source)
        for candidate in gl.candidates(backend):
            complaint = _draw(source, out, candidate, timeout, options)
            if complaint is None:
                if candidate == gl.SOFTWARE and failures:
                    _LOG.warning("%s (%s)", gl.HELP, "; ".join(failures))
                return candidate, tuple(failures)
            failures.append(complaint)
            shutil.rmtree(out, ignore_errors=True)
    raise VideoError(f"no renderer could draw {out.name}: {'; '.join(failures)}")


def _draw(source: Path, out: Path, backend: str, timeout: float, options: Sequence[str]) -> str | None:
    """Runs the drawing process; None for success, else its complaint in one line."""
    command = [sys.executable, "-m", "mjx_skillmimic.viewing.offscreen", str(source), str(out), "--backend", backend]
    # The child draws; it must not claim the accelerator that its parent trains on.
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    try:
        done = subprocess.run(
            [*command, *options], env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{backend}: no picture within {timeout:.0f} s"
    if done.returncode == 0 and out.exists() and out.stat().st_size > 0:
        return None
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else f"{backend}: the drawing process ended with status {done.returncode}"
