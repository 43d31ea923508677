"""The section `config.run` that the outer training loop reads; configuration files start from it."""

from __future__ import annotations

from ml_collections import ConfigDict


def run_defaults(**changes: object) -> ConfigDict:
    """`config.run`; keywords change single values. Raises AttributeError for a keyword that is no key.

    Periods count iterations; 0 means never, except that the last iteration is always saved and evaluated.
    """
    config = ConfigDict(
        {
            # Decides initial parameters, sampled frames and actions; the one key of this section that a resume keeps.
            "seed": 0,
            # So many seeds at once (seed, seed + 1, …), each with `ppo.num_envs` worlds and a folder of its own.
            "seeds": 1,
            # Devices that share `ppo.num_envs` worlds: 0 is all that JAX sees (docs/scaling.md).
            "devices": 0,
            # A run's folder or a policy's .npz to start from (`learning.inherit`); empty: from the seed alone.
            "init_from": "",
            "total_env_steps": 40_000_000,
            # Ends the run, saved and resumable, after this wall time; 0 is no limit.
            "max_minutes": 0.0,
            "checkpoint_every": 100,
            "checkpoint_keep": 3,
            # Checkpoints at multiples of this many iterations are never deleted.
            "checkpoint_keep_every": 0,
            # Without it files are small and a resumed run starts new episodes, so it is no longer bit for bit the same.
            "checkpoint_env_state": True,
            "eval_every": 100,
            "eval_episodes": 64,
            "video_every": 500,
            # Largest tolerated fraction of an iteration's env steps that ended in a non-finite state.
            "max_nonfinite_fraction": 1e-3,
            # Largest tolerated fraction of an iteration's env steps in which the engine lost contacts for want of room;
            # beyond it the run stops, saved. 1 takes any loss (docs/physics.md, "Room for contacts on the GPU").
            "max_overflow_fraction": 0.0,
            # Largest tolerated number of gradient steps that were skipped as non-finite since the run was started.
            "max_nonfinite_updates": 50,
            "tensorboard": True,
        }
    )
    config.lock()
    for key, value in changes.items():
        setattr(config, key, value)
    return config.unlock()
