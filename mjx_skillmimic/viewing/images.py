"""Frames of a trajectory as numbered PNGs in a folder, drawn in a process of its own like a video."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from mjx_skillmimic.viewing import video
from mjx_skillmimic.viewing.trajectory import Trajectory


@dataclasses.dataclass(frozen=True)
class Images:
    """Written pictures, in order. backend: who drew them; failures: what was tried before, and why it failed."""

    paths: tuple[Path, ...]
    backend: str
    failures: tuple[str, ...] = ()


def write_images(
    t: Trajectory,
    folder: str | Path,
    width: int = 640,
    height: int = 480,
    ghost: bool = True,
    backend: str = "auto",
    every: int = 1,
    timeout: float = 900.0,
) -> Images:
    """Draws every `every`-th frame of `t` into `folder`/frame_00000.png, …; the number is the frame's.

    Pictures of that name that the folder holds already are deleted first, so that it never mixes two trajectories.
    Size, ghost, backend and timeout as for `video.write_video`. Raises ValueError for a size or step that cannot be,
    `VideoError` if no renderer works.
    """
    if every < 1 or min(width, height) < 16:
        raise ValueError(
            f"expected a step of at least 1 frame and 16 pixels a side, got every {every} and {width} x {height}"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=folder) as scratch:
        drawn = Path(scratch) / "frames"
        size = ["--width", str(width), "--height", str(height), "--every", str(every)]
        chosen, failures = video.draw_apart(t, drawn, backend, timeout, [*size, *([] if ghost else ["--no-ghost"])])
        for old in folder.glob("frame_*.png"):
            old.unlink()
        paths = [picture.replace(folder / picture.name) for picture in sorted(drawn.glob("*.png"))]
    return Images(tuple(paths), chosen, failures)
