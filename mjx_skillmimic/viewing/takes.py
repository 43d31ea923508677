"""Takes: one episode in which one skill after another is told, drawn again until every skill succeeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mjx_skillmimic.evaluation.free_play import FreePlay
from mjx_skillmimic.evaluation.free_rules import DRIBBLE_STEPS, free_rule_for
from mjx_skillmimic.evaluation.rollouts import FALL_HEIGHT
from mjx_skillmimic.evaluation.success import UPRIGHT
from mjx_skillmimic.model.humanoid import BODIES
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.commands import SKILL
from mjx_skillmimic.viewing.session import Session
from mjx_skillmimic.viewing.steering import steer
from mjx_skillmimic.viewing.trajectory import Trajectory

_WRISTS = [BODIES.index(name) for name in ("L_Wrist", "R_Wrist")]


@dataclasses.dataclass(frozen=True)
class Part:
    """A skill of a take: its label, and for how many control steps it is told."""

    skill: int
    steps: int


def parse_part(text: str, rate: float) -> Part:
    """A part written LABEL:SECONDS, at `rate` control steps a second. Raises ValueError for anything else."""
    label, _, seconds = text.partition(":")
    try:
        part = Part(int(label), round(float(seconds) * rate))
    except ValueError:
        part = Part(-1, 0)
    if part.skill < 0 or part.steps < 1:
        raise ValueError(f"{text!r}: expected a skill's label and seconds, such as 13:2.5")
    return part


def perform(session: Session, parts: Sequence[Part], clip: int = 0) -> Trajectory:
    """One take from the beginning of a clip or start state of the session. Raises ValueError for no parts, or for a
    skill that the policy has not learned."""
    if not parts:
        raise ValueError("expected at least one skill, got none")
    session.reset(clip)
    begins = np.cumsum([0, *(part.steps for part in parts)])
    commands = {int(k): f"{SKILL}{part.skill}" for k, part in zip(begins, parts, strict=False)}
    return steer(session, int(begins[-1]), commands, title=f"policy {session.policy}, one take")


def judge(take: Trajectory, parts: Sequence[Part], apex: Mapping[int, float]) -> list[bool]:
    """Of each part whether its skill succeeded in it without a reference (docs/evaluation.md), upright to its end.

    apex: label → m, height of the highest point of the ball in the skill's clips. Raises ValueError for a throw without
    one.
    """
    play, result, first = _as_play(take), [], 0
    for part in parts:
        rule = free_rule_for(part.skill)
        window = play.window(np.array([first]), part.steps)
        upright = bool(window.valid.all() and window.root_pos[0, -1, 2] > UPRIGHT)
        first += part.steps
        # nothing to be judged by, or too short for its rule: then staying upright is what is asked
        if rule is None or (rule.name.startswith("free dribble") and part.steps < DRIBBLE_STEPS):
            result.append(upright)
            continue
        if rule.name == "free throw" and part.skill not in apex:
            raise ValueError(f"no height is known that a ball reaches in skill {part.skill}, {skill_name(part.skill)}")
        result.append(upright and bool(rule.reached(window, apex.get(part.skill, 0.0))[0]))
    return result


def best_take(
    session: Session,
    parts: Sequence[Part],
    apex: Mapping[int, float],
    clip: int = 0,
    takes: int = 1,
    spread: float = 0.3,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Trajectory, list[bool]]:
    """The first of at most `takes` takes in which every part succeeds, else the one with most; and what succeeded.

    The first has the given lengths, those after it others by a normal factor of deviation `spread`, at least half a
    second: a person's moments differ as well.
    """
    rng, best = np.random.default_rng(seed), None
    for number in range(max(takes, 1)):
        chosen = list(parts)
        if number:
            factor = np.maximum(1.0 + spread * rng.normal(size=len(parts)), 0.3)
            least = round(0.5 / session.control_dt)
            chosen = [Part(p.skill, max(round(p.steps * f), least)) for p, f in zip(parts, factor, strict=True)]
        take = perform(session, chosen, clip)
        done = judge(take, chosen, apex)
        lengths = " ".join(f"{p.skill}:{p.steps * session.control_dt:.2f}" for p in chosen)
        say(f"take {number + 1}: {lengths}  {sum(done)} of {len(done)} skills succeeded")
        if best is None or sum(done) > sum(best[1]):
            best = take, done
        if all(done):
            break
    assert best is not None
    return best


def apexes(session: Session) -> dict[int, float]:
    """Label → m, what `judge` needs: the lowest of the highest points of the ball in the skill's clips, where they are
    not at hand as the file of start states says."""
    found = {} if session.starts is None else session.starts.metadata.get("apex_m", {})
    heights = {int(label): float(height) for label, height in found.items()}
    shown: dict[int, float] = {}
    for clip in session.motions:
        highest = float(np.max(clip.object_pos[:, 2]))
        shown[int(clip.skill)] = min(highest, shown.get(int(clip.skill), highest))
    return shown | heights


def find_clip(session: Session, wanted: str | None) -> int:
    """The index of a clip or start state by its name; None: 0. Raises ValueError that lists the names."""
    if wanted is None:
        return 0
    names = [name.removeprefix("start: ") for name in session.clips]
    if wanted not in names:
        raise ValueError(f"no clip or start state {wanted!r}; there is {', '.join(names)}")
    return names.index(wanted)


def _as_play(take: Trajectory) -> FreePlay:
    """A steered trajectory as one world of free play."""
    pos = take.body_pos.astype(np.float64)
    ball = take.object_pos.astype(np.float64)
    fallen = pos[:, 0, 2] < FALL_HEIGHT
    one, zero = np.ones(1, bool), np.zeros(1, int)
    return FreePlay(
        # the step of the fall counts
        valid=~np.concatenate([[False], np.logical_or.accumulate(fallen)[:-1]])[None],
        fell=one & fallen.any(),
        clip=zero,
        start=zero,
        lost=zero,
        label=take.label("skill").astype(int)[None],
        root_pos=pos[None, :, 0],
        object_pos=ball[None],
        object_lin_vel=np.gradient(ball, 1.0 / take.fps, axis=0)[None],
        wrist_pos=pos[None][:, :, _WRISTS],
        hands_object=take.label("contact")[None] > 0.5,
    )
