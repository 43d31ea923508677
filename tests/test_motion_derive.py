"""Derived quantities against their definitions, against motions with known velocities, and against each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from motion_files import make_clip

from mjx_skillmimic import rotations
from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.model.humanoid import KEY_BODIES
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.features import ROW_SIZE

FPS = 60.0


def turning(axis: np.ndarray, speed: float, start: np.ndarray, frames: int) -> np.ndarray:
    """Rotation vectors (T, 3) of start ⊗ a constant turn about `axis` of the turning body."""
    t = np.arange(frames)[:, None] / FPS
    return rotations.log(
        rotations.multiply(rotations.exp(np.tile(start, (frames, 1))), rotations.exp(speed * t * axis))
    )


def test_types_and_shapes():
    clip = make_clip(frames=12)
    frames = derive(clip)
    for field in dataclasses.fields(frames):
        array = getattr(frames, field.name)
        assert array.dtype == (bool if field.name == "valid" else np.float32), field.name
        assert len(array) == 12, field.name
    assert frames.features().to_row().shape == (12, ROW_SIZE)
    for name, array in clip.arrays().items():
        if name != "object_rotvec":
            np.testing.assert_array_equal(getattr(frames, name), array)


def test_velocities_are_backward_differences_with_a_zero_first_row():
    clip = make_clip(frames=12)
    frames = derive(clip, dtype=np.float64)
    pairs = [(clip.root_pos, frames.root_lin_vel), (clip.dof_pos, frames.dof_vel)]
    pairs += [(clip.object_pos, frames.object_lin_vel), (-clip.object_rotvec, frames.object_rot_rate)]
    for track, velocity in pairs:
        assert not velocity[0].any()
        for t in range(1, 12):
            np.testing.assert_allclose(velocity[t], (track[t].astype(float) - track[t - 1]) * FPS, atol=1e-12)
    for name in ("root_ang_vel", "joint_vel", "object_ang_vel"):
        assert not getattr(frames, name)[0].any()


def test_a_constant_turn_has_its_velocity_in_the_right_frame():
    axis, start = np.array([0.6, 0.0, 0.8]), np.array([1.2, -0.3, 0.4])
    clip = make_clip(frames=20)
    dof_pos = clip.dof_pos.copy()
    dof_pos[:, 9:12] = turning(axis, 3.0, start, 20)  # the fourth joint
    root = turning(axis, 2.0, start, 20).astype(np.float32)
    ball = turning(axis, 5.0, start, 20).astype(np.float32)
    frames = derive(dataclasses.replace(clip, root_rotvec=root, dof_pos=dof_pos, object_rotvec=-ball), dtype=np.float64)
    np.testing.assert_allclose(frames.root_ang_vel[1:], np.tile(2.0 * axis, (19, 1)), atol=1e-4)
    np.testing.assert_allclose(frames.joint_vel[1:, 3], np.tile(3.0 * axis, (19, 1)), atol=1e-4)
    # the ball's is in the world frame: turned by its own orientation
    world = rotations.rotate(frames.object_quat[1:], np.tile(5.0 * axis, (19, 1)))
    np.testing.assert_allclose(frames.object_ang_vel[1:], world, atol=1e-4)


def test_joint_velocities_step_each_joint_from_frame_to_frame():
    frames = derive(make_clip(frames=15, seed=4), dtype=np.float64)
    stepped = rotations.multiply(frames.joint_quat[:-1], rotations.exp(frames.joint_vel[1:] / FPS))
    assert rotations.geodesic(stepped, frames.joint_quat[1:]).max() < 1e-9


def test_joint_velocities_do_not_see_the_flip_that_published_ones_see():
    axis = np.array([0.0, 0.0, 1.0])
    dof_pos = make_clip(frames=20).dof_pos.copy()
    dof_pos[:, :3] = turning(axis, 2.0, np.array([0.0, 0.0, 2.9]), 20)  # crosses π in frame 8
    frames = derive(make_clip(frames=20, dof_pos=dof_pos))
    assert np.abs(frames.dof_vel[:, :3]).max() > 300.0
    np.testing.assert_allclose(frames.joint_vel[1:, 0], np.tile(2.0 * axis, (19, 1)), atol=1e-3)


def test_velocities_agree_with_the_motion_of_the_bodies():
    """Linear velocities that kinematics makes of joint velocities equal differences of body positions, to O(1/fps)."""
    errors = {}
    for fps in (1000.0, 2000.0):
        clip = make_clip(frames=5)
        t = np.arange(5)[:, None] / fps
        rate = np.random.default_rng(0).uniform(-3, 3, 156)
        dof_pos = clip.dof_pos[:1] + t * rate
        root = clip.root_rotvec[:1] + t * np.array([1.0, 2.0, -1.0])
        pos = clip.root_pos[:1] + t * np.array([0.5, -1.0, 2.0])
        moved = {"dof_pos": dof_pos, "root_rotvec": root, "root_pos": pos}
        # doubles, so that differences over a millisecond keep their digits
        frames = derive(dataclasses.replace(clip, fps=fps, **moved), dtype=np.float64)
        state = (frames.root_pos, frames.root_quat, frames.joint_quat)
        velocity = (frames.root_lin_vel, frames.root_ang_vel, frames.joint_vel)
        kinematics = forward_kinematics(humanoid_skeleton(), *state, *velocity)
        differences = (kinematics.pos[1:] - kinematics.pos[:-1]) * fps
        errors[fps] = np.abs(kinematics.lin_vel[1:] - differences).max()
    assert errors[1000.0] < 0.1
    assert errors[2000.0] == pytest.approx(errors[1000.0] / 2, rel=0.05)


def test_quaternions_are_the_rotation_vectors_and_keep_their_sign():
    root = turning(np.array([0.0, 0.0, 1.0]), 30.0, np.array([1.5, 0.0, 0.0]), 40).astype(np.float32)
    frames = derive(make_clip(frames=40, root_rotvec=root), dtype=np.float64)
    assert rotations.geodesic(frames.root_quat, rotations.exp(root.astype(float))).max() < 1e-6
    assert (np.sum(frames.root_quat[1:] * frames.root_quat[:-1], axis=-1) > 0).all()
    assert (frames.root_quat[:, 0] < 0).any()


def test_sign_of_the_object_rotation():
    clip = make_clip(frames=9)
    published, plain = derive(clip), derive(clip, object_rotation="stored")
    turn = rotations.multiply(published.object_quat, plain.object_quat)
    np.testing.assert_allclose(np.abs(turn[:, 0]), 1.0, atol=1e-6)
    np.testing.assert_array_equal(plain.object_rot_rate, -published.object_rot_rate)
    assert rotations.geodesic(plain.object_quat, rotations.exp(clip.object_rotvec)).max() < 1e-5


def test_initial_velocity_option_changes_one_row_only():
    clip = make_clip(frames=9)
    off, on = derive(clip), derive(clip, init_vel=True)
    for field in dataclasses.fields(off):
        if field.name != "object_lin_vel":
            np.testing.assert_array_equal(getattr(on, field.name), getattr(off, field.name))
    np.testing.assert_array_equal(on.object_lin_vel[0], off.object_lin_vel[1])
    np.testing.assert_array_equal(on.object_lin_vel[1:], off.object_lin_vel[1:])


def test_key_bodies_stored_or_by_kinematics():
    clip = make_clip(frames=9)
    shifted = dataclasses.replace(clip, body_pos=clip.body_pos + np.float32(0.03))
    ids = [humanoid_skeleton().index(name) for name in KEY_BODIES]
    np.testing.assert_array_equal(derive(shifted).key_body_pos, shifted.body_pos[:, ids])
    by_kinematics = derive(shifted, humanoid_skeleton(), "fk").key_body_pos
    np.testing.assert_allclose(by_kinematics, clip.body_pos[:, ids], atol=1e-6)


def test_unknown_options_are_refused():
    clip = make_clip(frames=9)
    with pytest.raises(ValueError, match="got 'fk2'"):
        derive(clip, key_bodies="fk2")
    with pytest.raises(ValueError, match=r"object_rotation is one of .*; got 'plus'"):
        derive(clip, object_rotation="plus")
    with pytest.raises(ValueError, match="needs the skeleton"):
        derive(clip, key_bodies="fk")
