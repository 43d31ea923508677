"""SkillMimic-V2: clips with missing frames, label-dependent reward and endings (skillmimic_v2.md §1.4, §1.5, §1.7)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.golden.imitation import REWARD, body_state, named_weights
from mjx_skillmimic.evaluation.golden.motion import (
    ANGULAR_F32,
    DIFFERENCE,
    QUATERNION,
    WEIGHT,
    row_quantities,
)
from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.imitation import contact_graph, features, reward, termination
from mjx_skillmimic.imitation.options import RewardOptions, TerminationOptions
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.motion import table as tables
from mjx_skillmimic.motion.columns import clip_from_matrix, skill_of_name
from mjx_skillmimic.motion.derive import backward_difference, derive
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.motion.missing import held
from mjx_skillmimic.motion.skill_names import WITHOUT_OBJECT

Arrays = dict[str, np.ndarray]

FPS = 60.0


@covers("v2_motion_*")
def check_motion(arrays: Arrays) -> Iterator[Quantity]:
    """Derived quantities with the published rule for missing frames, and the law of start frames before any reward."""
    stem = Path(str(arrays["clip"])).stem
    clip = clip_from_matrix(arrays["raw"], name=stem, skill=skill_of_name(stem), fps=FPS)
    frames = derive(clip, missing="published")
    keys = frames.key_body_pos.reshape(clip.num_frames, -1)
    yield Quantity("skill_label", np.array(clip.skill), arrays["skill_label"].reshape(()))
    yield Quantity("valid_frame_mask", frames.valid, arrays["valid_frame_mask"])
    yield from row_quantities(frames.features().to_row(), arrays["hoi_data"], "hoi_data")
    yield Quantity("root_pos_vel", frames.root_lin_vel, arrays["root_pos_vel"], **DIFFERENCE)
    yield Quantity(
        "key_body_pos_vel", held(backward_difference(keys, FPS), clip.valid), arrays["key_body_pos_vel"], **DIFFERENCE
    )
    yield Quantity("root_rot", rotations.xyzw_from_wxyz(frames.root_quat), arrays["root_rot"], **QUATERNION)
    yield Quantity("root_rot_vel", frames.root_ang_vel, arrays["root_rot_vel"], **ANGULAR_F32)
    yield Quantity("obj_rot_vel", frames.object_rot_rate, arrays["obj_rot_vel"], **DIFFERENCE)
    yield Quantity("time_sample_rate", _time_law(tables.build_table([clip])), arrays["time_sample_rate"], **WEIGHT)


def _time_law(table: tables.MotionTable) -> np.ndarray:
    """(T − 3,) probabilities of the start frames 2 … T − 2 of a table of one clip, as `sample` draws them."""
    law = np.zeros(int(table.lengths[0]) - 3)
    count = int(table.start_counts[0])
    law[np.asarray(table.start_frames)[:count] - tables.FIRST_START] = 1.0 / count
    return law


@covers("v2_reward_unified")
def check_reward(arrays: Arrays) -> Iterator[Quantity]:
    """The reward with labels, without them, and the sum of the DeepMimic baseline with labels."""
    yield Quantity("contact_body_ids", np.array(humanoid.indices(humanoid.BODY_CONTACT)), arrays["contact_body_ids"])
    sim, ref = (Features.from_row(arrays[key]) for key in ("hoi_obs", "hoi_ref"))
    flags = (
        contact_graph.body_contact(arrays["contact_forces"]),
        contact_graph.object_contact(arrays["obj_contact_force"]),
    )
    combination = np.stack([*flags, ref.contact > 0.5], axis=-1).astype(np.int64)
    yield Quantity("flags (body, ball, reference)", combination, arrays["combo_body_obj_ref"])
    weights = named_weights(tuple(arrays["weight_names"].tolist()), arrays["weights_default"])
    jitted = jax.jit(reward.imitation_reward, static_argnums=6)

    def total(options: RewardOptions) -> np.ndarray:
        label = arrays["skill_label"]
        return np.asarray(jitted(sim, ref, arrays["hist_dof_vel"], *flags, weights, options, None, label)[0])

    plain = RewardOptions.reference()
    unified = dataclasses.replace(plain, without_object=WITHOUT_OBJECT)
    yield Quantity("reward_unified", total(unified), arrays["out_reward_unified"], **REWARD)
    yield Quantity("reward_plain", total(plain), arrays["out_reward_plain"], **REWARD)
    terms = dataclasses.replace(unified, combine="terms")
    yield Quantity("reward_deepmimic", total(terms), arrays["out_reward_deepmimic"], **REWARD)


_VARIANT = re.compile(r"out_terminate_(train|test)(_NR)?(?:_cfg(\d+))?")


@covers("v2_reset_unified")
def check_termination(arrays: Arrays) -> Iterator[Quantity]:
    """Falls, which label 0 never ends by, and time-outs of every variant in the file."""
    found = [match for match in map(_VARIANT.fullmatch, arrays) if match]
    if not found:
        raise KeyError("out_terminate_*")
    height, progress = arrays["root_height"], arrays["progress_buf"]
    body_pos = np.zeros((len(height), humanoid.NUM_BODIES, 3), np.float32)
    body_pos[:, 0, 2] = height
    sim = features.simulated_features(body_state(len(height), body_pos=body_pos))
    for match in found:
        configured = int(match.group(3) or 0)
        options = dataclasses.replace(
            TerminationOptions.reference(),
            fall_height=float(arrays["termination_height"]),
            time_out="fixed" if configured else "clip",
            episode_length=configured or 60,
            never_fall=(0,),
        )
        name = match.group().removeprefix("out_terminate_")
        ending = termination.termination(
            sim, sim, progress, arrays["clip_episode_length"], options, arrays["skill_label"]
        )
        yield Quantity(f"terminate_{name}", ending.terminated.astype(int), arrays[f"out_terminate_{name}"])
        yield Quantity(f"reset_{name}", ending.done.astype(int), arrays[f"out_reset_{name}"])
