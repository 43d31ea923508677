"""Frames, windows and the encoder against slow loops, and the encoder's file."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic import rotations
from mjx_skillmimic.history import encoder, frames, window
from mjx_skillmimic.history.encoder_file import Encoder, EncoderFormatError, load_encoder, save_encoder
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.motion.table import MotionTable, build_table
from mjx_skillmimic.physics.base import BodyState

CHANNELS = (8, 6, 4)

frames_of = jax.jit(frames.reference_frames, static_argnums=1)


@pytest.fixture(scope="module")
def table() -> MotionTable:
    return build_table(load_clips(["throw_catch", "pick_up"]))


@pytest.fixture(scope="module")
def params() -> encoder.EncoderParams:
    return encoder.init(jax.random.key(3), channels=CHANNELS)


def matrix(rotvec: np.ndarray) -> np.ndarray:
    """Rodrigues' formula."""
    angle = np.linalg.norm(rotvec)
    x, y, z = rotvec / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def slow_frame(heading: float, root: np.ndarray, bodies: np.ndarray, dofs: np.ndarray, ball: np.ndarray) -> np.ndarray:
    c, s = np.cos(-heading), np.sin(-heading)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    numbers = [root[2]]
    for body in bodies[1:]:
        numbers.extend(turn @ (body - root))
    numbers.extend(dofs)
    seen = ball - root
    seen[2] = ball[2]
    numbers.extend(turn @ seen)
    return np.array(numbers)


@pytest.mark.parametrize("heading", ["root", "rotvec_as_quaternion"])
def test_frames_of_clips_are_those_of_a_slow_loop(table, heading):
    ours = np.asarray(frames_of(table, frames.FrameOptions(heading=heading, bodies="stored")))
    assert ours.shape == (table.num_frames, frames.FRAME_SIZE) == (table.num_frames, 316)
    for row in range(0, table.num_frames, 17):
        root, rotvec, dofs, ball = (
            np.asarray(getattr(table.reference, name)[row], np.float64)
            for name in ("root_pos", "root_rotvec", "dof_pos", "object_pos")
        )
        turned = matrix(rotvec)[:, 0]
        if heading == "rotvec_as_quaternion":
            # The published product, of the vector part (x, y, z) and the real part z, on the x axis.
            axis, real = np.array([1.0, 0, 0]), rotvec[2]
            turned = axis * (2 * real**2 - 1) + 2 * real * np.cross(rotvec, axis) + 2 * rotvec * rotvec[0]
        yaw = np.arctan2(turned[1], turned[0])
        expected = slow_frame(yaw, root, np.asarray(table.body_pos[row], np.float64), dofs, ball)
        np.testing.assert_allclose(ours[row], expected, atol=2e-5)


def test_a_simulated_world_in_a_clips_pose_has_the_clips_frame(table):
    state = jax.tree.map(np.asarray, table.state)
    pose = forward_kinematics(humanoid_skeleton(), state.root_pos, state.root_quat, state.joint_quat)
    fields = dict.fromkeys(BodyState.__dataclass_fields__, np.zeros(()))
    fields |= {"body_pos": pose.pos, "body_quat": pose.quat, "object_pos": state.object_pos}
    # The other sign is the same rotation.
    fields |= {"dof_pos": rotations.log(-state.joint_quat).reshape(table.num_frames, -1)}
    live = frames.live_frame(BodyState(**fields))
    np.testing.assert_allclose(live, frames_of(table, frames.FrameOptions()), atol=1e-5)


def test_only_the_repaired_heading_does_not_depend_on_where_the_clip_faces(table):
    turn = rotations.about_z(np.float32(1.9))
    table = jax.tree.map(np.asarray, table)
    turned = table.replace(
        body_pos=rotations.rotate(turn, table.body_pos),
        reference=table.reference.replace(
            root_pos=rotations.rotate(turn, table.reference.root_pos),
            object_pos=rotations.rotate(turn, table.reference.object_pos),
            root_rotvec=rotations.log(rotations.multiply(turn, table.state.root_quat)),
        ),
        state=table.state._replace(
            root_pos=rotations.rotate(turn, table.state.root_pos),
            root_quat=rotations.multiply(turn, table.state.root_quat),
        ),
    )
    before, after = (frames_of(t, frames.FrameOptions()) for t in (table, turned))
    np.testing.assert_allclose(before, after, atol=1e-5)
    before, after = (frames_of(t, frames.FrameOptions.reference()) for t in (table, turned))
    assert np.abs(np.asarray(before - after)).max() > 0.1


def test_frames_of_zeros_stay_zeros(table):
    gone = jnp.arange(table.num_frames) == 5
    emptied = table.replace(
        body_pos=jnp.where(gone[:, None, None], 0.0, table.body_pos),
        reference=table.reference.replace(dof_pos=jnp.where(gone[:, None], 0.0, table.reference.dof_pos)),
    )
    made = np.asarray(frames_of(emptied, frames.FrameOptions()))
    np.testing.assert_array_equal(np.flatnonzero(~made.any(axis=-1)), [5])


def test_windows_are_those_of_a_slow_loop():
    rng = np.random.default_rng(0)
    rows, length = rng.normal(size=(30, 4)).astype(np.float32), 7
    first, frame = np.array([0, 0, 12, 12, 12]), np.array([2, 9, 0, 6, 17])
    expected = np.zeros((5, length, 4), np.float32)
    for world in range(5):
        for k in range(length):
            at = frame[world] - length + k
            if at >= 0:
                expected[world, k] = rows[first[world] + at]
    filled = jax.jit(window.fill, static_argnums=3)(rows, first, frame, length)
    np.testing.assert_array_equal(filled, expected)
    # Pushing a clip's next frame is filling one frame later.
    pushed = window.push(filled, jnp.asarray(rows[first + frame]))
    np.testing.assert_array_equal(pushed, window.fill(rows, first, frame + 1, length))


def slow_code(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Of one window (T, D), with weights in PyTorch's layout."""
    for name in ("conv1", "conv2", "conv3"):
        kernel, bias = weights[f"{name}_weight"], weights[f"{name}_bias"]
        out = np.tile(bias, (len(x), 1))
        for t in range(len(x)):
            for tap in range(3):
                if 0 <= t + tap - 1 < len(x):
                    out[t] += kernel[:, :, tap] @ x[t + tap - 1]
        x = np.maximum(out, 0.0)
    flat = [x[t, channel] for channel in range(x.shape[1]) for t in range(len(x))]
    return weights["fc_weight"] @ np.array(flat) + weights["fc_bias"]


def test_codes_are_those_of_a_slow_loop_over_published_weights():
    rng = np.random.default_rng(1)
    widths, weights = (316, *encoder.CHANNELS), {}
    for i in range(3):
        weights[f"conv{i + 1}_weight"] = rng.normal(size=(widths[i + 1], widths[i], 3)) / np.sqrt(3 * widths[i])
        weights[f"conv{i + 1}_bias"] = rng.normal(size=widths[i + 1])
    weights["fc_weight"], weights["fc_bias"] = rng.normal(size=(3, 32 * 60)) / 40, rng.normal(size=3)
    windows = rng.normal(size=(2, 60, 316))
    params = encoder.from_published(weights)
    assert (params.frame_size, params.length, params.code_size) == (316, 60, 3)
    ours = jax.jit(encoder.encode)(params, windows.astype(np.float32))
    np.testing.assert_allclose(ours, [slow_code(weights, x) for x in windows], rtol=1e-4, atol=2e-5)


def test_a_window_of_projected_frames_gives_the_same_codes_step_after_step(table, params):
    rows = frames_of(table, frames.FrameOptions())
    projected = encoder.project(params, rows)
    first, frame = jnp.array([0, 0, int(table.starts[1])]), jnp.array([2, 70, 11])
    plain, cheap = window.fill(rows, first, frame), window.fill(projected, first, frame)
    for step in range(4):
        expected = encoder.encode(params, plain)
        np.testing.assert_allclose(encoder.encode_projected(params, cheap), expected, atol=1e-5)
        assert np.ptp(np.asarray(expected), axis=0).max() > 1e-3
        seen = rows[first + frame + step]
        plain, cheap = window.push(plain, seen), window.push(cheap, encoder.project(params, seen))


def test_operations_of_the_published_network_by_hand():
    params = jax.eval_shape(encoder.init, jax.random.key(0))
    rest = 60 * 3 * (128 * 64 + 64 * 32) + 32 * 60 * 3
    assert encoder.flops(params) == 2 * (60 * 3 * 316 * 128 + rest)
    assert encoder.flops(params, projected=True) == 2 * (3 * 316 * 128 + rest)


def test_a_file_gives_back_the_encoder(params, tmp_path):
    options, metadata = frames.FrameOptions.reference(), {"motion_hash": "00", "results": {"loss": 0.5}}
    path = save_encoder(tmp_path / "sub" / "encoder.npz", Encoder(params, options, metadata))
    read = load_encoder(path)
    assert (read.frames, read.metadata) == (options, metadata)
    jax.tree.map(np.testing.assert_array_equal, read.params, params)


def changed_header(arrays: dict[str, np.ndarray], **changes: object) -> dict[str, np.ndarray]:
    header = json.loads(arrays["header"].tobytes()) | changes
    return arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "header"}, "header"),
        (lambda a: {k: v for k, v in a.items() if k != "code/bias"}, "code/bias"),
        (lambda a: a | {"convolution_1/kernel": a["convolution_1/kernel"][:, :-1]}, "shapes"),
        (lambda a: a | {"code/kernel": np.full_like(a["code/kernel"], np.nan)}, "finite"),
        (lambda a: changed_header(a, format="mjx_skillmimic policy"), "another kind of file"),
        (lambda a: changed_header(a, version=2), "version 2"),
        (lambda a: changed_header(a, frames={"heading": "north"}), "FrameOptions"),
        (lambda a: changed_header(a, convolutions=99), "99 convolutions"),
    ],
)
def test_other_files_are_refused_with_what_was_found(params, tmp_path, change, complaint):
    path = save_encoder(tmp_path / "encoder.npz", Encoder(params, frames.FrameOptions()))
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **change(arrays))
    with pytest.raises(EncoderFormatError, match=complaint) as caught:
        load_encoder(path)
    assert str(path) in str(caught.value)


def test_weights_that_are_not_finite_are_not_written(params, tmp_path):
    broken = params.replace(code_bias=params.code_bias.at[0].set(jnp.inf))
    with pytest.raises(ValueError, match="code/bias"):
        save_encoder(tmp_path / "encoder.npz", Encoder(broken, frames.FrameOptions()))
    assert not list(tmp_path.iterdir())
