"""The policy's observation: 902 values in the frame of the root's heading, addressed by name (skillmimic.md §4.2)."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from mjx_skillmimic import rotations
from mjx_skillmimic.model import humanoid
from mjx_skillmimic.rotations import Array

if TYPE_CHECKING:
    from mjx_skillmimic.imitation.options import ObservationOptions
    from mjx_skillmimic.physics.base import BodyState

_FINGERTIPS = humanoid.indices(humanoid.FINGERTIPS)

# Names of the three blocks, for normalisers, policies without labels and tables.
GROUPS = {
    "humanoid": ("root_height", "body_pos", "body_rot", "body_lin_vel", "body_ang_vel", "fingertip_force"),
    "object": ("object_pos", "object_rot", "object_lin_vel", "object_ang_vel"),
    "skill": ("skill",),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which columns of an observation hold what: parts in order as (name, width)."""

    parts: tuple[tuple[str, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.parts)

    @property
    def size(self) -> int:
        return sum(width for _, width in self.parts)

    def slice(self, name: str) -> slice:
        """Columns of a part, or of a group of GROUPS. Raises KeyError that lists what exists."""
        wanted = GROUPS.get(name, (name,))
        if any(part not in self.names for part in wanted):
            raise KeyError(f"no observation part {name!r}; there are {', '.join((*self.names, *GROUPS))}")
        starts, start = {}, 0
        for part, width in self.parts:
            starts[part] = (start, start + width)
            start += width
        return slice(starts[wanted[0]][0], starts[wanted[-1]][1])

    def split(self, obs: Array) -> dict[str, Array]:
        """An observation (..., size) as a dict of its parts. Raises ValueError for another width."""
        if obs.shape[-1] != self.size:
            raise ValueError(f"an observation of this layout has {self.size} columns, got {obs.shape[-1]}")
        return {name: obs[..., self.slice(name)] for name in self.names}


@functools.lru_cache(maxsize=None)  # noqa: UP033 - functools.cache is not in the recorder's Python 3.8
def observation_layout(options: ObservationOptions) -> Layout:
    """The 823 humanoid, 15 object and `num_skills` label columns."""
    bodies = humanoid.NUM_BODIES
    return Layout(
        (
            ("root_height", 1),
            ("body_pos", 3 * (bodies - 1)),
            ("body_rot", 6 * bodies),
            ("body_lin_vel", 3 * bodies),
            ("body_ang_vel", 3 * bodies),
            ("fingertip_force", 3 * len(_FINGERTIPS)),
            ("object_pos", 3),
            ("object_rot", 6),
            ("object_lin_vel", 3),
            ("object_ang_vel", 3),
            ("skill", options.num_skills),
        )
    )


def skill_one_hot(labels: Array, num_skills: int = 64) -> Array:
    """One-hot (..., num_skills) float32 of integer skill labels (...)."""
    xp = rotations.namespace(labels)
    return (labels[..., None] == xp.arange(num_skills)).astype(xp.float32)


def observe(state: BodyState, one_hot: Array, options: ObservationOptions) -> Array:
    """The observation (..., 902), laid out by `observation_layout(options)`.

    Args:
        state: the worlds after a control step. one_hot: (..., num_skills), see `skill_one_hot`.

    Raises:
        ValueError: `one_hot` is not `num_skills` wide.
    """
    if one_hot.shape[-1] != options.num_skills:
        raise ValueError(f"skill label: expected {options.num_skills} columns, got {one_hot.shape[-1]}")
    parts = {**humanoid_parts(state, options), **object_parts(state), "skill": one_hot}
    xp = rotations.namespace(state.body_pos, one_hot)
    return xp.concatenate([parts[name] for name in observation_layout(options).names], axis=-1)


def humanoid_parts(state: BodyState, options: ObservationOptions) -> dict[str, Array]:
    """The 823 humanoid columns by name: heights absolute, the rest relative to the root and turned by −heading."""
    xp = rotations.namespace(state.body_pos, state.body_quat)
    turn = rotations.heading_inverse(state.root_quat)
    each = turn[..., None, :]
    height = state.root_pos[..., 2:]
    rot = rotations.tan_norm(rotations.multiply(each, state.body_quat))
    if options.root_rotation == "world":
        rot = xp.concatenate([rotations.tan_norm(state.root_quat)[..., None, :], rot[..., 1:, :]], axis=-2)
    force = state.body_force[..., _FINGERTIPS, :]
    if options.force_frame == "heading":
        force = rotations.rotate(each, force)
    if options.force_clip is not None:
        force = xp.clip(force, -options.force_clip, options.force_clip)
    return {
        "root_height": height if options.root_height else xp.zeros_like(height),
        "body_pos": _flat(rotations.rotate(each, state.body_pos[..., 1:, :] - state.root_pos[..., None, :])),
        "body_rot": _flat(rot),
        "body_lin_vel": _flat(rotations.rotate(each, state.body_lin_vel)),
        "body_ang_vel": _flat(rotations.rotate(each, state.body_ang_vel)),
        "fingertip_force": _flat(options.force_scale * force),
    }


def object_parts(state: BodyState) -> dict[str, Array]:
    """The 15 object columns by name: horizontal position relative to the root, height **absolute** (§12 item 21)."""
    xp = rotations.namespace(state.object_pos, state.root_quat)
    turn = rotations.heading_inverse(state.root_quat)
    flat_offset = rotations.rotate(turn, state.object_pos - state.root_pos)[..., :2]
    return {
        "object_pos": xp.concatenate([flat_offset, state.object_pos[..., 2:]], axis=-1),
        "object_rot": rotations.tan_norm(rotations.multiply(turn, state.object_quat)),
        "object_lin_vel": rotations.rotate(turn, state.object_lin_vel),
        "object_ang_vel": rotations.rotate(turn, state.object_ang_vel),
    }


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-2], -1)
