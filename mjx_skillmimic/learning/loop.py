"""One run as an object: its state and counters, its open files, and what happens around an iteration."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic.config import to_json
from mjx_skillmimic.learning import compiling, describe, ppo
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.dump import dump_from_state, write_dump
from mjx_skillmimic.learning.logging import JsonLines, TensorBoard, read_json_lines
from mjx_skillmimic.learning.progress import Progress, Row, duration
from mjx_skillmimic.learning.signals import GracefulStop
from mjx_skillmimic.learning.workdir import Workdir, check_resumable

MakeTrain = Callable[[Any, Any], tuple[ppo.Init, ppo.TrainIteration]]

NONFINITE_ENDS, SKIPPED_UPDATES = "env/nonfinite", "nonfinite_updates"
# What checkpoints leave out: tables that `init` brings back, and all worlds when `run.checkpoint_env_state` is off.
_SHARED = (".env_state.shared",)
_WORLDS = (".env_state", ".episodes")


class NonfiniteError(RuntimeError):
    """A run stopped because too much became non-finite; `dump` is the file to replay, None if there was nothing."""

    def __init__(self, reason: str, dump: Path | None) -> None:
        super().__init__(f"{reason}; " + (f"worlds are in {dump}" if dump else "the state holds no worlds to dump"))
        self.dump = dump


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a task adds to the loop; none of them may change the state.

    evaluate(state, iteration) -> numbers to log; what it raises ends the run. video(state, iteration, path) writes an
    MP4; what it raises is reported as a warning. export(state, path, metadata) writes the policy.
    """

    evaluate: Callable[[Any, int], Mapping[str, float]] | None = None
    video: Callable[[Any, int, Path], None] | None = None
    export: Callable[[Any, Path, Mapping[str, Any]], Any] | None = None


@dataclasses.dataclass(frozen=True)
class RunResult:
    """How a run ended: reason "finished", "SIGINT", "SIGTERM" or "time", with its last state and metrics."""

    reason: str
    iteration: int
    env_steps: int
    state: Any
    metrics: Mapping[str, float]

    @property
    def finished(self) -> bool:
        return self.reason == "finished"


class Loop:
    """One run: its state, counters and open files."""

    def __init__(self, config: ConfigDict, folder: Workdir, env: Any, hooks: Hooks, progress: Progress) -> None:
        self.config, self.folder, self.hooks, self.progress = config, folder, hooks, progress
        self.began = time.monotonic()
        self.description = describe.describe(env)
        self.env = env
        self.steps_per_iteration = int(config.ppo.num_envs) * int(config.ppo.horizon)
        self.total = -(-int(config.run.total_env_steps) // self.steps_per_iteration)
        self.iteration, self.seconds, self.skipped = 0, 0.0, 0.0
        self.metrics: dict[str, float] = {}
        self.state: Any = None
        self._open: list[Any] = []

    @property
    def env_steps(self) -> int:
        return self.iteration * self.steps_per_iteration

    def start(self, make_train: MakeTrain, resume: bool) -> None:
        """Checks, restores or initialises, compiles, and opens the logs."""
        run = self.config.run
        self.checkpoints = Checkpoints(self.folder.checkpoints, run.checkpoint_keep, run.checkpoint_keep_every)
        self._open.append(self.checkpoints)
        latest = self.checkpoints.latest() if resume else None
        record = self.checkpoints.record(latest) if latest is not None else None
        if record is not None:
            check_resumable(record, self.config, self.description["motion_hash"])
        self.folder.write_config(self.config, self.description)
        self.progress.message(describe.header(self.description))

        init, train_iteration = make_train(self.env, self.config.ppo)
        initialise = compiling.compile_init(init)
        if latest is None or record is None:
            self.state = initialise(jax.random.key(run.seed))
            if resume:
                self.progress.message("no checkpoint was written yet: starting from the beginning")
        else:
            self._restore(latest, record, initialise)
        began = time.monotonic()
        self.train_iteration = compiling.compile_iteration(train_iteration, self.state)
        self.progress.message(f"compiled in {time.monotonic() - began:.0f} s")

        self.lines = JsonLines(self.folder.metrics, keep_until=self.iteration)
        self.evaluations = JsonLines(self.folder.evaluations, keep_until=self.iteration)
        self.tensorboard = TensorBoard(self.folder.tensorboard, self.env_steps + 1) if run.tensorboard else None
        self._open += [self.lines, self.evaluations, *([self.tensorboard] if self.tensorboard else [])]

    def _restore(self, latest: int, record: Mapping[str, Any], initialise: Callable[[Any], Any]) -> None:
        rng = jax.random.key(self.config.run.seed)
        # Another key than the run began with: where episodes begin anew, they must not be those of its beginning.
        template = initialise(jax.random.fold_in(rng, latest))
        self.state = self.checkpoints.restore(latest, template)
        self.iteration, self.seconds, self.skipped = latest, float(record["seconds"]), float(record["skipped"])
        episodes = "" if record["env_state"] else ", with new episodes"
        self.progress.message(f"resuming after iteration {latest} ({self.env_steps:,} env steps){episodes}")

    def run(self, stop: GracefulStop) -> RunResult:
        """Iterates until there is a reason to end, which is saved, whatever it is."""
        budget = 60.0 * self.config.run.max_minutes
        self._evaluate_if_due()
        reason = "finished"
        while self.iteration < self.total:
            self._iterate()
            self._check_finite()
            out_of_time = budget and time.monotonic() - self.began > budget
            if self.iteration < self.total and (stop.requested or out_of_time):
                reason = stop.requested or "time"
                break
            self._evaluate_if_due()
            self._video_if_due()
            if self._due(self.config.run.checkpoint_every):
                self._save()
        self._save()
        if reason == "finished":
            self.progress.message(f"finished: {self.env_steps:,} env steps in {duration(self.seconds)}")
        else:
            self.progress.message(
                f"stopped by {reason} after iteration {self.iteration} of {self.total}, saved in {self.folder.root}: "
                "the same command with --resume continues"
            )
        return RunResult(reason, self.iteration, self.env_steps, self.state, self.metrics)

    def _iterate(self) -> None:
        began = time.monotonic()
        self.state, metrics = self.train_iteration(self.state)
        self.metrics = {name: float(value) for name, value in jax.device_get(metrics).items() if np.ndim(value) == 0}
        elapsed = time.monotonic() - began
        self.iteration += 1
        self.seconds += elapsed
        self.skipped += self.metrics.get(SKIPPED_UPDATES, 0.0)
        speed = self.steps_per_iteration / elapsed
        timing = {"env_steps": self.env_steps, "seconds": self.seconds, "time": time.time(), "steps_per_second": speed}
        self.lines.write(self.iteration, timing | self.metrics)
        if self.tensorboard:
            self.tensorboard.write(self.env_steps, {"steps_per_second": speed} | self.metrics)
        left = (self.total - self.iteration) * self.seconds / self.iteration
        row = Row(
            self.iteration,
            self.env_steps,
            self.total * self.steps_per_iteration,
            speed,
            self.seconds,
            left,
            self.metrics,
        )
        self.progress.update(row)

    def _check_finite(self) -> None:
        """Stops the run with a dump when more is non-finite than the configuration tolerates."""
        limits = self.config.run
        fraction = self.metrics.get(NONFINITE_ENDS, 0.0)
        if not fraction <= limits.max_nonfinite_fraction:
            reason = f"{fraction:.2%} of the env steps of iteration {self.iteration} ended non-finite, tolerated are "
            reason += f"{limits.max_nonfinite_fraction:.2%} (run.max_nonfinite_fraction)"
        elif self.skipped > limits.max_nonfinite_updates:
            reason = f"{self.skipped:.0f} gradient steps were skipped as non-finite up to iteration {self.iteration}, "
            reason += f"tolerated are {limits.max_nonfinite_updates} (run.max_nonfinite_updates)"
        else:
            return
        dump = dump_from_state(self.state, reason, to_json(self.config), self.iteration)
        path = self.folder.dumps / f"nonfinite_{self.iteration:06d}.npz" if dump else None
        if dump and path:
            write_dump(dump, path)
        raise NonfiniteError(reason, path)

    def _evaluate_if_due(self) -> None:
        if self.hooks.evaluate is None or not self._due(self.config.run.eval_every):
            return
        # A resumed run may stand at an iteration that was evaluated before it was saved.
        if any(line["iteration"] == self.iteration for line in read_json_lines(self.folder.evaluations)):
            return
        try:
            values = {name: float(value) for name, value in self.hooks.evaluate(self.state, self.iteration).items()}
        except BaseException:
            # A fault in judging the policy must not cost the training that led to it.
            self._save()
            raise
        self.evaluations.write(self.iteration, {"env_steps": self.env_steps, "seconds": self.seconds} | values)
        if self.tensorboard:
            self.tensorboard.write(self.env_steps, values, prefix="eval/")
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.progress.message(f"evaluation after iteration {self.iteration}: {shown}")

    def _video_if_due(self) -> None:
        if self.hooks.video is None or not self._due(self.config.run.video_every):
            return
        self.folder.videos.mkdir(exist_ok=True)
        path = self.folder.videos / f"iteration_{self.iteration:06d}.mp4"
        try:
            self.hooks.video(self.state, self.iteration, path)
        except Exception as error:
            # A machine without offscreen rendering must still train.
            self.progress.message(f"warning: no video of iteration {self.iteration}: {type(error).__name__}: {error}")

    def _save(self) -> None:
        """Checkpoint and policy of this iteration; nothing if they are there."""
        if self.checkpoints.latest() == self.iteration:
            return
        record = {
            "iteration": self.iteration,
            "env_steps": self.env_steps,
            "seconds": self.seconds,
            "skipped": self.skipped,
            "env_state": bool(self.config.run.checkpoint_env_state),
            "config": self.config.to_dict(),
            **self.description,
        }
        self.checkpoints.save(self.iteration, self.state, record, _SHARED if record["env_state"] else _WORLDS)
        if self.hooks.export is not None:
            metadata = {key: record[key] for key in ("iteration", "env_steps", "config", "versions", "motion_hash")}
            self.hooks.export(self.state, self.folder.policy, metadata)

    def _due(self, every: int) -> bool:
        """Whether a period ends with this iteration; the last iteration ends every period but 0."""
        return every > 0 and (self.iteration == self.total or self.iteration % every == 0)

    def close(self) -> None:
        for resource in reversed(self._open):
            resource.close()
        self._open = []
        self.progress.close()
