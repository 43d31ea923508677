"""Importing: every defect put into a clip is named, sound clips raise no alarm, files are converted and never lost."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import mujoco
import numpy as np
import pytest
from motion_files import make_clip, pt_bytes

from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.assets import assets_dir, humanoid_skeleton
from mjx_skillmimic.model.humanoid import BODIES, FEET
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.columns import matrix_from_clip
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.library import Metadata, clip_files, load_clip, load_clips, motion_hash, shipped_clips_dir
from mjx_skillmimic.motion.npz_format import load_clip_npz, save_clip
from mjx_skillmimic.motion.quality import (
    BALL_RADIUS,
    ClipQuality,
    flight_gravity,
    flights,
    lowest_points,
    measure,
)
from mjx_skillmimic.motion.report import JSON_NAME, MARKDOWN_NAME, import_motions, render_text

SKELETON = humanoid_skeleton()
FPS = 60.0


def thrown_ball_clip(frames: int = 60, gravity: float = 9.81, fps: float = FPS, **fields) -> MotionClip:
    """A clip without any fault: standing still, the ball held in a hand, then thrown up."""
    zero = np.zeros((frames, 156))
    root_pos = np.tile([0.0, 0.0, 0.981], (frames, 1))
    root_rotvec = np.tile([np.pi / 2, 0.0, 0.0], (frames, 1))
    quat = derive(make_clip(frames=frames, root_rotvec=root_rotvec.astype(np.float32))).root_quat.astype(float)
    joints = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 52, 1))
    body_pos = forward_kinematics(SKELETON, root_pos, quat, joints).pos
    t = np.maximum(np.arange(frames) - 10, 0)[:, None] / fps
    hand = body_pos[:1, SKELETON.index("R_Wrist")] + np.array([0.0, 0.0, BALL_RADIUS])
    ball = hand + t * np.array([0.3, 0.2, 4.0]) - 0.5 * gravity * t**2 * np.array([0.0, 0.0, 1.0])
    arrays = {"root_pos": root_pos, "root_rotvec": root_rotvec, "dof_pos": zero, "body_pos": body_pos}
    arrays |= {"object_pos": ball, "object_rotvec": zero[:, :3], "contact": np.arange(frames) < 10}
    return make_clip(frames, **{"fps": fps} | {k: np.asarray(v, np.float32) for k, v in arrays.items()} | fields)


def kinds(clip: MotionClip) -> set[str]:
    return {warning.kind for warning in measure(clip, SKELETON).warnings}


def changed(name: str, where, value) -> MotionClip:
    clip = thrown_ball_clip()
    array = getattr(clip, name).copy()
    array[where] = value
    return dataclasses.replace(clip, **{name: array})


def test_a_sound_clip_raises_no_alarm():
    quality = measure(thrown_ball_clip(), SKELETON)
    assert quality.warnings == ()
    assert quality.fk_gap_max_mm < 1e-3
    assert quality.contact_fraction == pytest.approx(1 / 6)
    assert quality.gravity == pytest.approx(9.81, rel=1e-3)
    assert quality.seconds == 1.0
    assert quality.feet_lowest_m == pytest.approx(0.0, abs=1e-3)


def flipped_wrist() -> MotionClip:
    """One joint turning steadily through a half turn, written with norms that jump from π to −π."""
    angle = np.linspace(2.9, 3.6, 60)
    track = thrown_ball_clip().dof_pos.copy()
    track[:, 51] = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    return thrown_ball_clip(dof_pos=track)


DEFECTS = {
    "root jump": (changed("root_pos", (slice(30, None), 0), 0.5), {"jump", "FK gap"}),
    "ball jump": (changed("object_pos", (2, 0), 3.0), {"jump", "label"}),
    "joint jump": (changed("dof_pos", (slice(30, None), 47), 2.0), {"jump", "FK gap"}),
    "sunk ball": (changed("object_pos", (59, 2), 0.1), {"ball in floor", "jump"}),
    "sunk feet": (changed("root_pos", (slice(None), 2), 0.95), {"feet in floor", "FK gap"}),
    "moved bodies": (changed("body_pos", (5, 14, 1), 0.3), {"FK gap"}),
    "label from afar": (changed("contact", slice(20, 40), 1.0), {"label"}),
    "never touched, ball hanging in the air": (changed("contact", slice(None), 0.0), {"label", "frame rate"}),
    "half the rate": (dataclasses.replace(thrown_ball_clip(), fps=30.0), {"frame rate"}),
    "twice the rate": (dataclasses.replace(thrown_ball_clip(), fps=120.0), {"frame rate"}),
    "flip": (flipped_wrist(), {"flip", "FK gap"}),
}


@pytest.mark.parametrize("case", DEFECTS)
def test_each_defect_is_named(case):
    clip, expected = DEFECTS[case]
    assert kinds(clip) == expected


def test_the_frame_rate_that_would_fit_is_named():
    (warning,) = measure(dataclasses.replace(thrown_ball_clip(), fps=30.0), SKELETON).warnings
    assert "2.5 m/s²" in warning.text
    assert "60 fps would fit" in warning.text


def test_gravity_is_measured_in_flight_only():
    assert flight_gravity(thrown_ball_clip(gravity=3.7)) == pytest.approx(3.7, rel=1e-3)
    clip = thrown_ball_clip()
    assert list(flights(clip)) == [slice(11, 60)]  # labelled up to frame 9, whose neighbour does not count either
    assert flight_gravity(dataclasses.replace(clip, contact=np.ones(60, np.float32))) is None


def test_a_flip_is_counted_once_and_steady_turning_not_at_all():
    assert measure(flipped_wrist(), SKELETON).rotvec_flips == 1
    assert measure(make_clip(frames=60), SKELETON).rotvec_flips == 0


def test_lowest_points_of_boxes_and_capsules():
    """A humanoid on its side, +x down: the soles' outer edges at half the foot's width from the ankle, and each geom as
    MuJoCo places it."""
    quat = np.array([[np.cos(np.pi / 4), 0.0, np.sin(np.pi / 4), 0.0]])
    pos = forward_kinematics(SKELETON, np.zeros((1, 3)), quat, np.tile([1.0, 0, 0, 0], (1, 52, 1)))
    lowest = lowest_points(pos.pos, pos.quat)[0]
    ankle = 0.109716  # offset of the left leg in x
    np.testing.assert_allclose(lowest[[BODIES.index(name) for name in FEET]].min(), -(ankle + 0.0498), atol=1e-6)
    model = mujoco.MjModel.from_xml_path(str(assets_dir() / "humanoid.xml"))
    data = mujoco.MjData(model)
    data.qpos[3:7] = quat[0]
    data.qpos[:3] = 0.0
    mujoco.mj_kinematics(model, data)
    for height, name in zip(lowest, BODIES, strict=True):
        geom = model.geom(name)
        corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T * model.geom_aabb[geom.id, 3:]
        box = (data.geom_xpos[geom.id] + corners @ data.geom_xmat[geom.id].reshape(3, 3).T)[:, 2].min()
        # a capsule is inside its box, by less than its radius
        assert box - 1e-6 <= height <= box + geom.size[0]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two sound files, a duplicate and three bad ones."""
    source = tmp_path / "source"
    (source / "throw").mkdir(parents=True)
    matrix = matrix_from_clip(thrown_ball_clip())
    (source / "throw" / "005_a.pt").write_bytes(pt_bytes(matrix))
    (source / "throw" / "006_copy.pt").write_bytes(pt_bytes(matrix))
    save_clip(make_clip(frames=20, name="wave"), source / "wave.npz")
    (source / "unlabelled.pt").write_bytes(pt_bytes(matrix))
    (source / "007_cut.pt").write_bytes(pt_bytes(matrix)[:1000])
    (source / "broken.npz").write_bytes(b"nothing")
    (source / "readme.txt").write_text("not a clip")
    return source


def test_bad_files_are_listed_and_the_others_converted(folder, tmp_path):
    report = import_motions(folder, tmp_path / "out")
    assert [clip.file for clip in report.clips] == ["throw/005_a.pt", "throw/006_copy.pt", "wave.npz"]
    assert [failure.file for failure in report.failures] == ["007_cut.pt", "broken.npz", "unlabelled.pt"]
    assert all(failure.found and failure.expected for failure in report.failures)
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == [JSON_NAME, MARKDOWN_NAME, "throw/005_a.npz", "throw/006_copy.npz", "wave.npz"]
    again = load_clip_npz(tmp_path / "out" / "throw" / "005_a.npz")
    original = load_clip(folder / "throw" / "005_a.pt")
    assert motion_hash([again]) == motion_hash([original])
    duplicates = [clip.file for clip in report.clips if "duplicate" in {w.kind for w in clip.quality.warnings}]
    assert duplicates == ["throw/005_a.pt", "throw/006_copy.pt"]


def test_reports_hold_every_clip_and_failure(folder, tmp_path):
    report = import_motions(folder, tmp_path / "out")
    data = json.loads((tmp_path / "out" / JSON_NAME).read_text())
    assert [clip["quality"]["name"] for clip in data["clips"]] == ["005_a", "006_copy", "wave"]
    assert set(data["clips"][0]["quality"]) == {f.name for f in dataclasses.fields(ClipQuality)}
    for text in ((tmp_path / "out" / MARKDOWN_NAME).read_text(), render_text(report, width=200)):
        for word in ("005_a", "wave", "007_cut.pt", "broken.npz", "3 clips", "3 failed", "same frames as"):
            assert word in text


def test_nothing_is_overwritten_unless_forced(folder, tmp_path):
    out = tmp_path / "out"
    (out / "throw").mkdir(parents=True)
    (out / "throw" / "006_copy.npz").write_text("precious")
    with pytest.raises(FileExistsError, match=r"006_copy\.npz already there; nothing was written"):
        import_motions(folder, out)
    assert [p.name for p in out.rglob("*") if p.is_file()] == ["006_copy.npz"]
    import_motions(folder, out, force=True)
    assert load_clip_npz(out / "throw" / "006_copy.npz").name == "006_copy"


def test_two_sources_of_one_name_do_not_overwrite_each_other(tmp_path):
    source = tmp_path / "source"
    save_clip(make_clip(frames=20, name="x"), source / "005_a.npz")
    (source / "005_a.pt").write_bytes(pt_bytes(matrix_from_clip(thrown_ball_clip())))
    report = import_motions(source, tmp_path / "out")
    assert [clip.file for clip in report.clips] == ["005_a.npz"]
    assert "a second file" in report.failures[0].found


def test_metadata_given_by_the_user(folder, tmp_path):
    metadata = Metadata(skill=9, fps=30.0, source="my camera", licence="CC-BY-4.0")
    report = import_motions(folder, tmp_path / "out", metadata=metadata)
    assert "unlabelled.pt" in [clip.file for clip in report.clips]
    for clip in load_clips(tmp_path / "out"):
        assert (clip.skill, clip.fps, clip.source, clip.licence) == (9, 30.0, "my camera", "CC-BY-4.0")


def script(*arguments: object) -> int:
    path = Path(__file__).parents[1] / "scripts" / "import_motions.py"
    spec = importlib.util.spec_from_file_location("import_motions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([str(a) for a in arguments])


def test_exit_codes_of_the_script(folder, tmp_path, capsys):
    assert script(folder, tmp_path / "out") == 1
    assert "FAILED broken.npz" in capsys.readouterr().out
    assert script(folder / "wave.npz", tmp_path / "one") == 0
    assert script(folder / "wave.npz", tmp_path / "one") == 2
    assert "--force" in capsys.readouterr().err
    assert script(folder / "wave.npz", tmp_path / "one", "--force") == 0
    assert script(tmp_path / "absent", tmp_path / "two") == 2
    with pytest.raises(SystemExit, match="2"):
        script(folder)


def test_check_writes_nothing(folder, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert script("--check", folder) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert "3 clips" in capsys.readouterr().out


def test_the_library_finds_files_folders_and_lists(folder):
    wave = folder / "wave.npz"
    assert clip_files(folder) == sorted(clip_files(folder), key=lambda p: p.relative_to(folder).as_posix())
    assert [clip.name for clip in load_clips(folder / "throw")] == ["005_a", "006_copy"]
    assert [clip.name for clip in load_clips([wave, str(folder / "throw")])] == ["wave", "005_a", "006_copy"]
    with pytest.raises(FileNotFoundError, match=r"'nosuch' is neither .* shipped"):
        load_clips("nosuch")
    (folder / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no \.npz or \.pt file"):
        load_clips(folder / "empty")


def test_shipped_clips_load_by_name():
    files = sorted(shipped_clips_dir().glob("*.npz"))
    if not files:
        pytest.skip("no clips are shipped in this checkout")
    clips = load_clips("shipped")
    assert len(clips) == len(files)
    assert motion_hash(load_clips(files[0].stem)) == motion_hash(clips[:1])
