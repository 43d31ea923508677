"""A finished run of a tiny network on a tenth of a clip, with a learning curve that is known."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp

from mjx_skillmimic.config import load_config, to_json
from mjx_skillmimic.learning import normalizer, policy
from mjx_skillmimic.learning.networks import Actor
from mjx_skillmimic.motion.library import load_clips, motion_hash
from mjx_skillmimic.motion.npz_format import save_clip

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "ballplay.py"
ITERATIONS, STEPS = 30, 64


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def finished_run(root, **described):
    """The folder of a finished run under `root`; its clip is in root/data/tiny. described: more keys of run.json."""
    clip = load_clips("throw_catch")[0]
    clip = dataclasses.replace(clip, name="tiny", **{k: a[40:54] for k, a in clip.arrays().items()})
    (root / "data" / "tiny").mkdir(parents=True)
    save_clip(clip, root / "data" / "tiny" / "tiny.npz")
    folder = root / "runs" / "small"
    folder.mkdir(parents=True)
    overrides = {"motion": "elsewhere/tiny", "ppo.actor_hidden": "(8,)", "run.seed": "7", "ppo.learning_rate": "1e-4"}
    config = load_config(CONFIG, overrides, check=False)
    (folder / "config.json").write_text(to_json(config))
    description = {"devices": ["gpu: NVIDIA X"], "engine": "mjx-warp", "versions": {"jax": "9.9"}}
    description["motion_hash"] = motion_hash([clip])
    (folder / "run.json").write_text(json.dumps(description | described))
    rows = [
        {
            "iteration": i,
            "env_steps": i * STEPS,
            "seconds": 2.0 * i,
            "steps_per_second": 1.0 if i <= 5 else 100.0 + i % 2,
            "reward": i / 100,
            "env/reward/p": i / 50,
            "env/reward/pv": 1.0,
            "env/reward/total": i / 100,
            "env/contact/label_agrees": 0.25,
            "env/overflow": 3 / STEPS if i == 3 else 0.0,
            "env/nonfinite": 2 / STEPS if i == 4 else 0.0,
            "nonfinite_updates": 1.0 if i in (8, 9) else 0.0,
            "episode/finished": 10.0,
            "episode/falls": 4.0,
            "episode/length": 20.0,
        }
        for i in range(1, ITERATIONS + 1)
    ]
    lines(folder / "metrics.jsonl", rows)
    lines(folder / "evaluations.jsonl", [{"iteration": 10, "env_steps": 640, "acc": 0.125, "survived": 0.75}])
    size = 902
    actor = Actor((8,), 156, log_std=0.0).init(jax.random.key(0), jnp.zeros(size))
    policy.save_policy(folder / "policy.npz", policy.PolicyBundle(actor, normalizer.init(size), (8,), 156))
    return folder
