"""When an episode ends: falls and lost tracking terminate, the end of the clip or of the time truncates (§7)."""

from __future__ import annotations

from typing import Any, NamedTuple

from mjx_skillmimic import rotations
from mjx_skillmimic.imitation.options import TerminationOptions, has_label
from mjx_skillmimic.motion.features import Features
from mjx_skillmimic.rotations import Array


class Ending(NamedTuple):
    """Two exclusive flags (...), bool. `terminated`: no value follows. `truncated`: bootstrap from the last state."""

    terminated: Array
    truncated: Array

    @property
    def done(self) -> Array:
        return self.terminated | self.truncated


def fallen(root_height: Array, progress: Array, options: TerminationOptions, label: Array | None = None) -> Array:
    """The root (...) m is below `fall_height` after more than `grace` control steps, and its label (...) may fall."""
    if options.fall_height is None:
        return progress < 0
    fell = (root_height < options.fall_height) & (progress > options.grace)
    never = has_label(label, options.never_fall, "TerminationOptions.never_fall")
    return fell if never is None else fell & ~never


def timed_out(progress: Array, episode_length: Array, options: TerminationOptions) -> Array:
    """Progress (...) has reached the last row of the reference window, or of the fixed length.

    Args:
        episode_length: (...) int, rows of the drawn window, the initial one included; ignored for "fixed".
    """
    length = episode_length if options.time_out == "clip" else options.episode_length
    return progress >= length - 1


def lost(
    sim: Features,
    reference: Features,
    progress: Array,
    episode_length: Array,
    options: TerminationOptions,
    label: Array | None = None,
) -> Array:
    """Ball or body (...) is farther from the reference than allowed, while the clip lasts and after `grace` steps."""
    xp = rotations.namespace(sim.root_pos, reference.root_pos)
    far = progress < 0
    if options.object_distance is not None:
        gone = _distance(xp, sim.object_pos, reference.object_pos) > options.object_distance
        anywhere = has_label(label, options.without_object, "TerminationOptions.without_object")
        far = far | (gone if anywhere is None else gone & ~anywhere)
    if options.body_distance is not None:
        far = far | (mean_body_distance(sim, reference) > options.body_distance)
    # past the clip's end the reference may be padding, which nobody can track
    return far & (progress > options.grace) & (progress < episode_length)


def mean_body_distance(sim: Features, reference: Features) -> Array:
    """Mean Euclidean distance (...) in m over the root and the 17 key bodies."""
    xp = rotations.namespace(sim.root_pos, reference.root_pos)
    root = _distance(xp, sim.root_pos, reference.root_pos)
    keys = _distance(xp, sim.key_body_pos, reference.key_body_pos)
    return xp.mean(xp.concatenate([root[..., None], keys], axis=-1), axis=-1)


def termination(
    sim: Features,
    reference: Features,
    progress: Array,
    episode_length: Array,
    options: TerminationOptions,
    label: Array | None = None,
) -> Ending:
    """How the episode ends at this step, if it does.

    Args:
        sim: features of the state **after** the control step (no lag here, whatever the reward's). reference: the row
            that belongs to `progress`. progress: (...) int, control steps done, this one included. episode_length:
            (...) int, as in `timed_out`. label: (...) int, the imitated skill, for options that name labels.
    """
    terminated = fallen(sim.root_pos[..., 2], progress, options, label)
    if options.object_distance is not None or options.body_distance is not None:
        terminated = terminated | lost(sim, reference, progress, episode_length, options, label)
    return Ending(terminated, timed_out(progress, episode_length, options) & ~terminated)


def _distance(xp: Any, a: Array, b: Array) -> Array:
    return xp.sqrt(xp.sum((a - b) ** 2, axis=-1))
