"""The stage on which a clip is replayed to be measured or drawn: the humanoid, a floor and a ball."""

from __future__ import annotations

import mujoco
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.synthesis.rig import BALL_RADIUS, humanoid_spec

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
