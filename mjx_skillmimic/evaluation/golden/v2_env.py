"""SkillMimic-V2's environment: adaptive sampling, start states, re-timing, buffers (skillmimic_v2.md §1.2, §2, §3)."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.envs.v2 import ats, buffering, retime, switch
from mjx_skillmimic.envs.v2.options import AtsOptions, RetimeOptions, SwitchOptions
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.evaluation.golden.stitching import find_v2_clip
from mjx_skillmimic.kinematics import Coordinates
from mjx_skillmimic.model.humanoid import NUM_JOINTS
from mjx_skillmimic.motion import moved, table
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.stitching.buffers import buffer_steps

Arrays = dict[str, np.ndarray]

_WEIGHT = {"atol": 1e-7, "rtol": 1e-4}
_SIMILARITY = {"atol": 1e-30, "rtol": 2e-4}
_STATE = {"atol": 2e-5, "rtol": 1e-5}
_ROTATION = {"atol": 5e-6}


@covers("v2_reweight")
def check_reweight(arrays: Arrays) -> Iterator[Quantity]:
    """Clip weights and start-frame weights of given rewards, and those before any reward."""
    for name in ("ballplay", "masked"):
        labels, lengths = arrays[f"{name}_class"], arrays[f"{name}_lengths"]
        same, known = jnp.asarray(labels[:, None] == labels), arrays[f"{name}_valid_mask"]
        # Three columns fewer than frames; beyond a clip's end the published law goes on as if there were frames.
        exists = jnp.asarray(known[:, 2:-1] != 0)
        for alpha in ("0.5", "1.0"):
            options, of = AtsOptions(alpha=float(alpha)), f"{name}_a{alpha}"
            clips = ats.clip_weights(same, jnp.asarray(arrays[f"{of}_avg_reward"]), options)
            yield Quantity(f"{of}_clip_weights", clips, arrays[f"{of}_clip_weights"], **_WEIGHT)
            frames = ats.frame_weights(exists, jnp.asarray(arrays[f"{of}_time_reward"]), options)
            yield Quantity(f"{of}_time_rate", frames, arrays[f"{of}_time_rate"], **_WEIGHT)
        initial = table.clip_weights(labels, pick_weight=2.0)
        yield Quantity(f"{name}_init_clip_weights", initial, arrays[f"{name}_init_clip_weights"], **_WEIGHT)
        column = np.arange(exists.shape[1])
        may = np.asarray(exists) & (column < lengths[:, None] - 3)
        uniform = np.where(may, 1.0 / may.sum(axis=1, keepdims=True), 0.0)
        found = np.where(column < lengths[:, None] - 3, arrays[f"{name}_init_time_rate"], 0.0)
        yield Quantity(f"{name}_init_time_rate", uniform, found, **_WEIGHT)


@covers("v2_reweight_record")
def check_record(arrays: Arrays) -> Iterator[Quantity]:
    """What 80 steps of 16 worlds leave in the table of start frames, and the running sums of the worlds."""
    options, lengths = AtsOptions.reference(), arrays["motion_lengths"]
    yield Quantity("interval", np.array(round(options.interval * lengths.sum())), arrays["reweight_interval"])
    expected = arrays["out_motion_time_reward"]
    columns = expected.shape[1]
    clip, frame = arrays["motion_id0"], arrays["motion_time0"]
    score, count = jnp.zeros(expected.size), len(clip)
    attempt = _attempt(clip, frame, columns)
    step = jax.jit(ats.record_step, static_argnums=5)
    for reward, reset, new_clip, new_frame in zip(
        *(arrays[name] for name in ("reward", "reset", "new_motion_id", "new_motion_time")), strict=True
    ):
        attempt, seen = step(attempt, ats.nothing_seen(count), clip, reward, reset, options)
        score = ats.last_write(score, seen.cell, seen.score)
        clip, frame = np.where(reset, new_clip, clip), np.where(reset, new_frame, frame)
        fresh = _attempt(clip, frame, columns)
        attempt = jax.tree.map(lambda new, old, done=reset: jnp.where(done, new, old), fresh, attempt)
    yield Quantity("motion_time_reward", np.asarray(score).reshape(expected.shape), expected, atol=1e-6)
    running = arrays["out_envs_reward"]
    yield Quantity("envs_reward (sums)", attempt.gained, running.sum(axis=1), atol=1e-5)
    yield Quantity("envs_reward (counts)", attempt.counted, (running != 0).sum(axis=1))


def _attempt(clip: np.ndarray, frame: np.ndarray, columns: int) -> ats.Attempt:
    cell = clip * columns + np.clip(frame - table.FIRST_START, 0, columns - 1)
    zero = jnp.zeros(len(clip), jnp.float32)
    return ats.Attempt(jnp.asarray(cell, jnp.int32), zero, zero)


@covers("v2_switch_align")
def check_switch(arrays: Arrays) -> Iterator[Quantity]:
    """Start states of another skill where the drawn frame stands, their buffer steps, and a window moved elsewhere."""
    clips = [find_v2_clip(str(name)) for name in arrays["motion_names"]]
    motions, tracks = table.build_table(clips), [derive(clip) for clip in clips]
    yield Quantity("motion_class", np.asarray(motions.skills), arrays["motion_class"])
    source = table.rows(motions, arrays["source_motion_id"], arrays["source_time"])
    donor = table.rows(motions, arrays["switch_motion_id"], arrays["switch_time"])
    rates = jnp.concatenate([jnp.asarray(track.object_rot_rate) for track in tracks])
    one, other = (_published_state(motions, rates, row) for row in (source, donor))
    found = jax.jit(switch.placed, static_argnums=2)(one, other, SwitchOptions.reference())
    spin = rotations.rotate(found.root_quat, found.root_ang_vel)
    yield Quantity("root_pos", found.root_pos, arrays["out_init_root_pos"], **_STATE)
    expected = rotations.wxyz_from_xyzw(arrays["out_init_root_rot"])
    yield Quantity(
        "root_rot (angle)", rotations.geodesic(found.root_quat, expected), np.zeros(len(source)), **_ROTATION
    )
    yield Quantity("root_pos_vel", found.root_lin_vel, arrays["out_init_root_pos_vel"], **_STATE)
    yield Quantity("root_rot_vel", spin, arrays["out_init_root_rot_vel"], atol=3e-4)
    yield Quantity("dof_pos", motions.reference.dof_pos[donor], arrays["out_init_dof_pos"], **_STATE)
    yield Quantity("dof_pos_vel", found.joint_vel.reshape(len(source), -1), arrays["out_init_dof_pos_vel"], **_STATE)
    yield Quantity("obj_pos", found.object_pos, arrays["out_init_obj_pos"], **_STATE)
    yield Quantity("obj_pos_vel", found.object_lin_vel, arrays["out_init_obj_pos_vel"], **_STATE)
    yield Quantity("obj_rot_vel", found.object_ang_vel, arrays["out_init_obj_rot_vel"], **_STATE)
    first = jax.tree.map(lambda x: x[source], motions.reference).to_row()
    yield Quantity("hoi_first_frame", first, arrays["out_hoi_first_frame"], **_STATE)
    yield Quantity("buffer_steps", buffer_steps(arrays["out_max_sim"], "reference"), arrays["out_buffer_steps"])
    steps = buffer_steps(arrays["bufsteps_sim_in"], "reference")
    # Of similarity 0 the published counter is left as it was.
    steps = np.where(arrays["bufsteps_sim_in"] == 0.0, arrays["bufsteps_initial"], steps)
    yield Quantity("bufsteps", steps, arrays["bufsteps_out"])
    yield from _check_moved(arrays)


def _published_state(motions: table.MotionTable, object_rate: jax.Array, row: np.ndarray) -> Coordinates:
    """Start states (N, …) with the published velocities: numbers of the root's frame read as the world's, differences
    of rotation vectors for joints and ball."""
    state = jax.tree.map(lambda x: x[row], motions.state)
    return state._replace(
        root_ang_vel=rotations.rotate_inverse(state.root_quat, state.root_ang_vel),
        joint_vel=motions.reference.dof_vel[row].reshape(len(row), NUM_JOINTS, 3),
        object_ang_vel=object_rate[row],
    )


def _check_moved(arrays: Arrays) -> Iterator[Quantity]:
    """A window of reference rows turned and shifted to another root; the published one leaves the ball's rotation."""
    given, expected = (Features.from_row(arrays[f"local_{part}_hoi"]) for part in ("in", "out"))
    target = rotations.wxyz_from_xyzw(arrays["local_in_root_quat"])
    start = given.root_pos[:, 0]
    heading = rotations.heading(rotations.exp(given.root_rotvec[:, 0]))
    move = moved.between(start, heading, arrays["local_in_root_pos"], rotations.heading(target))
    per_row = moved.Move(np.repeat(move.turn[:, None], 60, 1), np.repeat(move.shift[:, None], 60, 1))
    found = moved.moved(given, jax.tree.map(jnp.asarray, per_row)).replace(  # type: ignore[attr-defined]
        object_quat=given.object_quat
    )
    angle = rotations.geodesic(rotations.exp(found.root_rotvec), rotations.exp(expected.root_rotvec))
    yield Quantity("local root_rotvec (angle)", angle, np.zeros(angle.shape), **_ROTATION)
    same = found.replace(root_rotvec=expected.root_rotvec).to_row()
    yield Quantity("local hoi", same, arrays["local_out_hoi"], **_STATE)


@covers("v2_noisy_init_search")
def check_retime(arrays: Arrays) -> Iterator[Quantity]:
    """The frame that a disturbed state is taken to be near, with the published slips."""
    motions = table.build_table([find_v2_clip(str(name)) for name in arrays["motion_names"]])
    count = len(arrays["motion_id"])
    zero = np.zeros((count, 3), np.float32)
    state = Coordinates(
        root_pos=arrays["in_root_pos"],
        root_quat=rotations.wxyz_from_xyzw(arrays["in_root_rot"]),
        joint_quat=rotations.exp(arrays["in_dof_pos"].reshape(count, NUM_JOINTS, 3)),
        root_lin_vel=zero,
        root_ang_vel=zero,
        joint_vel=np.zeros((count, NUM_JOINTS, 3), np.float32),
        object_pos=arrays["in_obj_pos"],
        object_quat=rotations.exp(zero),
        object_lin_vel=arrays["in_obj_pos_vel"],
        object_ang_vel=zero,
    )
    seen = retime.Seen(state, arrays["in_key_body_pos"], arrays["in_key_body_pos_vel"])
    options = RetimeOptions(search="released", similarity="highest")
    clip, frames = jnp.asarray(arrays["motion_id"]), retime.build_frames(motions)
    found, similarity = jax.jit(retime.search, static_argnums=4)(
        motions, frames, clip, jax.tree.map(jnp.asarray, seen), options
    )
    yield Quantity("frame", found, arrays["out_frame"])
    yield Quantity("max_sim", similarity, arrays["out_max_sim"], **_SIMILARITY)


@covers("v2_buffernode_reward")
def check_buffers(arrays: Arrays) -> Iterator[Quantity]:
    """Which row is compared, whose reward is that of others, and what it is."""
    progress, left = arrays["progress_buf"], arrays["buffer_steps_in"]
    row = np.asarray(buffering.held(progress, arrays["buffer_steps_init"]))
    yield Quantity("reference_index", row, arrays["out_reference_index"])
    missing = arrays["missing_frame_mask"][np.arange(len(row)), np.minimum(row, 59)]
    valid = (left <= 0) & ~missing
    found = buffering.substitute(arrays["base_reward"], arrays["motion_id"], valid, int(arrays["num_motions"]))
    yield Quantity("reward", found, arrays["out_reward"], atol=1e-6)
    yield Quantity("buffer_steps", np.maximum(left - 1, 0), arrays["out_buffer_steps"])
