"""Checks of SkillMimic-V2's evaluation metrics, in both forms (skillmimic_v2.md §10.2)."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.evaluation.golden.registry import Quantity, covers
from mjx_skillmimic.evaluation.v2.folds import Memory
from mjx_skillmimic.evaluation.v2.metrics import Seen, SkillMetric, adapted
from mjx_skillmimic.evaluation.v2.skills import BY_NAME, GRASP

_FIELDS = {
    "root_pos": "root_pos",
    "root_lin_vel": "root_pos_vel",
    "object_pos": "ball_pos",
    "object_lin_vel": "ball_pos_vel",
    "wrist_pos": "wrist_pos",
    "second_pos": "ball1_pos",
}
_REACHED = "_out_reached"


@covers("v2_metrics")
def check_metrics(arrays: dict[str, np.ndarray]) -> Iterator[Quantity]:
    """Every course that the file has, at once and step by step."""
    yield Quantity("place_threshold", np.array(GRASP), arrays["place_threshold"])
    for name, expected in arrays.items():
        skill, found, switched = name.partition(_REACHED)
        if not found:
            continue
        metric, seen = adapted(BY_NAME[skill], bool(switched), published=True), _seen(arrays, skill)
        at_once = metric.reached(seen, arrays["layup_target"])
        yield Quantity(f"{skill}{switched} at once", at_once, expected)
        if not switched:
            rate = np.asarray(at_once[-1].mean(), np.float32)
            yield Quantity(f"{skill} success rate", rate, arrays[f"{skill}_out_success_rate"])
        yield Quantity(f"{skill}{switched} stepwise", _stepwise(metric, seen, arrays["layup_target"]), expected)


def _seen(arrays: dict[str, np.ndarray], skill: str) -> Seen:
    known = {ours: arrays.get(f"{skill}_{theirs}") for ours, theirs in _FIELDS.items()}
    if known["object_pos"] is None:
        known["object_pos"] = arrays.get(f"{skill}_ball0_pos")
    return Seen(**known)


def _stepwise(metric: SkillMetric, seen: Seen, target: np.ndarray) -> np.ndarray:
    """(T, N) bool from the stepwise form, inside one compiled loop."""

    def step(memory: Memory, given: tuple[jax.Array, Seen]) -> tuple[Memory, jax.Array]:
        memory = metric.update(memory, given[1], jnp.asarray(target), given[0])
        return memory, memory.reached

    steps, worlds = seen.root_pos.shape[:2]
    given = (jnp.arange(steps), jax.tree.map(jnp.asarray, seen))
    return np.asarray(jax.lax.scan(step, metric.begin(worlds, jnp), given)[1])
