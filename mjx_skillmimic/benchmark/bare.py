"""MuJoCo's own loop in C on the work of the level physics: the yardstick of the engine `mujoco`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mjx_skillmimic.benchmark.workloads import SEGMENT


def bare_rates(env: Any, worlds: int, seconds: float, repeats: int, seed: int = 0, **options: Any) -> list[float]:
    """Control steps a second over all worlds of `physics.bare.bare_rollout_speed`, after one warm-up.

    The states are start states of the environment's clips, each stepped for `SEGMENT` control steps towards the
    reference's poses. options: of the engine `mujoco`, such as threads.
    """
    from mjx_skillmimic.physics.bare import bare_rollout_speed

    rng = np.random.default_rng(seed)
    motions, starts = env.tables.motions, env.tables.starts
    row = rng.integers(0, motions.num_frames, worlds)
    later = np.minimum(row + np.arange(1, SEGMENT + 1)[:, None], motions.num_frames - 1)
    target = np.asarray(motions.reference.dof_pos)[later]
    given = (env.scene, np.asarray(starts.qpos)[row], np.asarray(starts.qvel)[row], target)
    began = time.perf_counter()
    bare_rollout_speed(*given, **options)
    calls = max(1, round(seconds / max(time.perf_counter() - began, 1e-9)))
    return [float(np.mean([bare_rollout_speed(*given, **options) for _ in range(calls)])) for _ in range(repeats)]
