"""Times a history encoder in a rollout, on windows of frames and of projected frames (docs/history_encoder.md).

python scripts/time_history.py --worlds 4096
python scripts/time_history.py --worlds 64 --steps 10
"""

from __future__ import annotations

import argparse
import json
import sys
import time


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--steps", type=int, default=16, help="of the timed scan (default 16)")
    parser.add_argument("--repeats", type=int, default=5, help="the fastest counts (default 5)")
    args = parser.parse_args(argv)
    if min(args.worlds, args.steps, args.repeats) < 1:
        parser.error("--worlds, --steps and --repeats: expected at least 1")
    return args


def main(argv: list[str] | None = None) -> int:
    """Prints what a step costs either way, as JSON."""
    args = parse(argv)
    import jax
    import jax.numpy as jnp

    from mjx_skillmimic.history import encoder, frames, window

    params = encoder.init(jax.random.key(0))
    steps = jax.random.normal(jax.random.key(1), (args.steps, args.worlds, frames.FRAME_SIZE))
    found = {"device": jax.devices()[0].device_kind, "worlds": args.worlds}
    for name, projected in (("frames", False), ("projected frames", True)):

        def rollout(params, steps, projected=projected):
            seen = (lambda frame: encoder.project(params, frame)) if projected else (lambda frame: frame)
            encode = encoder.encode_projected if projected else encoder.encode

            def step(past, frame):
                return window.push(past, seen(frame)), encode(params, past)

            width = seen(steps[0]).shape[-1]
            return jax.lax.scan(step, jnp.zeros((args.worlds, window.WINDOW, width)), steps)[1]

        run = jax.jit(rollout)
        codes, best = jax.block_until_ready(run(params, steps)), float("inf")
        for _ in range(args.repeats):
            begun = time.perf_counter()
            jax.block_until_ready(run(params, steps))
            best = min(best, time.perf_counter() - begun)
        work = encoder.flops(params, projected) * args.worlds
        width = 3 * encoder.CHANNELS[0] if projected else frames.FRAME_SIZE
        found[name] = {
            "ms_a_step": round(1e3 * best / args.steps, 3),
            "gflop_a_step": round(work * 1e-9, 2),
            "window_megabytes": round(4e-6 * args.worlds * window.WINDOW * width, 1),
        }
        found.setdefault("largest_difference", []).append(codes)
    one, other = found["largest_difference"]
    found["largest_difference"] = float(jnp.abs(one - other).max())
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
