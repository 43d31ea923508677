"""What happens under a policy, as courses that physics engines are compared on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjx_skillmimic.envs.ball_play import BallPlay, default_config
from mjx_skillmimic.evaluation.policies import make_agent
from mjx_skillmimic.evaluation.rollouts import draw_starts, evaluation_config
from mjx_skillmimic.imitation.actions import pd_targets
from mjx_skillmimic.model.scene import Scene
from mjx_skillmimic.physics.contract import Courses
from mjx_skillmimic.rotations import Array


def policy_courses(
    policy: str | Path, motion: str, scene: Scene, count: int, steps: int, seed: int = 0, settle: int = 24
) -> Courses:
    """Plays a policy with its exploration noise in MuJoCo C and cuts `steps` control steps out of each of `count`.

    Worlds begin on random frames of the clips `motion`, which need not be those that the policy was trained on; the cut
    begins after 1 to `settle` control steps. `scene` says what is simulated. Raises FileNotFoundError,
    PolicyFormatError, or ValueError if the policy is for another observation.
    """
    config = evaluation_config(default_config())
    config.motion.path = motion
    config.physics.engine = "mujoco"
    config.start.max_kick = None
    config.scene.update({name: getattr(scene.options, name) for name in config.scene})
    env = BallPlay(config)
    agent = make_agent(policy, env, deterministic=False)

    def one(state: Any, key: Array) -> tuple[Any, tuple[Array, Array, Array]]:
        action = agent.act(agent.parameters, state, key)
        before = state.data.qpos, state.data.qvel, pd_targets(action, env.options.action)
        return env.step(state, action), before

    clip, frame = draw_starts([clip.num_frames for clip in env.clips], count, "random", seed)
    begin, rng = jax.random.split(jax.random.key(seed))
    state = env.begin(env.tables, jax.random.split(begin, count), jnp.asarray(clip), jnp.asarray(frame))
    seen = jax.jit(lambda state, keys: jax.lax.scan(one, state, keys)[1])(state, jax.random.split(rng, settle + steps))
    qpos, qvel, target = (np.asarray(x, np.float64) for x in seen)
    cut, world = np.random.default_rng(seed).integers(1, settle + 1, count), np.arange(count)
    following = cut + np.arange(steps)[:, None]
    return Courses(qpos[cut, world], qvel[cut, world], target[following, world])
