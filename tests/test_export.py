"""Exported poses and scenes, read back by NumPy, by trimesh and by a small evaluator of glTF animations."""

import json
import struct
import sys

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation, Slerp
from scripts_of import script

from mjx_skillmimic.viewing import export_poses, gltf, gltf_meshes, recordings
from mjx_skillmimic.viewing.gltf_buffer import ExportError

Y_UP_FROM_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The dribbling clip beside itself, later and turned over, as a reference: trajectory, poses and both files."""
    import dataclasses

    clip = recordings.record(motion="dribble_forward")
    t = clip.trajectories[0]
    later = {f"reference_{n}": np.roll(getattr(t, n), 20, axis=0) for n in ("body_pos", "body_quat")}
    later |= {f"reference_{n}": np.roll(getattr(t, n), 20, axis=0) for n in ("object_pos", "object_quat")}
    # −q is the same rotation: readers must not see a turn
    flipped = t.body_quat * np.where(np.arange(t.num_frames) % 2, -1.0, 1.0)[:, None, None]
    labels = t.labels | {"reference_contact": t.labels["contact"], "reward": np.linspace(0, 1, t.num_frames)}
    contact = np.zeros(t.body_pos.shape[:2], bool)
    contact[5:9, 3] = True
    t = dataclasses.replace(t, body_quat=flipped, body_contact=contact, labels=labels, notes="by hand", **later)
    poses = export_poses.poses(t, clip.skeleton.names, clip.skeleton.parents)
    folder = tmp_path_factory.mktemp("export")
    return t, poses, export_poses.write_npz(poses, folder / "x.npz"), gltf.write_glb(t, poses, folder / "x.glb")


class Glb:
    """Just enough of the glTF 2.0 specification to pose the nodes of a file at a time, written without the exporter's
    library."""

    def __init__(self, path):
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        self.json = json.loads(data[20 : 20 + size])
        self.blob = data[20 + size + 8 :]
        self.index = {node["name"]: i for i, node in enumerate(self.json["nodes"])}
        self.parent = {child: i for i, node in enumerate(self.json["nodes"]) for child in node.get("children", [])}

    def array(self, index):
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        values = np.frombuffer(self.blob, dtype, accessor["count"] * width, view.get("byteOffset", 0))
        return values.reshape(-1, width)

    def keys(self, node, path):
        animation = self.json["animations"][0]
        for channel in animation["channels"]:
            if channel["target"] == {"node": node, "path": path}:
                sampler = animation["samplers"][channel["sampler"]]
                assert sampler["interpolation"] == "LINEAR"
                return self.array(sampler["input"])[:, 0].astype(float), self.array(sampler["output"]).astype(float)
        return None

    def local(self, node, time):
        entry, pose = self.json["nodes"][node], np.eye(4)
        pose[:3, 3] = entry.get("translation", (0.0, 0.0, 0.0))
        turn = Rotation.from_quat(entry.get("rotation", (0.0, 0.0, 0.0, 1.0)))
        if keys := self.keys(node, "translation"):
            pose[:3, 3] = [np.interp(time, keys[0], column) for column in keys[1].T]
        if keys := self.keys(node, "rotation"):
            turn = Slerp(keys[0], Rotation.from_quat(keys[1]))(np.clip(time, keys[0][0], keys[0][-1]))
        pose[:3, :3] = turn.as_matrix()
        return pose

    def world(self, name, time):
        node = self.index[name]
        pose = self.local(node, time)
        while node in self.parent:
            node = self.parent[node]
            pose = self.local(node, time) @ pose
        return pose


def test_npz_holds_the_documented_fields_without_pickle(exported):
    t, poses, path, _ = exported
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    frames, bodies = t.body_pos.shape[:2]
    assert set(arrays) == {
        *("version", "fps", "title", "notes", "names", "parents", "body_pos", "body_quat", "body_contact"),
        *("ball_pos", "ball_quat", "ball_radius", "ball_contact", "measure_reward"),
        *(f"reference_{n}" for n in ("body_pos", "body_quat", "ball_pos", "ball_quat", "ball_contact")),
    }
    assert (arrays["fps"], arrays["names"][0], arrays["parents"][0], arrays["ball_radius"]) == (60, "Pelvis", -1, 0.12)
    assert arrays["body_quat"].shape == arrays["reference_body_quat"].shape == (frames, bodies, 4)
    np.testing.assert_allclose(arrays["body_pos"], t.body_pos, atol=1e-6)
    # the same rotations, but neighbours lie in one hemisphere
    same = np.abs(np.sum(arrays["body_quat"] * t.body_quat, axis=-1))
    np.testing.assert_allclose(same, 1.0, atol=1e-6)
    assert np.sum(arrays["body_quat"][1:] * arrays["body_quat"][:-1], axis=-1).min() > 0.5
    assert arrays["body_contact"].dtype == bool
    np.testing.assert_array_equal(np.argwhere(arrays["body_contact"]), [[f, 3] for f in range(5, 9)])
    np.testing.assert_array_equal(arrays["ball_contact"], t.labels["contact"] > 0.5)

    again = export_poses.read_npz(path)
    assert (again.names, again.title, again.notes) == (poses.names, t.title, "by hand")
    np.testing.assert_array_equal(again.reference_body_pos, poses.reference_body_pos)
    np.testing.assert_array_equal(again.measures["reward"], poses.measures["reward"])


def test_poses_of_a_clip_have_no_contacts_and_no_reference(tmp_path):
    clip = recordings.record(motion="throw_catch")
    poses = export_poses.poses(clip.trajectories[0], clip.skeleton.names, clip.skeleton.parents)
    again = export_poses.read_npz(export_poses.write_npz(poses, tmp_path / "clip.npz"))
    assert again.body_contact is None
    assert again.reference_body_pos is None
    assert again.reference_ball_contact is None


@pytest.mark.parametrize("time", [0.0, 0.25, 1.0, 1.5 + 1 / 120, 3.0])
def test_nodes_move_as_the_poses_say(exported, time):
    _, poses, _, path = exported
    glb, frame = Glb(path), time * poses.fps
    low = int(frame)
    half = frame - low
    for prefix, pos, quat, ball in (
        ("", poses.body_pos, poses.body_quat, poses.ball_pos),
        ("reference_", poses.reference_body_pos, poses.reference_body_quat, poses.reference_ball_pos),
    ):
        expected = (1 - half) * ball[low] + half * ball[low + 1 if half else low]
        np.testing.assert_allclose(glb.world(f"{prefix}ball", time)[:3, 3], Y_UP_FROM_Z_UP @ expected, atol=1e-5)
        # between two keys the joints turn, so straight lines between the bodies' places are near but not exact
        near = 3e-3 if half else 1e-5
        for body, name in enumerate(poses.names):
            pose = glb.world(f"{prefix}{name}", time)
            expected = (1 - half) * pos[low, body] + half * pos[low + 1 if half else low, body]
            np.testing.assert_allclose(pose[:3, 3], Y_UP_FROM_Z_UP @ expected, atol=near, err_msg=name)
            if not half:
                matrix = Rotation.from_quat(quat[low, body], scalar_first=True).as_matrix()
                np.testing.assert_allclose(pose[:3, :3], Y_UP_FROM_Z_UP @ matrix, atol=1e-5, err_msg=name)


def test_every_frame_is_a_key_and_bones_keep_their_length(exported):
    t, poses, _, path = exported
    glb = Glb(path)
    times, turns = glb.keys(glb.index["Head"], "rotation")
    np.testing.assert_allclose(times, np.arange(t.num_frames) / 60.0, atol=1e-6)
    assert np.sum(turns[1:] * turns[:-1], axis=1).min() > 0.5
    assert glb.keys(glb.index["Pelvis"], "translation") is not None
    assert glb.keys(glb.index["Head"], "translation") is None
    assert len(glb.keys(glb.index["camera"], "translation")[0]) == t.num_frames
    assert [glb.json["nodes"][i]["name"] for i in glb.json["scenes"][0]["nodes"]] == [gltf.ROOT]
    names = [glb.json["nodes"][glb.parent[glb.index[name]]]["name"] for name in poses.names[1:]]
    assert names == [poses.names[parent] for parent in poses.parents[1:]]


def test_trimesh_loads_scene_with_every_geom_ball_floor_and_ghost(exported):
    t, poses, _, path = exported
    scene = trimesh.load(path)
    np.testing.assert_allclose(scene.graph.get("ball")[0][:3, 3], Y_UP_FROM_Z_UP @ poses.ball_pos[0], atol=1e-5)
    shown = set(scene.graph.nodes_geometry)
    assert shown == {*poses.names, "ball", "floor"} | {f"reference_{n}" for n in (*poses.names, "ball")}
    # a person stands on the floor, head up in +y
    low, high = scene.geometry["Head"].bounds
    size = scene.graph.get("Head")[0][1, 3] + (high - low).max() / 2
    assert 1.4 < size < 2.0
    colours = {name: scene.geometry[name].visual.material for name in ("Head", "reference_Head")}
    assert colours["Head"].alphaMode == "OPAQUE"
    assert colours["reference_Head"].alphaMode == "BLEND"
    extent = scene.geometry["ball"].bounds
    np.testing.assert_allclose(extent[1] - extent[0], 2 * t.object_radius, rtol=1e-3)


def test_light_and_camera_stand_as_in_the_video(exported):
    from mjx_skillmimic.viewing.camera import follow

    t, _, _, path = exported
    glb, view = Glb(path), follow(t)
    assert glb.json["extensionsUsed"] == ["KHR_lights_punctual"]
    (light,) = glb.json["extensions"]["KHR_lights_punctual"]["lights"]
    assert (light["type"], glb.json["nodes"][glb.index["sun"]]["extensions"]["KHR_lights_punctual"]) == (
        "directional",
        {"light": 0},
    )
    np.testing.assert_allclose(glb.world("sun", 0)[:3, :3] @ [0, 0, -1], Y_UP_FROM_Z_UP @ view.light, atol=1e-6)
    for frame in (0, 90):
        pose = glb.world("camera", frame / 60)
        np.testing.assert_allclose(pose[:3, 3], Y_UP_FROM_Z_UP @ view.eye(frame), atol=1e-5)
        np.testing.assert_allclose(pose[:3, :3] @ [0, 0, -1], Y_UP_FROM_Z_UP @ view.forward, atol=1e-6)
        assert (pose[:3, :3] @ [0, 1, 0])[1] > 0.9


@pytest.mark.parametrize(
    ("mesh", "volume"),
    [
        (gltf_meshes.sphere(0.3, 96, 48), 4 / 3 * np.pi * 0.3**3),
        (gltf_meshes.capsule(0.1, 0.25, 96, 48), 4 / 3 * np.pi * 0.1**3 + np.pi * 0.1**2 * 0.5),
        (gltf_meshes.box(np.array([0.1, 0.2, 0.3])), 8 * 0.1 * 0.2 * 0.3),
    ],
)
def test_meshes_are_closed_face_outwards_and_have_the_right_volume(mesh, volume):
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert solid.area_faces.min() > 0.0
    # seams have vertices of their own for the texture
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(volume, rel=5e-3)
    outward = np.einsum("fi,fi->f", trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).face_normals,
                        mesh.normals[mesh.faces].mean(axis=1))  # fmt: skip
    assert outward.min() > 0.9


def test_without_ghost_the_reference_is_left_out(exported, tmp_path):
    t, poses, _, full = exported
    small = gltf.write_glb(t, poses, tmp_path / "small.glb", ghost=False)
    assert not [name for name in Glb(small).index if name.startswith(gltf.REFERENCE)]
    assert small.stat().st_size < 0.7 * full.stat().st_size


def test_what_cannot_be_exported_is_refused(exported, tmp_path, monkeypatch, capsys):
    t, poses, path, _ = exported
    with pytest.raises(ValueError, match="expected 53 names and parents, got 2"):
        export_poses.poses(t, ("a", "b"), np.array([-1, 0]))
    with pytest.raises(ValueError, match="each parent before its child"):
        export_poses.poses(t, poses.names, poses.parents[::-1])
    np.savez(tmp_path / "other.npz", body_pos=poses.body_pos)
    with pytest.raises(ValueError, match="expected exported poses of version 1, found None"):
        export_poses.read_npz(tmp_path / "other.npz")
    export = script("export")
    assert export.main(["--motion", "no_such_clip", "--out", str(tmp_path / "x")]) == 2
    assert "no_such_clip" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pygltflib", None)
    assert export.main(["--motion", "throw_catch", "--out", str(tmp_path / "x")]) == 2
    assert "pip install 'mjx_skillmimic[export]'" in capsys.readouterr().err
    with pytest.raises(ExportError, match="pygltflib"):
        gltf.write_glb(t, poses, path.with_name("y.glb"))


def test_script_writes_what_was_asked(tmp_path, capsys):
    export = script("export")
    assert export.main(["--motion", "throw_catch", "--out", str(tmp_path / "runs" / "clip")]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["clip.glb", "clip.npz"]
    poses = export_poses.read_npz(tmp_path / "runs" / "clip.npz")
    shown = capsys.readouterr().out
    assert f"{len(poses.body_pos)} frames at 60 Hz" in shown
    assert export.main(["--motion", "throw_catch", "--out", str(tmp_path / "only"), "--format", "npz"]) == 0
    assert not (tmp_path / "only.glb").exists()
