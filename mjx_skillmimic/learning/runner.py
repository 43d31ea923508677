"""The outer training loop: one compiled iteration, and around it logs, evaluation, checkpoints, stop and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.learning import hosts, inherit, ppo
from mjx_skillmimic.learning.checkpoint import CheckpointError
from mjx_skillmimic.learning.inherit import InitError
from mjx_skillmimic.learning.loop import Loop
from mjx_skillmimic.learning.outputs import Hooks
from mjx_skillmimic.learning.parallel import DeviceError, MakeTrain
from mjx_skillmimic.learning.progress import Progress, Silent, make_progress
from mjx_skillmimic.learning.signals import GracefulStop
from mjx_skillmimic.learning.stops import ContactOverflowError, NonfiniteError, RunResult
from mjx_skillmimic.learning.workdir import ResumeError, Workdir

__all__ = [
    "CheckpointError",
    "ContactOverflowError",
    "DeviceError",
    "Hooks",
    "InitError",
    "NonfiniteError",
    "ResumeError",
    "RunResult",
    "run",
]


def run(
    config: ConfigDict,
    workdir: str | Path,
    resume: bool = False,
    *,
    env: Any,
    make_train: MakeTrain = ppo.make_train,
    hooks: Hooks | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: GracefulStop | None = None,
) -> RunResult:
    """Trains until `config.run.total_env_steps`, a signal or `config.run.max_minutes`; leaves everything in workdir.

    env: what `make_train(env, config.ppo)` takes; its `physics.name` and `motion_hash` or `clips` are used if there.
    Reads the sections `ppo` (num_envs, horizon) and `run` (see `config.run_defaults`). make_train: takes the keyword
    axis_name where the run has several devices (`learning.parallel`).

    Raises:
        ResumeError: before compiling, if the folder or the configuration do not allow the run.
        DeviceError: `run.devices` are not there, or worlds and minibatches do not split over them.
        CheckpointError: the checkpoint's state does not fit.
        InitError: `run.init_from` is not there, does not fit, or lies in the work folder.
        NonfiniteError: too many worlds or updates were non-finite; with a dump.
        ContactOverflowError: the engine lost more contacts than `run.max_overflow_fraction` allows; saved.
        Exception: whatever the evaluation raises, after saving.
    """
    folder = Workdir(Path(workdir))
    if not resume and (source := config.run.get("init_from", "")):
        inherit.check(Path(source), folder.root)
    if hosts.is_primary():
        folder.prepare(resume=resume, overwrite=overwrite)
    hosts.wait("work folder prepared")
    progress = progress or (make_progress() if hosts.is_primary() else Silent())
    stop = stop or GracefulStop(lambda name: progress.message(f"{name}: finishing this iteration, then saving"))
    loop = Loop(config, folder, env, hooks or Hooks(), progress)
    try:
        with stop:
            loop.start(make_train, resume)
            return loop.run(stop)
    finally:
        loop.close()
