"""An MP4 of a trajectory, drawn in a process of its own by the best renderer that works."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
import tempfile
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
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="video-") as folder:
        source = Path(folder) / "trajectory.npz"
        trajectory.save(t, source)
        partial = Path(folder) / "video.mp4"
        for candidate in gl.candidates(backend):
            complaint = _draw(source, partial, candidate, width, height, ghost, timeout, quality)
            if complaint is None:
                # written beside the target first, so that a reader never sees half a file
                landing = path.with_name(f".{path.name}.partial")
                landing.write_bytes(partial.read_bytes())
                landing.replace(path)
                if candidate == gl.SOFTWARE and failures:
                    _LOG.warning("%s (%s)", gl.HELP, "; ".join(failures))
                return Video(path, candidate, tuple(failures))
            failures.append(complaint)
    raise VideoError(f"no renderer could draw {path}: {'; '.join(failures)}")


def _draw(
    source: Path, out: Path, backend: str, width: int, height: int, ghost: bool, timeout: float, quality: int
) -> str | None:
    """Runs the drawing process; None for success, else its complaint in one line."""
    command = [sys.executable, "-m", "mjx_skillmimic.viewing.offscreen", str(source), str(out)]
    command += ["--backend", backend, "--width", str(width), "--height", str(height)]
    command += ["--quality", str(quality)]
    command += [] if ghost else ["--no-ghost"]
    # The child draws; it must not claim the accelerator that its parent trains on.
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"{backend}: no picture within {timeout:.0f} s"
    if done.returncode == 0 and out.is_file() and out.stat().st_size > 0:
        return None
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else f"{backend}: the drawing process ended with status {done.returncode}"
