"""A few minutes on two CPU cores: one of our own clips, small networks, few worlds (`make quickstart`)."""

from __future__ import annotations

from pathlib import Path

import ml_collections

from mjx_skillmimic.config import load_config


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    config = load_config(f"{Path(__file__).with_name('ballplay.py')}:{preset}", [], check=False)
    config.motion.path = "throw_catch"
    config.ppo.update(
        num_envs=256,
        horizon=16,
        minibatch_size=1024,
        num_epochs=4,
        actor_hidden=(512, 256),
        critic_hidden=(512, 256),
        learning_rate=2e-4,
    )
    config.run.update(total_env_steps=410_000, eval_every=25, eval_episodes=2, checkpoint_every=25, video_every=0)
    return config
