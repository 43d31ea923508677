"""Contact sheets: key frames of a clip side by side, drawn off screen with MuJoCo (set MUJOCO_GL=egl or osmesa)."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.synthesis.stage import FREE_COLOUR, coordinates, stage

TILE = (320, 224)  # height, width in pixels
CONTACT_COLOUR = (0.9, 0.25, 0.1, 1.0)


def sheet(
    clip: MotionClip, frames: list[int] | None = None, tiles: int = 7, azimuth: float = 50.0, distance: float = 2.7
) -> np.ndarray:
    """A strip (height, tiles · width, 3) uint8 of `frames` (evenly spaced by default); the ball is red when touched."""
    chosen = frames or [round(x) for x in np.linspace(0, clip.num_frames - 1, tiles)]
    model = stage()
    data = mujoco.MjData(model)
    ball = model.geom("Ball").id
    camera = mujoco.MjvCamera()
    camera.azimuth, camera.elevation, camera.distance = azimuth, -8.0, distance
    strip = []
    with mujoco.Renderer(model, *TILE) as renderer:
        for frame in chosen:
            data.qpos[:] = coordinates(clip, frame)
            model.geom_rgba[ball] = CONTACT_COLOUR if clip.contact[frame] > 0.5 else FREE_COLOUR
            mujoco.mj_forward(model, data)
            camera.lookat = [clip.root_pos[frame, 0], clip.root_pos[frame, 1] - 0.2, 0.95]
            renderer.update_scene(data, camera)
            strip.append(renderer.render())
    return np.concatenate(strip, axis=1)


def save_sheet(clip: MotionClip, path: Path, **options) -> None:
    """Write the strip as a palette PNG, a third of the size of a full-colour one."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(clip, **options)).quantize(96).save(path, optimize=True)
