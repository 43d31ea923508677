"""What all reproductions of the paper's results share: policies on engines, distinct starts, intervals."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import held_out, setup
from mjx_skillmimic.evaluation.intervals import bootstrap_ratio, wilson
from mjx_skillmimic.evaluation.policies import BASELINES, Agent, make_agent, policy_file
from mjx_skillmimic.motion.library import load_clips, motion_hash

_TABLE_SECTIONS = ("scene", "motion", "start", "action")  # what motion table and start states depend on


@dataclasses.dataclass(frozen=True)
class Request:
    """policies: name shown → run folder, policy file, shipped policy or baseline. motion: clips, as `load_clips` takes
    them. engines: side by side. seeds: of start frames, balls and moments. count: worlds a seed (see each
    reproduction). batch: worlds at a time. preset: configuration of a baseline. say: told what is being done."""

    policies: Mapping[str, str]
    motion: Sequence[str]
    engines: Sequence[str] = ("mujoco",)
    seeds: Sequence[int] = (0, 1, 2)
    count: int = 100
    batch: int = 1024
    preset: str = "default"
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        for name in ("policies", "motion", "engines", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name}: expected each once, got {', '.join(map(str, getattr(self, name)))}")
        if self.count < 1 or self.batch < 1:
            raise ValueError(f"expected count and batch of at least 1, got {self.count} and {self.batch}")


@dataclasses.dataclass(frozen=True)
class Contender:
    """A policy on an engine."""

    name: str
    engine: str
    env: Any
    agent: Agent

    @property
    def skills(self) -> np.ndarray:
        """(C,) label of each clip."""
        return np.asarray(self.env.tables.motions.skills)

    @property
    def lengths(self) -> np.ndarray:
        """(C,) frames of each clip."""
        return np.asarray(self.env.tables.motions.lengths)


def contenders(request: Request, adapt: Callable[[Any], None] = lambda config: None) -> Iterator[Contender]:
    """Every policy on every engine, with its own scene, observation and actions, on the same clips.

    adapt: changes a policy's evaluation configuration in place. Raises FileNotFoundError for a policy or clips that are
    not there, ValueError for an engine that does not exist or a policy of other sizes, before anything is run where
    that can be told.
    """
    from mjx_skillmimic import envs
    from mjx_skillmimic.physics.registry import resolve_engine

    for policy in request.policies.values():
        if policy not in BASELINES:
            setup.expect_clips(setup.run_config(policy), policy, "table3 measures it")
    engines = list(dict.fromkeys(resolve_engine(engine) for engine in request.engines))
    clips = load_clips(list(request.motion))
    tables: dict[str, Any] = {}
    for name, policy in request.policies.items():
        for engine in engines:
            config = setup.evaluation_config(setup.run_config(policy, request.preset))
            with config.unlocked():
                config.physics = {"engine": engine, "options": {}}
                adapt(config)
            same = json.dumps({s: config[s].to_dict() for s in _TABLE_SECTIONS} | {"feet": engine == "mjx-jax"})
            env = envs.load(config.get("env", "BallPlay"), config, clips=clips, tables=tables.get(same))
            tables[same] = env.tables
            request.say(f"{name}: {policy}, {engine}")
            yield Contender(name, engine, env, make_agent(policy, env))


def distinct(clip: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index (M,) of one of each start among N, and for each of the N starts which of the M it is.

    The mean action on a deterministic engine repeats itself exactly, so a second episode from one start would only make
    intervals look narrower than they are.
    """
    _, index, inverse = np.unique(np.stack([clip, frame]), axis=1, return_index=True, return_inverse=True)
    return index, inverse.reshape(-1)


def proportion(hits: np.ndarray) -> dict[str, Any]:
    """`value`, `low`, `high` (Wilson) and `n` of outcomes (N,) bool."""
    hits = np.asarray(hits, bool)
    low, high = wilson(int(hits.sum()), len(hits))
    return {
        "value": _number(hits.mean() if len(hits) else None),
        "low": _number(low),
        "high": _number(high),
        "n": len(hits),
    }


def average(values: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """`value`, `low`, `high` (bootstrap over worlds) and `n` of values (N,); no interval for a single one."""
    values = np.asarray(values, np.float64)
    low, high = bootstrap_ratio(values, np.ones(len(values)), seed) if len(values) > 1 else (None, None)
    return {
        "value": _number(values.mean() if len(values) else None),
        "low": _number(low),
        "high": _number(high),
        "n": len(values),
    }


def by_seed(values: np.ndarray, seed: np.ndarray) -> list[float | None]:
    """Mean of values (N,) for each seed, by index of seed (N,)."""
    return [_number(np.mean(np.asarray(values)[seed == s])) for s in np.unique(seed)]


def document(what: str, request: Request, command: str, results: list[Any], **more: Any) -> dict[str, Any]:
    """The JSON of a reproduction, without the folders of this machine. more: thresholds, definitions, paper …"""
    from mjx_skillmimic.learning.describe import describe
    from mjx_skillmimic.learning.policy import load_policy

    clips = load_clips(list(request.motion))
    policies = {}
    for name, policy in request.policies.items():
        metadata: Mapping[str, Any] = {}
        if policy not in BASELINES:
            from mjx_skillmimic import pretrained

            metadata = pretrained.load(policy).metadata or load_policy(policy_file(policy)).metadata
        training = metadata.get("training", {})
        policies[name] = {
            "policy": short(policy),
            "env_steps": metadata.get("env_steps", training.get("env_steps")),
            "motion_hash": metadata.get("motion_hash"),
            "clips": held_out.membership(metadata, clips),
        }
    described = {key: value for key, value in describe(None).items() if key in ("devices", "versions")}
    return {
        "what": what,
        "command": command,
        "settings": {
            "seeds": list(request.seeds),
            "count_a_seed": request.count,
            "engines": sorted({result["engine"] for result in results}),
            "actions": "mean (deterministic)",
            "intervals": "95 %",
        },
        **more,
        "clips": {clip.name: {"skill": int(clip.skill), "frames": clip.num_frames} for clip in clips},
        "motion_hash": motion_hash(clips),
        "policies": policies,
        "run": described,
        "results": results,
    }


def short(path: str | Path) -> str:
    """A path as it may be printed: an absolute one by its last two parts."""
    path = Path(path)
    return Path(*path.parts[-2:]).as_posix() if path.is_absolute() else path.as_posix()


def _number(x: Any) -> float | None:
    return None if x is None or not np.isfinite(x) else round(float(x), 4)
