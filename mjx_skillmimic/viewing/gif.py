"""A trajectory as a small animated GIF that plays round and round, as a README shows it."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.viewing.images import write_images
from mjx_skillmimic.viewing.trajectory import Trajectory
from mjx_skillmimic.viewing.video import Video

_COLOURS = (256, 128, 64, 32)  # tried in turn until the file is small enough
_HOLD = 0.8  # s that the last picture stays
_NEARLY_THE_SAME = 6  # of 256 steps of a colour
_SUPER = 2  # drawn so many times larger, for smooth edges


def write_gif(
    t: Trajectory,
    path: str | Path,
    width: int = 480,
    height: int = 360,
    rate: float = 15.0,
    ghost: bool = True,
    backend: str = "auto",
    limit: int | None = None,
) -> Video:
    """Draws `t` at about `rate` pictures a second into a GIF that repeats for ever.

    All pictures share one palette, so that what stands still costs nothing. limit: bytes; fewer colours are tried until
    it is small enough. Raises ValueError for a size or rate that cannot be, or if the fewest colours are too many;
    `VideoError` if no renderer works.
    """
    every = max(round(t.fps / rate), 1) if rate > 0 else 0
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gif-") as folder:
        drawn = write_images(t, folder, _SUPER * width, _SUPER * height, ghost, backend, every)
        pictures = [_reduced(picture, width, height) for picture in drawn.paths]
    size = 0
    for colours in _COLOURS:
        frames = list(_with_one_palette(pictures, colours))
        durations = [round(1000 * every / t.fps)] * (len(frames) - 1) + [round(1000 * _HOLD)]
        landing = path.with_name(f".{path.name}.partial")
        # disposal 1: a picture is drawn over the one before it, of which only the changes are kept
        options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
        frames[0].save(landing, "GIF", disposal=1, optimize=False, **options)
        size = landing.stat().st_size
        if limit is None or size <= limit:
            landing.replace(path)
            return Video(path, drawn.backend, drawn.failures)
        landing.unlink()
    raise ValueError(f"{path}: {len(pictures)} pictures of {width} x {height} take {size} bytes, allowed are {limit}")


def _reduced(picture: Path, width: int, height: int) -> Any:
    from PIL import Image

    with Image.open(picture) as image:
        return image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def _with_one_palette(pictures: list[Any], colours: int) -> Iterator[Any]:
    """The pictures in one palette of `colours` colours.

    Each colour of a sample counts once, however many pixels have it: else a floor would leave none for a ball.
    """
    from PIL import Image

    sample = np.concatenate([np.asarray(picture) for picture in pictures[:: max(len(pictures) // 16, 1)]])
    distinct = np.unique(sample.reshape(-1, 3) // _NEARLY_THE_SAME, axis=0) * _NEARLY_THE_SAME + _NEARLY_THE_SAME // 2
    palette = Image.fromarray(distinct[None]).quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    quantised = functools.partial(Image.Image.quantize, palette=palette, dither=Image.Dither.NONE)
    return (quantised(picture) for picture in pictures)
