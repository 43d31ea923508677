"""A pick-up that one has to walk to: the shipped one stands over the ball from the start."""

from __future__ import annotations

import dataclasses

import numpy as np

from mjx_skillmimic.motion import library
from mjx_skillmimic.motion.clip import MotionClip

WAY = np.array([1.0, 0.3, 0.0], np.float32)  # m


def pick_up_after_a_walk() -> MotionClip:
    """The shipped pick-up, begun 1.04 m before its place: the person slides there, the ball lies there."""
    clip = library.load_clips("pick_up")[0]
    touch = int(np.flatnonzero(clip.contact)[0])
    done = np.clip(np.arange(clip.num_frames) / (touch - 20), 0.0, 1.0)[:, None].astype(np.float32)
    offset = (done - 1.0) * WAY
    return dataclasses.replace(clip, root_pos=clip.root_pos + offset, body_pos=clip.body_pos + offset[:, None])
