"""One policy in several engines: success and reward with intervals, and how much of its success it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mjx_skillmimic import pretrained
from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.evaluation import report, rollouts, setup
from mjx_skillmimic.evaluation.intervals import bootstrap_ratio
from mjx_skillmimic.evaluation.parity.machines import machine
from mjx_skillmimic.evaluation.parity.tables import Table, percent
from mjx_skillmimic.evaluation.policies import make_agent, policy_file
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.physics.registry import make_physics

FORMAT = "mjx_skillmimic parity policy"
AIM = 90.0  # %: of the success in the engine that it was trained in
_KEPT = ("success", "reward", "acc", "survived", "e_b_mpjpe_mm", "e_o_mpjpe_mm")


def run(
    policy: str,
    engines: Sequence[Engine],
    motion: str | None = None,
    episodes: int = 96,
    start: str | int = "random",
    seed: int = 0,
    batch: int = 256,
    trained_in: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """The document of a policy's episodes in each engine: the same start frames, deterministic actions.

    trained_in: the engine that ratios refer to; absent: as the policy's card or run says. Raises as `setup.make_env`
    and `make_agent` do.
    """
    found: dict[str, Any] = {}
    trained = trained_in or _trained_in(policy)
    for engine in engines:
        env = setup.make_clip_env(
            policy, motion, engine.name, "scripts/reproduce.py table3 --engines measures it in several engines"
        )
        if engine.options:
            env.physics = make_physics(engine.name, env.scene, **dict(engine.options))
        agent = make_agent(policy, env)
        episode = rollouts.run_episodes(env, agent, episodes, start, seed, batch)
        summary = report.report(episode, env.tables.motions.names, seed)
        values, _ = report.success_values(episode)
        name = str(engine)
        found[name] = {
            "machine": machine(),
            "feet": env.scene.options.feet,
            "total": {key: summary["total"][key] for key in _KEPT},
            "skills": {
                label: {key: entry[key] for key in (*_KEPT, "episodes")} | {"rule": entry["rule"]}
                for label, entry in summary["skills"].items()
            },
            "episodes": {"skill": episode.skill.tolist(), "success": [round(float(v), 4) for v in values]},
        }
        success = summary["total"]["success"]
        say(f"{name}: success {percent(success['value'])} % [{percent(success['low'])}, {percent(success['high'])}]")
    settings = {"episodes": episodes, "start": str(start), "seed": seed, "motion": motion}
    return {"format": FORMAT, "policy": str(policy), "trained_in": trained, "settings": settings, "engines": found}


def ratio(document: Mapping[str, Any], engine: str, base: str, skill: int | None = None) -> dict[str, float | None]:
    """Success in an engine ÷ that in another over the same starts: "value", "low", "high".

    None where the base has no success. The interval draws episodes, both engines' results together.
    """
    kept = [document["engines"][name]["episodes"] for name in (engine, base)]
    chosen = np.array([skill is None or s == skill for s in kept[0]["skill"]])
    one, two = (np.array(k["success"])[chosen] for k in kept)
    if two.sum() == 0:
        return {"value": None, "low": None, "high": None}
    low, high = bootstrap_ratio(one, two)
    return {"value": float(one.sum() / two.sum()), "low": low, "high": high}


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Success, what is kept of it, reward and errors: in total and by skill, against the engine of the training."""
    engines, trained = document["engines"], document["trained_in"]
    # where nobody ran the engine that it was trained in, the first one is what the others are measured by
    base = trained if trained in engines else next(iter(engines))
    rows = []
    labels = next(iter(engines.values()))["skills"]
    for label in (None, *labels):
        for name, found in engines.items():
            entry = found["total"] if label is None else found["skills"][label]
            kept = ratio(document, name, base, None if label is None else int(label))
            rows.append(
                (
                    "all" if label is None else f"{label} {skill_name(int(label))}",
                    f"{name} (trained in)" if name == trained else name,
                    _interval(entry["success"], 100.0, 1),
                    _interval(kept, 100.0, 1),
                    *(_interval(entry[key], factor, digits) for key, factor, digits in
                      (("reward", 1.0, 3), ("survived", 100.0, 1), ("e_b_mpjpe_mm", 1.0, 0), ("e_o_mpjpe_mm", 1.0, 0))),
                )
            )  # fmt: skip
    heads = (
        "skill",
        "engine",
        "success, %",
        f"of {base}'s, % (≥ {AIM:g})",
        "reward",
        "survived, %",
        "E_b, mm",
        "E_o, mm",
    )
    settings = document["settings"]
    note = (
        f"{settings['episodes']} episodes from {settings['start']} frames to the clip's end, the same in every engine, "
        f"seed {settings['seed']}, mean actions; trained in {trained or 'an unknown engine'}; 95 % intervals."
    )
    return [Table(f"Policy {document['policy']}", heads, tuple(rows), note, words=2)]


def _trained_in(policy: str) -> str | None:
    """The engine that a policy was trained in, as its card or its run says; None if neither does."""
    try:
        file = policy_file(policy)
    except FileNotFoundError:
        return None
    card, beside = pretrained.card_of(file), file.with_name("run.json")
    if card is not None:
        return card["training"].get("engine")
    return json.loads(beside.read_text()).get("engine") if beside.is_file() else None


def _interval(entry: Mapping[str, float | None], factor: float, digits: int) -> str:
    if entry["value"] is None:
        return "–"
    low, high = (entry[key] for key in ("low", "high"))
    between = "" if low is None or high is None else f" [{factor * low:.{digits}f}, {factor * high:.{digits}f}]"
    return f"{factor * entry['value']:.{digits}f}{between}"
