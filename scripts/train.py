"""Trains a skill policy from motion clips, or a high-level policy that chooses among the skills of one.

    python scripts/train.py --config=configs/ballplay.py --config.motion=PATH_OR_NAME --workdir=runs/catch
    python scripts/train.py --config=configs/high_level.py:heading --workdir=runs/heading

`--config=FILE.py:PRESET` chooses a preset (`default`, `reference`), `--config.key=value` changes single values. Ctrl-C
or SIGTERM finishes the iteration and saves; the same command with `--resume` continues. `--init_from=runs/other` starts
from what another run has learned, `--init_from=policy.npz` from a policy, with a fresh critic. The work folder gets
config.json, run.json, metrics.jsonl, evaluations.jsonl, policy.npz, checkpoints/, tensorboard/, videos/ and dumps/.
A run takes all devices that JAX sees; `--config.run.devices=1` takes one, `--config.run.seeds=4` trains four seeds at
once, `--distributed` joins the same command on other hosts (docs/scaling.md).
Exit status: 0 when finished or stopped and saved, 2 for what cannot run, 3 when too much became non-finite, 4 when
contacts were lost for want of room (saved).
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path

from mjx_skillmimic.config import ConfigError, load_config, split_arguments


def main(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--config", metavar="FILE.py[:PRESET]", help="configuration file; single values: --config.key=value"
    )
    parser.add_argument("--workdir", type=Path, required=True, help="folder of this run")
    parser.add_argument("--resume", action="store_true", help="continue from the latest checkpoint in the work folder")
    parser.add_argument("--overwrite", action="store_true", help="delete an earlier run in the work folder first")
    parser.add_argument("--init_from", type=Path, metavar="RUN_OR_POLICY", help="start from what this has learned")
    parser.add_argument(
        "--distributed",
        metavar="HOST:PORT,PROCESSES,NUMBER",
        nargs="?",
        const="",
        help="train with other processes: the first one's address, how many, own number; without a value, as the "
        "cluster's scheduler tells",
    )
    try:
        path, overrides, rest = split_arguments(arguments)
        options = parser.parse_args(rest)
        if path is None:
            parser.error("the following arguments are required: --config")
        config = load_config(path, overrides)
        if options.init_from:
            config.run.init_from = str(options.init_from)
    except ConfigError as error:
        return _refuse(error)

    _cache_compiled_programs()
    from mjx_skillmimic import envs
    from mjx_skillmimic.learning import hosts, ppo, runner
    from mjx_skillmimic.learning.hooks import task_hooks

    try:
        if options.distributed is not None:
            hosts.connect(*hosts.parse(options.distributed))
        env = envs.load(config.env, config)
    except (ValueError, TypeError, ImportError, FileNotFoundError) as error:
        # options, clips or an engine that cannot work
        return _refuse(error)
    try:
        make_train = functools.partial(ppo.make_train, initial_action=env.initial_action, one_hot_mask=env.one_hot_mask)
        runner.run(
            config,
            options.workdir,
            options.resume,
            env=env,
            make_train=make_train,
            hooks=task_hooks(config, env),
            overwrite=options.overwrite,
        )
    except runner.NonfiniteError as error:
        print(f"stopped: {error}", file=sys.stderr)
        if error.dump:
            print(f"replay them: python scripts/replay_dump.py {error.dump}", file=sys.stderr)
        return 3
    except runner.ContactOverflowError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 4
    except (runner.ResumeError, runner.CheckpointError, runner.DeviceError, runner.InitError) as error:
        return _refuse(error)
    return 0


def _cache_compiled_programs() -> None:
    """A second start finds its compiled programs; `JAX_COMPILATION_CACHE_DIR` chooses another place."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "mjx_skillmimic" / "jax"))


def _refuse(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
