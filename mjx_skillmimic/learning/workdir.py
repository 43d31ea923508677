"""The folder of one run: what is where, and whether a run may start or continue in it."""

from __future__ import annotations

import json
import os
import shutil
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.config import differences, to_json
from mjx_skillmimic.config.compare import ABSENT
from mjx_skillmimic.config.errors import nearest
from mjx_skillmimic.learning import low_level

# Sections that do not change what is learned; `run.seed`, `run.seeds` and a motion whose content has no hash do.
FREE_ON_RESUME = ("run", "eval", "video", "render", "physics.options")
# Options that came later, with the values that say what runs did before.
SINCE = {
    "episode.action": "skill",
    "observation.critic": "policy",
    "ppo.critic_learning_rate": 0.0,
    "reward.combine": "product",
    "start.failure_power": 2.0,
    "start.placement_probability": 0.0,
    "start.placement_radius": 1.0,
    "start.placement_speed": 0.4,
    "start.placement_stretch": 1.0,
    "start.placement_turn": 1.0,
    "start.placement_turn_rate": 0.5,
    "start.prioritise_labels": False,
    "start.sampling": "uniform",
    "start.score_rate": 0.05,
    "start.seam_distance": 0.35,
    "start.seam_probability": 0.0,
    "start.seam_skills": (),
    "start.seam_steps": 240,
    "start.transition_distance": 0.3,
    "start.transition_probability": 0.0,
    "start.uniform_share": 0.25,
    "weights.ee": 0.0,
    "weights.root": 0.0,
}
_OUTPUTS = (
    "config.json",
    "run.json",
    "metrics.jsonl",
    "evaluations.jsonl",
    "policy.npz",
    "checkpoints",
    "tensorboard",
    "videos",
    "dumps",
)
_MEMBER = "seed_"


class ResumeError(RuntimeError):
    """A run that cannot start or continue in its folder; the message says what would."""


class Workdir:
    """Paths of a run's outputs under `root`, which is created."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.config = self.root / "config.json"
        self.run = self.root / "run.json"
        self.metrics = self.root / "metrics.jsonl"
        self.evaluations = self.root / "evaluations.jsonl"
        self.policy = self.root / "policy.npz"
        self.checkpoints = self.root / "checkpoints"
        self.tensorboard = self.root / "tensorboard"
        self.videos = self.root / "videos"
        self.dumps = self.root / "dumps"

    def prepare(self, *, resume: bool, overwrite: bool) -> None:
        """Creates the folder, or checks the one that is there.

        Raises ResumeError for outputs of an earlier run that were to be neither continued nor overwritten, for a resume
        of what does not exist, and for a folder with files of something else.
        """
        existing = sorted(entry.name for entry in self.root.iterdir()) if self.root.is_dir() else []
        is_run = self.config.name in existing
        if resume and not is_run:
            runs = [str(path.parent) for path in self.root.parent.glob("*/config.json")]
            raise ResumeError(f"{self.root} holds no run to resume{nearest(str(self.root), runs)}")
        if not resume and existing and not overwrite:
            advice = (
                "continue with --resume, start again with --overwrite, or name another --workdir"
                if is_run
                else "name another --workdir"
            )
            raise ResumeError(f"{self.root} is not empty ({', '.join(existing[:5])}): {advice}")
        foreign = [name for name in existing if not _is_output(name)]
        if overwrite and not resume and foreign and not is_run:
            raise ResumeError(
                f"{self.root} is no run of ours, it holds {', '.join(foreign[:5])}: name another --workdir"
            )
        if overwrite and not resume:
            # Only what a run writes is deleted, never what somebody put beside it.
            for name in filter(_is_output, existing):
                path = self.root / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.root.mkdir(parents=True, exist_ok=True)

    def member(self, seed: int) -> Workdir:
        """The folder of one seed of a run with several."""
        folder = Workdir(self.root / f"{_MEMBER}{seed}")
        folder.root.mkdir(exist_ok=True)
        return folder

    def write_config(self, config: ConfigDict, description: Mapping[str, Any]) -> None:
        """Writes the resolved configuration, and what the run was made with (devices, versions, motion hash)."""
        replace_text(self.config, to_json(config) + "\n")
        replace_text(self.run, json.dumps(description, indent=2, sort_keys=True) + "\n")


def _is_output(name: str) -> bool:
    return name in _OUTPUTS or (name.startswith(_MEMBER) and name.removeprefix(_MEMBER).isdigit())


def replace_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def check_resumable(
    record: Mapping[str, Any],
    config: ConfigDict,
    motion_hash: str | None,
    description: Mapping[str, Any] = types.MappingProxyType({}),
) -> None:
    """Raises ResumeError if the motion, the low-level policy or a key that matters differs from the checkpoint's.

    description: of `learning.describe`, which names the low-level policy if there is one.
    """
    stored_hash = record.get("motion_hash")
    if stored_hash != motion_hash:
        raise ResumeError(
            "the motion clips are not those of the checkpoint: "
            f"hash {_short(motion_hash)}, expected {_short(stored_hash)}"
        )
    trouble = low_level.complaint(record, description, "the checkpoint")
    if trouble and not low_level.allows_other(config):
        raise ResumeError(trouble)
    # Equal content may have moved to another place.
    free = FREE_ON_RESUME + (("motion.path",) if motion_hash else ())
    free += ("low_level.policy", "low_level.allow_other") if low_level.sha256_of(description) else ()
    old, new = dict(record["config"]), json.loads(to_json(config))
    changed = [d for d in differences(old, new, free=free) if d.old != ABSENT or d.new != SINCE.get(d.key, ABSENT)]
    # Runs of before there were several seeds had one.
    begun = {"seeds": 1, **old.get("run", {})}
    changed += [d for d in differences(begun, new.get("run", {})) if d.key in ("seed", "seeds")]
    if changed:
        lines = "\n".join(f"  - {difference}" for difference in changed)
        raise ResumeError(f"the configuration differs from the checkpoint's in what is learned:\n{lines}")


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
