"""Pictures of published results: learning curves of several runs, a video of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.viewing.trajectory import Trajectory
from mjx_skillmimic.viewing.video import Video, VideoError, write_video

COLOURS = ("#2a6f97", "#d1495b", "#3a8f5d", "#e09f3e", "#7a5195", "#4f5d75", "#9c6644", "#00798c")
_MILLION = 1e6
_LABEL_HEIGHT = 0.035  # in units of the reward axis, 0…1
# Tried in turn until a video is small enough: width, height, quality.
_VIDEO_SIZES = ((640, 480, 6), (640, 480, 4), (480, 360, 5), (480, 360, 3), (320, 240, 3))


def draw_curves(document: Mapping[str, Any], path: str | Path) -> Path:
    """The curves of a `publish.publish` document: training reward with the earlier experiment's points, and each
    evaluation's Acc and survived fraction."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    figure = pyplot.figure(figsize=(11, 5.4), constrained_layout=True)
    grid = figure.add_gridspec(2, 5)
    reward = figure.add_subplot(grid[:, :3])
    judged = {"acc": figure.add_subplot(grid[0, 3:]), "survived": figure.add_subplot(grid[1, 3:])}
    for colour, run in zip(_cycle(len(document["runs"])), document["runs"], strict=True):
        steps = np.array(run["curve"]["env_steps"]) / _MILLION
        reward.plot(steps, run["curve"]["reward"], color=colour, linewidth=1.8)
        if run["baseline"]:
            point = (run["baseline"]["env_steps"] / _MILLION, run["baseline"]["training_reward"])
            reward.plot(*point, "X", color=colour, markersize=9, markeredgecolor="white", zorder=5)
        for key, axis in judged.items():
            _draw_evaluations(axis, run, key, colour)
    _label_ends(reward, document["runs"])
    reward.set_xlim(left=0.0)
    reward.set_ylim(0.0, 1.0)
    reward.set_title("training reward a step (sampled actions)", fontsize=10)
    marks = [("X", "earlier experiment"), ("o", "evaluated during the run"), ("*", "final policy, evaluated again")]
    handles = [Line2D([], [], marker=m, linestyle="", color="#4f5d75", markersize=8, label=text) for m, text in marks]
    reward.legend(handles=handles, fontsize=8, frameon=False, loc="lower right")
    judged["acc"].set_title("Acc from frame 2 (mean action)", fontsize=10)
    judged["survived"].set_title("survived fraction of the clip", fontsize=10)
    for axis in (reward, *judged.values()):
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in judged.values():
        axis.set_ylim(-0.03, 1.06)
    for axis in (reward, judged["survived"]):
        axis.set_xlabel("environment steps (million)")
    path = Path(path)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    return path


def _label_ends(axis: Any, runs: Sequence[Mapping[str, Any]]) -> None:
    """Each curve's name and final reward beside the plot, pushed apart where they would overlap."""
    height, places = 0.0, []
    for i, run in sorted(enumerate(runs), key=lambda item: item[1]["training"]["reward"]):
        height = max(run["training"]["reward"], height + _LABEL_HEIGHT)
        places.append((height, f"{run['name']} {run['training']['reward']:.2f}", COLOURS[i % len(COLOURS)]))
    for y, text, colour in places:
        axis.text(1.01, y, text, color=colour, va="center", fontsize=9, transform=axis.get_yaxis_transform())


def _cycle(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _draw_evaluations(axis: Any, run: Mapping[str, Any], key: str, colour: str) -> None:
    own = [(e["env_steps"] / _MILLION, e[key]) for e in run["own_evaluations"] if e.get(key) is not None]
    if own:
        axis.plot(*zip(*own, strict=True), "o-", color=colour, markersize=4, linewidth=1.2)
    end = run["training"]["env_steps"] / _MILLION
    for result in run["evaluations"].values():
        value = result["first"]["total"][key]["value"]
        if own:
            axis.plot([own[-1][0], end], [own[-1][1], value], ":", color=colour, linewidth=1.2)
        axis.plot(
            end, result["first"]["total"][key]["value"], "*", color=colour, markersize=11, markeredgecolor="white"
        )


def write_small_video(t: Trajectory, path: str | Path, limit: int = 700_000, backend: str = "software") -> Video:
    """An MP4 of at most 480 pixels' height and `limit` bytes: quality, then size give way until it fits.

    Raises VideoError if it never does.
    """
    for width, height, quality in _VIDEO_SIZES:
        video = write_video(t, path, width, height, backend=backend, quality=quality)
        if video.path.stat().st_size <= limit:
            return video
    raise VideoError(f"{path}: {t.num_frames} frames take {video.path.stat().st_size} bytes, allowed are {limit}")
