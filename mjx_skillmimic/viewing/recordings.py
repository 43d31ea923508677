"""What the command lines show or export: a clip as it is, or an episode of a policy on each clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mjx_skillmimic.viewing.trajectory import Trajectory

if TYPE_CHECKING:
    from mjx_skillmimic.kinematics import Skeleton


@dataclasses.dataclass(frozen=True)
class Recordings:
    """One trajectory a clip, and the tree of bodies that all of them have."""

    trajectories: tuple[Trajectory, ...]
    skeleton: Skeleton

    def paths(self, out: str | Path, suffix: str = "") -> list[Path]:
        """One path a trajectory: OUT, with its number behind it where there are several, and `suffix`."""
        out = Path(out)
        if len(self.trajectories) == 1:
            return [out.with_name(f"{out.name}{suffix}")]
        return [out.with_name(f"{out.name}_{i}{suffix}") for i in range(len(self.trajectories))]


def record(
    policy: str | None = None,
    motion: str | None = None,
    clips: int = 4,
    start: int = 2,
    seed: int = 0,
    engine: str | None = None,
) -> Recordings:
    """Runs a policy on at most `clips` clips from frame `start`, or plays the clips of `motion` without one.

    policy, motion, engine: as for `evaluation.setup.make_env`; motion is needed without a policy. Raises ValueError for
    neither, or fewer than one clip; FileNotFoundError, KeyError or ImportError for what cannot be loaded.
    """
    if clips < 1:
        raise ValueError(f"expected at least one clip to show, got {clips}")
    from mjx_skillmimic.viewing import sources

    if policy is None:
        if motion is None:
            raise ValueError("expected a policy, a motion or both, got neither")
        from mjx_skillmimic.model.scene import build_scene
        from mjx_skillmimic.motion.library import load_clips

        scene = build_scene()
        played = tuple(sources.clip_trajectory(clip, scene) for clip in load_clips(motion)[:clips])
        return Recordings(played, scene.skeleton)
    from mjx_skillmimic.evaluation import setup
    from mjx_skillmimic.evaluation.policies import make_agent

    env = setup.make_clip_env(policy, motion, engine)
    agent = make_agent(policy, env)
    shown = range(min(len(env.clips), clips))
    recorder = sources.make_recorder(env, agent, max(env.clips[i].num_frames for i in shown))
    episodes = tuple(sources.rollout_trajectory(env, agent, i, start, seed, recorder) for i in shown)
    return Recordings(episodes, env.scene.skeleton)


def is_task(policy: str | None, task: str | None = None) -> bool:
    """Whether a policy, or a baseline in `task`, is for `record_task`. Raises what `setup.run_config` raises."""
    from mjx_skillmimic.evaluation import setup

    if task is None and (policy is None or setup.is_baseline(policy)):
        return False
    return setup.chooses(setup.run_config(policy or "random", task=task))


def record_task(
    policy: str,
    motion: str | None = None,
    task: str | None = None,
    episodes: int = 1,
    seconds: float | None = None,
    begin: str | None = None,
    takes: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Recordings:
    """Episodes of a policy that chooses among skills, in MuJoCo C (`task_recording.record_episodes`).

    policy: or with `task`, the name of one, a baseline. motion: start clips instead of the configuration's. Raises what
    `TaskSession` and `record_episodes` raise.
    """
    from mjx_skillmimic.viewing.task_recording import record_episodes
    from mjx_skillmimic.viewing.task_session import TaskSession

    session = TaskSession(policy, motion, seed=seed, task=task)
    return Recordings(record_episodes(session, episodes, seconds, begin, takes, say), session.scene.skeleton)


def record_take(
    policy: str,
    tell: Sequence[str],
    motion: str | None = None,
    begin: str | None = None,
    takes: int = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> Recordings:
    """One episode in which one skill after another is told: the best of at most `takes` (`takes.best_take`).

    tell: parts as in `takes.parse_part`. begin: name of a clip or start state of the session (`Session.clips`). Raises
    ValueError for parts or a beginning that cannot be, and what `Session` raises.
    """
    from mjx_skillmimic.evaluation import setup
    from mjx_skillmimic.viewing import takes as one_take
    from mjx_skillmimic.viewing.session import Session

    setup.expect_clips(setup.run_config(policy), policy, "it tells the skills itself")
    session = Session(policy, motion)
    parts = [one_take.parse_part(text, 1.0 / session.control_dt) for text in tell]
    clip = one_take.find_clip(session, begin)
    take, _ = one_take.best_take(session, parts, one_take.apexes(session), clip, takes, seed=seed, say=say)
    return Recordings((take,), session.scene.skeleton)
