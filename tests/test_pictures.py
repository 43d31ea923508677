"""Frames as PNGs and sheets of key frames, all without any OpenGL."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from scripts_of import script
from test_viewing import walker

from mjx_skillmimic.viewing import contact_sheet, gl, images, offscreen, video
from mjx_skillmimic.viewing.camera import follow


def picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_images_are_every_kth_frame_of_the_video(tmp_path):
    t = walker(12)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "frame_00011.png").write_bytes(b"of an earlier run")
    (folder / "notes.txt").write_text("kept")
    made = images.write_images(t, folder, 161, 120, backend=gl.SOFTWARE, every=5)
    assert [path.name for path in made.paths] == ["frame_00000.png", "frame_00005.png", "frame_00010.png"]
    assert sorted(path.name for path in folder.iterdir()) == [*(path.name for path in made.paths), "notes.txt"]
    drawn = list(offscreen.software_frames(t, follow(t), 161, 120, ghost=True))
    for path in made.paths:
        shown = picture(path)
        assert shown.shape == (120, 161, 3)
        # below the caption
        np.testing.assert_array_equal(shown[40:], drawn[int(path.stem[-5:])][40:])


def test_images_without_ghost_and_after_a_driver_that_fails(tmp_path, monkeypatch):
    real = video._draw

    def draw(source, out, backend, *rest):
        if backend == "egl":
            out.mkdir()
            (out / "frame_00000.png").write_bytes(b"half a picture")
            return "egl: no driver"
        return real(source, out, backend, *rest)

    monkeypatch.setattr(video, "_draw", draw)
    made = images.write_images(walker(3), tmp_path, 64, 48, ghost=False, backend="egl", every=2)
    assert (made.backend, made.failures) == (gl.SOFTWARE, ("egl: no driver",))
    expected = next(offscreen.software_frames(walker(3), follow(walker(3)), 64, 48, ghost=False))
    np.testing.assert_array_equal(picture(made.paths[0])[32:], expected[32:])


@pytest.mark.parametrize(("changes", "message"), [({"every": 0}, "every 0"), ({"width": 8}, "8 x 480")])
def test_images_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        images.write_images(walker(2), tmp_path / "x", **changes)
    assert not (tmp_path / "x").exists()


def test_script_saves_images_beside_what_else_was_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MUJOCO_GL", "off")
    render = script("render")
    out = tmp_path / "clip"
    asked = ["--motion", "throw_catch", "--out", str(out), "--only", "html", "--size", "64x48"]
    assert render.main([*asked, "--save_images", "--every", "60"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.html", "clip_frames"]
    assert [path.name for path in sorted((tmp_path / "clip_frames").iterdir())] == [
        f"frame_{frame:05d}.png" for frame in (0, 60, 120)
    ]
    assert "by software" in capsys.readouterr().out
    assert render.main([*asked, "--save_images", "--every", "0"]) == 2
    assert "every 0" in capsys.readouterr().err


def test_without_opengl_the_message_names_back_ends_and_packages(tmp_path, monkeypatch, capsys):
    real = video._draw
    monkeypatch.setattr(
        video, "_draw", lambda s, o, backend, *r: "no driver" if backend != gl.SOFTWARE else real(s, o, backend, *r)
    )
    arguments = ["--motion", "throw_catch", "--out", str(tmp_path / "x"), "--only", "images", "--every", "100"]
    assert script("render").main([*arguments, "--size", "64x48"]) == 0
    told = capsys.readouterr().err
    assert all(word in told for word in ("MUJOCO_GL=egl|osmesa|glfw", "libegl1", "libosmesa6"))


def test_key_frames_are_the_ends_the_events_and_the_middles():
    label = (np.arange(101) >= 40).astype(float)
    ball = np.zeros((101, 3))
    ball[70, 2] = 2.0
    t = dataclasses.replace(walker(101), object_pos=ball, labels={"reference_contact": label})
    assert contact_sheet.key_frames(t, 4) == [0, 40, 70, 100]
    # the longest gaps, 0 to 40 and then 40 to 70, are halved
    assert contact_sheet.key_frames(t, 6) == [0, 20, 40, 55, 70, 100]
    assert contact_sheet.key_frames(walker(3), 6) == [0, 1, 2]


def test_key_frames_of_many_events_are_spread():
    label = (np.arange(241) // 12 % 2).astype(float)
    t = dataclasses.replace(walker(241), labels={"contact": label})
    frames = contact_sheet.key_frames(t, 6)
    assert all(frame % 12 == 0 for frame in frames[1:-1])
    assert 24 <= np.diff(frames).min() <= np.diff(frames).max() <= 72


def test_sheet_shows_person_ball_and_ghost_in_every_cell(tmp_path):
    frames = contact_sheet.write_sheet(walker(40), tmp_path / "new" / "sheet.png")
    sheet = picture(tmp_path / "new" / "sheet.png")
    width, height = contact_sheet.CELL
    assert len(frames) == 6
    assert sheet.shape == (contact_sheet.HEAD + height + contact_sheet.FOOT, 6 * (width + contact_sheet.GAP) - 6, 3)
    balls = []
    for column in range(6):
        left = column * (width + contact_sheet.GAP)
        cell = sheet[contact_sheet.HEAD : contact_sheet.HEAD + height, left : left + width]
        red, green, blue = np.moveaxis(cell, -1, 0)
        assert (blue - red > 25).sum() > 500  # the body
        assert (green - red > 25).sum() > 200  # the reference
        balls.append((red - blue > 60).sum())
    # one scale: the ball is as large in each, but for what hides it
    assert min(balls) > 0.8 * max(balls) > 100
    foot = sheet[-contact_sheet.FOOT :]
    assert (foot < 120).any(axis=(0, 2))[:width].any()
    with pytest.raises(ValueError, match="allowed are 100"):
        contact_sheet.write_sheet(walker(40), tmp_path / "none.png", limit=100)


def test_sheet_gives_up_colours_to_stay_small_and_breaks_rows(tmp_path):
    contact_sheet.write_sheet(walker(40), tmp_path / "full.png")
    full = (tmp_path / "full.png").stat().st_size
    contact_sheet.write_sheet(walker(40), tmp_path / "small.png", limit=full - 1)
    assert (tmp_path / "small.png").stat().st_size < full
    assert Image.open(tmp_path / "small.png").mode == "P"
    assert len(contact_sheet.write_sheet(walker(40), tmp_path / "rows.png", count=8)) == 8
    rows = contact_sheet.HEAD + 2 * (contact_sheet.CELL[1] + contact_sheet.FOOT)
    assert Image.open(tmp_path / "rows.png").height == rows
