"""What pictures of high-level tasks have besides person and ball: the goal, and a basket of matter."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from test_viewing import walker

from mjx_skillmimic.model import basket
from mjx_skillmimic.model.options import SceneOptions
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.viewing import contact_sheet, html, overlay, trajectory
from mjx_skillmimic.viewing.camera import FOV_Y, CameraPath, follow
from mjx_skillmimic.viewing.figures import PALETTE, figures
from mjx_skillmimic.viewing.raster import Rasteriser
from mjx_skillmimic.viewing.shapes import KINDS
from mjx_skillmimic.viewing.surroundings import GoalTrack, circle, scenery_from_model
from mjx_skillmimic.viewing.trajectory import Trajectory

FRAMES = 12
POINT = GoalTrack(np.tile([3.0, 2.0, 1.0], (FRAMES, 1)), np.full(FRAMES, 0.5), np.zeros(FRAMES))
CIRCLE = GoalTrack(np.zeros((FRAMES, 3)), np.full(FRAMES, 0.1), np.full(FRAMES, 4.0))


@pytest.fixture(scope="module")
def with_basket() -> Trajectory:
    scenery = scenery_from_model(build_scene(SceneOptions(basket=True, basket_height=2.0)).model)
    assert scenery is not None
    labels = {"skill": np.full(FRAMES, 31.0), "reached": np.repeat([0.0, 1.0], FRAMES // 2)}
    return walker(FRAMES, reference=False, scenery=scenery, goal=POINT, labels=labels)


def green(image: np.ndarray) -> np.ndarray:
    """(H, W) bool: clearly more green than red, and than blue."""
    r, g, b = np.moveaxis(image.astype(int), -1, 0)
    return (g > r + 25) & (g > b + 10)


def test_a_scene_without_a_basket_has_no_scenery_and_one_with_it_has_all_of_it(with_basket: Trajectory):
    assert scenery_from_model(build_scene().model) is None
    scenery = with_basket.scenery
    assert scenery is not None
    assert len(scenery.kind) == 2 + 16  # board, bracket, pieces of the ring
    board = int(np.argmax(scenery.size.max(axis=1)))
    np.testing.assert_allclose(2 * scenery.size[board], basket.BOARD_SIZE, rtol=1e-6)
    ring = scenery.kind == KINDS.index("capsule")
    np.testing.assert_allclose(scenery.pos[ring, 2], 2.0, atol=1e-6)


def test_scenery_and_goal_survive_saving_and_cutting(with_basket: Trajectory, tmp_path: Path):
    trajectory.save(with_basket, tmp_path / "t.npz")
    after = trajectory.load(tmp_path / "t.npz")
    for one, other in ((with_basket.scenery, after.scenery), (with_basket.goal, after.goal)):
        for field in dataclasses.fields(one):
            np.testing.assert_allclose(getattr(other, field.name), getattr(one, field.name), rtol=1e-6)
    short = trajectory.cut(after, 5)
    assert (short.num_frames, len(short.goal.pos), len(short.labels["skill"])) == (5, 5, 5)
    with pytest.raises(ValueError, match=r"goal: expected positions \(12, 3\), got \(5, 3\)"):
        dataclasses.replace(after, goal=short.goal)


def test_a_circle_s_pieces_close_it():
    parts = circle(np.array([1.0, -2.0]), 3.0)
    np.testing.assert_allclose(np.linalg.norm(parts.pos[:, :2] - [1.0, -2.0], axis=1), 3.0)
    # a quaternion that turns z to the tangent
    w, x, y, z = parts.quat.T
    axis = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=1)
    ends = parts.pos + parts.size[:, 1:2] * axis
    begins = parts.pos - parts.size[:, 1:2] * axis
    np.testing.assert_allclose(ends, np.roll(begins, -1, axis=0), atol=1e-9)


@pytest.mark.parametrize("goal", [POINT, CIRCLE])
def test_the_camera_has_person_and_goal_in_the_picture(goal: GoalTrack):
    t = walker(FRAMES, reference=False, goal=goal)
    drawn = green(Rasteriser(160, 120).render(figures(t, 0), follow(t), 0))
    assert drawn.sum() > 20
    assert not green(Rasteriser(160, 120).render(figures(walker(FRAMES, reference=False), 0), follow(t), 0)).any()
    camera = follow(t)
    seen = camera.axes @ (t.body_pos[0, 0] - camera.eye(0))
    slope = np.tan(np.radians(FOV_Y) / 2)
    assert abs(seen[1] / seen[2]) < slope
    assert abs(seen[0] / seen[2]) < slope * 4 / 3


def test_the_software_renderer_draws_the_board(with_basket: Trajectory):
    """From before the basket, in the middle of the picture, in the board's colour."""
    camera = CameraPath(np.tile([basket.face(), 0.0, 2.4], (FRAMES, 1)), 5.0, azimuth=180.0, elevation=0.0)
    rasteriser = Rasteriser(160, 120)
    bare = dataclasses.replace(with_basket, scenery=None, goal=None)
    there = rasteriser.render(figures(dataclasses.replace(with_basket, goal=None), 0), camera, 0).astype(int)
    changed = np.abs(there - rasteriser.render(figures(bare, 0), camera, 0)).sum(axis=2) > 10
    focal = 60 / np.tan(np.radians(FOV_Y) / 2)
    tall, wide = (size * focal / 5.0 for size in (basket.BOARD_SIZE[2], basket.BOARD_SIZE[1]))
    assert changed.sum() == pytest.approx(tall * wide, rel=0.1)
    red = there[..., 0] > there[..., 2] + 60
    assert (red & changed).sum() > 10  # the ring before it


def test_the_page_holds_scenery_goal_and_names_of_skills(with_basket: Trajectory):
    text = html.page(with_basket)
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    (motion,) = data["motions"]
    assert motion["skills"] == {"31": "lay-up"}
    assert len(motion["scenery"]["kind"]) == 18
    np.testing.assert_allclose(html.decode(motion["arrays"]["goal_pos"]).reshape(-1, 3), POINT.pos, atol=1e-3)
    assert {"goal", "goal_ball"} <= data["palette"].keys()
    assert (
        json.loads(html.page(walker())[start : html.page(walker()).index("</script>", start)])["motions"][0]["scenery"]
        is None
    )


def test_captions_and_key_frames_say_what_the_task_does(with_basket: Trajectory, tmp_path: Path):
    assert "lay-up   reached 1" in overlay.caption(with_basket, FRAMES - 1)
    assert FRAMES // 2 in contact_sheet.key_frames(with_basket, 4)
    contact_sheet.write_sheet(with_basket, tmp_path / "sheet.png", count=4)
    from PIL import Image

    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    columns = contact_sheet.WIDE_COLUMNS * (contact_sheet.WIDE[0] + contact_sheet.GAP) - contact_sheet.GAP
    assert sheet.shape[:2] == (contact_sheet.HEAD + 2 * (contact_sheet.WIDE[1] + contact_sheet.FOOT), columns)
    for column in range(3):
        left = column * (contact_sheet.WIDE[0] + contact_sheet.GAP)
        cell = sheet[contact_sheet.HEAD :, left : left + contact_sheet.WIDE[0]][: contact_sheet.WIDE[1]]
        assert green(cell).sum() > 50
    assert PALETTE["goal"][1] > PALETTE["goal"][0]


def test_the_browser_s_scene_gets_the_basket_once():
    pytest.importorskip("viser")
    from mjx_skillmimic.viewing.web.still import add_scenery

    class Recorder:
        def __init__(self):
            self.scene, self.added = self, {}

        def add_batched_meshes_simple(self, name, vertices, faces, **options):
            self.added[name] = options
            return name

    model, recorder = build_scene(SceneOptions(basket=True, basket_height=2.0)).model, Recorder()
    names = add_scenery(recorder, model)
    assert all(name.startswith("/world/scenery/") for name in names)
    tubes = recorder.added["/world/scenery/tube"]
    ring = [g for g in basket.geoms(model) if model.geom(g).name.startswith("basket_rim")]
    np.testing.assert_allclose(tubes["batched_positions"], model.geom_pos[ring], atol=1e-6)
    assert add_scenery(recorder, build_scene().model) == []
