"""Finished runs as a page of results: numbers, table, curves, videos and key frames, all from the runs' own folders."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import report, rollouts, setup
from mjx_skillmimic.evaluation.policies import make_agent
from mjx_skillmimic.evaluation.publish_text import markdown
from mjx_skillmimic.evaluation.run_record import RunRecord, command_line, read_run, reward_at, training_summary
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.library import load_clips, motion_hash

_CURVE_POINTS = 80
_SHEET_LIMIT = 200_000  # bytes


@dataclasses.dataclass(frozen=True)
class PublishOptions:
    """motion_root: where relative motion paths are looked for besides the working folder. engines: what the final
    policies are evaluated with. episodes: from random start frames, for each run. baseline: a document
    like `docs/results/baseline_experiment.json`. notes: Markdown for the top of the page. command: shown on the page.
    renderer: as in `viewing.video.write_video`."""

    motion_root: Path | None = None
    engines: tuple[str, ...] = ("mujoco",)
    episodes: int = 96
    seed: int = 0
    baseline: Mapping[str, Any] | None = None
    notes: str = ""
    command: str = ""
    renderer: str = "software"


def publish(
    folders: Sequence[str | Path],
    out: str | Path,
    options: PublishOptions | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Writes OUT.json, OUT.md, OUT.png and, for each run, OUT_<run>.mp4 and OUT_<run>.png; answers their paths.

    The same runs and options give the same numbers on a deterministic engine. Raises FileNotFoundError or ValueError
    for a run that is not complete, two runs of one name, or clips that are not those of the training.
    """
    from mjx_skillmimic.learning.describe import versions
    from mjx_skillmimic.viewing import contact_sheet, results

    chosen, out = options or PublishOptions(), Path(out)
    runs = [read_run(folder) for folder in folders]
    names = [run.name for run in runs]
    if not runs or len(set(names)) != len(names):
        raise ValueError(
            f"expected folders of at least one run, each of another name; got {', '.join(names) or 'none'}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    written, entries = [], []
    for run in runs:
        say(f"{run.name}: evaluating")
        entry, trajectory = describe_run(run, chosen)
        say(f"{run.name}: drawing")
        video, sheet = (out.with_name(f"{out.name}_{run.name}{suffix}") for suffix in (".mp4", ".png"))
        results.write_small_video(trajectory, video, backend=chosen.renderer)
        frames = contact_sheet.write_sheet(trajectory, sheet, _SHEET_LIMIT)
        entry["shown"] |= {"video": video.name, "sheet": sheet.name, "frames": frames}
        written += [video, sheet]
        entries.append(entry)
    document = {
        "command": chosen.command,
        "evaluated_with": versions(),
        "evaluation_seed": chosen.seed,
        "baseline": dict(chosen.baseline) if chosen.baseline else None,
        "runs": entries,
    }
    picture = results.draw_curves(document, out.with_name(f"{out.name}.png"))
    numbers = out.with_name(f"{out.name}.json")
    numbers.write_text(compact_json(document))
    page = out.with_name(f"{out.name}.md")
    page.write_text(markdown(document, out.name, chosen.notes))
    return [numbers, page, picture, *written]


def describe_run(run: RunRecord, options: PublishOptions) -> tuple[dict[str, Any], Any]:
    """A run's part of the document, and the trajectory of its policy on its first clip from frame 2. Raises ValueError
    for a run of a high-level task."""
    setup.expect_clips(run.config, run.name, "scripts/reproduce.py table3 writes a page for it")
    motion, clips = find_motion(run, options.motion_root)
    command, unshared = command_line(run.config, run.name)
    evaluations, trajectory = {}, None
    for engine in options.engines:
        env = setup.make_env(run.folder, motion, engine)
        agent = make_agent(run.folder, env)
        evaluations[env.physics.name] = _evaluate(env, agent, options)
        trajectory = trajectory or _trajectory(env, dataclasses.replace(agent, name=run.name))
    entry = {
        "name": run.name,
        "command": command,
        "unshared_keys": unshared,
        "seed": run.seed,
        "hardware": run.description["devices"],
        "engine": run.description["engine"],
        "versions": run.description["versions"],
        "clips": [clip.name for clip in clips],
        "clip_frames": [clip.num_frames for clip in clips],
        "motion_hash": run.description["motion_hash"],
        "training": training_summary(run),
        "baseline": _baseline(run, clips, options.baseline),
        "own_evaluations": run.evaluations,
        "evaluations": evaluations,
        "shown": {"clip": clips[0].name, "engine": options.engines[0], "start": 2},
        "curve": _curve(run),
        "config": run.config.to_dict(),
    }
    return entry, trajectory


def find_motion(run: RunRecord, root: Path | None) -> tuple[str, list[MotionClip]]:
    """Where a run's clips are now, and the clips.

    Tried are the configured path, and under `root` that path and its ends. Raises FileNotFoundError that lists what was
    tried, ValueError if clips are there but are not those that the run was trained on.
    """
    path = str(run.config.motion.path)
    tried = [path]
    if root is not None:
        parts = [part for part in Path(path).parts if part != Path(path).anchor]
        tried += [str(root.joinpath(*parts[i:])) for i in range(len(parts))]
    wanted, other = run.description["motion_hash"], []
    for place in tried:
        try:
            clips = load_clips(place)
        except FileNotFoundError:
            continue
        if motion_hash(clips) == wanted:
            return place, clips
        other.append(place)
    if other:
        raise ValueError(
            f"{run.name}: {', '.join(other)} holds clips of another content than the run was trained on "
            f"(expected hash {wanted[:12]})"
        )
    raise FileNotFoundError(f"{run.name}: no clips at {', '.join(tried)}; say where with --motion-root")


def _evaluate(env: Any, agent: Any, options: PublishOptions) -> dict[str, Any]:
    """ "first": each clip once from frame 2, without intervals, which a single deterministic episode does not have;
    "random": `options.episodes` from random start frames to the clip's end."""
    names = env.tables.motions.names
    first = report.report(rollouts.run_episodes(env, agent, len(names), "first", options.seed), names, options.seed)
    drawn = rollouts.run_episodes(env, agent, options.episodes, "random", options.seed)
    return {"first": _without_intervals(first), "random": report.report(drawn, names, options.seed)}


def _without_intervals(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: _without_intervals(value) for key, value in entry.items() if key not in ("low", "high")}


def _trajectory(env: Any, agent: Any) -> Any:
    from mjx_skillmimic.viewing.sources import rollout_trajectory

    return rollout_trajectory(env, agent, clip=0, start=2)


def _baseline(run: RunRecord, clips: Sequence[MotionClip], document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The earlier experiment's run on the same clips, with this run's reward at as many samples."""
    names = {clip.name for clip in clips}
    for entry in (document or {}).get("runs", []):
        if set(entry["clips"]) == names:
            return dict(entry) | {"reward_at_its_samples": reward_at(run, entry["env_steps"])}
    return None


def _curve(run: RunRecord) -> dict[str, list[float]]:
    """Training reward as means over at most `_CURVE_POINTS` spans of equal length."""
    steps, reward = run.column("env_steps"), run.column("reward")
    spans = np.array_split(np.arange(len(steps)), min(_CURVE_POINTS, len(steps)))
    return {
        "env_steps": [float(steps[span[-1]]) for span in spans],
        "reward": [round(float(np.nanmean(reward[span])), 4) for span in spans],
    }


def compact_json(document: Mapping[str, Any]) -> str:
    """Indented JSON in which a list without inner lists or objects takes one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s+\]", _one_line, text) + "\n"


def _one_line(match: re.Match[str]) -> str:
    return "[" + re.sub(r",\n\s+", ", ", match.group(1)) + "]"
