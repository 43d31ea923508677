"""Worlds that are told one skill for a while, with what SkillMimic-V2's metrics read (skillmimic_v2.md §10.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import jax
import numpy as np

from mjx_skillmimic.evaluation.free_play import Instead, batches, make_free_play
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.evaluation.rollouts import FALL_HEIGHT
from mjx_skillmimic.evaluation.v2.metrics import Seen, SkillMetric
from mjx_skillmimic.evaluation.v2.skills import UPRIGHT
from mjx_skillmimic.rotations import Array

GET_UP_LABEL = 0  # who is to get up may lie

# What counts after a world has ended, be it by a fall or because it broke. "frozen" (default): nothing, no condition
# holds any more. "published": everything but what follows a broken world; nothing ends the released code's test before
# its last step.
Accounting = Literal["frozen", "published"]


@dataclasses.dataclass(frozen=True)
class Courses:
    """N worlds over T control steps, NumPy, time first; step k is the state after k + 1 control steps.

    seen: as the metrics read it. reward (T, N), of the environment. referenced (T, N) bool: the clip has a frame for
    this step. broken (T, N) bool: the world was not finite in this step and went on elsewhere. label (N,): the skill
    told. clip, start (N,). lost (N,): steps in which the engine dropped contacts.
    """

    seen: Seen
    reward: np.ndarray
    referenced: np.ndarray
    broken: np.ndarray
    label: np.ndarray
    clip: np.ndarray
    start: np.ndarray
    lost: np.ndarray

    def select(self, which: np.ndarray) -> Courses:
        """The worlds of a mask or index array (N,)."""
        cut = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        seen = jax.tree.map(lambda x: x[:, which], cut.pop("seen"))
        return Courses(seen, **{name: x[:, which] if x.ndim > 1 else x[which] for name, x in cut.items()})

    def fallen(self) -> np.ndarray:
        """(T, N) bool: the root is below 0.3 m, and has been above 0.5 m; whoever is to get up does not fall."""
        height = self.seen.root_pos[..., 2]
        stood = np.logical_or.accumulate(height > UPRIGHT, axis=0)
        return (height < FALL_HEIGHT) & stood & (self.label != GET_UP_LABEL)

    def counts(self, accounting: Accounting = "frozen") -> np.ndarray:
        """(T, N) bool: what may be counted; the step of a fall still is. Raises ValueError for another accounting."""
        if accounting not in get_args(Accounting):
            raise ValueError(f"accounting: expected one of {', '.join(get_args(Accounting))}, got {accounting!r}")
        broken = np.logical_or.accumulate(self.broken, axis=0)
        if accounting == "published":
            return ~broken
        over = np.logical_or.accumulate(self.fallen(), axis=0)
        before = np.concatenate([np.zeros((1, over.shape[1]), bool), over[:-1]])
        return ~before & ~broken

    def success(self, metric: SkillMetric, target: np.ndarray, accounting: Accounting = "frozen") -> np.ndarray:
        """(N,) bool: reached after the last step. target: (3,) m or None where the metric needs none."""
        return metric.reached(self.seen, target, self.counts(accounting))[-1]

    def rewards(self, accounting: Accounting = "frozen") -> tuple[np.ndarray, np.ndarray]:
        """(N,) sum of the rewards over the reference, and its steps; what does not count earns 0, but is a step."""
        earned = np.where(self.referenced & self.counts(accounting), self.reward, 0.0)
        return earned.sum(axis=0), self.referenced.sum(axis=0)


def make_play(env: Any, agent: Agent, steps: int) -> Callable[..., dict[str, Array]]:
    """`free_play.make_free_play` with all that `Courses` keeps. Raises ValueError for one that needs a reference."""

    def more(state: Any, sim: Any) -> dict[str, Array]:
        return {
            "root_lin_vel": sim.body_lin_vel[:, 0],
            "reward": state.reward,
            "referenced": state.info["progress"] < state.info["episode_length"],
            "broken": state.metrics["nonfinite"] > 0,
            "overflow": state.metrics["overflow"] > 0,
        }

    return make_free_play(env, agent, steps, more=more)


def play_batches(
    env: Any,
    agent: Agent,
    clip: np.ndarray,
    frame: np.ndarray,
    label: np.ndarray,
    steps: int,
    instead: Instead | None = None,
    seed: int = 0,
    batch: int = 1024,
    play: Callable[..., dict[str, Array]] | None = None,
) -> Iterator[Courses]:
    """N worlds from frames (N,) of clips (N,) with labels (N,) held for `steps` steps, a batch at a time.

    env, instead, play: as in `free_play.run_free_play`; play of `make_play`.
    """
    labels = np.broadcast_to(np.asarray(label, np.int32), (steps, len(clip)))
    play = play or make_play(env, agent, steps)
    for arrays in batches(env, agent, clip, frame, labels, play, instead, seed, batch):
        kept = {name: np.swapaxes(x, 0, 1) for name, x in arrays.items() if x.ndim > 1}
        yield Courses(
            Seen(**{f: kept[f] for f in ("root_pos", "root_lin_vel", "object_pos", "object_lin_vel", "wrist_pos")}),
            kept["reward"],
            kept["referenced"],
            kept["broken"],
            kept["label"][0],
            arrays["clip"],
            arrays["start"],
            kept["overflow"].sum(axis=0),
        )
