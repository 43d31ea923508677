"""Recording a policy's start states, and the table of what was measured from each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import pretrained
from mjx_skillmimic.evaluation import own_starts
from mjx_skillmimic.evaluation.intervals import wilson
from mjx_skillmimic.evaluation.own_starts import JUDGED, LATEST_KEY, SETTLED, Candidates, Trials
from mjx_skillmimic.evaluation.policies import make_agent, policy_file
from mjx_skillmimic.evaluation.reproduce import Contender
from mjx_skillmimic.evaluation.setup import make_clip_env
from mjx_skillmimic.evaluation.switching import apexes
from mjx_skillmimic.learning.describe import versions
from mjx_skillmimic.motion.library import motion_hash
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.pretrained.cards import sha256
from mjx_skillmimic.pretrained.starts import Starts

BEGIN, END = "<!-- starts:begin -->", "<!-- starts:end -->"
_FIRST_DELAYS = (0, 30, 60, 90)  # of the choice; the measurement has others
_FIRST_JUDGED = 180


def record(
    policy: str | Path,
    motion: str | None = None,
    *,
    worlds: int = 12,
    each: int = 6,
    trials: int = 16,
    seed: int = 0,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Starts:
    """Start states of a policy in MuJoCo C, one a situation, the best first (`own_starts`).

    What is measured of them are trials that had no part in the choice, but for states that turn out unsteady, which go.

    motion: clips that it plays to get there; absent: its own. worlds: a skill; each: candidates a situation; trials: of
    each skill from each state that is kept, after as many delays. Raises FileNotFoundError for a policy or clips that
    are not there, ValueError for a policy that stands nowhere or a skill without a rule.
    """
    began = time.perf_counter()
    file = policy_file(policy)
    env = make_clip_env(policy, motion, "mujoco", "its episodes begin in the start states of its low-level policy")
    agent = make_agent(policy, env)
    apex = apexes(Contender(str(policy), env.physics.name, env, agent))
    found = own_starts.collect(env, agent, worlds, each, seed)
    say(f"{len(found)} candidates of {len(set(found.situation))} situations")
    first = own_starts.try_keys(env, agent, found, _FIRST_DELAYS, apex, _FIRST_JUDGED)
    kept = found.select(own_starts.best_of_each(found, first))
    say(f"kept {', '.join(kept.situation)}; {trials} trials of each key from each")
    delays = np.sort(np.random.default_rng(seed + 1).integers(0, LATEST_KEY + 1, trials))
    measured = own_starts.try_keys(env, agent, kept, delays.tolist(), apex, JUDGED)
    order = own_starts.best_of_each(kept, measured)
    kept, measured = kept.select(order), measured.select(order)
    metadata = {
        "policy": pretrained.card(file)["name"] if pretrained.card_of(file) else file.parent.name,
        "policy_sha256": sha256(file),
        "motion_hash": motion_hash(env.clips),
        "command": command,
        "engine": env.physics.name,
        "seed": seed,
        "settled_steps": SETTLED,
        "key_after_steps": delays.tolist(),
        "judged_steps": JUDGED,
        "candidates": len(found),
        "apex_m": {str(label): round(height, 3) for label, height in apex.items()},
        "seconds": round(time.perf_counter() - began),
        "versions": versions(),
        "measured": _rows(kept, measured),
    }
    return Starts(kept.qpos, kept.qvel, kept.skill, kept.situation, metadata)


def _rows(states: Candidates, trials: Trials) -> list[dict[str, Any]]:
    """One entry a state: its name and own skill, and for every label the shares of successes and survivals."""
    rows = []
    for i, name in enumerate(states.situation):
        keys = {
            str(int(label)): {
                "success": round(float(trials.success[i, j].mean()), 4),
                "survived": round(float(trials.survived[i, j].mean()), 4),
                "trials": trials.success.shape[2],
            }
            for j, label in enumerate(trials.skills)
        }
        rows.append({"name": name, "skill": int(states.skill[i]), "keys": keys})
    return rows


def markdown(starts: Starts) -> str:
    """What was measured as a table in percent: rows states, columns keys; success and, behind the stroke, upright."""
    return "\n".join(_lines(starts.metadata))


def _lines(meta: Any) -> Iterator[str]:
    rows, seconds = meta["measured"], meta["judged_steps"] / 60
    labels, trials = list(rows[0]["keys"]), next(iter(rows[0]["keys"].values()))["trials"]
    widest = 100 * (wilson(trials / 2, trials)[1] - 0.5)
    yield f"`{meta['policy']}`, {meta['engine']}, seed {meta['seed']}: success / upright {seconds:.0f} s after the key,"
    yield f"% of {trials} trials each (95 % intervals up to ± {widest:.0f}), by `{meta['command']}`:"
    yield ""
    yield _row("start", *(skill_name(int(label)) for label in labels))
    yield _row("---", *["---:"] * len(labels))
    for row in rows:
        cells = (row["keys"][label] for label in labels)
        yield _row(row["name"], *(f"{100 * c['success']:.0f} / {100 * c['survived']:.0f}" for c in cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def refresh(document: str | Path, starts: Starts) -> Path:
    """Writes the table anew between its marks in a document. Raises ValueError for a document without them."""
    document = Path(document)
    text = document.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{document}: expected the marks {BEGIN} and {END}, in that order, once each")
    head, tail = text[: text.index(BEGIN)], text[text.index(END) :]
    document.write_text(f"{head}{BEGIN}\n\n{markdown(starts)}\n\n{tail}", encoding="utf-8")
    return document
