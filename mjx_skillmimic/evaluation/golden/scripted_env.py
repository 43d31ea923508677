"""The published environment step by step: our pure functions driven through scripted states (skillmimic.md §6.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.golden.imitation import REWARD, body_state, compare_features, object_fields
from mjx_skillmimic.evaluation.golden.locate import find_clip
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.evaluation.golden.stitching import find_v2_clip
from mjx_skillmimic.imitation import contact_graph, features, reward, termination
from mjx_skillmimic.imitation.options import RewardOptions, TerminationOptions
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.derive import derive
from mjx_skillmimic.motion.features import ROW_SIZE, Features
from mjx_skillmimic.motion.library import load_clip
from mjx_skillmimic.physics.base import BodyState

Arrays = dict[str, np.ndarray]

_KEY_BODIES = list(humanoid.indices(humanoid.KEY_BODIES))


@covers("v1_scripted_env")
def check_scripted_env(arrays: Arrays) -> Iterator[Quantity]:
    """Features, reference row, reward and endings of every scripted step.

    Features trail the reference by one step, contact forces do not, joint velocities read zero in an episode's second
    step, and the previous velocities survive a reset. Features and reward of the step right after a reset are left out:
    the published ones mix in link states of the episode before (§12 item 14).
    """
    yield from _check_steps(arrays, [load_clip(find_clip(str(name))) for name in arrays["motion_names"]], behind=0)


@covers("v2_scripted_env")
def check_scripted_v2_env(arrays: Arrays) -> Iterator[Quantity]:
    """The same of SkillMimic-V2, whose rows and endings are one step behind (skillmimic_v2.md §1.2)."""
    yield from _check_steps(arrays, [find_v2_clip(str(name)) for name in arrays["motion_names"]], behind=1)


def _check_steps(arrays: Arrays, motions: Sequence[MotionClip], behind: int) -> Iterator[Quantity]:
    """behind: steps by which the row that is compared, and the clock that ends episodes, are behind the state."""
    clips = [derive(clip).features().to_row() for clip in motions]
    options, weights = RewardOptions.reference(), reward.RewardWeights()
    step = jax.jit(reward.imitation_reward, static_argnums=6)
    num_steps, num_envs = arrays["reset_before"].shape
    progress = np.zeros(num_envs, int)
    prev_dof_vel = np.zeros((num_envs, humanoid.NUM_DOFS), np.float32)
    rows: dict[str, list[np.ndarray]] = {
        name: [] for name in ("hoi", "reward", "reset", "terminate", "progress", "row")
    }
    for k in range(num_steps):
        progress = np.where(arrays["reset_before"][k] == 1, 0, progress)
        sim = features.simulated_features(_state_before(arrays, clips, k), progress, options)
        progress = progress + 1
        clock = progress - behind
        ref = Features.from_row(_reference_rows(arrays, clips, k, clock))
        flags = (
            contact_graph.body_contact(arrays["contact_forces"][k], options.body_force_threshold),
            contact_graph.object_contact(arrays["obj_contact_force"][k], options.object_force_threshold),
        )
        total, _ = step(sim, ref, prev_dof_vel, *flags, weights, options)
        prev_dof_vel = sim.dof_vel
        fresh = sim.replace(root_pos=arrays["root_state"][k, :, :3])  # type: ignore[attr-defined]
        lengths = arrays["episode_length"][k]
        ending = termination.termination(fresh, ref, clock, lengths, TerminationOptions.reference())
        found = (sim.to_row(), total, ending.done, ending.terminated, progress, clock)
        for name, value in zip(rows, found, strict=True):
            rows[name].append(np.asarray(value))
    ours = {name: np.stack(values) for name, values in rows.items()}
    settled = arrays["reset_before"] == 0
    hoi, expected = (Features.from_row(x[settled]) for x in (ours["hoi"], arrays["out_hoi_obs"]))
    yield from compare_features(hoi, expected, "hoi_obs ")
    yield Quantity("ref_index", ours["row"], arrays["out_ref_index"])
    yield Quantity("reward", ours["reward"][settled], arrays["out_reward"][settled], **REWARD)
    yield Quantity("reset", ours["reset"].astype(int), arrays["out_reset"])
    yield Quantity("terminate", ours["terminate"].astype(int), arrays["out_terminate"])
    yield Quantity("progress", ours["progress"], arrays["out_progress"])


def _state_before(arrays: Arrays, clips: list[np.ndarray], k: int) -> BodyState:
    """The state that the published features of step k see: before its physics; the clip's own where it was reset."""
    reset = arrays["reset_before"][k] == 1
    start = np.stack([clips[m][f] for m, f in zip(arrays["motion_id"][k], arrays["start_frame"][k], strict=True)])
    frame = Features.from_row(start)
    before = max(k - 1, 0)
    body_pos = np.zeros((len(reset), humanoid.NUM_BODIES, 3), np.float32)
    body_pos[:, _KEY_BODIES] = np.where(reset[:, None, None], frame.key_body_pos, arrays["key_body_pos"][before])
    body_pos[:, 0] = arrays["state_before_root"][k, :, :3]
    body_quat = np.tile(np.array([1.0, 0.0, 0.0, 0.0], np.float32), (*body_pos.shape[:2], 1))
    body_quat[:, 0] = rotations.wxyz_from_xyzw(arrays["state_before_root"][k, :, 3:7])
    return body_state(
        len(reset),
        body_pos=body_pos,
        body_quat=body_quat,
        dof_pos=np.where(reset[:, None], frame.dof_pos, arrays["dof_pos"][before]),
        dof_vel=np.where(reset[:, None], frame.dof_vel, arrays["dof_vel"][before]),
        **object_fields(arrays["state_before_obj"][k]),
    )


def _reference_rows(arrays: Arrays, clips: list[np.ndarray], k: int, progress: np.ndarray) -> np.ndarray:
    """Row `progress` (N,) of each env's window, (N, 380): zeros past the window's end."""
    rows = np.zeros((len(progress), ROW_SIZE), np.float32)
    for i, (motion, start) in enumerate(zip(arrays["motion_id"][k], arrays["start_frame"][k], strict=True)):
        if progress[i] < arrays["episode_length"][k, i]:
            rows[i] = clips[motion][start + progress[i]]
    return rows
