"""Which OpenGL back ends to try for offscreen pictures, and what to tell a user who has none."""

from __future__ import annotations

import os

SOFTWARE = "software"
BACKENDS = ("egl", "osmesa", "glfw", SOFTWARE)

HELP = (
    "No OpenGL for offscreen rendering, so the plain software renderer drew this. For an OpenGL picture install EGL "
    "(Debian/Ubuntu: apt-get install libegl1 libgl1 libopengl0 libegl-mesa0; an NVIDIA driver brings its own libEGL) "
    "or OSMesa (apt-get install libosmesa6), or choose one with MUJOCO_GL=egl|osmesa|glfw."
)


def candidates(backend: str = "auto") -> tuple[str, ...]:
    """Back ends in the order to try, ending with the software renderer, which always works.

    "auto" honours MUJOCO_GL, then takes EGL, OSMesa and, where a display is there, GLFW. Raises ValueError for a name
    that is not in `BACKENDS`.
    """
    if backend == SOFTWARE:
        return (SOFTWARE,)
    if backend in BACKENDS:
        return (backend, SOFTWARE)
    if backend != "auto":
        raise ValueError(f"no renderer {backend!r}; there is auto, {', '.join(BACKENDS)}")
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted in ("disable", "disabled", "off", "0"):
        return (SOFTWARE,)
    order = ["egl", "osmesa"] + (["glfw"] if os.environ.get("DISPLAY") else [])
    if wanted in BACKENDS:
        order = [wanted] + [name for name in order if name != wanted]
    return (*order, SOFTWARE)
