"""The environment of a high-level task: a choice of a skill, and three control steps of a frozen policy that plays it.

One decision is 3 control steps of 1/60 s (skillmimic.md §10.1). In each of them the low-level policy sees the present
state and the same label; the reward is the mean of the three, and an episode that ends in one of them ends with it, the
others being played all the same. Worlds that ended are then put on new starts with new goals, as BallPlay does.

The same tasks for a policy without skills: with `episode.action = "targets"` a decision is the PD targets of one
control step, and the low-level policy says with which scene and from which starts, and does nothing itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from mjx_skillmimic.envs import nonfinite
from mjx_skillmimic.envs.high_level import starts
from mjx_skillmimic.envs.high_level.control_step import NO_SKILL, Moment, Trail, control_step, select, task_metrics
from mjx_skillmimic.envs.high_level.low_level import LowLevel, load_low_level
from mjx_skillmimic.envs.high_level.options import from_config
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.imitation import actions, observation
from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.physics.base import BodyState, PhysicsState
from mjx_skillmimic.physics.registry import make_physics, resolve_engine
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array


class HighLevel:
    """A task over the skills of a low-level policy, with BallPlay's interface and discrete actions.

    `reset(rng)` takes one key a world (N,); `step(state, action)` takes choices (N,) int32 in [0, action_size), or with
    `episode.action = "targets"` what BallPlay takes, (N, 156) in [−1, 1], as `action_kind` says. The observation is the
    policy's without its label, then the task's: `layout`. info: `goal`, `skill` (N,) the label that was played last or
    `NO_SKILL`, `progress` (N,) control steps, and what `envs.state` asks for. Scene, observation, actions and
    corrections of starts are those that the low-level policy was trained with.
    """

    def __init__(
        self,
        kind: Any,
        config: ml_collections.ConfigDict,
        clips: Sequence[MotionClip] | None = None,
        tables: starts.Shared | None = None,
    ) -> None:
        """Loads the low-level policy, builds its scene, the engine and the start states.

        Args:
            kind: of the task, see `task.Task`.
            config: the sections of `options.to_config`; others are ignored.
            clips: used instead of `config.motion.path`.
            tables: those of an environment with the same policy and starts, instead of new ones.

        Raises:
            FileNotFoundError, PolicyFormatError, CardError, MotionFormatError: something cannot be read.
            ValueError: options that cannot work, or labels that the policy has not learned.
        """
        chosen, engine = from_config(config, kind), resolve_engine(config.physics.engine)
        self.config = config
        self.low_level: LowLevel = load_low_level(chosen.low_level.policy)
        self.options = self.low_level.options
        self.episode, self.ending = chosen.episode, chosen.episode.ending()
        self.task = kind(chosen.task)
        self.labels = tuple(int(label) for label in self.task.labels)
        self.low_level.check_labels(self.labels, chosen.episode.unknown_labels)
        scene = dataclasses.replace(self.options.scene, **getattr(self.task, "scene", {}))
        if scene.feet == "auto" and engine == "mjx-jax":
            # As BallPlay: its boxes meet the floor in other points than those of the other engines.
            scene = dataclasses.replace(scene, feet="corners")
        self.scene = build_scene(scene)
        physics = self.low_level.physics_options(engine) | dict(config.physics.options)
        self.physics = make_physics(engine, self.scene, **physics)
        self.tables = tables or starts.Shared(
            self.low_level.parameters,
            starts.find_starts(self.low_level, self.scene, chosen.motion, chosen.start, self.labels, clips),
        )
        below = observation.observation_layout(self.options.observation).parts
        self.layout = observation.Layout((*(part for part in below if part[0] != "skill"), *self.task.parts))
        self.moves_joints = self.episode.action == "targets"
        self.action_kind = "continuous" if self.moves_joints else "discrete"
        self.initial_action = np.zeros(self.action_size, np.float32)
        if self.moves_joints:
            dof_pos = np.asarray(self.tables.starts.body.dof_pos)
            self.initial_action = actions.initial_action(dof_pos, self.options.action)

    @property
    def action_size(self) -> int:
        """The number of choices, or of coordinates of the joints."""
        return NUM_DOFS if self.moves_joints else len(self.labels)

    @property
    def steps(self) -> int:
        """Control steps of a decision."""
        return 1 if self.moves_joints else self.episode.steps

    @property
    def observation_size(self) -> int:
        return self.layout.size

    @property
    def one_hot_mask(self) -> np.ndarray:
        """(observation_size,) bool: no column is a label."""
        return np.zeros(self.layout.size, bool)

    @property
    def motion_hash(self) -> str:
        """Of the start states: a training run goes on with the same only."""
        return starts.starts_sha256(self.tables.starts)

    @property
    def policy_metadata(self) -> dict[str, Any]:
        """What a policy's file must say about what it chooses among (`learning.low_level`), or that it does not."""
        if self.moves_joints:
            return {"decides": "targets"}
        return {
            "low_level": {"policy": self.low_level.name, "sha256": self.low_level.sha256},
            "labels": list(self.labels),
        }

    def reset(self, rng: Array) -> State:
        """N worlds on freshly drawn starts with freshly drawn goals. rng: (N,) keys."""
        return self.begin(self.tables, rng)

    def begin(self, tables: starts.Shared, rng: Array) -> State:
        """`reset` with the shared arrays as an argument, so that a compiled program does not hold them."""
        following, goal, qpos, qvel, body = self._draw(tables, rng)
        data = self.physics.init(qpos, qvel)
        zero, never = jnp.zeros(rng.shape[0], jnp.float32), jnp.zeros(rng.shape[0], bool)
        shown = jax.tree.map(jnp.zeros_like, goal) if self.episode.first_goal == "stale" else goal
        obs = self.observe(body, shown)
        metrics = jax.tree.map(jnp.zeros_like, task_metrics(zero, never, self.task.outcome(body, goal).metrics))
        metrics |= {"overflow": zero, "nonfinite": zero}
        info = {
            "rng": following,
            "goal": goal,
            "skill": jnp.full(rng.shape[0], NO_SKILL if self.moves_joints else self.labels[0], jnp.int32),
            "progress": jnp.zeros(rng.shape[0], jnp.int32),
            "final_obs": obs,
            "truncation": zero,
            "terminated": zero,
            "nonfinite": nonfinite.start_record(data.qpos, data.qvel, NUM_DOFS),
        }
        return State(data, obs, zero, zero, metrics, info, tables)

    def step(self, state: State, action: Array) -> State:
        """One decision; worlds that end are drawn anew."""
        return self.play(state, action)[0]

    def play(self, state: State, action: Array) -> tuple[State, Trail]:
        """`step`, and what happened within it. Raises ValueError for actions of another shape than that of the kind."""
        wanted = (*state.done.shape, NUM_DOFS) if self.moves_joints else state.done.shape
        if action.shape != wanted:
            what = f"{NUM_DOFS} columns" if self.moves_joints else "a choice"
            raise ValueError(f"action: expected {what} a world, shape {wanted}, got {action.shape}")
        decided, label = action, jnp.full_like(state.info["skill"], NO_SKILL)
        if not self.moves_joints:
            decided = label = jnp.asarray(self.labels, jnp.int32)[jnp.asarray(action, jnp.int32)]
        info, never = state.info, jnp.zeros(label.shape, bool)
        moment = Moment(
            state.data, state.obs, info["goal"], info["rng"], info["progress"], never, never, info["nonfinite"]
        )

        def one(moment: Moment, _: None) -> tuple[Moment, tuple[Array, dict[str, Array], Trail]]:
            return control_step(self, state.shared.policy, moment, decided)

        moment, (reward, metrics, trail) = jax.lax.scan(one, moment, None, length=self.steps)
        truncated = moment.late & ~moment.terminated
        mean = {name: jnp.mean(value, axis=0) for name, value in metrics.items()}
        # Any of the three counts: these are events, not quantities.
        mean |= {name: jnp.max(metrics[name], axis=0) for name in ("overflow", "nonfinite")}
        info = info | {
            "rng": moment.rng,
            "goal": moment.goal,
            "skill": label,
            "progress": moment.progress,
            "final_obs": moment.obs,
            "terminated": moment.terminated.astype(jnp.float32),
            "truncation": truncated.astype(jnp.float32),
            "nonfinite": moment.failed,
        }
        done = moment.terminated | truncated
        ended = dataclasses.replace(
            state,
            data=moment.data,
            obs=moment.obs,
            reward=jnp.mean(reward, axis=0),
            done=done.astype(jnp.float32),
            metrics=mean,
            info=info,
        )
        return self._restart(ended, done), trail

    def body_state(self, data: PhysicsState) -> BodyState:
        """The named state of the physics."""
        return body_state(self.scene, data)

    def joint_action(self, policy: Any, obs: Array, decided: Array) -> Array:
        """The action (N, 156) of a control step: that of the low-level policy with parameters `policy` which plays the
        decided skills (N,), or the decided one itself."""
        if self.moves_joints:
            return decided
        return self.low_level.act(policy, self.low_level_observation(obs, decided))

    def low_level_observation(self, obs: Array, label: Array) -> Array:
        """What the low-level policy sees (N, 902), from a high-level observation of the same state and labels (N,)."""
        options = self.options.observation
        width = observation.observation_layout(options).size - options.num_skills
        one_hot = observation.skill_one_hot(jnp.asarray(label), options.num_skills)
        return jnp.concatenate([obs[:, :width], one_hot], axis=-1)

    def _restart(self, state: State, done: Array) -> State:
        """Puts the worlds of `done` (N,) on new starts with new goals."""
        tables, info = state.shared, state.info
        following, goal, qpos, qvel, body = self._draw(tables, info["rng"])
        data = self.physics.reset(state.data, done, qpos, qvel)
        shown = info["goal"] if self.episode.first_goal == "stale" else goal
        obs = jnp.where(done[:, None], self.observe(body, shown), state.obs)
        drawn = {"rng": following, "goal": goal, "progress": jnp.zeros_like(info["progress"])}
        fresh = {name: select(done, value, info[name]) for name, value in drawn.items()}
        return dataclasses.replace(state, data=data, obs=obs, info=info | fresh)

    def _draw(self, tables: starts.Shared, rng: Array) -> tuple[Array, Any, Array, Array, BodyState]:
        """Next keys and goals of worlds with keys (N,), and where they start: qpos, qvel and what they are."""
        keys = jax.vmap(lambda key: jax.random.split(key, 3))(rng)
        row = tables.starts.draw(keys[:, 1])
        qpos, qvel, body = tables.starts.qpos[row], tables.starts.qvel[row], tables.starts.body_state(row)
        goal = self.task.draw(keys[:, 2], body)
        if (arrange := getattr(self.task, "arrange", None)) is not None:
            qpos, qvel, goal = arrange(jax.vmap(jax.random.fold_in, (0, None))(keys[:, 2], 1), qpos, qvel, goal)
            body = self.body_state(self.physics.init(qpos, qvel))
        return keys[:, 0], goal, qpos, qvel, body

    def observe(self, body: BodyState, goal: Any) -> Array:
        """The observation (N, observation_size) of a state and a goal."""
        options = self.options.observation
        parts = observation.humanoid_parts(body, options) | observation.object_parts(body)
        below = [parts[name] for name in self.layout.names if name in parts]
        return jnp.concatenate([*below, self.task.observe(body, goal)], axis=-1)
