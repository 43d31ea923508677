"""Published clips: derived quantities, sampling law, initial states (skillmimic.md §3)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.golden.locate import data_root
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.model.humanoid import KEY_BODIES, NUM_BODIES, indices
from mjx_skillmimic.motion import table as tables
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.columns import clip_from_matrix, skill_of_name
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.features import ROW_SIZE, Features
from mjx_skillmimic.motion.pt_reader import read_pt

Arrays = dict[str, np.ndarray]

# The tolerances that come with the vectors.
DIFFERENCE = {"atol": 2e-5, "rtol": 1e-6}
QUATERNION = {"atol": 1e-6}
ANGULAR_F32 = {"atol": 0.08}  # the published float32 arccos is that ill-conditioned
_ANGULAR_F64 = {"atol": 1e-6, "rtol": 1e-6}
WEIGHT = {"atol": 1e-6, "rtol": 1e-5}


def _published_clip(relative: str) -> MotionClip | None:
    """A clip of the BallPlay-M folder, or None if it is not at hand."""
    path = data_root() / "BallPlay-M" / relative
    return read_pt(path) if path.is_file() else None


def row_quantities(ours: np.ndarray, expected: np.ndarray, prefix: str) -> Iterator[Quantity]:
    """One quantity a named block of the 380 columns; differences and rotations have a tolerance, the rest is exact."""
    mine, theirs = Features.from_row(ours), Features.from_row(expected)
    tolerances = {"dof_vel": DIFFERENCE, "object_lin_vel": DIFFERENCE, "object_quat": QUATERNION}
    for name in Features.__dataclass_fields__:
        yield Quantity(f"{prefix}/{name}", getattr(mine, name), getattr(theirs, name), **tolerances.get(name, {}))


@covers("v1_motion_*")
def check_motion(arrays: Arrays) -> Iterator[Quantity]:
    """Every quantity of §3.3 from the raw matrix of one clip."""
    stem = Path(str(arrays["clip"])).stem
    fps = float(arrays["fps"])
    clip = clip_from_matrix(arrays["raw"], name=stem, skill=skill_of_name(stem), fps=fps)
    frames = derive(clip)
    keys = np.diff(frames.key_body_pos.reshape(len(frames.contact), -1), axis=0, prepend=0.0) * np.float32(fps)
    keys[0] = 0.0
    yield Quantity("skill_label", np.array(clip.skill), arrays["skill_label"].reshape(()))
    yield Quantity("motion_length", np.array(clip.num_frames), arrays["motion_length"].reshape(()))
    yield from row_quantities(frames.features().to_row(), arrays["hoi_data"], "hoi_data")
    yield Quantity("root_pos_vel", frames.root_lin_vel, arrays["root_pos_vel"], **DIFFERENCE)
    yield Quantity("key_body_pos_vel", keys, arrays["key_body_pos_vel"], **DIFFERENCE)
    yield Quantity("root_rot", rotations.xyzw_from_wxyz(frames.root_quat), arrays["root_rot"], **QUATERNION)
    yield Quantity("root_rot_vel", frames.root_ang_vel, arrays["root_rot_vel"], **ANGULAR_F32)
    double = derive(clip, dtype=np.float64).root_ang_vel
    yield Quantity("root_rot_vel_f64", double, arrays["root_rot_vel_f64"], **_ANGULAR_F64)
    yield Quantity("obj_rot_vel", frames.object_rot_rate, arrays["obj_rot_vel"], **DIFFERENCE)
    start = derive(clip, init_vel=True).object_lin_vel[:2]
    yield Quantity("obj_pos_vel_init_vel_true", start, arrays["obj_pos_vel_init_vel_true"], **DIFFERENCE)


@covers("v1_motion_index")
def check_index(arrays: Arrays) -> Iterator[Quantity]:
    """Labels and weights from the names; the rest from those clips of the BallPlay-M folder that are at hand."""
    names = [str(name) for name in arrays["clip"]]
    labels = np.array([skill_of_name(Path(name).stem) for name in names])
    trailing = [re.search(r"(\d+)$", Path(name).stem) for name in names]
    yield Quantity("skill_label", labels, arrays["skill_label"])
    yield Quantity("weight", tables.clip_weights(labels, pick_weight=2.0), arrays["weight"], **WEIGHT)
    yield Quantity("sort_key", np.array([int(m[1]) if m else -1 for m in trailing]), arrays["sort_key"])
    clips = {i: clip for i, name in enumerate(names) if (clip := _published_clip(name)) is not None}
    if not clips:
        return
    at, some = list(clips), f"({len(clips)} of {len(names)} clips at hand)"
    tracks = [derive(clip) for clip in clips.values()]
    features = [track.features().to_row().astype(np.float64) for track in tracks]
    mean, std = (np.stack([f(x) for x in features]) for f in (lambda x: x.mean(0), lambda x: x.std(0, ddof=1)))
    speeds = np.array([np.linalg.norm(track.root_ang_vel, axis=-1).max() for track in tracks])
    yield Quantity(f"length {some}", np.array([c.num_frames for c in clips.values()]), arrays["length"][at])
    yield Quantity(f"first_root_pos {some}", np.stack([t.root_pos[2] for t in tracks]), arrays["first_root_pos"][at])
    yield Quantity(f"mean_hoi {some}", mean, arrays["mean_hoi"][at], **DIFFERENCE)
    yield Quantity(f"std_hoi {some}", std, arrays["std_hoi"][at], **DIFFERENCE)
    # a norm of three numbers, each as loose as the velocity itself
    yield Quantity(f"max_root_rot_vel_norm {some}", speeds, arrays["max_root_rot_vel_norm"][at], atol=0.14)


@covers("v1_init_state")
def check_init_state(arrays: Arrays) -> Iterator[Quantity]:
    """Reference windows and initial states of clips at hand; of the others, the clip that their window implies."""
    names, starts = [str(name) for name in arrays["clip"]], [int(start) for start in arrays["start_frame"]]
    clips, frames, origins = [], [], []
    for i, (name, start) in enumerate(zip(names, starts, strict=True)):
        window, length = arrays["out_hoi_data"][i], arrays["episode_length"][i]
        clip = _published_clip(name)
        origins.append("window" if clip is None else "file")
        frames.append(1 if clip is None else start)
        clips.append(_clip_of_window(window[: int(length)], Path(name).stem) if clip is None else clip)
    table = tables.build_table(clips)
    for i, clip in enumerate(clips):
        prefix = f"{clip.name}@{starts[i]} ({origins[i]})"
        yield from _window_quantities(arrays, i, table, frames[i], prefix)
        if origins[i] == "file":
            yield from _file_quantities(arrays, i, clip, starts[i], prefix)
    yield from _sample_time(arrays)


def _clip_of_window(rows: np.ndarray, name: str, fps: float = 60.0) -> MotionClip:
    """Frames start−1 … of a clip that is not at hand, the first recovered from row 0's velocities where it has them.

    The root's velocities are not in the rows, so its frame start−1 repeats frame start. The arrays are float64: in
    float32 the recovered frame would not give its velocity back to the last digits.
    """
    x = Features.from_row(rows.astype(np.float64))
    before = {"dof_pos": x.dof_pos[0] - x.dof_vel[0] / fps, "object_pos": x.object_pos[0] - x.object_lin_vel[0] / fps}
    named = {name: getattr(x, name) for name in ("root_pos", "root_rotvec", "dof_pos", "object_pos", "contact")}
    track = {k: np.concatenate([[before.get(k, v[0])], v]) for k, v in named.items()}
    frames = len(rows) + 1
    body_pos = np.zeros((frames, NUM_BODIES, 3))
    body_pos[1:, list(indices(KEY_BODIES))] = x.key_body_pos
    track |= {"body_pos": body_pos, "object_rotvec": np.zeros((frames, 3))}
    return MotionClip(name, skill_of_name(name), fps, "", "", **track)


@functools.partial(jax.jit, static_argnums=3)
def _episode(
    table: tables.MotionTable, clip: jax.Array, start: jax.Array, longest: int
) -> tuple[jax.Array, jax.Array, tables.Coordinates]:
    """Length, reference rows (longest, 380) and published initial state of one episode."""
    length = tables.episode_length(table, clip, start, longest)
    frames = start + jnp.arange(longest)
    features = tables.features(table, jnp.broadcast_to(clip, frames.shape), frames, end=start + length)
    state = tables.initial_coordinates(table, clip, start, joint_velocity="published", max_joint_speed=None)
    return length, features.to_row(), state


def _window_quantities(
    arrays: Arrays, i: int, table: tables.MotionTable, start: int, prefix: str
) -> Iterator[Quantity]:
    """What the window holds: its rows, its padding, and its first row as a state."""
    longest = int(arrays["max_episode_length"])
    length, rows, state = jax.tree.map(np.asarray, _episode(table, jnp.int32(i), jnp.int32(start), longest))
    yield Quantity(f"{prefix}/episode_length", length, arrays["episode_length"][i])
    yield from row_quantities(rows, arrays["out_hoi_data"][i], prefix)
    expected = _expected(arrays, i)
    root_quat = rotations.xyzw_from_wxyz(state.root_quat)
    # Up to sign here: it depends on the frames before, which the window does not hold.
    root_quat = root_quat * np.sign(np.sum(root_quat * expected["root_rot"]))
    dof_pos = rotations.log(state.joint_quat).reshape(-1)
    yield Quantity(f"{prefix}/root_pos", state.root_pos, expected["root_pos"])
    yield Quantity(f"{prefix}/root_rot", root_quat, expected["root_rot"], **QUATERNION)
    yield Quantity(f"{prefix}/dof_pos", _nearest_turn(dof_pos, expected["dof_pos"]), expected["dof_pos"], atol=5e-6)
    yield Quantity(f"{prefix}/dof_vel", state.joint_vel.reshape(-1), expected["dof_vel"], **DIFFERENCE)
    yield Quantity(f"{prefix}/obj_pos", state.object_pos, expected["obj_pos"])
    yield Quantity(f"{prefix}/obj_pos_vel", state.object_lin_vel, expected["obj_pos_vel"], **DIFFERENCE)
    yield Quantity(f"{prefix}/obj_rot", rotations.xyzw_from_wxyz(state.object_quat), expected["obj_rot"], **QUATERNION)


def _file_quantities(arrays: Arrays, i: int, clip: MotionClip, start: int, prefix: str) -> Iterator[Quantity]:
    """What depends on frames before the window."""
    frames, expected = derive(clip), _expected(arrays, i)
    root_quat = rotations.xyzw_from_wxyz(frames.root_quat[start])
    yield Quantity(f"{prefix}/root_rot with its sign", root_quat, expected["root_rot"], **QUATERNION)
    yield Quantity(f"{prefix}/root_vel", frames.root_lin_vel[start], expected["root_vel"], **DIFFERENCE)
    yield Quantity(f"{prefix}/root_ang_vel", frames.root_ang_vel[start], expected["root_ang_vel"], **ANGULAR_F32)
    yield Quantity(f"{prefix}/obj_rot_vel", frames.object_rot_rate[start], expected["obj_rot_vel"], **DIFFERENCE)


def _expected(arrays: Arrays, i: int) -> Arrays:
    return {name.removeprefix("out_"): arrays[name][i] for name in arrays if name.startswith("out_")}


def _nearest_turn(rotvec: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The same rotations (3J,), each with the whole turns that `expected` has: its norms may exceed π."""
    mine, theirs = rotvec.reshape(-1, 3), expected.reshape(-1, 3)
    norm = np.linalg.norm(mine, axis=-1, keepdims=True)
    axis = mine / np.maximum(norm, 1e-12)
    turns = np.round((np.sum(axis * theirs, axis=-1, keepdims=True) - norm) / (2 * np.pi))
    return (mine + 2 * np.pi * turns * axis).reshape(-1)


def _sample_time(arrays: Arrays) -> Iterator[Quantity]:
    """The smallest and largest start frame of many draws for each of the recorded clip lengths."""
    blank = np.zeros((1, ROW_SIZE), np.float32)
    blank[0, 2] = 1.0  # a row of zeros would be a missing frame
    low, high = [], []
    for seed, length in enumerate(arrays["sample_time_motion_length"]):
        table = tables.build_table([_clip_of_window(np.repeat(blank, int(length) - 1, axis=0), "000")])
        _, frame = tables.sample(table, jax.random.key(seed), (20_000,))
        low.append(int(frame.min()))
        high.append(int(frame.max()))
    yield Quantity("sample_time_min", np.array(low), arrays["sample_time_min"])
    yield Quantity("sample_time_max", np.array(high), arrays["sample_time_max"])
