"""Contact sheets: key frames of a clip side by side, drawn off screen with MuJoCo (set MUJOCO_GL=egl or osmesa)."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, humanoid_spec

TILE = (320, 224)  # height, width in pixels
CONTACT_COLOUR = (0.9, 0.25, 0.1, 1.0)
FREE_COLOUR = (0.95, 0.6, 0.2, 1.0)


def stage() -> mujoco.MjModel:
    """The humanoid with a floor, a ball on a free joint, light and colours."""
    spec = humanoid_spec()
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 640, 480
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = (0.45,) * 3, (0.5,) * 3
    spec.add_texture(
        name="grid",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=(0.82, 0.84, 0.87),
        rgb2=(0.74, 0.77, 0.81),
        width=128,
        height=128,
    )
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.93, 0.95, 0.97),
        rgb2=(0.93, 0.95, 0.97),
        width=64,
        height=64,
    )
    grid = spec.add_material(name="grid", texrepeat=(20, 20))
    grid.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(10, 10, 0.1), material="grid")
    spec.worldbody.add_light(pos=(1, -1, 4), dir=(-0.2, 0.2, -1), castshadow=True, diffuse=(0.4,) * 3)
    for geom in spec.geoms:
        side = {"L_": (0.35, 0.55, 0.85, 1), "R_": (0.30, 0.70, 0.50, 1)}.get(geom.name[:2], (0.6, 0.62, 0.68, 1))
        if geom.type != mujoco.mjtGeom.mjGEOM_PLANE:
            geom.rgba = side
    ball = spec.worldbody.add_body(name="Ball")
    ball.add_freejoint()
    ball.add_geom(name="Ball", type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(BALL_RADIUS, 0, 0), rgba=FREE_COLOUR)
    return spec.compile()


def coordinates(clip: MotionClip, frame: int) -> np.ndarray:
    """MuJoCo coordinates of the stage at a frame of the clip."""
    ball = rotations.exp(clip.object_rotvec[frame].astype(float))
    joints = rotations.exp(clip.dof_pos[frame].astype(float).reshape(-1, 3))
    root = rotations.exp(clip.root_rotvec[frame].astype(float))
    return np.concatenate([clip.root_pos[frame], root, joints.ravel(), clip.object_pos[frame], ball])


def sheet(
    clip: MotionClip, frames: list[int] | None = None, tiles: int = 7, azimuth: float = 40.0, distance: float = 2.7
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
    """Write the strip as a palette PNG, which is a third of the size of a full-colour one."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(clip, **options)).quantize(96).save(path, optimize=True)
