"""What the recorder beside Isaac Gym begins from: start states with targets as a trace, a policy with its settings."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import rotations
from mjx_skillmimic.evaluation.policies import policy_file
from mjx_skillmimic.evaluation.rollouts import draw_starts
from mjx_skillmimic.imitation.options import ActionOptions, ObservationOptions
from mjx_skillmimic.interop.isaacgym.policy import SETTINGS_FORMAT, VERSION, ObservationSettings
from mjx_skillmimic.interop.recorder import record
from mjx_skillmimic.interop.trace import Trace
from mjx_skillmimic.motion import table


def clip_starts(env: Any, count: int, steps: int, seed: int = 0) -> Trace:
    """What the environment's engine makes of `count` start states with the following poses as PD targets.

    env: one in which whole clips can be run (`evaluation.setup.make_env`). Frames are drawn at random, clips in turn;
    a course ends after `steps` control steps or with its clip. Names are "clip/frame"; `meta["skills"]` are the labels.
    """
    tables = env.tables
    lengths = np.asarray(tables.motions.lengths)
    clip, frame = draw_starts(lengths, count, "random", seed)
    info, row = env.episodes.chosen(tables, clip, frame)
    qpos, qvel, _ = env.episodes.start_state(tables, info, row)
    following = table.rows(tables.motions, clip[:, None], frame[:, None] + 1 + np.arange(steps))
    # the short way round, whatever branch the clip's rotation vector is on
    targets = rotations.log(np.asarray(tables.motions.state.joint_quat)[np.asarray(following)])
    return record(
        env.physics,
        env.scene,
        np.asarray(qpos, np.float64),
        np.asarray(qvel, np.float64),
        targets.reshape(count, steps, -1),
        [f"{tables.motions.names[c]}/{f:04d}" for c, f in zip(clip, frame, strict=True)],
        meta={"targets": "the clips' next poses", "skills": np.asarray(tables.motions.skills)[clip].tolist()},
        lengths=np.minimum(steps, lengths[clip] - 1 - frame),
    )


def export_policy(
    policy: str | Path, folder: str | Path, observation: ObservationOptions, action: ActionOptions
) -> tuple[Path, Path]:
    """Copies a policy's file to FOLDER/policy.npz and writes what it sees and does to policy.json beside it.

    policy: a run's folder, a policy file, or the name of a shipped policy. Raises FileNotFoundError as `policy_file`.
    """
    weights, settings = Path(folder) / "policy.npz", Path(folder) / "policy.json"
    shutil.copyfile(policy_file(policy), weights)
    names = [field.name for field in dataclasses.fields(ObservationSettings)]
    content = {
        "format": SETTINGS_FORMAT,
        "version": VERSION,
        "policy": str(policy),
        "observation": {name: getattr(observation, name) for name in names},
        "action": {"scale": action.scale, "clip": action.clip},
    }
    settings.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return weights, settings
