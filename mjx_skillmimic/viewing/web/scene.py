"""The 3-D scene in the browser: person, ball, thrown box, ghost and contacts; a picture sends poses only."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
import trimesh
from PIL import Image
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from mjx_skillmimic.model.build import OBJECT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.viewing import gltf_meshes
from mjx_skillmimic.viewing.figures import PALETTE
from mjx_skillmimic.viewing.projectile import PROJECTILE
from mjx_skillmimic.viewing.web.goal import GoalMark
from mjx_skillmimic.viewing.web.meshes import Batch, batches
from mjx_skillmimic.viewing.web.still import add_scenery

if TYPE_CHECKING:
    import viser

    from mjx_skillmimic.viewing.session import Status

CONTACTS = 48  # contact points shown at most, the strongest
_SHOES, _HANDS = (0.20, 0.24, 0.32), (0.80, 0.66, 0.55)
_GHOST_THICKNESS = 0.93  # a ghost that coincides with the figure is hidden in it instead of flickering
_WEAK, _STRONG = np.array([1.0, 0.82, 0.20]), np.array([0.84, 0.10, 0.12])
_STRONG_FORCE = 800.0  # N, drawn in full red
_CONTACT_RADIUS = (0.012, 0.045)  # m, of no force and of a strong one
_FOLLOWING = 0.12  # share of the way to the person that the view makes up for in a picture
_JUMP = 2.0  # m: farther than that it is a reset, not a run
_FAR = 50.0  # m: where a parked box is, nobody looks


@dataclasses.dataclass(frozen=True)
class _Figure:
    """Batches of one person with their handles."""

    parts: list[tuple[Batch, Any]]

    def pose(self, data: mujoco.MjData) -> None:
        for batch, handle in self.parts:
            handle.batched_positions, handle.batched_wxyzs = batch.poses(data.xpos, data.xquat)

    def show(self, visible: bool) -> None:
        for _, handle in self.parts:
            handle.visible = visible


class Scene:
    """Everything in the 3-D part of the page, for all browsers at once.

    follow: the world moves under the cameras so that the person stays in the middle, and everyone's own camera is left
    alone. show_contacts: whether contact points are drawn. model: the session's, the projectile its last body.
    """

    def __init__(self, server: viser.ViserServer, model: mujoco.MjModel) -> None:
        self.follow = True
        self.show_contacts = True
        self.offset = np.zeros(3)  # m, of the world in the page's frame
        self._server = server
        self._data = mujoco.MjData(model)
        self._model = model
        self._person_ids = [model.body(name).id for name in BODIES]
        self._root, self._ball = self._person_ids[0], model.body(OBJECT).id
        radius = float(model.geom_size[model.body_geomadr[self._ball]][0])
        _stage(server)
        self._world = server.scene.add_frame("/world", show_axes=False)
        self.scenery = add_scenery(server, model)
        self.goal = GoalMark(server)
        self._person = self._add_figure("person", None)
        self._ghost = self._add_figure("ghost", PALETTE["ghost"])
        # Batches of one: a browser applies the poses of batches later than those of single nodes, and a ball that is
        # ahead of its hands by some pictures would fly out of them.
        still: dict[str, Any] = {
            "batched_wxyzs": np.array([[1.0, 0.0, 0.0, 0.0]]),
            "batched_positions": np.zeros((1, 3)),
            "lod": "off",
        }
        self._balls: dict[bool, Any] = {
            touched: server.scene.add_batched_glb(f"/world/{colour}", basketball(radius, PALETTE[colour][:3]), **still)
            for touched, colour in ((False, "ball"), (True, "ball_held"))
        }
        fine = trimesh.creation.icosphere(subdivisions=4, radius=radius * _GHOST_THICKNESS)
        self._ghost_balls: dict[bool, Any] = {
            held: server.scene.add_batched_meshes_simple(
                f"/world/{colour}",
                np.asarray(fine.vertices),
                np.asarray(fine.faces),
                batched_colors=_as_bytes(np.array([PALETTE[colour][:3]])),
                opacity=PALETTE[colour][3],
                cast_shadow=False,
                **still,
            )
            for held, colour in ((False, "ghost_ball"), (True, "ghost_ball_held"))
        }
        self._box = self._add_projectile()
        sphere = trimesh.creation.icosphere(subdivisions=2)
        self._contacts: Any = server.scene.add_batched_meshes_simple(
            "/world/contacts",
            np.asarray(sphere.vertices),
            np.asarray(sphere.faces),
            batched_wxyzs=np.tile([1.0, 0.0, 0.0, 0.0], (CONTACTS, 1)),
            batched_positions=np.zeros((CONTACTS, 3)),
            batched_scales=np.full((CONTACTS, 3), 1e-6),
            batched_colors=np.tile(_as_bytes(_WEAK), (CONTACTS, 1)),
            lod="off",
            cast_shadow=False,
        )

    def draw(self, qpos: np.ndarray, status: Status, ghost: bool) -> None:
        """Sends one picture to all browsers: positions qpos (nq,) of the session's model, and what `status` says."""
        with self._server.atomic():
            reference = status.reference_qpos if ghost else None
            self._ghost.show(reference is not None)
            held = bool(status.reference_contact)
            for label, handle in self._ghost_balls.items():
                handle.visible = reference is not None and label == held
            if reference is not None:
                self._place(np.asarray(reference))
                self._ghost.pose(self._data)
                self._ghost_balls[held].batched_positions = self._data.xpos[self._ball][None]
            self._place(qpos)
            self._person.pose(self._data)
            self._draw_ball(status.hands_touch_ball)
            self._draw_contacts(status.contacts if self.show_contacts else ())
            self.goal.draw(status.task)
            self._follow()

    def _place(self, qpos: np.ndarray) -> None:
        """Body poses at qpos; a shorter one leaves the last joints, the projectile's, where they are."""
        self._data.qpos[: len(qpos)] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def _draw_ball(self, touched: bool) -> None:
        for label, handle in self._balls.items():
            handle.visible = label == touched
            handle.batched_positions = self._data.xpos[self._ball][None]
            handle.batched_wxyzs = self._data.xquat[self._ball][None]
        if self._box is not None:
            batch, handle = self._box
            position = self._data.xpos[batch.body[0]]
            near = float(np.abs(position - self._data.xpos[self._root]).max()) < _FAR
            handle.visible = near
            if near:
                handle.position, handle.wxyz = position, self._data.xquat[batch.body[0]]

    def _draw_contacts(self, contacts: Sequence[tuple[np.ndarray, float]]) -> None:
        strongest = sorted(contacts, key=lambda contact: -contact[1])[:CONTACTS]
        self._contacts.visible = bool(strongest)
        if not strongest:
            return
        positions, scales = np.zeros((CONTACTS, 3)), np.full((CONTACTS, 3), 1e-6)
        colours = np.tile(_WEAK, (CONTACTS, 1))
        share = np.sqrt(np.clip([force / _STRONG_FORCE for _, force in strongest], 0.0, 1.0))[:, None]
        positions[: len(strongest)] = [position for position, _ in strongest]
        low, high = _CONTACT_RADIUS
        scales[: len(strongest)] = low + (high - low) * share
        colours[: len(strongest)] = _WEAK + share * (_STRONG - _WEAK)
        self._contacts.batched_positions = positions
        self._contacts.batched_scales = scales
        self._contacts.batched_colors = _as_bytes(colours)

    def _follow(self) -> None:
        if not self.follow:
            return
        wanted = -self._data.xpos[self._root] * (1.0, 1.0, 0.0)
        gap = wanted - self.offset
        share = 1.0 if np.linalg.norm(gap) > _JUMP else _FOLLOWING
        self.offset = self.offset + share * gap
        self._world.position = self.offset

    def _add_figure(self, name: str, ghost: tuple[float, ...] | None) -> _Figure:
        ids = set(self._person_ids)
        geoms = [g for g in range(self._model.ngeom) if int(self._model.geom_bodyid[g]) in ids]
        parts = []
        for batch in batches(self._model, geoms):
            colours = np.array([_colour(self._model.body(int(b)).name) for b in batch.body])
            pos, quat = batch.poses(self._data.xpos, np.tile([1.0, 0.0, 0.0, 0.0], (self._model.nbody, 1)))
            thin = np.array([_GHOST_THICKNESS, _GHOST_THICKNESS, 1.0 if batch.name == "tube" else _GHOST_THICKNESS])
            handle = self._server.scene.add_batched_meshes_simple(
                f"/world/{name}/{batch.name}",
                batch.vertices,
                batch.faces,
                batched_wxyzs=quat,
                batched_positions=pos,
                batched_scales=batch.scale if ghost is None else batch.scale * thin,
                batched_colors=_as_bytes(colours if ghost is None else np.tile(ghost[:3], (len(pos), 1))),
                opacity=None if ghost is None else ghost[3],
                lod="off",
                cast_shadow=ghost is None,
                receive_shadow=ghost is None,
            )
            parts.append((batch, handle))
        return _Figure(parts)

    def _add_projectile(self) -> tuple[Batch, Any] | None:
        last = self._model.nbody - 1
        if self._model.body(last).name != PROJECTILE:
            return None
        (batch,) = batches(self._model, [int(self._model.body_geomadr[last])])
        colour = np.array(self._model.geom_rgba[batch.geom[0]][:3])
        handle = self._server.scene.add_mesh_simple(
            f"/world/{PROJECTILE}", batch.vertices, batch.faces, color=colour, visible=False
        )
        return batch, handle


def basketball(radius: float, colour: Sequence[float]) -> bytes:
    """A GLB file of a ball of `radius` m in an sRGB `colour`, with dark seams."""
    mesh = gltf_meshes.sphere(radius, around=64, rings=32)
    picture = Image.open(io.BytesIO(gltf_meshes.basketball(tuple(colour))))
    material = PBRMaterial(baseColorTexture=picture, roughnessFactor=0.75, metallicFactor=0.0)
    ball = trimesh.Trimesh(
        vertices=mesh.vertices,
        faces=mesh.faces,
        vertex_normals=mesh.normals,
        # trimesh counts v from below
        visual=TextureVisuals(uv=mesh.uv * (1.0, -1.0) + (0.0, 1.0), material=material),
        process=False,
    )
    # a file without normals would be drawn with flat triangles
    return export_glb(trimesh.Scene(ball), include_normals=True)


def _stage(server: viser.ViserServer) -> None:
    """Light, floor and the first view of a new browser."""
    server.scene.set_up_direction("+z")
    server.scene.configure_default_lights(enabled=True, cast_shadow=True)
    server.scene.configure_environment_map("studio", environment_intensity=0.25)
    server.scene.add_grid(
        "/world/floor",
        infinite_grid=True,
        cell_size=0.5,
        section_size=1.0,
        cell_color=PALETTE["floor"][:3],
        section_color=PALETTE["floor_line"][:3],
        plane_color=PALETTE["floor"][:3],
        plane_opacity=1.0,
        fade_distance=25.0,
        shadow_opacity=0.28,
    )
    server.initial_camera.position = (2.6, -2.0, 1.5)
    server.initial_camera.look_at = (0.0, 0.0, 0.9)
    server.initial_camera.fov = float(np.radians(45.0))


def _colour(body: str) -> tuple[float, ...]:
    if body.endswith(("Ankle", "Toe")):
        return _SHOES
    if body == "Head" or any(part in body for part in ("Wrist", "Index", "Middle", "Pinky", "Ring", "Thumb")):
        return _HANDS
    return PALETTE["body"][:3]


def _as_bytes(colours: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) in [0, 1] as bytes that instances are coloured with: three.js takes those for linear ones."""
    return (255 * np.asarray(colours) ** 2.2 + 0.5).astype(np.uint8)
