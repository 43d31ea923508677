"""Hand-made stretches of free play for the tests of rules and bookkeeping."""

from __future__ import annotations

import numpy as np

from mjx_skillmimic.evaluation.free_play import FreePlay


def still(count: int = 1, steps: int = 180) -> FreePlay:
    """Somebody stands with the wrists at 1 m; the ball lies on the floor 2 m away and nobody touches it."""
    n, t = count, steps
    return FreePlay(
        valid=np.ones((n, t), bool),
        fell=np.zeros(n, bool),
        clip=np.zeros(n, int),
        start=np.full(n, 2),
        lost=np.zeros(n, int),
        label=np.ones((n, t), int),
        root_pos=np.tile([0.0, 0.0, 0.9], (n, t, 1)),
        object_pos=np.tile([2.0, 0.0, 0.12], (n, t, 1)),
        object_lin_vel=np.zeros((n, t, 3)),
        wrist_pos=np.tile([[0.3, 0.2, 1.0], [0.3, -0.2, 1.0]], (n, t, 1, 1)),
        hands_object=np.zeros((n, t), bool),
    )


def fall(play: FreePlay, world: int, step: int) -> None:
    """Lets a world fall on a step."""
    play.valid[world, step + 1 :] = False
    play.root_pos[world, step:, 2] = 0.2
    play.fell[world] = True
