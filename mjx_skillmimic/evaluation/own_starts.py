"""Start states of a policy's own making: states that it reaches in simulation, chosen by what it can do from them.

The policy plays clips; some moments after it has begun are candidates. From each of them every skill is told after
several delays, and the best of each situation is kept and measured anew with other delays (docs/viewer.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.evaluation.free_play import FreePlay, States, run_free_play, tell
from mjx_skillmimic.evaluation.free_rules import FREE_RULES, free_rule_for
from mjx_skillmimic.evaluation.policies import Agent
from mjx_skillmimic.evaluation.success import PICK_UP, UPRIGHT, rule_for
from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.physics.base import EDGES

SETTLED = 30  # control steps that the policy has acted before a state may be kept
LATEST_STATE = 150
LATEST_KEY = 90  # control steps after the start at which a skill is told, at most
JUDGED = 300  # control steps from then on
STEADY = 0.75  # share of trials without another key that a state must survive
_ON_FLOOR, _HELD = 0.3, 0.8  # m, height of a ball that lies, and of one that is carried
_REACH = 1.5  # m from the root: who is to throw or dribble has the ball
_HANDS_OBJECT = EDGES.index("hands_object")


@dataclasses.dataclass(frozen=True)
class Candidates:
    """N states: qpos (N, nq), qvel (N, nv), skill (N,) told when they were reached, situation (N,) in words."""

    qpos: np.ndarray
    qvel: np.ndarray
    skill: np.ndarray
    situation: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.situation)

    def select(self, which: np.ndarray) -> Candidates:
        """Those of an index array."""
        names = tuple(self.situation[int(i)] for i in which)
        return Candidates(self.qpos[which], self.qvel[which], self.skill[which], names)


@dataclasses.dataclass(frozen=True)
class Trials:
    """What N states gave: success, survived (N, skills, trials) bool for the labels `skills` (skills,)."""

    skills: np.ndarray
    success: np.ndarray
    survived: np.ndarray

    def select(self, which: np.ndarray) -> Trials:
        """Those of an index array of states."""
        return Trials(self.skills, self.success[which], self.survived[which])


def situation(skill: int, ball_height: float, reach: float, touched: bool) -> str | None:
    """What goes on in a state, in words; None for one in which nobody would begin. ball_height, and reach from the root
    to the ball as seen from above, in m; touched: by a hand.

    While a ball is being picked up it lies, or it is carried; in every other skill it has to be near. A throw is over
    before a person has pressed a key.
    """
    rule = free_rule_for(skill)
    if rule is None or rule is FREE_RULES["shot"]:
        return None
    if rule_for(skill) is PICK_UP:
        if ball_height < _ON_FLOOR and not touched:
            return "ball on the floor"
        return "ball in the hands" if touched and ball_height > _HELD else None
    return skill_name(skill) if reach < _REACH else None


def collect(env: Any, agent: Agent, worlds: int, each: int, seed: int = 0) -> Candidates:
    """At most `each` states of every situation, out of `worlds` worlds a skill that play its clips from random frames.

    env: built from `rollouts.evaluation_config`. Raises ValueError if no world came to a state that can be used.
    """
    motions, rng = env.tables.motions, np.random.default_rng(seed)
    skills, lengths = np.asarray(motions.skills), np.asarray(motions.lengths)
    clip = np.concatenate([rng.permutation(np.resize(np.flatnonzero(skills == s), worlds)) for s in np.unique(skills)])
    # early frames: a shot that begins at its end has no ball any more
    frame = rng.integers(2, np.maximum(lengths[clip] // 2, 3))
    seen = _play_clips(env, agent, clip, frame, seed)
    step = np.arange(SETTLED, LATEST_STATE, 3)
    found: dict[str, list[tuple[int, int]]] = {}
    for world, k in rng.permutation(np.stack(np.meshgrid(np.arange(len(clip)), step), axis=-1).reshape(-1, 2)):
        if not seen["standing"][: k + 1, world].all():
            continue
        apart = float(np.linalg.norm(seen["ball"][k, world, :2] - seen["root"][k, world, :2]))
        name = situation(int(skills[clip[world]]), seen["ball"][k, world, 2], apart, bool(seen["touched"][k, world]))
        if name is not None and len(found.setdefault(name, [])) < each:
            found[name].append((k, world))
    if not found:
        told = ", ".join(map(skill_name, np.unique(skills)))
        raise ValueError(f"{agent.name} came to no state to begin from while told {told}")
    names = [name for name, places in found.items() for _ in places]
    steps, which = np.array([place for places in found.values() for place in places]).T
    return Candidates(seen["qpos"][steps, which], seen["qvel"][steps, which], skills[clip[which]], tuple(names))


def _play_clips(env: Any, agent: Agent, clip: np.ndarray, frame: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """(T, N, …) states of worlds that play their own clip's skill; step k is the state after k + 1 control steps."""
    label = env.tables.motions.skills[clip]

    def one(state: Any, key: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        state = tell(env, state, label)
        state = env.step(state, agent.act(agent.parameters, state, key))
        body = env.body_state(state.data)
        standing = (body.root_pos[:, 2] > UPRIGHT) & (state.metrics["nonfinite"] == 0)
        return state, {
            "qpos": state.data.qpos,
            "qvel": state.data.qvel,
            "root": body.root_pos,
            "ball": body.object_pos,
            "touched": body.edges[:, _HANDS_OBJECT],
            "standing": standing,
        }

    begin, rng = jax.random.split(jax.random.key(seed))
    keys = jax.random.split(begin, len(clip))
    state = env.begin(env.tables, keys, jnp.asarray(clip, jnp.int32), jnp.asarray(frame, jnp.int32))
    roll = jax.jit(lambda state, keys: jax.lax.scan(one, state, keys)[1])
    return jax.device_get(roll(state, jax.random.split(rng, LATEST_STATE)))


def try_keys(
    env: Any, agent: Agent, states: Candidates, delays: Sequence[int], apex: Mapping[int, float], judged: int = JUDGED
) -> Trials:
    """From every state each skill of the clips once a delay: the state's own skill until then, the other one after it.

    Without a delay's differences all trials would be one: policy and engine are deterministic, and a person's moment is
    what differs. success: the skill's free rule in the `judged` steps after the key; survived: no fall until then and
    upright at the end. apex: label → m, as in `switching.apexes`. Raises ValueError for a skill without such a rule.
    """
    skills = np.unique(np.asarray(env.tables.motions.skills))
    rules = {int(label): free_rule_for(int(label)) for label in skills}
    if unknown := [skill_name(label) for label, rule in rules.items() if rule is None]:
        raise ValueError(f"success of {', '.join(unknown)} cannot be judged without a reference")
    grid = np.indices((len(states), len(skills), len(delays))).reshape(3, -1)
    state, told, delay = grid[0], skills[grid[1]], np.asarray(delays)[grid[2]]
    labels = np.where(np.arange(max(delays) + judged)[:, None] < delay, states.skill[state], told)
    zero = np.zeros(len(state), int)
    start = States(states.qpos[state], states.qvel[state])
    play = run_free_play(env, agent, zero, zero, labels, start, batch=1024)
    after = play.window(delay, judged)
    shape = (len(states), len(skills), len(delays))
    survived = ~after.fell & (after.root_pos[:, -1, 2] > UPRIGHT)
    success = np.zeros(len(state), bool)
    for label, rule in rules.items():
        which = told == label
        success[which] = _judge(rule.reached, after.select(which), apex[label])  # type: ignore[union-attr]
    return Trials(skills, success.reshape(shape), survived.reshape(shape))


def _judge(reached: Callable[[FreePlay, float], np.ndarray], play: FreePlay, apex: float) -> np.ndarray:
    return np.asarray(reached(play, apex), bool) & play.valid[:, 0]


def best_of_each(states: Candidates, trials: Trials) -> np.ndarray:
    """Indices of the best state of each situation, the best of all first: by mean success over the skills, then by
    survival. Only states in which the person stays upright while no key is pressed.

    Raises ValueError if there is none.
    """
    own = trials.skills.searchsorted(states.skill)
    steady = trials.survived[np.arange(len(states)), own].mean(axis=1) >= STEADY
    success, survived = trials.success.mean(axis=(1, 2)), trials.survived.mean(axis=(1, 2))
    first: dict[str, int] = {}
    for i in np.lexsort((-survived, -success)):
        if steady[i]:
            first.setdefault(states.situation[int(i)], int(i))
    if not first:
        raise ValueError(f"from none of {len(states)} states the person stays upright in {STEADY:.0%} of the trials")
    return np.array(list(first.values()))
