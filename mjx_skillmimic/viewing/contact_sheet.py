"""Key frames of a trajectory side by side, as in a paper's figure: one scale, time and errors under each."""

from __future__ import annotations

import dataclasses
import functools
import io
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.camera import FOV_Y, CameraPath, follow, wanted_point
from mjx_skillmimic.viewing.figures import PALETTE, figures
from mjx_skillmimic.viewing.overlay import SKILL
from mjx_skillmimic.viewing.raster import Rasteriser
from mjx_skillmimic.viewing.trajectory import Trajectory

COLUMNS = 6
CELL = (300, 400)  # pixels of one key frame
WIDE, WIDE_COLUMNS = (400, 300), 3  # of a task, whose goal is far away
HEAD, FOOT, GAP = 46, 46, 6  # pixels above the first row, below each row, between frames
_MARGIN = 0.15  # m around what the key frames show
_NEAREST, _FARTHEST, _FARTHEST_WIDE = 2.4, 7.0, 9.5  # m from the camera
_INK, _PALE, _PAPER = (52, 58, 66), (107, 117, 128), (255, 255, 255)
_FEWER_COLOURS = (256, 128, 64, 32)


def key_frames(t: Trajectory, count: int = COLUMNS) -> list[int]:
    """At most `count` telling frames, in order: the ends; in a task those in which a goal was reached; changes of the
    clip's contact label and the ball's highest point, those far from what is chosen first; then the middles of what is
    left."""
    last = t.num_frames - 1
    chosen = {0, last}
    label = "reference_contact" if "reference_contact" in t.labels else "contact"
    changes = np.flatnonzero(np.diff(t.label(label) > 0.5)) + 1
    for reached in np.flatnonzero(np.diff(t.label("reached")) > 0.0) + 1:
        if len(chosen) < count:
            chosen.add(int(reached))
    highest = int(np.argmax(t.object_pos[:, 2]))
    events = sorted({highest, *map(int, changes)})

    def apart(event: int) -> int:
        return min(abs(event - other) for other in chosen)

    while len(chosen) < count and (event := max(events, key=apart)) and apart(event) > last / (2 * count):
        chosen.add(event)
    while len(chosen) < min(count, t.num_frames):
        ordered = sorted(chosen)
        gap = int(np.argmax(np.diff(ordered)))
        chosen.add((ordered[gap] + ordered[gap + 1]) // 2)
    return sorted(chosen)


def write_sheet(t: Trajectory, path: str | Path, limit: int | None = None, count: int = COLUMNS) -> list[int]:
    """Draws `count` key frames into one PNG by the software renderer; answers which they are.

    limit: bytes; fewer colours are tried until it is small enough. Raises ValueError if even the fewest are too many.
    """
    frames = key_frames(t, count)
    sheet = _compose(t, frames)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for picture in (sheet, *(functools.partial(_reduced, sheet, colours) for colours in _FEWER_COLOURS)):
        buffer = io.BytesIO()
        (picture() if callable(picture) else picture).save(buffer, "PNG", optimize=True)
        if limit is None or buffer.tell() <= limit:
            path.write_bytes(buffer.getvalue())
            return frames
    raise ValueError(f"{path}: a sheet of {len(frames)} frames takes {buffer.tell()} bytes, allowed are {limit}")


def _reduced(sheet: Any, colours: int) -> Any:
    from PIL import Image

    return sheet.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _compose(t: Trajectory, frames: list[int]) -> Any:
    """The page: title and legend, then the frames in rows of COLUMNS."""
    from PIL import Image, ImageDraw

    cell = CELL if t.goal is None else WIDE
    width, height = cell
    columns = min(len(frames), COLUMNS if t.goal is None else WIDE_COLUMNS)
    rows = -(-len(frames) // columns)
    size = (columns * (width + GAP) - GAP, HEAD + rows * (height + FOOT))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((2, HEAD // 2), t.title, fill=_INK, font=_font(22), anchor="lm")
    _legend(draw, t, size[0])
    camera = _framed(t, follow(t), frames)
    rasteriser = Rasteriser(2 * width, 2 * height)
    for i, frame in enumerate(frames):
        image = rasteriser.render(figures(t, frame, camera.eye(frame)), camera, frame)
        left, top = i % columns * (width + GAP), HEAD + i // columns * (height + FOOT)
        # drawn twice as large, for smooth edges
        sheet.paste(Image.fromarray(image).resize(cell, Image.Resampling.LANCZOS), (left, top))
        middle = left + width // 2
        draw.text((middle, top + height + 14), f"{frame / t.fps:.2f} s", fill=_INK, font=_font(18), anchor="mm")
        errors = [f"{n.removesuffix(' mm')} {t.labels[n][frame]:.0f} mm" for n in t.labels if n.endswith(" mm")]
        errors += [skill_name(round(float(t.labels[SKILL][frame])))] if t.goal is not None and SKILL in t.labels else []
        draw.text((middle, top + height + 34), "   ".join(errors), fill=_PALE, font=_font(14), anchor="mm")
    return sheet


def _legend(draw: Any, t: Trajectory, right: int) -> None:
    """What the colours mean, from the right edge: those that this trajectory may show."""
    entries = [("ball", "ball"), ("ball_held", "ball in the hands")]
    if t.body_contact is not None:
        entries.append(("touching", "touches"))
    if t.reference_body_pos is not None:
        entries.append(("ghost", "reference"))
    if t.goal is not None:
        entries.append(("goal", "goal"))
    for colour, text in reversed(entries):
        right -= round(draw.textlength(text, font=_font(16)))
        draw.text((right, HEAD // 2), text, fill=_INK, font=_font(16), anchor="lm")
        fill = tuple(round(255 * channel) for channel in PALETTE[colour][:3])
        draw.ellipse((right - 20, HEAD // 2 - 7, right - 6, HEAD // 2 + 7), fill=fill)
        right -= 42


def _framed(t: Trajectory, camera: CameraPath, frames: list[int]) -> CameraPath:
    """The video's direction of view, moved with person, ball and reference, with one scale and height for all frames:
    the nearest at which everything fits."""
    shown = [t.body_pos[frames], t.object_pos[frames, None]]
    if t.reference_body_pos is not None and t.reference_object_pos is not None:
        shown += [t.reference_body_pos[frames], t.reference_object_pos[frames, None]]
    if t.goal is not None:
        shown.append(wanted_point(t)[frames][:, None])
    points = np.concatenate(shown, axis=1).astype(np.float64)
    middle = (points.min(axis=1) + points.max(axis=1)) / 2
    middle[:, 2] = (points[..., 2].min() + points[..., 2].max()) / 2
    right, up, forward = np.moveaxis((points - middle[:, None]) @ camera.axes.T, -1, 0)
    width, height = CELL if t.goal is None else WIDE
    slope = np.tan(np.radians(FOV_Y) / 2)
    across, along = (np.abs(right) + _MARGIN) * height / width, np.abs(up) + _MARGIN
    distance = float((np.maximum(across, along) / slope - forward).max())
    farthest = _FARTHEST if t.goal is None else _FARTHEST_WIDE
    lookat = camera.lookat.copy()
    lookat[frames] = middle
    return dataclasses.replace(camera, lookat=lookat, distance=float(np.clip(distance, _NEAREST, farthest)))


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
