"""The caption on a video frame: time and labels, drawn with Pillow so that every renderer has the same."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.trajectory import Trajectory

SKILL = "skill"  # the label that holds the number of the skill told
_INK = (52, 58, 66)
# Labels that the colours of the balls already say, or that say nothing to a viewer.
_SILENT = ("contact", "reference_contact", "episode")
_MAX_LABELS = 4
_COUNTS = ("reached",)


def caption(trajectory: Trajectory, frame: int) -> str:
    """The text of one frame, e.g. "1.25 s   reward 0.93"."""
    parts = [f"{frame / trajectory.fps:5.2f} s"]
    shown = [name for name in trajectory.labels if name not in _SILENT][:_MAX_LABELS]
    return "   ".join(parts + [_said(name, trajectory.labels[name][frame]) for name in shown])


def _said(name: str, value: float) -> str:
    """A label as text; that of a skill by the skill's name."""
    if name == SKILL:
        return skill_name(round(value))
    return f"{name} {value:.0f}" if name in _COUNTS else f"{name} {value:.2f}"


def draw_caption(image: np.ndarray, trajectory: Trajectory, frame: int) -> np.ndarray:
    """The (H, W, 3) uint8 picture with title and caption written in its upper left corner."""
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    height = image.shape[0]
    size, margin = max(11, height // 30), max(6, height // 40)
    if trajectory.title:
        draw.text((margin, margin), trajectory.title, fill=_INK, font=_font(size))
    draw.text((margin, margin + round(1.4 * size)), caption(trajectory, frame), fill=_INK, font=_font(size))
    return np.asarray(canvas)


@functools.cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
