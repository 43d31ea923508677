"""What a run writes about one seed: metrics, evaluations, TensorBoard, videos and the policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.learning.logging import JsonLines, TensorBoard, read_json_lines
from mjx_skillmimic.learning.progress import Progress
from mjx_skillmimic.learning.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Hooks:
    """What a task adds to the loop; none of them may change the state.

    evaluate(state, iteration) -> numbers to log; what it raises ends the run. video(state, iteration, path) writes an
    MP4; what it raises is reported as a warning. export(state, path, metadata) writes the policy. These three see one
    seed's state on one device, without worlds (`env_state` and `episodes` are None) where the run has several seeds or
    devices. advise(state) -> what to do about lost contacts; it sees the whole state.
    """

    evaluate: Callable[[Any, int], Mapping[str, float]] | None = None
    video: Callable[[Any, int, Path], None] | None = None
    export: Callable[[Any, Path, Mapping[str, Any]], Any] | None = None
    advise: Callable[[Any], str] | None = None


class Outputs:
    """The open files of one seed, in a folder of its own where a run has several."""

    def __init__(
        self,
        folder: Workdir,
        config: ConfigDict,
        hooks: Hooks,
        progress: Progress,
        iteration: int,
        env_steps: int,
        label: str = "",
    ) -> None:
        """iteration, env_steps: where the run begins; what the files hold beyond is dropped. label: before messages."""
        self.label = label
        self.folder, self.config, self.hooks, self.progress = folder, config, hooks, progress
        self.lines = JsonLines(folder.metrics, keep_until=iteration)
        self.evaluations = JsonLines(folder.evaluations, keep_until=iteration)
        self.tensorboard = TensorBoard(folder.tensorboard, env_steps + 1) if config.run.tensorboard else None

    def log(self, iteration: int, timing: Mapping[str, float], metrics: Mapping[str, float]) -> None:
        """One iteration; timing holds env_steps, seconds, time and steps_per_second."""
        self.lines.write(iteration, {**timing, **metrics})
        if self.tensorboard:
            speed = {"steps_per_second": timing["steps_per_second"]}
            self.tensorboard.write(int(timing["env_steps"]), {**speed, **metrics})

    def evaluate(self, state: Any, iteration: int, env_steps: int, seconds: float) -> None:
        """Calls the hook and logs its numbers; nothing if that iteration was evaluated before the run was resumed."""
        if self.hooks.evaluate is None or self.evaluated(iteration):
            return
        values = {name: float(value) for name, value in self.hooks.evaluate(state, iteration).items()}
        self.evaluations.write(iteration, {"env_steps": env_steps, "seconds": seconds, **values})
        if self.tensorboard:
            self.tensorboard.write(env_steps, values, prefix="eval/")
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.progress.message(f"{self.label}evaluation after iteration {iteration}: {shown}")

    def evaluated(self, iteration: int) -> bool:
        """Whether that iteration's evaluation is in the file."""
        return any(line["iteration"] == iteration for line in read_json_lines(self.folder.evaluations))

    def video(self, state: Any, iteration: int) -> None:
        """Calls the hook; a failure is a warning."""
        if self.hooks.video is None:
            return
        self.folder.videos.mkdir(exist_ok=True)
        path = self.folder.videos / f"iteration_{iteration:06d}.mp4"
        try:
            self.hooks.video(state, iteration, path)
        except Exception as error:
            # A machine without offscreen rendering must still train.
            trouble = f"{type(error).__name__}: {error}"
            self.progress.message(f"{self.label}warning: no video of iteration {iteration}: {trouble}")

    def export(self, state: Any, metadata: Mapping[str, Any]) -> None:
        """Calls the hook with the policy's path."""
        if self.hooks.export is not None:
            self.hooks.export(state, self.folder.policy, {**metadata, "config": self.config.to_dict()})

    def close(self) -> None:
        self.lines.close()
        self.evaluations.close()
        if self.tensorboard:
            self.tensorboard.close()


def seed_folders(folder: Workdir, config: ConfigDict) -> list[tuple[Workdir, ConfigDict]]:
    """Folder and configuration of each seed of a run: its own if there is one, else those of a run of it alone."""
    if config.run.seeds == 1:
        return [(folder, config)]
    members = []
    for seed in range(config.run.seed, config.run.seed + config.run.seeds):
        alone = config.copy_and_resolve_references()
        with alone.unlocked():
            alone.run.update(seed=seed, seeds=1)
        members.append((folder.member(seed), alone))
    return members
