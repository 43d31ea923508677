"""The viewer in the browser: meshes, scene, panel and keys without a browser, and once in a real one."""

import contextlib
import dataclasses
import sys
import threading
import time
import types
import urllib.error
import urllib.request

import mujoco
import numpy as np
import pytest
from PIL import Image

from mjx_skillmimic.viewing.keys import DEFAULT_KEYS
from mjx_skillmimic.viewing.session import Session

viser = pytest.importorskip("viser", reason="the web viewer needs viser: pip install 'mjx_skillmimic[viewer]'")

from mjx_skillmimic.viewing import pacing, screenshot  # noqa: E402
from mjx_skillmimic.viewing.web import keyboard, serve  # noqa: E402
from mjx_skillmimic.viewing.web.meshes import batches  # noqa: E402
from mjx_skillmimic.viewing.web.page import Page, floor_point  # noqa: E402
from mjx_skillmimic.viewing.web.plots import History  # noqa: E402

SHAPES = """
<mujoco>
  <asset><mesh name="wedge" vertex="0 0 0  0.3 0 0  0 0.2 0  0 0 0.4"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="1 1 1"/>
    <body pos="0.3 -0.2 1" euler="20 30 40">
      <freejoint/>
      <geom name="capsule" type="capsule" fromto="0 0 0 0.3 0.2 0.1" size="0.07"/>
      <geom name="sphere" type="sphere" size="0.11" pos="0 0.4 0"/>
      <geom name="box" type="box" size="0.2 0.1 0.05" pos="0.5 0 0" euler="10 0 70"/>
      <geom name="ellipsoid" type="ellipsoid" size="0.1 0.2 0.3" pos="-0.5 0 0" euler="0 50 0"/>
      <geom name="cylinder" type="cylinder" size="0.1 0.2" pos="0 -0.5 0" euler="0 40 0"/>
      <geom name="wedge" type="mesh" mesh="wedge"/>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.fixture(scope="module")
def session():
    return Session("zero", ["throw_catch", "dribble_forward"])


@pytest.fixture
def page(session):
    session.paused, session.ghost, session.speed = False, True, 1.0
    session.reset(0, 2)
    page = Page(session, port=0)
    yield page
    page.close()


def until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def excess(name, size, points):
    """How far (m) points in a geom's frame are outside its surface, negative inside."""
    if name == "capsule":
        axis = np.clip(points[:, 2], -size[1], size[1])
        return np.linalg.norm(points - axis[:, None] * [0, 0, 1], axis=1) - size[0]
    if name == "sphere":
        return np.linalg.norm(points, axis=1) - size[0]
    if name == "ellipsoid":
        return np.linalg.norm(points / size, axis=1) - 1.0
    if name == "cylinder":
        return np.maximum(np.linalg.norm(points[:, :2], axis=1) - size[0], np.abs(points[:, 2]) - size[1])
    return np.abs(points / size).max(axis=1) - 1.0


def test_meshes_fill_the_geoms_where_mujoco_has_them():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    seen = {}
    for batch in batches(model, range(1, model.ngeom)):
        pos, quat = batch.poses(data.xpos, data.xquat)
        for i, geom in enumerate(batch.geom):
            turn = np.zeros(9)
            mujoco.mju_quat2Mat(turn, quat[i].astype(float))
            world = pos[i] + (batch.vertices * batch.scale[i]) @ turn.reshape(3, 3).T
            local = (world - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3)
            seen.setdefault(model.geom(geom).name, []).append(local)
    assert set(seen) == {"capsule", "sphere", "box", "ellipsoid", "cylinder", "wedge"}
    for name, parts in seen.items():
        local = np.concatenate(parts)
        if name == "wedge":
            # MuJoCo moves a mesh to its centre of mass and main axes; lengths stay
            assert np.ptp(local, axis=0).max() == pytest.approx(0.5, rel=0.2)
            continue
        size = model.geom(name).size
        half = {"capsule": [size[0], size[0], size[0] + size[1]], "sphere": [size[0]] * 3}.get(name, size)
        half = [size[0], size[0], size[1]] if name == "cylinder" else half
        np.testing.assert_allclose(np.abs(local).max(axis=0), half, rtol=0.006)
        assert excess(name, size, local).max() < 1e-5, name


def test_capsule_caps_meet_their_tube_without_a_step():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    parts = {b.name: b for b in batches(model, [model.geom("capsule").id])}
    assert set(parts) == {"tube", "cap"}
    equator = parts["cap"].vertices[np.abs(parts["cap"].vertices[:, 2]) < 1e-6]
    rim = parts["tube"].vertices[parts["tube"].vertices[:, 2] > 0]
    np.testing.assert_allclose(equator[:, :2], rim[:, :2], atol=1e-6)


def test_faces_look_outwards():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    convex = [g for g in range(1, model.ngeom) if model.geom(g).name != "wedge"]
    for batch in batches(model, convex):
        corners = batch.vertices[batch.faces]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert np.all(np.einsum("fi,fi->f", normal, corners.mean(axis=1)) > -1e-9), batch.name


def test_a_geom_without_a_mesh_is_refused_by_name():
    model = mujoco.MjModel.from_xml_string(SHAPES)
    with pytest.raises(ValueError, match=r"'floor'.*expected sphere, capsule.*mjGEOM_PLANE"):
        batches(model, [0])


def test_the_scene_shows_the_state_and_follows(page, session):
    def shown(name):
        return page._server.scene.get_handle_by_name(f"/world/{name}")

    session.reset(0, 40)
    with session.lock:
        status, qpos = session.status, session.data.qpos.copy()
    for _ in range(60):
        page.scene.draw(qpos, status, ghost=True)
    np.testing.assert_allclose(shown("ball").batched_positions[0], session.data.body("object").xpos, atol=1e-5)
    pelvis = np.asarray(session.data.body("Pelvis").xpos)
    np.testing.assert_allclose((pelvis + page.scene.offset)[:2], 0.0, atol=0.05)
    # in the page the box is parked far away, where nobody looks
    assert not shown("projectile").visible

    moved = qpos[: session.model.nq - 7] + 0.0
    moved[:3] += [0.4, 0.0, 0.0]
    near = np.concatenate([qpos[:-7], pelvis + np.eye(3)[0], [1.0, 0.0, 0.0, 0.0]])
    for touched, held in ((True, False), (False, True)):
        page.scene.draw(
            near,
            dataclasses.replace(
                status, reference_qpos=moved, hands_touch_ball=touched, reference_contact=held, contacts=[]
            ),
            ghost=True,
        )
        assert (shown("ball_held").visible, shown("ball").visible) == (touched, not touched)
        assert (shown("ghost_ball_held").visible, shown("ghost_ball").visible) == (held, not held)
    assert shown("projectile").visible
    apart = shown("ghost/cap").batched_positions - shown("person/cap").batched_positions
    np.testing.assert_allclose(apart, np.broadcast_to([0.4, 0.0, 0.0], apart.shape), atol=1e-5)
    page.scene.draw(near, dataclasses.replace(status, reference_qpos=moved), ghost=False)
    assert not shown("ghost/cap").visible
    assert not shown("ghost_ball").visible


def test_contacts_grow_and_redden_with_force(page, session):
    with session.lock:
        status, qpos = session.status, session.data.qpos.copy()
    contacts = [(np.array([0.1 * i, 0.0, 0.0]), 10.0**i) for i in range(4)]
    page.scene.draw(qpos, dataclasses.replace(status, contacts=contacts), ghost=False)
    spheres = page._server.scene.get_handle_by_name("/world/contacts")
    np.testing.assert_allclose(spheres.batched_positions[:4, 0], [0.3, 0.2, 0.1, 0.0], atol=1e-6)
    radius = spheres.batched_scales[:, 0]
    assert np.all(np.diff(radius[:4]) < 0)
    assert np.all(radius[4:] < 1e-5)
    green = spheres.batched_colors[:4, 1].astype(int)
    assert np.all(np.diff(green) > 0)
    page.scene.show_contacts = False
    page.scene.draw(qpos, dataclasses.replace(status, contacts=contacts), ghost=False)
    assert not spheres.visible


def test_the_view_glides_after_the_person_and_jumps_after_a_reset(page, session):
    with session.lock:
        status, qpos = session.status, session.data.qpos.copy()
    for _ in range(100):
        page.scene.draw(qpos, status, ghost=False)
    start = page.scene.offset.copy()
    step = qpos.copy()
    step[0] += 0.5
    page.scene.draw(step, status, ghost=False)
    assert -0.5 < page.scene.offset[0] - start[0] < 0.0
    for _ in range(100):
        page.scene.draw(step, status, ghost=False)
    np.testing.assert_allclose(page.scene.offset, start - [0.5, 0.0, 0.0], atol=1e-3)
    step[0] += 30.0
    page.scene.draw(step, status, ghost=False)
    np.testing.assert_allclose(page.scene.offset, start - [30.5, 0.0, 0.0], atol=1e-5)
    page.scene.follow = False
    page.scene.draw(qpos, status, ghost=False)
    np.testing.assert_allclose(page.scene.offset, start - [30.5, 0.0, 0.0], atol=1e-5)


def test_commands_of_a_browser_reach_the_session_and_are_answered(page, session):
    page.act("skill:13")
    assert session.status.skill == 13
    assert "dribble forward" in page.panel._said
    page.act("skill:31")
    assert session.status.skill == 13
    assert "31" in page.panel._said


def a_browser(position, look):
    """A client whose camera is at `position` and looks along the horizontal `look`, in the page's frame."""
    right = np.cross(look, [0.0, 0.0, 1.0])
    turn = viser.transforms.SO3.from_matrix(np.column_stack([right, [0.0, 0.0, -1.0], look]))
    return types.SimpleNamespace(camera=types.SimpleNamespace(position=np.array(position), wxyz=turn.wxyz))


def test_a_box_is_thrown_along_the_line_of_sight_of_its_browser(page, session, monkeypatch):
    thrown = []
    monkeypatch.setattr(session, "throw_box", lambda *a: thrown.append(a))
    page.scene.offset = np.array([-2.0, 5.0, 0.0])
    page.act("box", client=a_browser([0.0, -3.0, 1.0], look=[0.6, 0.8, 0.0]))
    page.act("automatic box")
    (origin, direction), automatic = thrown
    np.testing.assert_allclose(origin, [2.0, -8.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(direction, [0.6, 0.8, 0.0], atol=1e-9)
    assert automatic == ()


def test_a_click_on_the_floor_is_a_target_where_there_are_targets(session, monkeypatch):
    heard, targets = [], []
    monkeypatch.setattr(viser.SceneApi, "on_click", lambda self, **_: heard.append)
    Page(session, port=0).close()
    assert heard == []
    monkeypatch.setattr(session, "set_target", targets.append, raising=False)
    page = Page(session, port=0)
    (click,) = heard
    page.scene.offset = np.array([-2.0, 5.0, 0.0])
    click(types.SimpleNamespace(ray_origin=(0.0, 0.0, 2.0), ray_direction=(0.0, 1.0, -1.0)))
    click(types.SimpleNamespace(ray_origin=(0.0, 0.0, 2.0), ray_direction=(0.0, 1.0, 0.1)))
    page.close()
    np.testing.assert_allclose(targets, [[2.0, -3.0]])


def test_a_ray_meets_the_floor_only_downwards():
    np.testing.assert_allclose(floor_point(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.5])), [3.0, 2.0])
    assert floor_point(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.1])) is None


def test_history_begins_anew_with_every_reset(session):
    status = dataclasses.replace(session.status, clip=0, rewards={}, ball_height=1.0, root_height=0.9)
    history = History()
    for step in range(1200):
        rewards = {"p": 0.5, "total": 0.25} if step < 1000 else {}
        history.add(dataclasses.replace(status, step=step, time=step / 60, rewards=rewards))
    times, total, factor = history.rewards()
    assert history.factors == ("total", "p")
    assert times[0] >= times[-1] - 8.0 - 1e-9
    assert len(times) < 130
    np.testing.assert_array_equal(total[times < 1000 / 60], 0.25)
    np.testing.assert_array_equal(factor[times < 1000 / 60], 0.5)
    assert np.isnan(total[times >= 1000 / 60]).all()
    history.add(dataclasses.replace(status, step=0, time=0.0))
    assert len(history.heights()[0]) == 1
    history.add(dataclasses.replace(status, step=60, time=1.0, clip=1))
    np.testing.assert_array_equal(history.heights()[0], [1.0])


def test_every_key_of_the_table_is_bound_and_explained():
    bound = {}

    class Gui:
        def add_command(self, label, *, description, hotkey, modifier):
            return types.SimpleNamespace(
                on_trigger=lambda f: bound.setdefault((hotkey, modifier), (label, f, description))
            )

    acted = []
    keyboard.bind(types.SimpleNamespace(gui=Gui()), DEFAULT_KEYS, lambda command, client: acted.append(command))
    for label, trigger, description in bound.values():
        assert label
        assert description in keyboard.help_text(DEFAULT_KEYS)
        trigger(types.SimpleNamespace(client=None))
    assert set(acted) == set(DEFAULT_KEYS.values())
    assert {("space", None), ("arrowleft", None), ("q", None), ("[plus]", "shift"), ("[plus]", None)} <= set(bound)
    assert ("q", "shift") not in bound
    assert "__" not in keyboard.script(DEFAULT_KEYS, 'a "title"')


def test_only_this_machine_may_look_by_default(page):
    address = page.url.removeprefix("http://").split(":")
    assert address[0] == "127.0.0.1"
    with urllib.request.urlopen(page.url, timeout=10) as answer:
        assert b"<html" in answer.read()
    # another address of this machine, on which a server for everyone would answer
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(f"http://127.0.0.2:{address[1]}", timeout=3)


def test_serve_runs_the_session_until_it_is_stopped(session):
    session.reset(0, 2)
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(session,), kwargs={"port": 0, "stop": stop})
    thread.start()
    try:
        assert until(lambda: session.status.step > 5)
    finally:
        stop.set()
        thread.join(timeout=20)
    assert not thread.is_alive()


def test_the_panel_has_sliders_for_speed_clip_and_frame(page, session):
    panel = page.panel

    def move(handle, value):
        """What happens when a person moves a slider."""
        handle.value = value
        client, index = next(iter(page._server.get_clients().values()), types.SimpleNamespace()), 0
        for change in handle._impl.update_cb:
            change(types.SimpleNamespace(client=client, client_id=index, target=handle))

    move(panel._speed, 0.25)
    assert session.speed == 0.25
    move(panel._number, 2)
    assert session.status.clip == 1
    move(panel._frame, 30)
    assert session.status.frame == 30
    panel._moved = 0.0
    # keys go farther than the slider
    session.speed = 16.0
    session.reset(0)
    panel.sync(session.status)
    assert panel._speed.value == panel._speed.max
    assert session.speed == 16.0
    assert (panel._number.value, panel._clip.value) == (1, f"1 {session.clips[0]}")
    assert panel._frame.max == session.lengths[0] - 1
    away = dataclasses.replace(session.status, ball_distance=4.25)
    assert "ball 4.2 m away" in panel._status_html(away)
    assert "away" not in panel._status_html(dataclasses.replace(away, ball_distance=0.5))


@pytest.fixture(scope="module")
def chromium():
    with contextlib.ExitStack() as stack:
        try:
            browser = stack.enter_context(screenshot.chromium())
        except screenshot.NoBrowserError as reason:
            pytest.skip(str(reason))
        yield browser


def test_keys_and_buttons_in_a_real_browser(page, session, chromium):
    stop = threading.Event()
    clock = threading.Thread(target=pacing.run, args=(session, page.draw), kwargs={"rate": 10, "stop": stop})
    clock.start()
    try:
        window = chromium.new_page(viewport={"width": 1000, "height": 700})
        errors = []
        window.on("pageerror", lambda error: errors.append(str(error)))
        window.goto(page.url)
        window.wait_for_selector("canvas", timeout=60_000)
        window.get_by_role("button", name="dribble forward").wait_for(timeout=60_000)
        assert until(lambda: window.title() == "mjx_skillmimic")
        assert until(lambda: len(page._server.get_clients()) == 1)
        (client,) = page._server.get_clients().values()
        camera = np.array(client.camera.position)

        assert session.status.skill == 50
        window.keyboard.press("ArrowUp")
        assert until(lambda: session.status.skill == 13)
        # what the policy sees ends with the skill, one-hot
        assert until(lambda: int(np.argmax(session._state.obs[0, -64:])) == 13)
        # W belongs to a skill: not to viser's camera, and this policy has not learned it
        window.keyboard.press("w", delay=400)
        assert until(lambda: "not learned skill 5;" in page.panel._said)
        np.testing.assert_allclose(client.camera.position, camera, atol=1e-3)

        window.get_by_role("button", name="throw and catch").click()
        assert until(lambda: session.status.skill == 50)
        window.get_by_role("button", name="pause").click()
        assert until(lambda: session.paused)
        # Space must throw, not press that button again
        page.panel.say("")
        window.keyboard.press(" ")
        assert until(lambda: "thrown" in page.panel._said)
        assert session.paused
        # held down, a key acts once
        for _ in range(4):
            window.keyboard.down("g")
        window.keyboard.up("g")
        assert until(lambda: not session.ghost)
        window.keyboard.press("Shift++")
        assert until(lambda: session.speed == 2.0)
        assert not session.ghost

        window.locator("input[inputmode=numeric], input[inputmode=decimal]").first.click()
        window.keyboard.press("g")
        window.keyboard.press("p")
        window.mouse.click(500, 600)
        window.keyboard.press("-")
        assert until(lambda: session.speed == 1.0)
        assert session.paused
        assert not session.ghost
        assert errors == []
    finally:
        stop.set()
        clock.join(timeout=20)


def test_two_browsers_watch_and_steer_one_session(page, session, chromium):
    stop = threading.Event()
    clock = threading.Thread(target=pacing.run, args=(session, page.draw), kwargs={"rate": 5, "stop": stop})
    clock.start()
    try:
        windows = [chromium.new_page(viewport={"width": 700, "height": 500}) for _ in range(2)]
        for window in windows:
            window.goto(page.url)
        for window in windows:
            window.get_by_role("button", name="dribble forward").wait_for(timeout=120_000)
        assert until(lambda: len(page._server.get_clients()) == 2)

        def shown():
            return [window.locator("text=/frame [0-9]+ of/").first.inner_text(timeout=60_000) for window in windows]

        session.reset(0, 2)
        session.paused = True
        session.seek(40)
        assert until(lambda: all("frame 40 of" in text for text in shown()), 60.0)
        windows[1].keyboard.press(".")
        assert until(lambda: session.status.step == 1)
        assert until(lambda: all("frame 41 of" in text for text in shown()), 60.0)
        windows[0].keyboard.press("ArrowUp")
        assert until(lambda: session.status.skill == 13)
        for window in windows:
            window.locator("b", has_text="dribble forward").first.wait_for(timeout=60_000)
            window.close()
    finally:
        stop.set()
        clock.join(timeout=20)


def test_a_screenshot_shows_the_page(session, chromium, tmp_path):
    # Playwright cannot be started a second time in one thread
    found = contextlib.contextmanager(lambda: (yield chromium))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screenshot, "chromium", found)
        session.reset(0, 2)
        path = screenshot.take_screenshot(session, tmp_path / "x" / "page.png", 6, 640, 400, settle=2.0)
    assert session.status.step == 6
    assert session.paused
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert picture.shape == (400, 640, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200


def test_without_playwright_or_chromium_it_is_said_what_to_install(monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="playwright: pip install 'mjx_skillmimic[browser]'")
    monkeypatch.setattr(screenshot.shutil, "which", lambda name: None)
    with pytest.raises(screenshot.NoBrowserError, match="apt-get install chromium"), screenshot.chromium():
        pass
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    with pytest.raises(screenshot.NoBrowserError, match=r"mjx_skillmimic\[browser\]"), screenshot.chromium():
        pass
