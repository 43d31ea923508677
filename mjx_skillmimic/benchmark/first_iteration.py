"""How long a new process takes to its first finished training iteration, with empty and with filled caches.

    python -m mjx_skillmimic.benchmark.first_iteration CONFIG.json RESULT.json START

is the process that is timed; START is the clock (seconds since 1970) when it was started.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

CACHES = ("JAX_COMPILATION_CACHE_DIR", "WARP_CACHE_PATH")


def cold_and_warm(config: ConfigDict, folder: Path | None = None) -> dict[str, Any]:
    """Two new processes after each other that share caches, empty for the first one.

    Must run before this process takes the accelerator, or there is no memory left for the others. folder: for the
    caches, absent: a temporary one. Returns the machine, the engine's name ("resolved") and {"cold": …, "warm": …},
    phases in seconds. Raises RuntimeError with the end of what a process wrote that failed.
    """
    from mjx_skillmimic.config import to_json

    with tempfile.TemporaryDirectory() as scratch:
        place = folder or Path(scratch)
        caches = {name: str(place / name.lower()) for name in CACHES}
        for cache in caches.values():
            Path(cache).mkdir(parents=True, exist_ok=True)
        source, result = place / "config.json", place / "result.json"
        source.write_text(to_json(config))
        found: dict[str, Any] = {}
        for name in ("cold", "warm"):
            found[name] = _fresh_process(source, result, caches)
            found |= found[name].pop("machine")
        return found


def _fresh_process(source: Path, result: Path, caches: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(source), str(result)]
    done = subprocess.run([*command, repr(time.time())], env=os.environ | caches, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the timed process ended with status {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(result.read_text())


def phases(config: ConfigDict, start: float) -> dict[str, Any]:
    """Does what training does up to the end of its first iteration; seconds of every phase, and `total` since `start`.

    imports: Python, JAX and the package; environment: clips, scene, start states; init, compile, iteration.
    """
    import jax
    import jax.numpy as jnp

    from mjx_skillmimic import envs
    from mjx_skillmimic.benchmark.machine import machine
    from mjx_skillmimic.learning import compiling, ppo

    marks = [("start", start), ("imports", time.time())]
    env = envs.load(config.env, config)
    marks.append(("environment", time.time()))
    init, train_iteration = ppo.make_train(
        env, config.ppo, initial_action=jnp.asarray(env.initial_action), one_hot_mask=jnp.asarray(env.one_hot_mask)
    )
    state = jax.block_until_ready(compiling.compile_init(init)(jax.random.key(config.run.seed)))
    marks.append(("init", time.time()))
    iterate = compiling.compile_iteration(train_iteration, state)
    marks.append(("compile", time.time()))
    jax.block_until_ready(iterate(state))
    marks.append(("iteration", time.time()))
    seconds = {name: at - before for (_, before), (name, at) in itertools.pairwise(marks)}
    return {**seconds, "total": marks[-1][1] - start, "machine": machine() | {"resolved": env.physics.name}}


def main(arguments: list[str]) -> int:
    """The timed process."""
    from mjx_skillmimic.config import from_json

    source, result, start = arguments
    found = phases(from_json(Path(source).read_text()), float(start))
    Path(result).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
