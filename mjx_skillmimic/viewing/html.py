"""One HTML file that plays trajectories in a browser: no network, no library, everything inside.

Poses are stored as base64 of int16 with one scale an array (0.15 mm at 5 m), labels as float32; the page's script is
`viewer.html` beside this file, with the data put in its one placeholder.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.camera import FOV_Y, follow
from mjx_skillmimic.viewing.figures import GHOST_RECEDE, PALETTE
from mjx_skillmimic.viewing.overlay import SKILL
from mjx_skillmimic.viewing.shapes import Shapes
from mjx_skillmimic.viewing.surroundings import LEAST_REACH, Scenery
from mjx_skillmimic.viewing.trajectory import Trajectory

_PLACEHOLDER = "__DATA__"
_INT16_MAX = 32767
_POSES = ("body_pos", "body_quat", "object_pos", "object_quat")


def encode(array: np.ndarray) -> dict[str, Any]:
    """An array as JSON: int16 with a scale for poses. Non-finite numbers, which a broken world may hold, become 0."""
    finite = np.nan_to_num(np.asarray(array, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    scale = max(float(np.abs(finite).max(initial=0.0)), 1e-6) / _INT16_MAX
    data = np.round(finite / scale).astype("<i2").tobytes()
    return {"type": "i2", "scale": scale, "data": base64.b64encode(data).decode()}


def decode(encoded: dict[str, Any]) -> np.ndarray:
    """The flat float64 numbers that the page sees for what `encode` wrote."""
    return np.frombuffer(base64.b64decode(encoded["data"]), "<i2") * encoded["scale"]


def _plain(array: np.ndarray, dtype: str) -> dict[str, Any]:
    data = np.nan_to_num(np.asarray(array)).astype(dtype).tobytes()
    return {"type": dtype.lstrip("<"), "data": base64.b64encode(data).decode()}


def _shapes(shapes: Shapes | Scenery) -> dict[str, Any]:
    return {field.name: np.round(getattr(shapes, field.name), 6).tolist() for field in dataclasses.fields(shapes)}


def _skills(t: Trajectory) -> dict[str, str]:
    """Label → name of the skills told."""
    return {str(int(label)): skill_name(int(label)) for label in np.unique(t.label(SKILL))} if SKILL in t.labels else {}


def _motion(t: Trajectory, shapes: int) -> dict[str, Any]:
    camera = follow(t)
    poses = {name: getattr(t, name) for name in _POSES}
    poses |= {f"reference_{name}": getattr(t, f"reference_{name}") for name in _POSES}
    poses["lookat"] = camera.lookat
    if t.goal is not None:
        poses |= {f"goal_{name}": value for name, value in dataclasses.asdict(t.goal).items()}
    arrays = {name: encode(value) for name, value in poses.items() if value is not None}
    if t.body_contact is not None:
        arrays["body_contact"] = _plain(t.body_contact, "u1")
    return {
        "title": t.title,
        "notes": t.notes,
        "fps": t.fps,
        "frames": t.num_frames,
        "bodies": t.body_pos.shape[1],
        "radius": t.object_radius,
        "shapes": shapes,
        "scenery": None if t.scenery is None else _shapes(t.scenery),
        "skills": _skills(t),
        "camera": {
            "azimuth": camera.azimuth,
            "elevation": camera.elevation,
            "distance": camera.distance,
            "light": camera.light.tolist(),
        },
        "arrays": arrays,
        "labels": {name: _plain(values, "<f4") for name, values in t.labels.items()},
    }


def page(trajectories: Trajectory | Sequence[Trajectory], title: str = "") -> str:
    """The text of the page; several trajectories get a menu. Raises ValueError for none."""
    several = [trajectories] if isinstance(trajectories, Trajectory) else list(trajectories)
    if not several:
        raise ValueError("a page needs at least one trajectory")
    shapes: list[Shapes] = []
    motions = []
    for t in several:
        index = next((i for i, known in enumerate(shapes) if known is t.shapes), len(shapes))
        if index == len(shapes):
            shapes.append(t.shapes)
        motions.append(_motion(t, index))
    data = {
        "title": title or several[0].title,
        "fov": FOV_Y,
        "recede": GHOST_RECEDE,
        "reach": LEAST_REACH,
        "palette": PALETTE,
        "shapes": [_shapes(s) for s in shapes],
        "motions": motions,
    }
    template = resources.files("mjx_skillmimic.viewing").joinpath("viewer.html").read_text(encoding="utf-8")
    # a title may hold "</script>"; inside JSON the escaped slash means the same
    return template.replace(_PLACEHOLDER, json.dumps(data, separators=(",", ":")).replace("</", "<\\/"))


def write_html(trajectories: Trajectory | Sequence[Trajectory], path: str | Path, title: str = "") -> Path:
    """Writes `page(...)` to `path` and returns it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(trajectories, title), encoding="utf-8")
    return path
