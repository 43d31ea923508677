"""Frames of a trajectory as pictures; run as a module, it is the process in which OpenGL may fail unpunished.

    python -m mjx_skillmimic.viewing.offscreen TRAJECTORY.npz OUT.mp4 --backend egl --width 640 --height 480
    python -m mjx_skillmimic.viewing.offscreen TRAJECTORY.npz FOLDER --backend egl --every 10

Exit status 3: the back end gave no picture; the reason is on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mjx_skillmimic.viewing import overlay, trajectory
from mjx_skillmimic.viewing.camera import FOV_Y, CameraPath, follow
from mjx_skillmimic.viewing.figures import PALETTE, Figures, figures
from mjx_skillmimic.viewing.gl import SOFTWARE
from mjx_skillmimic.viewing.shapes import KINDS
from mjx_skillmimic.viewing.trajectory import Trajectory

if TYPE_CHECKING:
    import mujoco

NO_PICTURE = 3

# One lit floor and no bodies: figures are added to the scene as free-standing geoms, so no pose passes through qpos.
_STAGE = """
<mujoco>
  <statistic extent="2"/>
  <visual>
    <global offwidth="{width}" offheight="{height}" fovy="{fovy}"/>
    <headlight ambient="0.62 0.62 0.62" diffuse="0.12 0.12 0.12" specular="0 0 0"/>
    <quality shadowsize="1024" offsamples="4"/>
    <map znear="0.05" zfar="30" shadowclip="1" haze="0.4"/>
    <rgba haze="{sky} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="flat" rgb1="{sky}" rgb2="{sky}" width="32" height="192"/>
    <texture name="floor" type="2d" builtin="checker" rgb1="{floor}" rgb2="{line}" width="256" height="256"/>
    <material name="floor" texture="floor" texrepeat="0.5 0.5" texuniform="true" specular="0" shininess="0"/>
  </asset>
  <worldbody>
    <light type="directional" diffuse="0.42 0.42 0.42" specular="0 0 0"/>
    <geom type="plane" size="0 0 0.1" material="floor"/>
  </worldbody>
</mujoco>
"""


def _stage(width: int, height: int) -> str:
    def text(colour: np.ndarray) -> str:
        return " ".join(f"{c:.3f}" for c in colour)

    sky, floor, line = (np.array(PALETTE[name][:3]) for name in ("sky", "floor", "floor_line"))
    tile = 0.55 * floor + 0.45 * line
    return _STAGE.format(width=width, height=height, fovy=FOV_Y, sky=text(sky), floor=text(floor), line=text(tile))


def gl_frames(
    t: Trajectory, camera: CameraPath, width: int, height: int, ghost: bool, every: int = 1
) -> Iterator[np.ndarray]:
    """Each `every`-th frame (height, width, 3) uint8 by MuJoCo's OpenGL, in the back end that MUJOCO_GL named."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(_stage(width, height))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    view = mujoco.MjvCamera()
    view.type = mujoco.mjtCamera.mjCAMERA_FREE
    view.distance, view.azimuth, view.elevation = camera.distance, camera.azimuth, camera.elevation
    with mujoco.Renderer(model, height, width, max_geom=1000) as renderer:
        for frame in range(0, t.num_frames, every):
            view.lookat[:] = camera.lookat[frame]
            # the light goes with the camera, or with a person off its centre, to keep the figure inside the shadow
            # map; aimed lower, for the map's nearest corner is speckled and so comes to lie outside the picture
            lit = camera.lookat[frame] if t.goal is None else t.body_pos[frame, 0] * (1.0, 1.0, -0.3)
            data.light_xpos[0] = lit - 4.0 * camera.light
            data.light_xdir[0] = camera.light
            renderer.update_scene(data, view)
            _add(renderer.scene, figures(t, frame, camera.eye(frame), ghost))
            yield renderer.render()


def _add(scene: mujoco.MjvScene, drawn: Figures) -> None:
    """Appends figures to a scene as free-standing geoms; their sizes are MuJoCo's own convention."""
    import mujoco

    kinds = [getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}") for kind in KINDS]
    matrix = np.empty(9)
    for p in range(len(drawn)):
        mujoco.mju_quat2Mat(matrix, drawn.quat[p].astype(np.float64))
        size, pos = drawn.size[p].astype(np.float64), drawn.pos[p].astype(np.float64)
        mujoco.mjv_initGeom(scene.geoms[scene.ngeom], kinds[drawn.kind[p]], size, pos, matrix, drawn.rgba[p])
        scene.ngeom += 1


def software_frames(
    t: Trajectory, camera: CameraPath, width: int, height: int, ghost: bool, every: int = 1
) -> Iterator[np.ndarray]:
    """Each `every`-th frame (height, width, 3) uint8 without any OpenGL."""
    from mjx_skillmimic.viewing.raster import Rasteriser

    rasteriser = Rasteriser(width, height)
    for frame in range(0, t.num_frames, every):
        yield rasteriser.render(figures(t, frame, camera.eye(frame), ghost), camera, frame)


def write(t: Trajectory, path: Path, backend: str, width: int, height: int, ghost: bool, quality: int = 8) -> None:
    """Streams every frame to ffmpeg as it is drawn, so memory does not grow with the length."""
    import imageio

    draw = software_frames if backend == SOFTWARE else gl_frames
    frames = draw(t, follow(t), width, height, ghost)
    writer = None
    try:
        for i, image in enumerate(frames):
            if writer is None:
                # opened after the first picture: a back end that fails leaves no file behind
                writer = imageio.get_writer(path, fps=t.fps, codec="libx264", quality=quality, macro_block_size=2)
            writer.append_data(overlay.draw_caption(image, t, i))
    finally:
        if writer is not None:
            writer.close()


def write_images(t: Trajectory, folder: Path, backend: str, width: int, height: int, ghost: bool, every: int) -> None:
    """Writes each `every`-th frame as a PNG named after its number, one at a time."""
    from PIL import Image

    folder.mkdir()
    draw = software_frames if backend == SOFTWARE else gl_frames
    for i, image in enumerate(draw(t, follow(t), width, height, ghost, every)):
        Image.fromarray(overlay.draw_caption(image, t, i * every)).save(folder / f"frame_{i * every:05d}.png")


def main(argv: list[str] | None = None) -> int:
    """Command line of the drawing process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m mjx_skillmimic.viewing.offscreen")
    parser.add_argument("trajectory", type=Path)
    parser.add_argument("out", type=Path, help="a .mp4, or a new folder for PNGs")
    parser.add_argument("--backend", default=SOFTWARE)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--quality", type=int, default=8, help="of a video")
    parser.add_argument("--every", type=int, default=1, help="frames from one PNG to the next")
    parser.add_argument("--no-ghost", action="store_true")
    args = parser.parse_args(argv)
    if args.backend != SOFTWARE:
        os.environ["MUJOCO_GL"] = args.backend
    try:
        what = (trajectory.load(args.trajectory), args.out, args.backend, args.width, args.height, not args.no_ghost)
        if args.out.suffix == ".mp4":
            write(*what, args.quality)
        else:
            write_images(*what, args.every)
    except Exception as error:  # any failure of a GL stack is a reason to try the next one
        sys.stderr.write(f"{args.backend}: {type(error).__name__}: {error}\n")
        return NO_PICTURE
    return 0


if __name__ == "__main__":
    # MuJoCo's GL contexts may complain while the interpreter goes down; the video is complete by now.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
