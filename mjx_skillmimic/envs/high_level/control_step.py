"""One control step of a decision: joints are told what to do, the physics moves, the task judges what has become."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mjx_skillmimic.envs import nonfinite
from mjx_skillmimic.envs.high_level.task import root_lin_vel
from mjx_skillmimic.imitation import actions, termination
from mjx_skillmimic.physics.base import EDGES, PhysicsState
from mjx_skillmimic.rotations import Array

NO_SKILL = -1  # in place of a label, where a policy moves the joints itself
_HANDS_OBJECT = EDGES.index("hands_object")


@struct.dataclass
class Trail:
    """The control steps of a decision, (K, N, …), K = `HighLevel.steps`: what metrics and pictures of a course need.

    qpos: the scene's coordinates. root_pos, root_lin_vel, object_pos, object_lin_vel: m and m/s, world frame.
    hands_object bool: a hand touches the ball. goal: what was wanted in the step; reached bool: in it. reward: of the
    step. fell, late bool: the episode ended here.
    """

    qpos: Array
    root_pos: Array
    root_lin_vel: Array
    object_pos: Array
    object_lin_vel: Array
    hands_object: Array
    goal: Any
    reached: Array
    reward: Array
    fell: Array
    late: Array


@struct.dataclass
class Moment:
    """Between two control steps of a decision."""

    data: PhysicsState
    obs: Array
    goal: Any
    rng: Array
    progress: Array
    terminated: Array
    late: Array
    failed: nonfinite.NonfiniteRecord


def control_step(
    env: Any, policy: Any, moment: Moment, decided: Array
) -> tuple[Moment, tuple[Array, dict[str, Array], Trail]]:
    """The moment after a control step in which is done what was decided: skill labels (N,) that the low-level policy
    plays, or actions (N, 156); reward (N,), metrics and the trail, all of one step. env: a `hierarchy.HighLevel`.
    policy: the low-level policy's parameters.

    Worlds that ended go on: nothing is reset before the decision is over.
    """
    action = env.joint_action(policy, moment.obs, decided)
    target = actions.pd_targets(action, env.options.action)
    data = env.physics.step(moment.data, target)
    finite = finite_worlds(data.qpos, data.qvel, data.body_force, data.object_force, action)
    body = jax.tree.map(lambda x: jnp.where(like(finite, x), x, jnp.zeros_like(x)), env.body_state(data))
    progress = moment.progress + 1

    outcome = env.task.outcome(body, moment.goal)
    keys = jax.vmap(jax.random.split)(moment.rng)
    goal = select(outcome.renew, env.task.draw(keys[:, 1], body), outcome.goal)
    # A world that draws no goal keeps its key.
    rng = select(outcome.renew, keys[:, 0], moment.rng)
    finite &= jnp.isfinite(outcome.reward)
    fell = termination.fallen(body.root_pos[:, 2], progress, env.ending) | ~finite
    late = termination.timed_out(progress, progress, env.ending)
    reward = jnp.where(finite, outcome.reward, 0.0)
    reached = outcome.reached & finite
    metrics = task_metrics(reward, reached, outcome.metrics)
    lost = (data.overflow > moment.data.overflow) & finite
    metrics |= {"overflow": lost.astype(jnp.float32), "nonfinite": (~finite).astype(jnp.float32)}
    broke = ~finite & finite_worlds(moment.data.qpos, moment.data.qvel)
    failed = nonfinite.record_nonfinite(moment.failed, broke, moment.data.qpos, moment.data.qvel, target)
    trail = Trail(
        data.qpos,
        body.root_pos,
        root_lin_vel(body),
        body.object_pos,
        body.object_lin_vel,
        body.edges[:, _HANDS_OBJECT] > 0,
        moment.goal,
        reached,
        reward,
        fell,
        late,
    )
    obs = env.observe(body, goal)
    following = Moment(data, obs, goal, rng, progress, moment.terminated | fell, moment.late | late, failed)
    return following, (reward, metrics, trail)


def task_metrics(reward: Array, reached: Array, task: dict[str, Array]) -> dict[str, Array]:
    """What is logged of a step or of several: reward and reached, and the task's own numbers."""
    own = {f"task/{name}": value for name, value in task.items()}
    return {"reward/total": reward, "task/reached": reached.astype(jnp.float32)} | own


def finite_worlds(*arrays: Array) -> Array:
    """(N,) bool: every number of the world is finite."""
    return jnp.stack([jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=-1) for x in arrays]).all(axis=0)


def select(mask: Array, first: Any, second: Any) -> Any:
    """Per world, `first` where mask (N,) is true, else `second`."""
    return jax.tree.map(lambda a, b: jnp.where(like(mask, a), a, b), first, second)


def like(mask: Array, x: Array) -> Array:
    """mask (N,) with as many axes as x (N, …)."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
