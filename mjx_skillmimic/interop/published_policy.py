"""A published checkpoint as this project's file: a policy that runs, or a high-level policy for later use."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from mjx_skillmimic.imitation.observation import observation_layout
from mjx_skillmimic.imitation.options import ObservationOptions
from mjx_skillmimic.interop.rl_games import Checkpoint
from mjx_skillmimic.interop.torch_file import CheckpointError
from mjx_skillmimic.learning.normalizer import RunningMoments
from mjx_skillmimic.learning.policy import PolicyBundle, save_policy
from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.motion.skill_names import skill_name

PUBLISHED_MOTION = "BallPlay-M"
HIGH_LEVEL_FORMAT = "mjx_skillmimic high-level policy"
_LAYOUT = observation_layout(ObservationOptions.reference())
# Other published policies with the same layout of file (skillmimic_v2.md §2, §7), by the width of their observations.
_OTHERS = {
    905: "SkillMimic-V2 with its history embedding",
    1022: "SkillMimic-V2 on ParaHome",
    1025: "SkillMimic-V2 on ParaHome with its history embedding",
    1028: "SkillMimic-V2 on ParaHome with a phase",
}
# What the published high-level tasks choose from (§10.1), by observations and number of choices.
_TASKS: dict[tuple[int, int], tuple[str, list[int]]] = {
    (843, 3): ("circling", [12, 13, 11]),
    (842, 3): ("heading", [12, 13, 11]),
    (838, 3): ("throwing", [34, 1, 13]),
    (843, 7): ("scoring", [31, 1, 2, 12, 13, 11, 31]),
}


def to_policy(checkpoint: Checkpoint, motion: str = PUBLISHED_MOTION) -> PolicyBundle:
    """A low-level checkpoint as a policy whose metadata hold a configuration of the preset `reference`.

    motion: clip name, file or folder that `evaluate.py` and `play.py` take without --motion. Columns of the observation
    and components of the action are in the same order there and here (§1.2, §4.2, §5), so that nothing is permuted.
    Raises CheckpointError for a high-level policy, or one for another humanoid or observation.
    """
    sizes = (checkpoint.obs_size, checkpoint.action_size)
    if checkpoint.kind != "llc" or sizes != (_LAYOUT.size, NUM_DOFS):
        known = f" ({_OTHERS[sizes[0]]})" if checkpoint.kind == "llc" and sizes[0] in _OTHERS else ""
        expected = f"a low-level policy of {_LAYOUT.size} observations and {NUM_DOFS} actions"
        raise CheckpointError(checkpoint.origin["file"], f"{checkpoint}{known}", expected)
    metadata = {
        "checkpoint": dict(checkpoint.origin),
        "skills": [{"label": label, "name": skill_name(label)} for label in labels_seen(checkpoint)],
        "config": _configuration(motion),
    }
    return PolicyBundle(checkpoint.actor, checkpoint.moments, checkpoint.hidden, NUM_DOFS, 1.0, metadata)


def labels_seen(checkpoint: Checkpoint) -> list[int]:
    """The skill labels that a low-level policy has met in training: their columns' mean is no longer zero (§8.3)."""
    return np.flatnonzero(np.asarray(checkpoint.moments.mean)[_LAYOUT.slice("skill")] > 0.0).tolist()


def task_of(checkpoint: Checkpoint) -> tuple[str, list[int]] | None:
    """Name and skill labels, in the order of the choices, of the published task that a high-level policy fits."""
    return _TASKS.get((checkpoint.obs_size, checkpoint.action_size)) if checkpoint.kind == "hlc" else None


def save_checkpoint(path: str | Path, checkpoint: Checkpoint, motion: str = PUBLISHED_MOTION) -> Path:
    """Writes OUT.npz, a policy (`save_policy`) or a high-level policy, and returns its path.

    The latter holds arrays "actor/params/…", "moments/…" and a JSON "header" (uint8) with format, version, sizes, task
    and choices (None where they fit no published task), and origin: docs/checkpoints.md. Raises CheckpointError as
    `to_policy`; FileExistsError beside a run's config.json, which would be taken for the policy's own.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: expected a name that ends in .npz")
    if checkpoint.kind == "llc":
        policy = to_policy(checkpoint, motion)
        if (beside := path.with_name("config.json")).exists():
            raise FileExistsError(
                f"{beside} would be taken for the configuration of {path.name}: choose another folder"
            )
        return save_policy(path, policy)
    task, choices = task_of(checkpoint) or (None, None)
    header = {"format": HIGH_LEVEL_FORMAT, "version": 1, "task": task, "choices": choices}
    header |= {name: getattr(checkpoint, name) for name in ("obs_size", "hidden", "action_size")}
    header["origin"] = dict(checkpoint.origin)
    arrays = {f"actor/{name}": value for name, value in flatten_dict(checkpoint.actor, sep="/").items()}
    fields = dataclasses.fields(RunningMoments)
    arrays |= {f"moments/{field.name}": getattr(checkpoint.moments, field.name) for field in fields}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
    return path


def _configuration(motion: str) -> dict[str, Any]:
    from mjx_skillmimic import envs

    config = envs.default_config("BallPlay", "reference")
    with config.unlocked():
        config.motion.path = motion
    return config.to_dict()
