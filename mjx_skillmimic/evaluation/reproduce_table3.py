"""The paper's Table 3: success of high-level policies and of policies from scratch, beside a random choice and the best
single skill."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic.evaluation import high_level, setup
from mjx_skillmimic.evaluation.high_level_courses import make_player, run_courses
from mjx_skillmimic.evaluation.paper import TABLE3
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.evaluation.reproduce import by_seed, proportion, short
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.physics.registry import resolve_engine

RANDOM, ONE_SKILL = "random", "best single skill"
TRIED = 100  # episodes a skill, to find the best one; those that are counted are others
# What makes two configurations one environment.
_SECTIONS = ("env", "physics", "low_level", "motion", "start", "episode", "task")


@dataclasses.dataclass(frozen=True)
class TaskRequest:
    """policies: name shown → run folder or policy file. tasks: measured in `preset` with the baselines alone. motion:
    start clips instead of those of the configurations. engines: side by side. seeds: of starts and goals. count:
    episodes a seed. batch: worlds at a time. say: told what is being done."""

    policies: Mapping[str, str]
    tasks: Sequence[str] = ()
    motion: Sequence[str] = ()
    engines: Sequence[str] = ("mujoco",)
    seeds: Sequence[int] = (0, 1, 2)
    count: int = 1000
    batch: int = 256
    preset: str = "default"
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        if not self.policies and not self.tasks:
            raise ValueError("expected a policy or a task at least, got none")
        for name in ("engines", "seeds"):
            if not getattr(self, name) or len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name}: expected at least one, each once, got {list(getattr(self, name))}")
        if self.count < 1 or self.batch < 1:
            raise ValueError(f"expected count and batch of at least 1, got {self.count} and {self.batch}")


def table3(request: TaskRequest, command: str = "") -> dict[str, Any]:
    """Every policy in the environment that it was trained in, and in each of these both baselines; the document.

    Raises FileNotFoundError for a policy that is not there, ValueError for one that does not choose among skills.
    """
    from mjx_skillmimic import envs

    began = time.perf_counter()
    results: list[dict[str, Any]] = []
    places: list[dict[str, Any]] = []
    clips = load_clips(list(request.motion)) if request.motion else None
    for config, policies in environments(request):
        env = envs.load(config.env, config, clips=clips)
        title = _title(config, env.physics.name, places)
        places.append(_described(title, env))
        where = {"task": config.env, "environment": title, "engine": env.physics.name}
        alone = None
        for name, policy in policies.items():
            request.say(f"{title}, {env.physics.name}: {name}")
            scratch = setup.from_scratch(setup.run_config(policy))
            if scratch and alone is None:
                alone = envs.load(config.env, _acting(config, "targets"), tables=env.tables)
            acts = alone if scratch else env
            row = {"policy": name, "from_scratch": scratch}
            results.append(where | row | measured(acts, setup.agent_for(policy, acts), request))
        request.say(f"{title}, {env.physics.name}: {RANDOM}, {ONE_SKILL}")
        results.append(where | {"policy": RANDOM} | measured(env, setup.agent_for(RANDOM, env), request))
        best, tried = best_label(env, request)
        row = {"policy": ONE_SKILL, "label": best, "skill": skill_name(best), "tried": tried}
        results.append(where | row | measured(env, setup.agent_for(f"{setup.LABEL}{best}", env), request))
    return _document(request, command, results, places, time.perf_counter() - began)


def environments(request: TaskRequest) -> list[tuple[Any, dict[str, str]]]:
    """Each environment's configuration, with the policies that were trained in it, by name. Raises as `table3`.

    One from scratch stands with those that choose in the same task: who acts makes no other environment.
    """
    found: dict[str, tuple[Any, dict[str, str]]] = {}
    asked = [(None, RANDOM, task) for task in request.tasks]
    for name, policy, task in [*((n, p, None) for n, p in request.policies.items()), *asked]:
        if task is None and setup.is_baseline(policy):
            raise ValueError(f"{policy}: the baselines are measured in every environment; --task names more of these")
        config = setup.run_config(policy, request.preset, task)
        if not setup.chooses(config):
            raise ValueError(f"{name or task}: expected a high-level task, found {config.get('env', 'BallPlay')}")
        for engine in request.engines:
            config = _acting(config, "skill")
            with config.unlocked():
                config.physics = {"engine": resolve_engine(engine), "options": {}}
            key = json.dumps({section: config.to_dict()[section] for section in _SECTIONS}, sort_keys=True)
            members = found.setdefault(key, (config, {}))[1]
            members |= {name: policy} if name else {}
    return list(found.values())


def _acting(config: Any, action: str) -> Any:
    """A copy of a configuration for policies that choose, or that move the joints."""
    config = copy.deepcopy(config)
    with config.unlocked():
        config.episode.action = action
    return config


def measured(env: Any, agent: Agent, request: TaskRequest) -> dict[str, Any]:
    """`high_level.report` of the distinct courses of all seeds, with what they cost."""
    began, play = time.perf_counter(), make_player(env, agent)
    parts = [run_courses(env, agent, request.count, seed, request.batch, play) for seed in request.seeds]
    courses = high_level.concatenate(parts)
    kept = courses.select(high_level.distinct(courses))
    task = env.task.name
    found = high_level.report(task, kept, steps_each=env.episode.steps) | {"played": len(courses)}
    found |= {"control_steps": int(courses.valid.sum()), "wall_s": round(time.perf_counter() - began, 1)}
    if task in high_level.SUCCESS:
        hits, seed = high_level.success(task, courses), np.repeat(np.arange(len(parts)), request.count)
        found["success"] = proportion(high_level.success(task, kept)) | {"seeds": by_seed(hits, seed)}
    return found


def best_label(env: Any, request: TaskRequest) -> tuple[int, dict[str, list[float]]]:
    """The skill that does best when it is played all the time, by success, then return, in episodes of their own; and
    [success, return] of each."""
    tried: dict[str, list[float]] = {}
    play, count, task = None, min(request.count, TRIED), env.task.name
    for label in dict.fromkeys(env.labels):
        agent = setup.agent_for(f"{setup.LABEL}{label}", env)
        play = play or make_player(env, agent)
        courses = run_courses(env, agent, count, max(request.seeds) + 1, request.batch, play)
        found = high_level.report(task, courses, steps_each=env.episode.steps)
        tried[str(label)] = [found.get("success", {}).get("value", 0.0), found["return"]["value"]]
    return int(max(tried, key=lambda label: tried[label])), tried


def _title(config: Any, engine: str, places: Sequence[Mapping[str, Any]]) -> str:
    """The task and, where it is not the default, the preset; numbered if another environment has that name."""
    title = config.env + (f", {config.preset}" if config.get("preset", "default") != "default" else "")
    same = sum(place["title"].partition(" #")[0] == title and place["engine"] == engine for place in places)
    return f"{title} #{same + 1}" if same else title


def _described(title: str, env: Any) -> dict[str, Any]:
    below = env.policy_metadata["low_level"]
    return {
        "title": title,
        "engine": env.physics.name,
        "low_level": below | {"policy": short(below["policy"])},
        "labels": list(env.labels),
        "starts": {"states": int(env.tables.starts.qpos.shape[0]), "sha256": env.motion_hash},
        "options": {name: env.config[name].to_dict() for name in ("start", "episode", "task")},
    }


def _document(
    request: TaskRequest, command: str, results: list[Any], places: list[Any], seconds: float
) -> dict[str, Any]:
    from mjx_skillmimic.benchmark.machine import machine

    return {
        "what": "table3",
        "command": command,
        "settings": {
            "seeds": list(request.seeds),
            "count_a_seed": request.count,
            "engines": sorted({result["engine"] for result in results}),
            "actions": "the likeliest choice (deterministic), but for random",
            "intervals": "95 %",
            "tried_a_skill": min(request.count, TRIED),
        },
        "definitions": {r["task"]: high_level.DEFINITIONS[r["task"]] for r in results if "success" in r},
        "paper": TABLE3,
        "environments": places,
        "policies": {name: _training(policy) for name, policy in request.policies.items()},
        "run": machine() | {"wall_s": round(seconds, 1)},
        "results": results,
    }


def _training(policy: str) -> dict[str, Any]:
    """What a policy's file and its run's folder say about its training: decisions, whether it moves the joints itself,
    and with the folder seconds of all iterations and devices."""
    from mjx_skillmimic import pretrained
    from mjx_skillmimic.evaluation.run_record import read_run

    file = setup.policy_file(policy)
    found: dict[str, Any] = {"policy": short(policy), "decisions": pretrained.load(file).metadata.get("env_steps")}
    found |= {"from_scratch": setup.from_scratch(setup.run_config(policy))}
    # a policy file may lie anywhere
    with contextlib.suppress(FileNotFoundError, ValueError):
        run = read_run(Path(file).parent)
        found |= {"train_wall_s": round(float(run.metrics[-1]["seconds"]), 1)}
        found |= {"train_devices": sorted(set(run.description.get("devices", ())))}
    return found
