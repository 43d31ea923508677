"""BallPlay: one humanoid, one ball, and clips to imitate; a batch of worlds at a time (skillmimic.md §3–§7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from flax import struct

from mjx_skillmimic.envs import nonfinite, options, starts
from mjx_skillmimic.envs.state import State
from mjx_skillmimic.imitation import actions, contact_graph, observation, termination
from mjx_skillmimic.imitation.features import simulated_features
from mjx_skillmimic.imitation.reward import check_weights, imitation_reward
from mjx_skillmimic.model.humanoid import NUM_DOFS
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.motion import library, table
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.physics.base import BodyState, PhysicsState
from mjx_skillmimic.physics.registry import make_physics, resolve_engine
from mjx_skillmimic.physics.state import body_state
from mjx_skillmimic.rotations import Array


@struct.dataclass
class Tables:
    """What all worlds share: the reference of every frame, and the state to start from on it."""

    motions: table.MotionTable
    starts: starts.Starts


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
        chosen = options.from_config(config)
        engine = resolve_engine(config.physics.engine)
        if chosen.scene.feet == "auto" and engine == "mjx-jax":
            # Its boxes meet the floor in other points than those of the other engines (docs/physics.md).
            chosen = chosen._replace(scene=dataclasses.replace(chosen.scene, feet="corners"))
        self.config = config
        self.clips = list(clips) if clips is not None else library.load_clips(config.motion.path)
        self.scene = build_scene(chosen.scene)
        self.physics = make_physics(engine, self.scene, **config.physics.options)
        self.options = chosen
        check_weights(chosen.weights, chosen.reward)
        self.layout = observation.observation_layout(chosen.observation)
        self.tables = tables or self._build_tables()
        dof_pos = np.asarray(self.tables.motions.reference.dof_pos)
        self.initial_action = actions.initial_action(dof_pos, chosen.action)

    def _build_tables(self) -> Tables:
        chosen = self.options
        rate = 1.0 / self.scene.control_dt
        if slow := [clip for clip in self.clips if abs(clip.fps - rate) > 1e-3 * rate]:
            raise ValueError(
                f"clip {slow[0].name} has {slow[0].fps:g} fps, but the environment acts at {rate:g} Hz "
                "(1 / (scene.timestep × scene.substeps)): resample the clip or change these"
            )
        motions = table.build_table(
            self.clips,
            self.scene.skeleton,
            key_bodies=chosen.motion.key_bodies,
            pick_weight=chosen.motion.pick_weight,
        )
        # A start must not kick the ball whether the policy begins with the zero action or near the clips' pose.
        initial = actions.initial_action(np.asarray(motions.reference.dof_pos), chosen.action)
        targets = actions.pd_targets(np.stack([np.zeros_like(initial), initial]), chosen.action)
        return Tables(motions, starts.build_starts(self.scene, motions, chosen.start, targets))

    @property
    def observation_size(self) -> int:
        return self.layout.size

    @property
    def one_hot_mask(self) -> np.ndarray:
        """(observation_size,) bool: the columns of the skill label, which a normaliser may leave alone."""
        mask = np.zeros(self.layout.size, bool)
        mask[self.layout.slice("skill")] = True
        return mask

    def reset(self, rng: Array) -> State:
        """N worlds on freshly drawn clips and frames. rng: (N,) keys."""
        rng, clip, frame = self._draw(self.tables, rng)
        return self.begin(self.tables, rng, clip, frame)

    def begin(self, tables: Tables, rng: Array, clip: Array, frame: Array) -> State:
        """Worlds that start on chosen frames: rng (N,) keys for later resets, clip and frame (N,) int."""
        info, row = self._episode(tables, clip, frame)
        body = tables.starts.body_state(row)
        info |= _memory(body)
        data = self.physics.init(tables.starts.qpos[row], tables.starts.qvel[row])
        obs = self._observe(body, info["skill"])
        zero = jnp.zeros(obs.shape[0], jnp.float32)
        metrics = jax.tree.map(jnp.zeros_like, self._evaluate(tables, body, info)[1])
        metrics |= {"overflow": zero, "nonfinite": zero}
        info |= {"rng": rng, "final_obs": obs, "truncation": zero, "terminated": zero}
        info |= {"nonfinite": nonfinite.start_record(data.qpos, data.qvel, NUM_DOFS)}
        return State(data, obs, zero, zero, metrics, info, tables)

    def step(self, state: State, action: Array) -> State:
        """One control step of 1/60 s; worlds that end are drawn anew."""
        tables = state.shared
        target = actions.pd_targets(action, self.options.action)
        data = self.physics.step(state.data, target)
        finite = _finite_worlds(data.qpos, data.qvel, data.body_force, data.object_force, action)
        body = jax.tree.map(lambda x: jnp.where(_like(finite, x), x, 0), self.body_state(data))
        info = state.info | {"progress": state.info["progress"] + 1}

        reward, metrics = self._evaluate(tables, body, info)
        ending = self._ending(tables, body, info)
        finite &= jnp.isfinite(reward)
        terminated = ending.terminated | ~finite
        truncated = ending.truncated & finite
        lost = (data.overflow > state.data.overflow) & finite
        metrics |= {"overflow": lost.astype(jnp.float32), "nonfinite": (~finite).astype(jnp.float32)}
        info |= self._remember(body, info) | {
            "final_obs": self._observe(body, info["skill"]),
            "terminated": terminated.astype(jnp.float32),
            "truncation": truncated.astype(jnp.float32),
            "nonfinite": nonfinite.record_nonfinite(
                state.info["nonfinite"], ~finite, state.data.qpos, state.data.qvel, target
            ),
        }
        done = terminated | truncated
        ended = State(
            data, info["final_obs"], jnp.where(finite, reward, 0.0), done.astype(jnp.float32), metrics, info, tables
        )
        return self._restart(ended, done)

    def body_state(self, data: PhysicsState) -> BodyState:
        """The named state of the physics."""
        return body_state(self.scene, data)

    def reference(self, tables: Tables, info: dict[str, Array]) -> Features:
        """The reference rows (N,) that belong to the worlds' present `progress`."""
        frame = info["frame"] + info["progress"]
        end = info["frame"] + info["episode_length"]
        return table.features(tables.motions, info["clip"], frame, pad=self.options.motion.pad, end=end)

    def _restart(self, state: State, done: Array) -> State:
        """Puts the worlds of `done` (N,) on new clips and frames."""
        tables = state.shared
        rng, clip, frame = self._draw(tables, state.info["rng"])
        drawn, row = self._episode(tables, clip, frame)
        start = tables.starts.body_state(row)
        drawn |= {"rng": rng, **_memory(start)}
        old = {name: state.info[name] for name in drawn}
        fresh = jax.tree.map(lambda new, old: jnp.where(_like(done, new), new, old), drawn, old)
        obs = jnp.where(done[:, None], self._observe(start, drawn["skill"]), state.obs)
        data = self.physics.reset(state.data, done, tables.starts.qpos[row], tables.starts.qvel[row])
        return dataclasses.replace(state, data=data, obs=obs, info=state.info | fresh)

    def _draw(self, tables: Tables, rng: Array) -> tuple[Array, Array, Array]:
        """Next keys, clips and start frames of worlds with keys (N,)."""
        fixed = self.options.start.frame

        def one(key: Array) -> tuple[Array, Array, Array]:
            following, now = jax.random.split(key)
            return following, *table.sample(tables.motions, now, start=fixed)

        rng, clip, frame = jax.vmap(one)(rng)
        return rng, clip, frame if fixed is not None else tables.starts.frame[table.rows(tables.motions, clip, frame)]

    def _episode(self, tables: Tables, clip: Array, frame: Array) -> tuple[dict[str, Array], Array]:
        """What `info` keeps of an episode, and the row of its start state."""
        limit = self.options.termination.episode_length
        info = {
            "clip": clip,
            "frame": frame,
            "progress": jnp.zeros(clip.shape, jnp.int32),
            "episode_length": table.episode_length(tables.motions, clip, frame, limit),
            "skill": tables.motions.skills[clip],
        }
        return info, table.rows(tables.motions, clip, frame)

    def _observe(self, body: BodyState, skill: Array) -> Array:
        one_hot = observation.skill_one_hot(skill, self.options.observation.num_skills)
        return observation.observe(body, one_hot, self.options.observation)

    def _remember(self, body: BodyState, info: dict[str, Any]) -> dict[str, Any]:
        """What the next step's reward needs of this one."""
        features = simulated_features(body, info["progress"], self.options.reward)
        return {"features": features, "previous_dof_vel": info["features"].dof_vel}

    def _evaluate(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> tuple[Array, dict[str, Array]]:
        """Reward and logged quantities of the state reached at `info["progress"]`; `info` remembers the one before."""
        chosen = self.options.reward
        reference = self.reference(tables, info)
        now = simulated_features(body, info["progress"], chosen)
        lagged = chosen.lag == 1
        reward, factors = imitation_reward(
            info["features"] if lagged else now,
            reference,
            info["previous_dof_vel"] if lagged else info["features"].dof_vel,
            contact_graph.body_contact(body.body_force, chosen.body_force_threshold),
            contact_graph.object_contact(body.object_force, chosen.object_force_threshold),
            self.options.weights.for_skill(info["skill"]),
            chosen,
            body.edges,
        )
        touched = body.edges[..., contact_graph.EDGES.index("hands_object")]
        metrics = {f"reward/{name}": value for name, value in factors.items()} | {
            "reward/total": reward,
            "error/body_m": termination.mean_body_distance(now, reference),
            "error/object_m": jnp.sqrt(jnp.sum((now.object_pos - reference.object_pos) ** 2, axis=-1)),
            "contact/label_agrees": (touched == (reference.contact > 0.5)).astype(jnp.float32),
        }
        return reward, metrics

    def _ending(self, tables: Tables, body: BodyState, info: dict[str, Any]) -> termination.Ending:
        """Judged on the present state, whatever the reward's lag."""
        return termination.termination(
            simulated_features(body),
            self.reference(tables, info),
            info["progress"],
            info["episode_length"],
            self.options.termination,
        )


def default_config(preset: str = "default") -> ml_collections.ConfigDict:
    """The environment's configuration for a preset of `options.PRESETS`. Raises KeyError for another."""
    return options.to_config(preset)


def _memory(start: BodyState) -> dict[str, Any]:
    """What a new episode remembers; the published code's stale buffers (§4.3) are not reproduced."""
    features = simulated_features(start)
    return {"features": features, "previous_dof_vel": features.dof_vel}


def _finite_worlds(*arrays: Array) -> Array:
    """(N,) bool: every number of the world is finite."""
    return jnp.stack([jnp.isfinite(x).reshape(x.shape[0], -1).all(axis=-1) for x in arrays]).all(axis=0)


def _like(mask: Array, x: Array) -> Array:
    """mask (N,) with as many axes as x (N, …)."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
