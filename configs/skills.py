"""One policy for several skills: a folder of clips with their labels, started where it is hard, switched in between.

    python scripts/train.py --config=configs/skills.py --config.motion=CLIPS --workdir=runs/skills

The `default` recipe of configs/ballplay.py, and what many clips need beside it (docs/learning.md): start frames, clips
and labels are drawn more often where the policy does badly, some episodes start in the state of another skill, balls on
the floor lie elsewhere than in the clip, and most episodes that reach the end of their clip go on behind it.
"""

from __future__ import annotations

from pathlib import Path

import ml_collections

from mjx_skillmimic.config import load_config

# Skills that have no end: pick up (the ball is held on), dribble left, right and forward.
GOES_ON = (1, 11, 12, 13)


def get_config(preset: str = "default") -> ml_collections.ConfigDict:
    config = load_config(f"{Path(__file__).with_name('ballplay.py')}:{preset}", [], check=False)
    config.motion.pick_weight = 2.0
    config.start.update(
        sampling="failure",
        uniform_share=0.4,
        prioritise_labels=True,
        placement_probability=0.6,
        placement_turn=0.8,
        placement_radius=1.8,
        placement_speed=0.6,
        placement_stretch=0.8,
        seam_probability=0.8,
        seam_skills=GOES_ON,
        transition_probability=0.3,
        transition_distance=0.35,
    )
    config.termination.update(episode_length=120, body_distance=0.5, object_distance=0.5)
    config.run.total_env_steps = 1_000_000_000
    return config
