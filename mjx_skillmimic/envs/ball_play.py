"""BallPlay: one humanoid, one ball, and clips to imitate; a batch of worlds at a time (skillmimic.md §3–§7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from mjx_skillmimic.envs import judging, nonfinite, options
from mjx_skillmimic.envs.episodes import EpisodeLaw, Start
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.envs.tables import Tables, build_tables
from mjx_skillmimic.imitation import actions, observation, privileged, termination
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.imitation.reward import check_weights
from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics import batch
from mjx_skillmimic.physics.base import BodyState, PhysicsState
from mjx_skillmimic.physics.registry import make_physics, resolve_engine
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array


class BallPlay:
    """Imitation of human–ball clips.

    `reset(rng)` takes one key a world (N,); `step(state, action)` takes (N, 156) in [−1, 1]. Worlds that end are put on
    a freshly drawn clip and frame inside `step`; the observation before that is `info["final_obs"]`. Both are pure.
    `initial_action` (156,) is where an untrained actor's mean should start.
    """

    action_size = NUM_DOFS

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        clips: Sequence[MotionClip] | None = None,
        tables: Tables | None = None,
    ) -> None:
        """Loads the clips, builds scene, engine, motion table and start states.

        Args:
            config: the sections of `default_config`; others are ignored.
            clips: used instead of `config.motion.path`.
            tables: those of an environment with equal clips, scene and start options, instead of new ones.

        Raises:
            FileNotFoundError, MotionFormatError: the clips cannot be read.
            ValueError: options that cannot work, or clips of another frame rate than the control rate.
        """
        chosen, engine = options.from_config(config), resolve_engine(config.physics.engine)
        if chosen.scene.feet == "auto" and engine == "mjx-jax":
            # Its boxes meet the floor in other points than those of the other engines (docs/physics.md).
            chosen = chosen._replace(scene=dataclasses.replace(chosen.scene, feet="corners"))
        self.config = config
        self.clips = list(clips) if clips is not None else library.load_clips(config.motion.path, chosen.motion.order)
        self.scene = build_scene(chosen.scene)
        self.physics = make_physics(engine, self.scene, **config.physics.options)
        self.options = chosen
        check_weights(chosen.weights, chosen.reward)
        self.layout = observation.observation_layout(chosen.observation)
        self.episodes = self._episode_law()
        self.tables = self.episodes.complete(tables or build_tables(self.clips, self.scene, chosen))
        dof_pos = np.asarray(self.tables.motions.reference.dof_pos)
        self.initial_action = actions.initial_action(dof_pos, chosen.action)

    @property
    def observation_size(self) -> int:
        return self.layout.size

    @property
    def privileged_size(self) -> int:
        """Width of `info["privileged"]` and `info["final_privileged"]`, seen by the critic alone; 0: there are none."""
        return privileged.privileged_layout().size if self.options.observation.critic == "reference" else 0

    @property
    def one_hot_mask(self) -> np.ndarray:
        """(observation_size,) bool: the columns of the skill label, which a normaliser may leave alone."""
        mask = np.zeros(self.layout.size, bool)
        mask[self.layout.slice("skill")] = True
        return mask

    def reset(self, rng: Array) -> State:
        """N worlds on freshly drawn clips and frames. rng: (N,) keys."""
        curriculum = self.episodes.new_curriculum(self.tables)
        everywhere = jnp.ones(rng.shape[0], bool)
        rng, info, start = self.episodes.new_episodes(self.tables, curriculum, rng, everywhere)
        return self._begin(self.tables, curriculum, rng, info, start)

    def begin(self, tables: Tables, rng: Array, clip: Array, frame: Array) -> State:
        """Worlds that start on chosen frames: rng (N,) keys for later resets, clip and frame (N,) int."""
        curriculum = self.episodes.new_curriculum(tables)
        return self._begin(tables, curriculum, rng, *self.episodes.chosen_episodes(tables, rng, clip, frame))

    def put(self, state: State, qpos: Array, qvel: Array) -> State:
        """The episodes of a state as if they began in these coordinates (N, nq), (N, nv), whatever their clips say."""
        start = qpos, qvel, self.body_state(self.physics.init(qpos, qvel))
        return self._begin(state.shared, state.curriculum, state.info["rng"], dict(state.info), start)

    def _episode_law(self) -> EpisodeLaw:
        """The law of episodes under `self.options`."""
        return EpisodeLaw(self.options)

    def _begin(self, tables: Tables, curriculum: Any, rng: Array, info: dict[str, Any], start: Start) -> State:
        """Worlds with keys `rng` (N,) for later resets and episodes `info` that begin in the states `start`."""
        qpos, qvel, body = start
        info |= self._memory(tables, body, info)
        data, obs = self.physics.init(qpos, qvel), self._observe(body, info)
        zero = jnp.zeros(obs.shape[0], jnp.float32)
        metrics = jax.tree.map(jnp.zeros_like, self._evaluate(tables, body, info)[1])
        metrics |= {"overflow": zero, "nonfinite": zero}
        failed = nonfinite.start_record(data.qpos, data.qvel, NUM_DOFS)
        info |= {"rng": rng, "final_obs": obs, "truncation": zero, "terminated": zero, "nonfinite": failed}
        info |= self.episodes.nothing_finished(obs.shape[0])
        info |= self._privileged(tables, body, info, "privileged", "final_privileged")
        return State(data, obs, zero, zero, metrics, info, tables, curriculum)

    # Whether `step` needs to be told the mapped axis over which worlds are split, and whether `info["weight"]` (N,)
    # says which steps PPO may learn from.
    pools_rewards = False
    weighs_steps = False

    def step(self, state: State, action: Array, axis_name: str | None = None) -> State:
        """One control step of 1/60 s; worlds that end are drawn anew. axis_name: see `pools_rewards`."""
        tables = state.shared
        target = actions.pd_targets(action, self.options.action)
        data = self.physics.step(state.data, target)
        finite = nonfinite.finite_worlds(data.qpos, data.qvel, data.body_force, data.object_force, action)
        body = self.body_state(data)
        body = batch.select(finite, body, jax.tree.map(jnp.zeros_like, body))
        info = state.info | {"progress": state.info["progress"] + 1}

        reward, metrics = self._evaluate(tables, body, info)
        ending = self._ending(tables, body, info)
        finite &= jnp.isfinite(reward)
        terminated = ending.terminated | ~finite
        truncated = ending.truncated & finite
        lost = (data.overflow > state.data.overflow) & finite
        metrics |= {"overflow": lost.astype(jnp.float32), "nonfinite": (~finite).astype(jnp.float32)}
        info |= self._recall(tables, body, info)
        info |= {
            # What the next step's reward needs of this one.
            "features": simulated_features(body, info["progress"], self.options.reward),
            "previous_dof_vel": info["features"].dof_vel,
            "final_obs": self._observe(body, info),
            "terminated": terminated.astype(jnp.float32),
            "truncation": truncated.astype(jnp.float32),
            "nonfinite": nonfinite.record_nonfinite(
                state.info["nonfinite"], ~finite, state.data.qpos, state.data.qvel, target
            ),
        }
        info |= self._privileged(tables, body, info, "privileged", "final_privileged")
        done = terminated | truncated
        reward, judged = self._judged(tables, info, reward, finite, axis_name)
        reward = jnp.where(finite, reward, 0.0)
        info |= judged | self.episodes.record_step(info, reward, done)
        over = done.astype(jnp.float32)
        ended = State(data, info["final_obs"], reward, over, metrics, info, tables, state.curriculum)
        return self._restart(ended, done)

    @property
    def adapts(self) -> bool:
        """Whether the law of start frames follows the policy: `adapt` must be called once a training iteration."""
        return self.episodes.adapts

    def adapt(self, state: State, axis_name: str | None = None) -> State:
        """The state with the law of start frames after the episodes that ended; itself under the uniform law.

        axis_name: a mapped axis over which the worlds are split; all its members come to the same law.
        """
        if not self.adapts:
            return state
        law, finished = self.episodes.adapt(state.shared, state.curriculum, state.info["finished"], axis_name)
        return dataclasses.replace(state, info=state.info | {"finished": finished}, curriculum=law)

    def body_state(self, data: PhysicsState) -> BodyState:
        """The named state of the physics."""
        return body_state(self.scene, data)

    def reference(self, tables: Tables, info: dict[str, Array]) -> Features:
        """The reference rows (N,) that belong to the worlds' present `progress`."""
        return self.episodes.reference(tables, info)

    def _restart(self, state: State, done: Array) -> State:
        """Puts the worlds of `done` (N,) on new clips and frames."""
        tables = state.shared
        rng, drawn, begun = self.episodes.new_episodes(tables, state.curriculum, state.info["rng"], done, state.info)
        qpos, qvel, start = begun
        drawn |= self._memory(tables, start, drawn)
        drawn |= {"rng": rng, **self._privileged(tables, start, drawn, "privileged")}
        fresh = batch.select(done, drawn, {name: state.info[name] for name in drawn})
        fresh |= self._renewed(tables, state.info | fresh, done, start)
        obs = jnp.where(done[:, None], self._observe(start, drawn), state.obs)
        data = self.physics.reset(state.data, done, qpos, qvel)
        return dataclasses.replace(state, data=data, obs=obs, info=state.info | fresh)

    def _observe(self, body: BodyState, info: dict[str, Any]) -> Array:
        one_hot = observation.skill_one_hot(info["skill"], self.options.observation.num_skills)
        return observation.observe(body, one_hot, self.options.observation)

    def _memory(self, tables: Tables, start: BodyState, info: dict[str, Any]) -> dict[str, Any]:
        """What new episodes `info` remember; the published code's stale buffers (§4.3) are not reproduced."""
        features = simulated_features(start)
        return {"features": features, "previous_dof_vel": features.dof_vel}

    def _renewed(self, tables: Tables, info: dict[str, Any], done: Array, start: BodyState) -> dict[str, Any]:
        """What else changes in worlds `done` (N,) bool that begin episodes `info` with bodies `start`; it may be too
        large for `_memory`, which is asked of all worlds in every step."""
        return {}

    def _recall(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> dict[str, Any]:
        """What a step that led to `body` changes in what a task remembers, before it observes."""
        return {}

    def _judged(
        self, tables: Tables, info: dict[str, Any], reward: Array, finite: Array, axis_name: str | None
    ) -> tuple[Array, dict[str, Any]]:
        """The rewards (N,) that are given for those of a step in worlds that are `finite` (N,) bool, and what `info`
        tells of them."""
        return reward, {}

    def _privileged(self, tables: Tables, body: BodyState, info: dict[str, Any], *names: str) -> dict[str, Array]:
        """Under each of the names what only the critic sees (N, privileged_size); nothing where that is off."""
        if not self.privileged_size:
            return {}
        contact = self.episodes.contact_ahead(tables, info, privileged.LOOKAHEAD)
        following, left = self.episodes.following(tables, info), self.episodes.steps_left(info)
        return dict.fromkeys(names, privileged.privileged(body, following, contact, left))

    def _evaluate(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> tuple[Array, dict[str, Array]]:
        return judging.evaluate(self.options, self.reference(tables, info), body, info)

    def _ending(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> termination.Ending:
        return judging.ending(self.options, self.reference(tables, info), body, info)


def default_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The environment's configuration for a preset of `options.PRESETS`. Raises KeyError for another."""
    return options.to_config(preset)
