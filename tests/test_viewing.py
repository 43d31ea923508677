"""Trajectories, pages, videos and plots, all without any OpenGL."""

import json
import logging
import re

import numpy as np
import pytest

from mjx_skillmimic.viewing import gl, html, offscreen, trajectory, video
from mjx_skillmimic.viewing.camera import follow
from mjx_skillmimic.viewing.figures import PALETTE, figures
from mjx_skillmimic.viewing.overlay import caption
from mjx_skillmimic.viewing.raster import Rasteriser
from mjx_skillmimic.viewing.shapes import KINDS, Shapes
from mjx_skillmimic.viewing.trajectory import Trajectory

IDENTITY = (1.0, 0.0, 0.0, 0.0)


def walker(frames: int = 12, reference: bool = True, **changes) -> Trajectory:
    """A capsule, a box and a sphere that slide along x, with a ball beside them."""
    shapes = Shapes(
        kind=np.array([KINDS.index(k) for k in ("capsule", "box", "sphere")], np.int32),
        body=np.array([0, 0, 1], np.int32),
        size=np.array([[0.12, 0.3, 0.0], [0.2, 0.1, 0.05], [0.15, 0.0, 0.0]], np.float32),
        pos=np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -0.4], [0.0, 0.0, 0.0]], np.float32),
        quat=np.tile(np.array(IDENTITY, np.float32), (3, 1)),
    )
    x = np.linspace(0.0, 0.6, frames)
    body_pos = np.zeros((frames, 2, 3))
    body_pos[:, 0] = np.stack([x, 0 * x, 0 * x + 0.9], axis=1)
    body_pos[:, 1] = np.stack([x, 0 * x, 0 * x + 1.5], axis=1)
    quat = np.tile(IDENTITY, (frames, 2, 1))
    ball = np.stack([x + 0.5, 0 * x, 0.6 + 0.4 * np.sin(6 * x)], axis=1)
    aside = np.array([0.3, 0.0, 0.0])
    ghost = {
        "reference_body_pos": body_pos + aside,
        "reference_body_quat": quat,
        "reference_object_pos": ball + aside,
        "reference_object_quat": quat[:, 0],
    }
    fields = {
        "body_pos": body_pos,
        "body_quat": quat,
        "object_pos": ball,
        "object_quat": quat[:, 0],
        "shapes": shapes,
        "fps": 60.0,
        "labels": {"reward": np.linspace(0, 1, frames), "contact": (np.arange(frames) > frames / 2).astype(float)},
        "title": "walker",
    }
    return Trajectory(**(fields | (ghost if reference else {}) | changes))


def test_trajectory_survives_saving(tmp_path):
    before = walker(body_contact=np.eye(12, 2, dtype=bool), notes="by hand")
    trajectory.save(before, tmp_path / "t.npz")
    after = trajectory.load(tmp_path / "t.npz")
    assert (after.fps, after.title, after.notes, after.num_frames) == (60.0, "walker", "by hand", 12)
    np.testing.assert_allclose(after.reference_body_pos, before.reference_body_pos, rtol=1e-6)
    np.testing.assert_array_equal(after.body_contact, before.body_contact)
    np.testing.assert_allclose(after.labels["reward"], before.labels["reward"], rtol=1e-6)
    np.testing.assert_array_equal(after.shapes.kind, before.shapes.kind)


def test_trajectory_refuses_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match=r"object_pos: expected shape \(12, 3\), got \(11, 3\)"):
        walker(object_pos=np.zeros((11, 3)))
    with pytest.raises(ValueError, match="label 'reward'"):
        walker(labels={"reward": np.zeros(3)})


def test_figures_put_solid_ones_first_and_colour_what_touches():
    t = walker(body_contact=np.tile([True, False], (12, 1)))
    drawn = figures(t, 11)
    assert len(drawn) == 8
    alpha = drawn.rgba[:, 3]
    assert (alpha[:4] == 1.0).all()
    assert (alpha[4:] < 1.0).all()
    np.testing.assert_allclose(drawn.rgba[0], PALETTE["touching"], rtol=1e-6)
    np.testing.assert_allclose(drawn.rgba[2], PALETTE["body"], rtol=1e-6)
    np.testing.assert_allclose(drawn.rgba[3], PALETTE["ball_held"], rtol=1e-6)
    np.testing.assert_allclose(figures(t, 0).rgba[3], PALETTE["ball"], rtol=1e-6)
    assert len(figures(t, 0, ghost=False)) == 4
    assert len(figures(walker(reference=False), 0)) == 4


def test_receding_ghost_keeps_its_place_in_the_picture():
    t, camera = walker(), follow(walker())
    eye = camera.eye(3)
    near, far = figures(t, 3), figures(t, 3, eye)
    np.testing.assert_allclose(far.pos[:4], near.pos[:4], rtol=1e-6)
    rays = [(p[4:] - eye) @ camera.axes.T for p in (near.pos, far.pos)]
    np.testing.assert_allclose(rays[0][:, :2] / rays[0][:, 2:], rays[1][:, :2] / rays[1][:, 2:], atol=1e-5)
    assert (rays[1][:, 2] > rays[0][:, 2]).all()


def test_camera_keeps_person_and_ball_in_the_picture():
    t = walker(60)
    camera = follow(t)
    axes = camera.axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    for frame in range(t.num_frames):
        seen = (np.concatenate([t.body_pos[frame], t.object_pos[frame][None]]) - camera.eye(frame)) @ axes.T
        assert (np.abs(seen[:, :2] / seen[:, 2:]) < np.tan(np.radians(20.0))).all()


def test_rasteriser_hits_the_analytic_silhouette_of_a_ball():
    t = walker(1, reference=False)
    camera, raster = follow(t), Rasteriser(320, 240)
    drawn = figures(t, 0)
    alone = type(drawn)(*(x[3:] for x in (drawn.kind, drawn.size, drawn.pos, drawn.quat, drawn.rgba)))
    empty = type(drawn)(*(x[:0] for x in (drawn.kind, drawn.size, drawn.pos, drawn.quat, drawn.rgba)))
    picture, floor = raster.render(alone, camera, 0), raster.render(empty, camera, 0)
    orange = (picture[..., 0].astype(int) - picture[..., 2] > 60) & (picture != floor).any(axis=-1)
    # a pixel sees the sphere if its ray passes the centre closer than the radius
    centre = (t.object_pos[0] - camera.eye(0)) @ camera.axes.T
    x, y = np.meshgrid(raster._x, raster._y)
    ray = np.stack([x, y, np.ones_like(x)], axis=-1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    expected = np.linalg.norm(np.cross(ray, centre), axis=-1) < t.object_radius
    assert expected.sum() > 100
    assert (orange == expected).mean() > 0.9999


def test_rasteriser_capsule_equals_a_chain_of_spheres():
    t = walker(1, reference=False)
    drawn, camera, raster = figures(t, 0), follow(t), Rasteriser(200, 150)
    take = lambda x: x[:1]  # noqa: E731
    capsule = type(drawn)(*(take(x) for x in (drawn.kind, drawn.size, drawn.pos, drawn.quat, drawn.rgba)))
    along = np.linspace(-0.3, 0.3, 400)
    chain = type(drawn)(
        np.zeros(400, np.int32),
        np.tile([[0.12, 0.0, 0.0]], (400, 1)).astype(np.float32),
        (capsule.pos[0] + along[:, None] * [0.0, 0.0, 1.0]).astype(np.float32),
        np.tile(capsule.quat, (400, 1)),
        np.tile(capsule.rgba, (400, 1)),
    )
    a, b = (raster.render(f, camera, 0).astype(int) for f in (capsule, chain))
    different = np.abs(a - b).max(axis=-1) > 12
    assert different.mean() < 0.002


def test_page_needs_nothing_from_outside_and_holds_every_frame():
    t = walker(33)
    text = html.page([t, walker(7, reference=False, title='sly </script><b>"')])
    assert not re.search(r"https?://|//cdn|@import|<link|src\s*=", text)
    assert text.count("</script>") == 2
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    first, second = data["motions"]
    assert (first["frames"], second["frames"], second["title"]) == (33, 7, 'sly </script><b>"')
    for name, array in (("body_pos", t.body_pos), ("reference_object_pos", t.reference_object_pos)):
        np.testing.assert_allclose(html.decode(first["arrays"][name]), array.ravel(), atol=1e-4)
    assert "reference_body_pos" not in second["arrays"]
    with pytest.raises(ValueError, match="at least one"):
        html.page([])


def test_page_stays_valid_json_with_broken_numbers():
    t = walker(4)
    t.body_pos[2] = np.nan
    data = html.encode(t.body_pos)
    assert np.isfinite(html.decode(data)).all()
    assert "NaN" not in json.dumps(data)


def test_video_by_software_has_the_right_frames(tmp_path):
    import imageio

    made = video.write_video(walker(), tmp_path / "out" / "v.mp4", 160, 120, backend=gl.SOFTWARE)
    assert (made.backend, made.failures) == (gl.SOFTWARE, ())
    with imageio.get_reader(made.path) as reader:
        meta = reader.get_meta_data()
        images = [np.asarray(image) for image in reader]
    assert (meta["size"], meta["fps"], len(images)) == ((160, 120), 60.0, 12)
    assert all(image.std() > 5.0 for image in images)
    assert np.abs(images[0].astype(int) - images[-1]).mean() > 1.0
    assert list(made.path.parent.iterdir()) == [made.path]


def test_video_falls_back_when_a_driver_kills_its_process(tmp_path, monkeypatch, caplog):
    tried = []
    real = video._draw

    def draw(source, out, backend, *rest):
        tried.append(backend)
        return "egl: no driver" if backend == "egl" else real(source, out, backend, *rest)

    monkeypatch.setattr(video, "_draw", draw)
    with caplog.at_level(logging.WARNING):
        made = video.write_video(walker(3), tmp_path / "v.mp4", 64, 48, backend="egl")
    assert tried == ["egl", gl.SOFTWARE]
    assert made.failures == ("egl: no driver",)
    assert "libosmesa6" in caplog.text


def test_drawing_process_reports_failure_instead_of_raising(tmp_path, capsys):
    trajectory.save(walker(2), tmp_path / "t.npz")
    status = offscreen.main([str(tmp_path / "t.npz"), str(tmp_path / "missing" / "v.mp4"), "--backend", gl.SOFTWARE])
    assert status == offscreen.NO_PICTURE
    assert gl.SOFTWARE in capsys.readouterr().err


def test_requests_that_cannot_be_met_are_refused(tmp_path):
    with pytest.raises(ValueError, match="even width"):
        video.write_video(walker(2), tmp_path / "v.mp4", 161, 120)
    with pytest.raises(ValueError, match="no renderer 'vulkan'"):
        gl.candidates("vulkan")


def test_backend_order_honours_the_environment(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert gl.candidates() == ("osmesa", "egl", gl.SOFTWARE)
    monkeypatch.setenv("MUJOCO_GL", "off")
    assert gl.candidates() == (gl.SOFTWARE,)


def test_caption_shows_time_and_plain_labels():
    text = caption(walker(31), 30)
    assert text.split() == ["0.50", "s", "reward", "1.00"]
