"""One run as an object: its state and counters, its open files, and what happens around an iteration."""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mjx_skillmimic.config import to_json
from mjx_skillmimic.learning import compiling, describe, hosts, origin, parallel, stops
from mjx_skillmimic.learning.checkpoint import Checkpoints
from mjx_skillmimic.learning.dump import dump_from_state, write_dump
from mjx_skillmimic.learning.outputs import Hooks, Outputs, seed_folders
from mjx_skillmimic.learning.progress import Progress, Row, duration
from mjx_skillmimic.learning.rollout import Metrics
from mjx_skillmimic.learning.signals import GracefulStop
from mjx_skillmimic.learning.stops import RunResult
from mjx_skillmimic.learning.workdir import Workdir

# What checkpoints leave out: tables that `init` brings back, and all worlds when `run.checkpoint_env_state` is off.
_SHARED = (".env_state.shared",)
_WORLDS = (".env_state", ".episodes")


class Loop:
    """One run: its state, counters and open files.

    While an iteration runs on the device, the metrics of the one before are fetched and written; an iteration whose
    state is evaluated, drawn or saved is waited for. `iteration` counts those that were begun; `env_steps` are those of
    one seed.
    """

    def __init__(self, config: ConfigDict, folder: Workdir, env: Any, hooks: Hooks, progress: Progress) -> None:
        self.config, self.folder, self.hooks, self.progress = config, folder, hooks, progress
        self.began = time.monotonic()
        self.description = describe.describe(env)
        self.env = env
        self.seeds = int(config.run.seeds)
        self.steps_per_iteration = int(config.ppo.num_envs) * int(config.ppo.horizon)
        self.total = -(-int(config.run.total_env_steps) // self.steps_per_iteration)
        self.iteration, self.saved, self.seconds = 0, -1, 0.0
        self.skipped = np.zeros(self.seeds)
        self.metrics: dict[str, float] = {}
        self.state: Any = None
        self.outputs: list[Outputs] = []
        self._running: collections.deque[tuple[int, Metrics, float]] = collections.deque()
        self._recent: collections.deque[float] = collections.deque(maxlen=10)
        self._reported = 0.0
        self._open: list[Any] = []

    @property
    def env_steps(self) -> int:
        return self.iteration * self.steps_per_iteration

    def start(self, make_train: parallel.MakeTrain, resume: bool) -> None:
        """Checks, restores or initialises, compiles, and opens the logs."""
        run = self.config.run
        mesh = parallel.make_mesh(run.devices)
        self.checkpoints = Checkpoints(self.folder.checkpoints, run.checkpoint_keep, run.checkpoint_keep_every)
        self._open.append(self.checkpoints)
        begun = origin.find(self.config, self.checkpoints, resume, self.description)
        self.program = parallel.assemble(make_train, self.env, self.config.ppo, mesh, self.seeds)
        members = seed_folders(self.folder, self.config) if hosts.is_primary() else []
        for folder, config in {self.folder: self.config, **dict(members)}.items() if members else ():
            folder.write_config(config, self.description)
        self.progress.message(describe.header(self.description, mesh.size if mesh else 1, self.seeds))

        self.state, messages = begun.state(self.program, self.checkpoints, self.config)
        self.iteration, self.saved, self.seconds = begun.iteration, begun.saved, begun.seconds
        self.skipped = begun.skipped(self.seeds)
        for message in messages:
            self.progress.message(message)
        began = time.monotonic()
        self.train_iteration = compiling.compile_iteration(self.program.train_iteration, self.state)
        self.progress.message(f"compiled in {time.monotonic() - began:.0f} s")
        start = self.iteration, self.env_steps
        for number, (folder, config) in enumerate(members):
            self.outputs.append(Outputs(folder, config, self.hooks, self.progress, *start, self._label(number)))
        self._open += self.outputs

    def run(self, stop: GracefulStop) -> RunResult:
        """Iterates until there is a reason to end, which is saved, whatever it is."""
        reason: str | None = None
        self._evaluate_if_due()
        while self.iteration < self.total and reason is None:
            self._launch()
            self._report(leave=0 if self._is_looked_at() else 1)
            reason = self._reason_to_end(stop) if self.iteration < self.total else None
            if reason is None:
                self._evaluate_if_due()
                self._video_if_due()
                if self._due(self.config.run.checkpoint_every):
                    self._save()
        self._report(leave=0)
        self._save()
        if reason is None:
            self.progress.message(f"finished: {self.env_steps:,} env steps in {duration(self.seconds)}")
        else:
            self.progress.message(
                f"stopped by {reason} after iteration {self.iteration} of {self.total}, saved in {self.folder.root}: "
                "the same command with --resume continues"
            )
        return RunResult(reason or "finished", self.iteration, self.env_steps, self.state, self.metrics)

    def _reason_to_end(self, stop: GracefulStop) -> str | None:
        """A signal or the time, on the first process; the others follow it, for no iteration runs without them."""
        budget = 60.0 * self.config.run.max_minutes
        out_of_time = budget and time.monotonic() - self.began > budget
        return hosts.agree(stop.requested or ("time" if out_of_time else None))

    def _launch(self) -> None:
        """Begins the next iteration, which takes the state's buffers."""
        began = time.monotonic()
        self.state, metrics = self.train_iteration(self.state)
        self.iteration += 1
        self._running.append((self.iteration, metrics, began))

    def _report(self, leave: int) -> None:
        """Waits for all iterations but the last `leave`, writes their metrics, and ends the run if it must end."""
        while len(self._running) > leave:
            iteration, members = self._collect()
            for number, metrics in enumerate(members):
                self._check(number, iteration, metrics)

    def _collect(self) -> tuple[int, list[dict[str, float]]]:
        """Waits for the oldest running iteration and logs it; its number and each seed's metrics."""
        iteration, metrics, began = self._running.popleft()
        values = {name: np.ravel(value) for name, value in jax.device_get(metrics).items()}
        now = time.monotonic()
        elapsed, self._reported = now - max(began, self._reported), now
        self.seconds += elapsed
        self._recent.append(elapsed)
        scalars = {name: value for name, value in values.items() if len(value) == self.seeds}
        members = [{name: float(value[number]) for name, value in scalars.items()} for number in range(self.seeds)]
        self.skipped += [member.get(stops.SKIPPED_UPDATES, 0.0) for member in members]
        self.metrics = {name: float(np.mean(value)) for name, value in scalars.items()}

        # A mean: when metrics arrive depends on when the host is free, so that single intervals are off by a good part.
        pace = len(self._recent) / max(sum(self._recent), 1e-9)
        env_steps, speed = iteration * self.steps_per_iteration, self.steps_per_iteration * self.seeds * pace
        timing = {"env_steps": env_steps, "seconds": self.seconds, "time": time.time(), "steps_per_second": speed}
        for output, member in zip(self.outputs, members, strict=False):
            output.log(iteration, timing, member)
        left = (self.total - iteration) * self.seconds / iteration
        total = self.total * self.steps_per_iteration
        self.progress.update(Row(iteration, env_steps, total, speed, self.seconds, left, self.metrics))
        return iteration, members

    def _check(self, number: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Ends the run when more is non-finite (with a dump) or more contacts are lost (saved) than tolerated."""
        limits = self.config.run
        nonfinite = stops.nonfinite(metrics, self.skipped[number], iteration, limits)
        overflow = stops.overflow(metrics, self.steps_per_iteration, iteration, limits)
        if not nonfinite and not overflow:
            return
        # The state is that of the iteration begun last, whose metrics belong beside it.
        while self._running:
            self._collect()
        seed = self._label(number)
        if nonfinite:
            state = self.program.member(hosts.gathered(self.state), number)
            dump = dump_from_state(state, nonfinite, to_json(self.config), iteration)
            path = self.folder.dumps / f"nonfinite_{iteration:06d}.npz" if dump else None
            if dump and path and hosts.is_primary():
                write_dump(dump, path)
            raise stops.NonfiniteError(f"{seed}{nonfinite}", path)
        self._save()
        advice = f"{self.hooks.advise(self.state)}; " if self.hooks.advise else ""
        raise stops.ContactOverflowError(f"{seed}{overflow}; saved in {self.folder.root}; {advice}{stops.MORE_ROOM}")

    def _label(self, number: int) -> str:
        return f"seed {self.config.run.seed + number}: " if self.seeds > 1 else ""

    def _view(self, number: int) -> Any:
        """One seed's state for the hooks."""
        if self.program.worlds is None:
            return self.state
        state = dataclasses.replace(self.state, env_state=None, episodes=None)
        worlds = dataclasses.replace(self.program.worlds, env_state=None, episodes=None)
        return dataclasses.replace(self.program, worlds=worlds).member(parallel.on_first_device(state), number)

    def _evaluate_if_due(self) -> None:
        if not self._due(self.config.run.eval_every):
            return
        try:
            for number, output in enumerate(self.outputs):
                output.evaluate(self._view(number), self.iteration, self.env_steps, self.seconds)
        except BaseException:
            # A fault in judging the policy must not cost the training that led to it.
            self._save()
            raise

    def _video_if_due(self) -> None:
        if self._due(self.config.run.video_every):
            for number, output in enumerate(self.outputs):
                output.video(self._view(number), self.iteration)

    def _save(self) -> None:
        """Checkpoint and policies of this iteration; nothing if they are there."""
        if self.saved == self.iteration:
            return
        record = {
            "iteration": self.iteration,
            "env_steps": self.env_steps,
            "seconds": self.seconds,
            "skipped": self.skipped.tolist() if self.seeds > 1 else float(self.skipped[0]),
            "env_state": bool(self.config.run.checkpoint_env_state),
            "config": self.config.to_dict(),
            **self.description,
        }
        self.checkpoints.save(self.iteration, self.state, record, _SHARED if record["env_state"] else _WORLDS)
        self.saved = self.iteration
        metadata = {key: record[key] for key in ("iteration", "env_steps", "versions", "motion_hash")}
        metadata |= getattr(self.env, "policy_metadata", {})
        for number, output in enumerate(self.outputs):
            output.export(self._view(number), metadata)

    def _is_looked_at(self) -> bool:
        """Whether somebody wants this iteration's state before the next one takes its buffers."""
        run = self.config.run
        wishes = (run.checkpoint_every, run.eval_every if self.hooks.evaluate else 0)
        return any(self._due(every) for every in (*wishes, run.video_every if self.hooks.video else 0))

    def _due(self, every: int) -> bool:
        """Whether a period ends with this iteration; the last iteration ends every period but 0."""
        return every > 0 and (self.iteration == self.total or self.iteration % every == 0)

    def close(self) -> None:
        for resource in reversed(self._open):
            resource.close()
        self._open, self.outputs = [], []
        self.progress.close()
