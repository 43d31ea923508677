"""Keys, commands, the pace of a session, MuJoCo's window without a window."""

import threading
import time

import ml_collections
import mujoco
import numpy as np
import pytest

from mjx_skillmimic.config.errors import ConfigError
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.viewing import commands, keys, native, pacing
from mjx_skillmimic.viewing.marks import Marks, camera_eye
from mjx_skillmimic.viewing.status import Status
from tests.conftest import ROOT

# The published table (skillmimic.md §9.1), with the shot under its label in the clips.
PUBLISHED = {"ArrowLeft": 11, "ArrowRight": 12, "ArrowUp": 13, "q": 1, "w": 5, "e": 31, "r": 34}


class Listener:
    """Takes commands as a session does, and refuses skill 34."""

    def __init__(self):
        self.heard = []

    def do(self, command):
        if command == "skill:34":
            raise ValueError("has not learned skill 34")
        self.heard.append(command)
        return f"did {command}"


def test_the_default_keys_are_those_of_the_paper_and_the_configuration_repeats_them():
    assert {key: keys.DEFAULT_KEYS[key] for key in PUBLISHED} == {k: f"skill:{v}" for k, v in PUBLISHED.items()}
    assert keys.DEFAULT_KEYS[" "] == "box"
    assert keys.load_keys(ROOT / "configs" / "viewer.py") == keys.DEFAULT_KEYS
    # every command can be reached
    assert set(commands.COMMANDS) <= set(keys.DEFAULT_KEYS.values())


def test_a_configuration_gives_a_command_other_keys(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import ml_collections\n"
        "def get_config():\n"
        "    return ml_collections.ConfigDict({'keys': {'skill:51': ('X', 'F3'), 'pause': 'Enter'}})\n"
    )
    assert keys.load_keys(file) == {"x": "skill:51", "F3": "skill:51", "Enter": "pause"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"paus": ("p",)}, "no command 'paus'; there is pause"),
        ({"skill:64": ("a",)}, "label below 64"),
        ({"pause": ("arrowleft",)}, "no key 'arrowleft'; the nearest is 'ArrowLeft'"),
        ({"pause": ("p",), "step": ("P",)}, "'P' stands for 'pause' and for 'step'"),
    ],
)
def test_a_table_that_cannot_work_is_refused(table, message):
    with pytest.raises(ConfigError) as caught:
        keys.keys_from(ml_collections.ConfigDict({"keys": table}))
    assert message in str(caught.value)


def test_a_key_does_its_command_and_says_why_not():
    listener = Listener()
    assert keys.press(listener, "Q") == "did skill:1"
    assert keys.press(listener, "z") is None
    assert keys.press(listener, "r") == "has not learned skill 34"
    assert listener.heard == ["skill:1"]


def test_codes_of_the_native_window_are_the_browsers_names():
    glfw = pytest.importorskip("glfw")
    expected = {
        glfw.KEY_LEFT: "ArrowLeft",
        glfw.KEY_RIGHT: "ArrowRight",
        glfw.KEY_UP: "ArrowUp",
        glfw.KEY_DOWN: "ArrowDown",
        glfw.KEY_BACKSPACE: "Backspace",
        glfw.KEY_ENTER: "Enter",
        glfw.KEY_PAGE_UP: "PageUp",
        glfw.KEY_F12: "F12",
        glfw.KEY_SPACE: " ",
        glfw.KEY_Q: "q",
        glfw.KEY_PERIOD: ".",
        glfw.KEY_EQUAL: "+",
        glfw.KEY_KP_ADD: "+",
        glfw.KEY_MINUS: "-",
        glfw.KEY_LEFT_SHIFT: None,
    }
    assert {code: native.key_name(code) for code in expected} == expected
    assert set(keys.DEFAULT_KEYS) <= {native.key_name(code) for code in range(400)}


def test_without_a_display_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(native.NoWindowError, match="--viewer web"):
        native.view(None)


def status(**changes):
    values = {
        "step": 0, "time": 0.0, "clip": 0, "frame": 0, "skill": 1, "policy": "zero", "fallen": False,
        "root_height": 1.0, "ball_height": 1.0, "ball_distance": 1.0, "rewards": {}, "contacts": [],
        "reference_qpos": None, "hands_touch_ball": False, "reference_contact": None, "joint_error_m": None,
    }  # fmt: skip
    return Status(**(values | changes))


def test_marks_are_the_red_ball_contact_points_and_the_ghost_in_the_pose_of_the_reference():
    scene = build_scene()
    model, marks = scene.model, Marks(scene)
    to, ball = mujoco.MjvScene(model, maxgeom=200), np.array([1.0, 2.0, 0.5])
    assert marks.draw(to, status(), ball, None) == 0
    touched = status(hands_touch_ball=True, contacts=[(np.array([0.1, 0.2, 0.0]), 5.0)])
    assert marks.draw(to, touched, ball, None) == 2
    np.testing.assert_allclose(to.geoms[0].pos, ball)
    assert to.geoms[0].rgba[0] > 3 * to.geoms[0].rgba[1]
    assert to.geoms[0].size[0] > scene.object_radius
    np.testing.assert_allclose(to.geoms[1].pos, [0.1, 0.2, 0.0], atol=1e-6)

    qpos = model.qpos0.copy()
    qpos[:3], qpos[-7:-4] = [3.0, -1.0, 1.2], [3.5, -1.0, 0.7]
    count = marks.draw(to, status(reference_qpos=qpos), ball, None)
    assert count == model.ngeom - 1  # all but the floor
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    drawn = np.array([to.geoms[i].pos for i in range(count)])
    np.testing.assert_allclose(drawn, data.geom_xpos[np.arange(model.ngeom) != model.geom("floor").id], atol=1e-5)
    assert all(to.geoms[i].rgba[3] < 0.5 for i in range(count))
    assert marks.draw(to, status(reference_qpos=qpos), ball, None, ghost=False) == 0
    # a scene without room is filled, not overrun
    assert marks.draw(mujoco.MjvScene(model, maxgeom=5), status(reference_qpos=qpos), ball, None) == 5


def test_the_ghost_recedes_from_the_eye_of_the_camera():
    scene = build_scene()
    camera = mujoco.MjvCamera()
    camera.lookat[:], camera.distance, camera.azimuth, camera.elevation = [1.0, 2.0, 1.0], 4.0, 90.0, 0.0
    eye = camera_eye(camera)
    np.testing.assert_allclose(eye, [1.0, -2.0, 1.0], atol=1e-9)  # azimuth 90° looks along +y
    near, far = (mujoco.MjvScene(scene.model, maxgeom=200) for _ in range(2))
    marks, reference = Marks(scene), status(reference_qpos=scene.model.qpos0)
    count = marks.draw(near, reference, np.zeros(3), None)
    marks.draw(far, reference, np.zeros(3), eye)
    before, after = (np.array([to.geoms[i].pos for i in range(count)]) - eye for to in (near, far))
    distance = np.linalg.norm(before, axis=1)
    assert (np.linalg.norm(after, axis=1) > 1.03 * distance).all()
    np.testing.assert_allclose(np.cross(before, after), 0.0, atol=1e-5)


class Clockwork:
    """Something to be paced whose steps take `cost` seconds."""

    control_dt = 0.01

    def __init__(self, cost=0.0, speed=1.0):
        self.steps, self.cost, self.speed, self.paused, self.real_time_factor = 0, cost, speed, False, 0.0

    def step(self):
        self.steps += 1
        time.sleep(self.cost)


def run_for(paced, seconds, rate=50.0):
    drawn, stop = [], threading.Event()
    threading.Timer(seconds, stop.set).start()
    pacing.run(paced, lambda: drawn.append(paced.steps), rate, stop)
    return drawn


def test_time_passes_at_the_speed_that_was_asked_for():
    for speed in (0.5, 2.0):
        paced = Clockwork(speed=speed)
        drawn = run_for(paced, 1.3)
        assert paced.steps == pytest.approx(130 * speed, rel=0.25)
        assert paced.real_time_factor == pytest.approx(speed, rel=0.25)
        assert 5 < len(drawn) <= 1.3 * 50 + 2


def test_what_is_too_slow_loses_time_and_still_draws():
    paced = Clockwork(cost=0.02)
    drawn = run_for(paced, 1.3)
    assert paced.steps < 80
    assert 0.1 < paced.real_time_factor < 0.6
    assert max(np.diff(drawn)) <= pacing.MAX_STEPS
    # nothing is caught up after the stall
    paced.cost = 0.0
    before = paced.steps
    run_for(paced, 0.5)
    assert paced.steps - before <= 50 + 100 * pacing.MAX_DEBT + 2


def test_a_pause_draws_and_steps_nothing():
    paced = Clockwork()
    paced.paused = True
    assert len(run_for(paced, 0.4)) > 3
    assert paced.steps == 0
