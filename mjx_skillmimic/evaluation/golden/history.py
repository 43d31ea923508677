"""Checks of the published history encoder, its windows and the observation with the code (skillmimic_v2.md §4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.golden.imitation import OBSERVATION, Arrays, body_state, object_fields
from mjx_skillmimic.evaluation.golden.locate import find_clip
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.history import encoder, frames, window
from mjx_skillmimic.imitation import observation
from mjx_skillmimic.imitation.options import ObservationOptions
from mjx_skillmimic.motion.pt_reader import read_pt
from mjx_skillmimic.motion.table import MotionTable, build_table

NETWORK = {"atol": 2e-5, "rtol": 1e-4}


@covers("v2_history_encoder")
def check_encoder(arrays: Arrays) -> Iterator[Quantity]:
    """The codes of given windows, from frames and from projected frames."""
    params = encoder.from_published(arrays)
    windows = jnp.asarray(arrays["input"], jnp.float32)
    yield Quantity("code", np.asarray(jax.jit(encoder.encode)(params, windows)), arrays["output"], **NETWORK)
    projected = encoder.encode_projected(params, encoder.project(params, windows))
    yield Quantity("code of projected frames", np.asarray(projected), arrays["output"], **NETWORK)


@covers("v2_history_window")
def check_window(arrays: Arrays) -> Iterator[Quantity]:
    """Whole windows at reset, and the two headings of one clip."""
    table = _table(arrays)
    filled = _filled(table, arrays)
    yield Quantity("window at reset", filled, arrays["out_hist_init"], **OBSERVATION)
    clip = int(arrays["heading_motion_id"])
    rows = slice(int(table.starts[clip]), int(table.starts[clip] + table.lengths[clip]))
    slipped = np.asarray(frames.slipped_heading(table.reference.root_rotvec[rows]))
    expected = arrays["out_heading_used_by_reference"]
    yield Quantity("heading as published", _nearest(slipped, expected), expected, **OBSERVATION)
    heading = np.asarray(rotations.heading(table.state.root_quat[rows]))
    yield Quantity("heading", _nearest(heading, arrays["out_heading_true"]), arrays["out_heading_true"], **OBSERVATION)


@covers("v2_history_obs", needs=("v2_history_encoder",))
def check_observation(arrays: Arrays) -> Iterator[Quantity]:
    """Windows at reset, the frame pushed after a step, and the 905 columns of two observations."""
    params = encoder.from_published({name.partition("/")[2]: x for name, x in arrays.items() if "/" in name})
    past = _filled(_table(arrays), arrays)
    yield Quantity("last four frames at reset", past[:, -4:], arrays["out_hist_init_last4"], **OBSERVATION)
    # A sum of sixty rows, each as close as the tolerance of one.
    tolerance = {"atol": window.WINDOW * OBSERVATION["atol"], "rtol": OBSERVATION["rtol"]}
    yield Quantity("sum over the window", past.astype(np.float64).sum(1), arrays["out_hist_init_sum"], **tolerance)
    yield Quantity("frames that are there", np.any(past != 0, axis=-1).sum(-1), arrays["out_hist_nonzero_rows"])
    body = body_state(
        len(past),
        body_pos=arrays["body_pos"],
        body_quat=rotations.wxyz_from_xyzw(arrays["body_rot"]),
        body_lin_vel=arrays["body_vel"],
        body_ang_vel=arrays["body_ang_vel"],
        body_force=arrays["contact_forces"],
        dof_pos=arrays["dof_pos"],
        **object_fields(arrays["obj_state"]),
    )
    options = ObservationOptions.reference()
    one_hot = observation.skill_one_hot(arrays["skill_label"], options.num_skills)
    code = np.asarray(encoder.encode(params, jnp.asarray(past)))
    obs = np.concatenate([observation.observe(body, one_hot, options), code], axis=-1)
    yield Quantity("observation", obs[:, :-3], arrays["out_obs_step1"][:, :-3], **OBSERVATION)
    yield Quantity("its code", obs[:, -3:], arrays["out_obs_step1"][:, -3:], **NETWORK)
    frame = frames.live_frame(body)
    yield Quantity("pushed frame", frame, arrays["out_hist_after1_last"], **OBSERVATION)
    second = encoder.encode(params, window.push(jnp.asarray(past), jnp.asarray(frame)))
    yield Quantity("code after the push", np.asarray(second), arrays["out_obs_step2_histvec"], **NETWORK)


def _table(arrays: Arrays) -> MotionTable:
    """The clips that the file names, in its order. Raises MissingClip."""
    return build_table([read_pt(find_clip(Path(str(name)).name)) for name in arrays["motion_names"]])


def _filled(table: MotionTable, arrays: Arrays) -> np.ndarray:
    rows = frames.reference_frames(table, frames.FrameOptions.reference())
    first, start = table.starts[arrays["motion_id"]], jnp.asarray(arrays["start_frame"])
    return np.asarray(window.fill(rows, first, start))


def _nearest(angle: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The same angles with the whole turns that `expected` has."""
    return angle + 2 * np.pi * np.round((expected - angle) / (2 * np.pi))
