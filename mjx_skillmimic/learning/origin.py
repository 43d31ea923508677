"""Where a run's first state comes from: a checkpoint of its own, another run or policy, or its seed alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic.learning import compiling, inherit, low_level
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.options import from_mapping
from mjx_skillmimic.learning.parallel import Program
from mjx_skillmimic.learning.workdir import check_resumable


@dataclasses.dataclass(frozen=True)
class Origin:
    """What was found before anything compiles; record: of the checkpoint to resume. messages: lines about it."""

    iteration: int = 0
    record: Mapping[str, Any] | None = None
    source: inherit.Source | None = None
    messages: tuple[str, ...] = ()

    @property
    def saved(self) -> int:
        """The iteration whose checkpoint is there, -1 if none is."""
        return -1 if self.record is None else self.iteration

    @property
    def seconds(self) -> float:
        return 0.0 if self.record is None else float(self.record["seconds"])

    def skipped(self, seeds: int) -> np.ndarray:
        """Gradient steps of each seed that were skipped as non-finite."""
        return np.ones(seeds) * (0.0 if self.record is None else self.record["skipped"])

    def state(self, program: Program, checkpoints: Checkpoints, config: ConfigDict) -> tuple[Any, list[str]]:
        """The first state and lines that say what it is. Raises CheckpointError or InitError where it does not fit."""
        initialise = compiling.compile_init(program.init)
        messages = list(self.messages)
        if self.record is not None:
            # Other keys than the run began with: where episodes begin anew, they must not be those of its beginning.
            template = initialise(program.keys(config.run.seed, self.iteration))
            return checkpoints.restore(self.iteration, template), messages
        state = initialise(program.keys(config.run.seed))
        if self.source is not None:
            state, message = inherit.apply(state, self.source, from_mapping(config.ppo), program.seeds)
            messages.append(message)
        return state, messages


def find(config: ConfigDict, checkpoints: Checkpoints, resume: bool, description: Mapping[str, Any]) -> Origin:
    """What a run starts from; a checkpoint of its own goes before `run.init_from`. description: of `describe`.

    Raises ResumeError if the configuration does not allow the checkpoint, InitError for a source that is no such; each
    also for what was trained on another low-level policy, unless `low_level.allow_other`.
    """
    latest = checkpoints.latest() if resume else None
    init_from = config.run.get("init_from", "")
    if latest is not None:
        record = checkpoints.record(latest)
        check_resumable(record, config, description["motion_hash"], description)
        steps = latest * int(config.ppo.num_envs) * int(config.ppo.horizon)
        episodes = "" if record["env_state"] else ", with new episodes"
        messages = [f"resuming after iteration {latest} ({steps:,} env steps){episodes}"]
        messages += [f"run.init_from = {init_from} does not count: the run has begun"] if init_from else []
        return Origin(latest, record, messages=tuple(messages))
    messages = ["no checkpoint was written yet: starting from the beginning"] if resume else []
    source = inherit.read(Path(init_from)) if init_from else None
    trouble = low_level.complaint(source.metadata, description, source.name) if source else None
    if trouble and not low_level.allows_other(config):
        raise inherit.InitError(f"run.init_from: {trouble}")
    return Origin(source=source, messages=tuple(messages))
